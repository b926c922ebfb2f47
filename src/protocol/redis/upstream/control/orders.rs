//! The clients that are to be killed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::super::server::ServerId;

/// One client that is to be killed.
struct Order {
    server: Arc<ServerId>,
    client_id: u64,
    done: oneshot::Sender<()>,
}

/// See the module. An order stays when nobody waits for it any more.
#[derive(Default)]
pub(super) struct Orders {
    inner: Mutex<Inner>,
    /// Tells the task that there is something new.
    pub(super) wake: Notify,
}

#[derive(Default)]
struct Inner {
    next: u64,
    waiting: BTreeMap<u64, Order>,
}

impl Orders {
    pub(super) fn give(&self, server: Arc<ServerId>, client_id: u64) -> oneshot::Receiver<()> {
        let (done, waiting) = oneshot::channel();
        let mut inner = self.lock();
        let number = inner.next;
        inner.next += 1;
        inner.waiting.insert(number, Order { server, client_id, done });
        drop(inner);
        self.wake.notify_one();
        waiting
    }

    /// The number of the next order: all that are given later have this or a larger one.
    pub(super) fn next(&self) -> u64 {
        self.lock().next
    }

    /// The oldest ones of this process of the server, after `after`, at most `count`: each order's
    /// number, and the client's id.
    pub(super) fn pending(
        &self,
        server: &ServerId,
        after: Option<u64>,
        count: usize,
    ) -> Vec<(u64, u64)> {
        let inner = self.lock();
        let from = after.map_or(0, |number| number + 1);
        let ours = inner.waiting.range(from..).filter(|(_, order)| *order.server == *server);
        ours.take(count).map(|(number, order)| (*number, order.client_id)).collect()
    }

    /// Whether there is an order of that number or a larger one, for another process than this.
    pub(super) fn is_any_elsewhere(&self, server: &ServerId, from: u64) -> bool {
        self.lock().waiting.range(from..).any(|(_, order)| *order.server != *server)
    }

    /// The server of the oldest order for another process than this.
    pub(super) fn elsewhere(&self, server: Option<&ServerId>) -> Option<Arc<ServerId>> {
        let inner = self.lock();
        let mut others = inner.waiting.values().filter(|order| server != Some(&*order.server));
        others.next().map(|order| order.server.clone())
    }

    /// The client is gone.
    pub(super) fn done(&self, number: u64) {
        if let Some(order) = self.lock().waiting.remove(&number) {
            // Whoever gave the order may have gone.
            let _ = order.done.send(());
        }
    }

    /// That process has said that it is a primary, at a login that began when `until` was the next
    /// order. So what came before and is for a process whose place it has taken is done:
    ///
    /// - at the same address: one process at a time listens there, so the other one is no more;
    /// - named by the Sentinels later: a primary takes nothing from any other server, so nothing
    ///   that still runs on the other one is ever seen by whoever reads here. When the other
    ///   one comes back, it is made a replica, and its own writes are thrown away.
    ///
    /// An order that came later may be for a process that began later, and is not judged.
    pub(super) fn superseded_by(&self, primary: &ServerId, until: u64) {
        let mut inner = self.lock();
        let mut later = inner.waiting.split_off(&until);
        let (gone, left) = std::mem::take(&mut inner.waiting)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(_, order)| is_superseded(&order.server, primary));
        inner.waiting = left;
        inner.waiting.append(&mut later);
        drop(inner);
        for order in gone.into_values() {
            let _ = order.done.send(());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_superseded(server: &ServerId, primary: &ServerId) -> bool {
    server != primary && (server.endpoint == primary.endpoint || server.view < primary.view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::redis::upstream::Endpoint;

    fn server(run_id: &str, port: u16, view: u64) -> Arc<ServerId> {
        let endpoint = Endpoint::Tcp { host: "10.0.0.1".into(), port };
        let host = endpoint.to_string().into();
        Arc::new(ServerId { host, run_id: run_id.into(), endpoint, version: "7.0.15".into(), view })
    }

    fn is_done(waiting: &mut oneshot::Receiver<()>) -> bool {
        waiting.try_recv().is_ok()
    }

    #[test]
    fn whose_place_a_primary_takes() {
        let check = |order: (&str, u16, u64), primary: (&str, u16, u64), expected: bool| {
            let of = |(run_id, port, view): (&str, u16, u64)| server(run_id, port, view);
            let orders = Orders::default();
            let mut early = orders.give(of(order), 7);
            let until = orders.next();
            let mut late = orders.give(of(order), 8);
            orders.superseded_by(&of(primary), until);
            assert_eq!(is_done(&mut early), expected, "{order:?} {primary:?}");
            assert!(!is_done(&mut late), "it was not there when the login began");
            let left: Vec<u64> =
                orders.pending(&of(order), None, 9).iter().map(|(_, client)| *client).collect();
            assert_eq!(left, if expected { vec![8] } else { vec![7, 8] });
        };
        check(("a", 1, 0), ("a", 1, 0), false);
        check(("a", 1, 0), ("b", 1, 0), true);
        check(("a", 1, 1), ("b", 2, 2), true);
        check(("a", 1, 2), ("b", 2, 1), false);
        check(("a", 1, 1), ("a", 1, 3), false);
        check(("a", 1, 0), ("b", 2, 0), false);
    }

    #[test]
    fn orders_are_found_by_their_process() {
        let orders = Orders::default();
        let (a, b) = (server("a", 1, 0), server("b", 2, 0));
        let mut first = orders.give(a.clone(), 7);
        orders.give(b.clone(), 7);
        orders.give(a.clone(), 8);
        assert_eq!(orders.pending(&a, None, 9), [(0, 7), (2, 8)]);
        assert_eq!(orders.pending(&a, Some(0), 9), [(2, 8)]);
        assert_eq!(orders.pending(&a, None, 1), [(0, 7)]);
        assert!(orders.is_any_elsewhere(&a, 1) && !orders.is_any_elsewhere(&a, 2));
        assert_eq!(orders.elsewhere(Some(&a)), Some(b));
        orders.done(0);
        assert!(is_done(&mut first));
        assert_eq!(orders.pending(&a, None, 9), [(2, 8)]);
    }
}
