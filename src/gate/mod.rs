//! Drives the fences: table, admission in the order of arrival, takeover, settling.
//!
//! [`Gate::admit`] is the only way to an [`Admission`], and an admission is the only way to
//! the store. Everything here is cancellation-safe: a request that goes away at any await
//! leaves nothing behind, and a write dropped past its commit point is counted as unknown.

use std::sync::Arc;
use std::time::Duration;

use crate::fence::{Claim, Cut, Fate, Mark, Refusal, Resource, Takeover, Token};
use crate::ledger::Ledger;
use crate::net::identity::Peer;
use crate::rules::Rule;

/// The bounds of the gate.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many resources are kept in memory. Idle ones make room for others.
    pub active_resources_max: usize,
    /// How many requests wait for one resource while a takeover of it runs.
    pub takeover_queue_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { active_resources_max: 1_000_000, takeover_queue_max: 10_000 }
    }
}

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

/// See the module.
pub struct Gate {
    _ledger: Arc<dyn Ledger>,
}

/// An admitted write: the proof without which nothing is forwarded. Dropped before
/// [`Admission::commit`] it is released; dropped after it and before
/// [`Admission::settle`], its outcome counts as unknown.
#[derive(Debug)]
pub struct Admission {}

impl Gate {
    /// A gate over a ledger. Takeovers run on `runtime`, so that they end even when
    /// nobody waits for them any more.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        settings: Settings,
        audit: crate::audit::Audit,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        let _ = (settings, audit, runtime);
        Self { _ledger: ledger }
    }

    /// Admits a write, after a takeover if its token is larger than the mark.
    ///
    /// # Errors
    /// The refusal.
    pub async fn admit(&self, bid: &Bid) -> Result<Admission, Refusal> {
        let _ = bid;
        Err(Refusal::LedgerUnavailable)
    }

    /// Returns when every write with a smaller token has settled: for seals, and for
    /// reads that bring a token.
    ///
    /// # Errors
    /// The refusal.
    pub async fn seal(&self, bid: &Bid) -> Result<Sealed, Refusal> {
        let _ = bid;
        Err(Refusal::LedgerUnavailable)
    }

    /// What is known of a resource, from memory or else from the ledger.
    ///
    /// # Errors
    /// [`Refusal::LedgerUnavailable`].
    pub async fn status(&self, resource: &Resource) -> Result<Status, Refusal> {
        let _ = resource;
        Err(Refusal::LedgerUnavailable)
    }

    /// Returns when every write below the mark has settled, and leaves the mark where it is:
    /// an operator's seal, for a leader that could not ask itself.
    ///
    /// # Errors
    /// The refusal.
    pub async fn reseal(&self, resource: &Resource) -> Result<Sealed, Refusal> {
        let _ = resource;
        Err(Refusal::LedgerUnavailable)
    }

    /// Raises a resource to the next incarnation in the name of an operator, so that
    /// tokens of a reset source (`incarnation.counter`) outrank every old one. Quiesces first.
    ///
    /// # Errors
    /// The refusal.
    pub async fn reset(
        &self,
        resource: &Resource,
        operator: &Peer,
        reason: &str,
    ) -> Result<Sealed, Refusal> {
        let _ = (resource, operator, reason);
        Err(Refusal::LedgerUnavailable)
    }
}

impl Admission {
    /// The resource it is for.
    pub fn resource(&self) -> &Resource {
        unimplemented!()
    }

    /// The token it was admitted under.
    pub fn token(&self) -> Token {
        unimplemented!()
    }

    /// The second look at the fence, at the commit point: from here on the write may take
    /// effect. Idempotent.
    ///
    /// # Errors
    /// [`Cut`] when a takeover came first: nothing more may be sent.
    pub fn commit(&self) -> Result<(), Cut> {
        Ok(())
    }

    /// Tells how the write ended. Before the commit point it only releases. Idempotent.
    pub fn settle(&self, fate: Fate) {
        let _ = fate;
    }

    /// Resolves when the write has lost its admission: cut before its commit point
    /// (drop the upstream connection and say `stale`), or given up on after it (drop the
    /// upstream connection and say `unknown`).
    pub async fn lost(&self) {}

    /// The mark that outranked it, once it was cut.
    pub fn outranked_by(&self) -> Option<Mark> {
        None
    }
}
