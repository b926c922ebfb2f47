//! The proof of admission, in its two states: before and past the commit point.

use super::Token;

/// An admitted write before its commit point. Cutting it now undoes it with certainty.
///
/// Only the register makes one, and it is not `Clone`: without it there is no way to forward.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd))]
#[must_use = "a permit that is not released is counted as in flight for ever"]
pub struct Permit {
    pub(super) token: Token,
    /// It dies with the process's session: see [`Register::suspend`](super::Register::suspend).
    pub(super) epoch: u32,
}

impl Permit {
    /// The token the write was admitted under.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The epoch it was admitted in: see [`Register::epoch`](super::Register::epoch).
    pub fn epoch(&self) -> u32 {
        self.epoch
    }
}

/// A write past its commit point: from here on only the store's answer tells.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd))]
#[must_use = "a sent write that is not settled is counted as in flight for ever"]
pub struct Sent(pub(super) ());

/// The answer at the commit point when a takeover came first: the write must not be completed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cut;

/// How a write past its commit point ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fate {
    /// The store has answered (whatever it said), has itself confirmed that the session
    /// is gone, or nothing was sent after all: it can take no further effect.
    Known,
    /// Nobody can tell whether it has been applied or still will be.
    Unknown,
}
