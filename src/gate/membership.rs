//! A cell as one of several replicas: its session, and what others do.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::Remains;
use super::cell::Cell;
use super::state::{Delivery, Outcome, State};
use crate::fence::{Record, Token};

impl Cell {
    /// Whether what goes on with this token ends: the mark is above it for certain, the session with
    /// the ledger is over, or the process ends. No clock is read: a write that has not reached its
    /// commit point is stopped there, if nobody has said so before.
    pub(super) fn ends(&self, token: Token, epoch: u32) -> bool {
        if self.shared.closing.load(Ordering::SeqCst) {
            return true;
        }
        let state = self.lock();
        state.register.mark_at_least().token > token || state.register.epoch() != epoch
    }

    pub(super) fn epoch(&self) -> u32 {
        self.lock().register.epoch()
    }

    pub(super) fn hangs_up(&self, epoch: u32) -> bool {
        let state = self.lock();
        state.hang_up || epoch < state.hang_up_before
    }

    /// Others have changed the row.
    pub(super) fn observe(self: &Arc<Self>, record: Record, is_owing: bool) -> Outcome {
        let outcome = self.change(|state| {
            state.seen = Some(record.clone());
            state.register.observe(record, is_owing)
        });
        self.rows.notify_waiters();
        outcome
    }

    /// Waits for the feed to tell that no other replica is behind that token; false after `wait`,
    /// `None` when that is not waited for any more.
    pub(super) async fn told(&self, at: Token, wait: Duration) -> Option<bool> {
        let deadline = Instant::now() + wait;
        loop {
            let notified = self.rows.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            {
                let state = self.lock();
                if !state.register.is_awaiting(at) {
                    return None;
                }
                // The row is from after this process's own grant, if that is in it.
                let is_clear = |seen: &Record| seen.grant == at && !seen.behind;
                if state.seen.as_ref().is_some_and(is_clear) {
                    return Some(true);
                }
            }
            if tokio::time::timeout_at(deadline, notified).await.is_err() {
                return Some(false);
            }
        }
    }

    pub(super) fn suspend(self: &Arc<Self>) -> Outcome {
        let outcome = self.change(|state| state.register.suspend());
        self.lost.notify_waiters();
        self.rows.notify_waiters();
        outcome
    }

    pub(super) fn resume(self: &Arc<Self>) -> Outcome {
        self.change(|state| {
            state.seen = None;
            state.register.resume()
        })
    }

    /// Tells writes that were sent under a session that is over to hang up.
    pub(super) fn hang_up(self: &Arc<Self>) {
        let mut state = self.lock();
        state.hang_up_before = state.register.epoch();
        drop(state);
        self.lost.notify_waiters();
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.lock().register.is_suspended()
    }

    /// The stores that settle what dead replicas have left of this resource.
    pub(super) fn stores(&self) -> Vec<Arc<dyn Remains>> {
        let rule = self.lock().rule.clone();
        self.shared.stores.behind(rule.as_ref().map(|rule| &*rule.name))
    }

    /// Whether an operator asked last, who has no rule: it is settled in every way there is.
    pub(super) fn is_operated(&self) -> bool {
        self.lock().rule.is_none()
    }

    /// Suspends the fence when the lease has run out, whether or not somebody has said so yet.
    pub(super) fn look_at_lease(self: &Arc<Self>, state: &mut State) {
        if !self.shared.ledger.lease().admits() && !state.register.is_suspended() {
            let effects = state.register.suspend();
            let outcome = self.sort(state, effects);
            self.lost.notify_waiters();
            debug_assert!(outcome.work.is_empty(), "a suspended fence asks for nothing");
            outcome.deliveries.into_iter().for_each(Delivery::send);
        }
    }
}
