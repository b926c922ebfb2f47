//! What a request asks of the fence.

use super::{Claim, TokenRules};

/// Names a request while it waits. The gate gives them out; they are never reused.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub u64);

/// What a request wants of the fence.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Intent {
    /// To know that every write with a smaller token has settled: a seal, or a read with a token.
    Seal,
    /// To be admitted as a write.
    Write,
}

/// A request that brings a token.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Ask {
    /// Its name while it waits.
    pub ticket: Ticket,
    /// What it brings.
    pub claim: Claim,
    /// What it wants.
    pub intent: Intent,
    /// Whether its identity may move the mark up.
    pub may_raise: bool,
    /// What the rule says about tokens.
    pub rules: TokenRules,
}
