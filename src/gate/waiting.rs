//! A request in the queue of a fence.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::cell::{Cell, Reply};
use crate::fence::{Refusal, Ticket};

/// A request in the queue. Dropped before its reply, it leaves the queue.
pub(super) struct Waiting {
    pub(super) cell: Arc<Cell>,
    pub(super) ticket: Ticket,
    pub(super) receiver: oneshot::Receiver<Result<Reply, Refusal>>,
}

impl Waiting {
    pub(super) async fn reply(mut self, wait: Duration) -> Result<Reply, Refusal> {
        match tokio::time::timeout(wait, &mut self.receiver).await {
            Ok(reply) => reply.unwrap_or(Err(Refusal::LedgerUnavailable)),
            Err(_) => {
                let is_unsettled = self.cell.is_unsettled();
                // Once it is out of the queue nothing new can come; what came just before counts.
                self.cell.withdraw(self.ticket);
                self.receiver.try_recv().unwrap_or(Err(match is_unsettled {
                    true => Refusal::Unsettled,
                    false => Refusal::LedgerUnavailable,
                }))
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.cell.withdraw(self.ticket);
    }
}
