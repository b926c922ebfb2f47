//! Why something that was admitted, or watched, is not any more.

use std::sync::atomic::Ordering;

use super::cell::Cell;
use super::{Admission, ENDING, Watch};
use crate::fence::{Refusal, Token};

impl Cell {
    /// Why a token of that epoch is good for nothing here any more; `None` while it is.
    fn why(&self, token: Token, epoch: u32) -> Option<Refusal> {
        if let Some(mark) = self.mark_above(token) {
            return Some(Refusal::Stale { token, mark });
        }
        if self.shared.closing.load(Ordering::SeqCst) {
            return Some(ENDING);
        }
        let is_suspended = self.epoch() != epoch || !self.shared.ledger.lease().admits();
        is_suspended.then_some(Refusal::LedgerUnavailable)
    }
}

impl Watch {
    /// Why it is over: [`Refusal::Stale`] is final; with [`Refusal::LedgerUnavailable`] the session
    /// with the ledger was lost, and with any other the process ends, both of which may be tried
    /// again. `None` while it is not over.
    pub fn why(&self) -> Option<Refusal> {
        self.cell.why(self.token, self.epoch)
    }
}

impl Admission {
    /// Why it was lost, or could not be committed: as [`Watch::why`]. `None` where it was not.
    pub fn why(&self) -> Option<Refusal> {
        self.cell.why(self.token, self.epoch)
    }
}
