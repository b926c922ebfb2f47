//! Tells a session when its token is outranked, also while it does nothing.

use std::sync::Arc;

use super::cell::Cell;
use crate::fence::{Mark, Token};

/// Watches one resource for one token. It is no proof: whoever writes needs an
/// [`Admission`](super::Admission).
#[derive(Debug)]
pub struct Watch {
    pub(super) cell: Arc<Cell>,
    pub(super) token: Token,
    pub(super) epoch: u32,
}

impl Watch {
    /// The mark that outranks the token, if one does for certain.
    pub fn outranked_by(&self) -> Option<Mark> {
        self.cell.mark_above(self.token)
    }

    /// Whether the token is outranked, the session with the ledger was lost, or nothing is admitted
    /// any more because the process ends.
    pub fn is_over(&self) -> bool {
        self.cell.ends(self.token, self.epoch)
    }

    /// Resolves when [`Watch::is_over`].
    pub async fn over(&self) {
        self.cell.lost(|cell| cell.ends(self.token, self.epoch)).await;
    }

    /// The mark as far as this process knows it.
    pub fn mark(&self) -> Mark {
        self.cell.mark()
    }

    /// The token that is watched.
    pub fn token(&self) -> Token {
        self.token
    }
}
