//! Where high-water marks are kept durably.
//!
//! The promise, in one sentence: **once [`Ledger::raise`] has answered `Done`, no later
//! answer of the ledger for that resource shows a smaller mark, whatever fails.**

use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

use crate::fence::{Holder, Mark, RaiseOutcome, Record, Resource, Token};

#[cfg(test)]
mod contract;
pub mod embedded;
pub mod metrics;

/// A future of a ledger. Boxed, so that ledgers are chosen by configuration; none is
/// asked on the path of an ordinary write.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The ledger did not answer, or answered that it cannot.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the ledger is not available: {0}")]
pub struct Unavailable(pub String);

/// A raise of the past, for people to read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Raised {
    /// The token that the mark was raised to.
    pub token: Token,
    /// Who brought it.
    pub holder: Holder,
    /// When, by the wall clock of the process that raised it.
    pub at: SystemTime,
}

/// All that the ledger keeps for a resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its name.
    pub resource: Resource,
    /// The mark and the grant.
    pub record: Record,
    /// The latest raises, oldest first, at most [`HISTORY_MAX`].
    pub history: Vec<Raised>,
}

/// How many raises of a resource are kept for people to read.
pub const HISTORY_MAX: usize = 8;

/// A durable compare-and-max for each resource. See the module for the promise.
///
/// Calls for one resource come one at a time: the next only after the one before has ended.
pub trait Ledger: Send + Sync + 'static {
    /// The record of a resource; a default one for a resource never raised.
    ///
    /// An answer comes after every raise that ended `Unknown`, of this process or of one
    /// before it that was killed in the middle of it, has either been done or can never be
    /// done any more. Where that cannot be said, it is an error.
    fn load<'a>(&'a self, resource: &'a Resource) -> Pending<'a, Result<Record, Unavailable>>;

    /// Sets the mark to the larger one of `to` and what is there, durably, and answers
    /// with the record as it then is. When `to` is the larger and `quiesced`, the grant moves too.
    fn raise<'a>(
        &'a self,
        resource: &'a Resource,
        to: &'a Mark,
        quiesced: bool,
    ) -> Pending<'a, RaiseOutcome>;

    /// Sets this process's grant, durably, if the mark is still at that token. False when
    /// it is not known to have been done.
    fn grant<'a>(&'a self, resource: &'a Resource, at: Token) -> Pending<'a, bool>;

    /// At most `max` entries whose names come after `after`, in the order of their names.
    fn list<'a>(
        &'a self,
        after: Option<&'a str>,
        max: usize,
    ) -> Pending<'a, Result<Vec<Entry>, Unavailable>>;

    /// One entry with its history; `None` for a resource never raised.
    fn entry<'a>(
        &'a self,
        resource: &'a Resource,
    ) -> Pending<'a, Result<Option<Entry>, Unavailable>>;

    /// Whether the process before this one ended without giving its grants up, so that
    /// writes of its may still land.
    fn ended_uncleanly(&self) -> bool;

    /// `Err` with the reason once the ledger can take no more raises until it is opened again,
    /// and while the one that it does takes longer than it should.
    fn health(&self) -> Result<(), Unavailable>;

    /// Gives all grants up, durably: the next start need not wait for anything of this
    /// process. Only to be called when nothing is in flight.
    fn close(&self) -> Pending<'_, Result<(), Unavailable>>;
}
