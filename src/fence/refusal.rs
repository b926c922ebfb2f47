//! Why the fence refuses. A closed list: each protocol turns it into its native error.

use super::{Holder, Mark, Token};

/// What an identity wanted to do.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    /// Move the high-water mark up.
    Raise,
    /// See the resource.
    Read,
    /// Change the resource.
    Write,
}

impl Action {
    /// The word for it in rules and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raise => "raise",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A refused request, with the evidence for it.
#[derive(Clone, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Two leaders with one token: evidence of split brain.
    #[error("token {token} is held by {holder}: two leaders with one token")]
    Conflict {
        /// The token both brought.
        token: Token,
        /// Who brought it first.
        holder: Holder,
    },
    /// No rule lets this identity do that.
    #[error("no rule lets this identity {} here", action.as_str())]
    Forbidden {
        /// What it wanted to do.
        action: Action,
    },
    /// The token is too far above the mark to be believed.
    #[error(
        "token {token} is implausible: the mark is {mark} and the largest plausible token is {limit}"
    )]
    Implausible {
        /// The token that was brought.
        token: Token,
        /// The mark it was compared with.
        mark: Token,
        /// The largest token that would have been believed.
        limit: Token,
    },
    /// The ledger did not answer, so nothing is known for certain. May be tried again.
    #[error("the ledger is not available")]
    LedgerUnavailable,
    /// A bound was reached. May be tried again.
    #[error("{limit} is reached")]
    Overloaded {
        /// The name of the limit, as in the configuration.
        limit: &'static str,
    },
    /// A newer leader holds the resource. Final.
    #[error("token {token} is stale: {} holds {}", mark.holder, mark.token)]
    Stale {
        /// The token that was brought.
        token: Token,
        /// What it was compared with.
        mark: Mark,
    },
    /// The writes of the leader before have not settled yet. May be tried again.
    #[error("writes of the leader before have not settled yet")]
    Unsettled,
}

impl Refusal {
    /// A short stable word, for metrics, the audit log and error documents.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "conflict",
            Self::Forbidden { .. } => "forbidden",
            Self::Implausible { .. } => "implausible",
            Self::LedgerUnavailable => "ledger_unavailable",
            Self::Overloaded { .. } => "overloaded",
            Self::Stale { .. } => "stale",
            Self::Unsettled => "unsettled",
        }
    }

    /// Whether the same request may succeed later without anybody's intervention.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::LedgerUnavailable | Self::Overloaded { .. } | Self::Unsettled)
    }
}
