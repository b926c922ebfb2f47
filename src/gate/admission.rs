//! The proof that a request carries to the store.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::cell::Cell;
use super::driver;
use crate::fence::{Cut, Mark, Permit, Resource, Sent, Token};

/// An admitted write: the proof without which nothing is forwarded.
///
/// Dropped before [`Admission::commit`] it is released: nothing of it is in the store.
/// Dropped after it and before [`Admission::settle`], its outcome counts as unknown.
#[derive(Debug)]
pub struct Admission {
    pub(super) cell: Arc<Cell>,
    pub(super) token: Token,
    pub(super) epoch: u32,
    settle_timeout: Duration,
    slot: Mutex<Slot>,
}

#[derive(Debug)]
enum Slot {
    Streaming(Permit),
    Sent(Sent),
    Ended,
}

impl Admission {
    pub(super) fn new(cell: &Arc<Cell>, permit: Permit, settle_timeout: Duration) -> Self {
        cell.metrics.permits.increment(1.0);
        Self {
            cell: Arc::clone(cell),
            token: permit.token(),
            epoch: permit.epoch(),
            settle_timeout,
            slot: Mutex::new(Slot::Streaming(permit)),
        }
    }

    /// The resource it is for.
    pub fn resource(&self) -> &Resource {
        &self.cell.resource
    }

    /// The token it was admitted under.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The second look at the fence, at the commit point: from here on the write may take
    /// effect. Asking again after it was granted changes nothing.
    ///
    /// # Errors
    /// [`Cut`] when a takeover came first, or the write has ended: nothing more may be sent.
    pub fn commit(&self) -> Result<(), Cut> {
        let mut slot = self.slot();
        match std::mem::replace(&mut *slot, Slot::Ended) {
            Slot::Streaming(permit) => match self.cell.commit(permit, self.settle_timeout) {
                Ok(sent) => {
                    *slot = Slot::Sent(sent);
                    Ok(())
                }
                Err(cut) => {
                    self.cell.metrics.permits.decrement(1.0);
                    Err(cut)
                }
            },
            sent @ Slot::Sent(_) => {
                *slot = sent;
                Ok(())
            }
            Slot::Ended => Err(Cut),
        }
    }

    /// The store has answered, or nothing was sent after all: the write has settled.
    pub fn settle(&self) {
        self.end(None);
    }

    /// Nobody can tell whether the write has been or still will be applied; no byte of it
    /// has left this process after `last_write`, and none will.
    pub fn lose(&self, last_write: Instant) {
        self.end(Some(last_write));
    }

    /// Resolves when the write has lost its admission: cut before its commit point
    /// (drop the upstream connection and say [`Admission::why`]), or given up on after it (drop the
    /// upstream connection, call [`Admission::lose`] and say `unknown`).
    pub async fn lost(&self) {
        self.cell
            .lost(|cell| match &*self.slot() {
                Slot::Streaming(_) | Slot::Ended => cell.ends(self.token, self.epoch),
                Slot::Sent(_) => cell.hangs_up(self.epoch),
            })
            .await;
    }

    /// The mark that outranks it, if one does.
    pub fn outranked_by(&self) -> Option<Mark> {
        self.cell.mark_above(self.token)
    }

    fn end(&self, last_write: Option<Instant>) {
        let slot = std::mem::replace(&mut *self.slot(), Slot::Ended);
        match slot {
            Slot::Ended => return,
            Slot::Streaming(permit) => self.cell.release(permit),
            Slot::Sent(sent) => {
                if last_write.is_some() {
                    self.cell.metrics.writes_unknown.increment(1);
                }
                let unknown_until = last_write.map(|at| at + self.settle_timeout);
                driver::carry_out(&self.cell, self.cell.settle(sent, unknown_until));
            }
        }
        self.cell.metrics.permits.decrement(1.0);
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().expect("nothing panics while it holds this lock")
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.end(Some(Instant::now()));
    }
}
