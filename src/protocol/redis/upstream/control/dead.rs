//! The dead sessions with the ledger whose clients are to be killed.
//!
//! The name of each client has the session with the ledger in it that its Palisade had when it
//! began to log in. All that bear the dead one's number or a smaller one of that replica are listed
//! once, and killed until the server lists none of them. After that nothing can take effect any more
//! of what was sent under the dead session:
//!
//! - A command is sent under an admission, an admission is had while the session with the ledger
//!   lives, and on a connection that has logged in already; a connection that is reset sends nothing
//!   under one before its name is back. The list is asked for after that session was over. So
//!   whatever a command was, or is still to be, sent on under it, is in the list, under that number
//!   or, where the connection is older, under a smaller one.
//! - A client that is killed is freed with all that the server had read of it.
//! - It may be that the replica is not dead but frozen, between its last look at its session and
//!   the write to a socket. When it thaws, that socket leads nowhere. A connection that it was just
//!   opening may come to be after the list; but nothing was sent on it, since it had not been let
//!   in, and from then on it is used by a process that looks at its clock before it sends anything,
//!   and finds its session over. So what comes after the list is let be.
//! - With Sentinel, the servers beside the primary are swept as far as they answer. What is left on
//!   one that does not can do no harm while it is none: and what becomes the primary is swept
//!   before anybody is let use it with a token.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::super::server::ServerId;
use crate::fence::SessionId;

/// Dead sessions that are remembered: for them a new primary is swept, and asking again is
/// answered at once.
const ENDED_MAX: usize = 1_024;

/// See the module.
pub(super) struct Dead {
    inner: Mutex<Inner>,
    news: watch::Sender<()>,
}

#[derive(Default)]
struct Inner {
    wanted: BTreeSet<SessionId>,
    /// By their whole name, not up to a number: two processes may by mistake bear one name, and
    /// then the one with the smaller number may still have begun something afterwards.
    ended: VecDeque<SessionId>,
    /// The run id of the primary on which none of those is left.
    clean: Option<Arc<str>>,
}

impl Dead {
    pub(super) fn new() -> Self {
        Self { inner: Mutex::default(), news: watch::Sender::new(()) }
    }

    pub(super) fn want(&self, dead: &SessionId) {
        let mut inner = self.lock();
        if !inner.ended.contains(dead) {
            inner.wanted.insert(dead.clone());
        }
    }

    /// Returns when it has ended.
    pub(super) async fn ended(&self, dead: &SessionId) {
        self.until(|inner| inner.ended.contains(dead)).await;
    }

    /// Whether none of those that have ended is left on that server, as far as that is known.
    pub(super) fn is_clean(&self, server: &ServerId) -> bool {
        self.lock().is_clean(server)
    }

    /// Returns when that is so.
    pub(super) async fn clean(&self, server: &ServerId) {
        self.until(|inner| inner.is_clean(server)).await;
    }

    /// Whose clients are to be killed on that primary.
    pub(super) fn pending(&self, primary: &ServerId) -> Vec<SessionId> {
        let inner = self.lock();
        let again = inner.ended.iter().filter(|_| !inner.is_clean(primary));
        inner.wanted.iter().chain(again).cloned().collect()
    }

    /// None of theirs is left on the primary.
    pub(super) fn end(&self, primary: &ServerId, these: Vec<SessionId>) {
        let mut inner = self.lock();
        for dead in these {
            if inner.wanted.remove(&dead) {
                if inner.ended.len() >= ENDED_MAX {
                    inner.ended.pop_front();
                }
                inner.ended.push_back(dead);
            }
        }
        inner.clean = Some(Arc::clone(&primary.run_id));
        drop(inner);
        self.news.send_replace(());
    }

    async fn until(&self, is_so: impl Fn(&Inner) -> bool) {
        let mut news = self.news.subscribe();
        while !is_so(&self.lock()) {
            if news.changed().await.is_err() {
                // Nobody has said so, and nobody will.
                std::future::pending::<()>().await;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn is_clean(&self, server: &ServerId) -> bool {
        self.ended.is_empty() || self.clean.as_ref() == Some(&server.run_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::redis::upstream::Endpoint;

    fn server(run_id: &str) -> ServerId {
        let endpoint = Endpoint::Tcp { host: "10.0.0.1".into(), port: 1 };
        let host = endpoint.to_string().into();
        ServerId { host, run_id: run_id.into(), endpoint, version: "7.0.15".into(), view: 0 }
    }

    #[test]
    fn another_primary_is_swept_for_all_that_were_told_to_have_ended() {
        let (a, b) = (server("a"), server("b"));
        let (one, two) = (SessionId::new("r1", 1), SessionId::new("r2", 2));
        let dead = Dead::new();
        assert!(dead.is_clean(&a) && dead.pending(&a).is_empty());
        dead.want(&one);
        assert_eq!(dead.pending(&a), std::slice::from_ref(&one));
        dead.end(&a, vec![one.clone()]);
        dead.want(&one);
        assert!(dead.is_clean(&a) && dead.pending(&a).is_empty());
        assert!(!dead.is_clean(&b));
        dead.want(&two);
        assert_eq!(dead.pending(&b), [two.clone(), one.clone()]);
        dead.end(&b, vec![two, one.clone()]);
        assert!(dead.is_clean(&b) && !dead.is_clean(&a) && dead.pending(&b).is_empty());
        assert_eq!(dead.lock().ended.len(), 2);
        for number in 0..ENDED_MAX as u64 {
            let more = SessionId::new("r3", number);
            dead.want(&more);
            dead.end(&b, vec![more]);
        }
        assert!(!dead.lock().ended.contains(&one) && dead.lock().ended.len() == ENDED_MAX);
    }
}
