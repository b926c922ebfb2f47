//! What a request brings to the gate, and what it is told.

use std::sync::Arc;
use std::time::Duration;

use crate::fence::{Claim, Mark, Resource, Takeover};
use crate::net::identity::Peer;
use crate::rules::Rule;

/// A request that brings a token to a resource.
#[derive(Clone, Debug)]
pub struct Bid {
    /// Which resource.
    pub resource: Resource,
    /// The rule that it is under.
    pub rule: Arc<Rule>,
    /// The token, and whose it is.
    pub claim: Claim,
    /// Who brings it.
    pub peer: Peer,
    /// How long it waits for a takeover; never longer than the rule says.
    pub wait: Duration,
}

/// Every write with a smaller token has settled.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The mark now.
    pub mark: Mark,
    /// How the takeover went, where this process has seen it.
    pub evidence: Option<Evidence>,
}

/// How a takeover went.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// What became of the writes of the leader before.
    pub takeover: Arc<Takeover>,
    /// How long the ledger took.
    pub ledger: Duration,
    /// How long the writes before took to settle.
    pub quiesce: Duration,
}

/// The state of a resource, for people and for `status`.
#[derive(Clone, Debug)]
pub struct Status {
    /// The mark; `Token::ZERO` where there never was one.
    pub mark: Mark,
    /// Whether a takeover is under way.
    pub busy: bool,
    /// Admitted writes before their commit point.
    pub streaming: u32,
    /// Writes past it without an answer yet.
    pub sent: u32,
    /// Writes whose outcome is unknown and that may still land.
    pub unknown: u32,
    /// The last takeover that this process saw.
    pub evidence: Option<Evidence>,
}
