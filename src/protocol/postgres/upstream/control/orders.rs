//! The backends of one server that are to be ended.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Notify, oneshot};

/// One backend that is to be ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) struct Order {
    pub(in super::super) pid: u32,
    /// When it began, once that was seen: of another beginning, it is another backend.
    pub(in super::super) began_us: Option<i64>,
    /// When the server began that was known when the order was given: all backends of it are
    /// gone once there is another.
    pub(in super::super) server_began_us: Option<i64>,
}

/// See the module. An order stays when nobody waits for it any more.
#[derive(Default)]
pub(in super::super) struct Orders {
    inner: Mutex<Inner>,
    /// Tells the server's task that there is something new.
    pub(in super::super) wake: Notify,
}

#[derive(Default)]
struct Inner {
    next: u64,
    waiting: BTreeMap<u64, (Order, oneshot::Sender<()>)>,
    server_began_us: Option<i64>,
}

impl Orders {
    /// One order for each call: the same pid may have been given to another backend since.
    pub(in super::super) fn give(&self, pid: u32) -> oneshot::Receiver<()> {
        let (done, waiting) = oneshot::channel();
        let mut inner = self.lock();
        let order = Order { pid, began_us: None, server_began_us: inner.server_began_us };
        let id = inner.next;
        inner.next += 1;
        inner.waiting.insert(id, (order, done));
        drop(inner);
        self.wake.notify_one();
        waiting
    }

    /// At most `count`, the oldest ones, after `after`.
    pub(in super::super) fn pending(&self, after: Option<u64>, count: usize) -> Vec<(u64, Order)> {
        let inner = self.lock();
        let from = after.map_or(0, |id| id + 1);
        inner.waiting.range(from..).take(count).map(|(id, (order, _))| (*id, *order)).collect()
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// It is still there, and began then.
    pub(in super::super) fn seen(&self, id: u64, began_us: Option<i64>) {
        if let Some((order, _)) = self.lock().waiting.get_mut(&id) {
            order.began_us = order.began_us.or(began_us);
        }
    }

    /// It is gone.
    pub(in super::super) fn done(&self, id: u64) {
        if let Some((_, done)) = self.lock().waiting.remove(&id) {
            // Whoever gave the order may have gone.
            let _ = done.send(());
        }
    }

    pub(in super::super) fn all_done(&self) {
        for (id, _) in self.pending(None, usize::MAX) {
            self.done(id);
        }
    }

    /// The server that is there began then: the backends of an earlier one are gone with it, since
    /// a server does not start as long as one of them is left.
    pub(in super::super) fn server_began(&self, began_us: i64) {
        let mut inner = self.lock();
        inner.server_began_us = Some(began_us);
        let gone: Vec<_> = inner
            .waiting
            .iter()
            .filter(|(_, (order, _))| order.server_began_us.is_some_and(|known| known != began_us))
            .map(|(id, _)| *id)
            .collect();
        for (order, _) in inner.waiting.values_mut() {
            order.server_began_us = Some(began_us);
        }
        drop(inner);
        for id in gone {
            self.done(id);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_done(waiting: &mut oneshot::Receiver<()>) -> bool {
        waiting.try_recv().is_ok()
    }

    #[test]
    fn another_start_of_the_server_ends_what_was_there_before() {
        let orders = Orders::default();
        let mut early = orders.give(1);
        orders.server_began(100);
        assert!(!is_done(&mut early), "nothing was known when it was given");
        let mut late = orders.give(2);
        orders.server_began(100);
        assert!(!is_done(&mut late));
        orders.server_began(200);
        assert!(is_done(&mut early) && is_done(&mut late));
        let mut after = orders.give(1);
        orders.server_began(200);
        assert!(!is_done(&mut after) && !orders.is_empty());
    }

    #[test]
    fn the_same_pid_twice_is_two_backends() {
        let orders = Orders::default();
        let (mut first, mut second) = (orders.give(7), orders.give(7));
        orders.seen(0, Some(10));
        orders.seen(0, Some(20));
        orders.seen(1, Some(20));
        let began: Vec<_> =
            orders.pending(None, 10).iter().map(|(_, order)| order.began_us).collect();
        assert_eq!(began, [Some(10), Some(20)]);
        orders.done(0);
        assert!(is_done(&mut first) && !is_done(&mut second));
        assert_eq!(orders.pending(Some(0), 10).len(), 1);
        assert_eq!(orders.pending(Some(1), 10).len(), 0);
    }
}
