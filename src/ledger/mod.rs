//! Where high-water marks are kept durably.
//!
//! The promise, in one sentence: **once [`Ledger::raise`] has answered `Done`, no later
//! answer of the ledger for that resource shows a smaller mark, whatever fails.**

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use crate::fence::{Granted, Holder, Mark, RaiseOutcome, Record, Resource, Row, SessionId, Token};
use lease::Lease;

#[cfg(test)]
mod contract;
pub mod embedded;
pub mod etcd;
pub mod lease;
pub mod metrics;
pub mod redis;
pub mod replicated;

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

/// The longest name of a holder, in bytes. Longer ones are not raised to.
pub const HOLDER_LEN_MAX_BYTES: usize = 4096;

/// A session of another process with a grant that somebody waits for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Behind {
    /// Which.
    pub session: SessionId,
    /// When this process first saw that it is over; `None` while it is alive.
    pub gone: Option<lease::Moment>,
}

/// What a shared ledger tells the gate.
#[derive(Clone, Debug)]
pub enum News {
    /// A row has changed, or has to be looked at.
    Row {
        /// Whose.
        resource: Resource,
        /// As it is now.
        row: Arc<Row>,
        /// As it is for this process.
        record: Record,
        /// This process has a grant below the mark.
        is_owing: bool,
    },
    /// Nothing may be admitted any more: the session will be over. What is under way is to end.
    Suspended,
    /// The time for that is over: connections with writes of unknown fate are to be closed now. To
    /// be dropped when that, and what was told before, has been carried out for every resource:
    /// until then no new session is relied on, or what was admitted under the old one could pass
    /// for the new one's.
    HangUp(Arc<DropGuard>),
    /// A new session has begun.
    Resumed,
}

/// How far this process can go. For `/readyz`, metrics and alerts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Condition {
    /// All is well.
    Serving,
    /// The ledger is out of reach: holders are served under their grants until then, no takeovers.
    OutOfReach {
        /// Why.
        why: String,
        /// How much longer holders are served.
        serves_for: Duration,
    },
    /// Takeovers are refused until an operator confirms; holders are served.
    Frozen {
        /// Why.
        why: String,
    },
    /// Writes are refused, reads go on.
    Suspended {
        /// Why.
        why: String,
    },
}

/// A replica, for people.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Replica {
    /// Its session, such as `r1#42`.
    pub session: String,
    /// Whether that is the one that answers.
    pub is_this: bool,
    /// Its version of Palisade.
    pub version: String,
    /// How long its session has been alive, in seconds.
    pub age_seconds: u64,
    /// How many resources it holds grants for.
    pub grants: u64,
    /// How far its feed of changes was behind when it last said so, in milliseconds.
    pub lag_ms: u64,
    /// How long ago it last said so, in milliseconds, as far as the one that answers has seen.
    pub seen_ms_ago: u64,
    /// `serving`, `out of reach`, `suspended`, `draining`.
    pub state: String,
}

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

    /// Sets this process's grant, durably, if the mark is still at that token.
    fn grant<'a>(&'a self, resource: &'a Resource, at: Token) -> Pending<'a, Granted>;

    /// Gives up what this process, which has quiesced, had below the mark; false when that is not
    /// known to have been done. Nothing to do with a ledger that one process has for itself.
    fn release<'a>(&'a self, resource: &'a Resource) -> Pending<'a, bool> {
        let _ = resource;
        Box::pin(async { true })
    }

    /// The same, if the mark is still at that token; true, too, when it is not, and then nothing was
    /// done. For a resource without a fence in memory: one that is made meanwhile takes its grant
    /// at that mark, and has nothing below it.
    fn release_at<'a>(&'a self, resource: &'a Resource, at: Token) -> Pending<'a, bool> {
        let _ = at;
        self.release(resource)
    }

    /// The sessions of other processes with a grant below a token that the mark has reached.
    /// `anew`: from the ledger itself; else what this process has last seen of the row will do, if it
    /// has: below the mark grants only go.
    fn behind<'a>(
        &'a self,
        resource: &'a Resource,
        below: Token,
        anew: bool,
    ) -> Pending<'a, Result<Vec<Behind>, Unavailable>> {
        let _ = (resource, below, anew);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Removes the grant of a session that is over, after all that it had on its way has settled;
    /// false when that is not known to have been done.
    fn bury<'a>(&'a self, resource: &'a Resource, dead: &'a SessionId) -> Pending<'a, bool> {
        let _ = (resource, dead);
        Box::pin(async { true })
    }

    /// Until when this process may admit.
    fn lease(&self) -> &Lease;

    /// This process's session, where the ledger has sessions.
    fn session(&self) -> Option<SessionId> {
        None
    }

    /// What others do, for the gate: can be taken once. `None` where there are no others.
    fn news(&self) -> Option<mpsc::Receiver<News>> {
        None
    }

    /// How far this process can go now.
    fn condition(&self) -> Condition {
        Condition::Serving
    }

    /// The replicas that are alive, for people.
    fn replicas(&self) -> Pending<'_, Result<Vec<Replica>, Unavailable>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// What a failover of the ledger can lose, where it can lose anything.
    fn loses(&self) -> Option<String> {
        None
    }

    /// An operator lets takeovers go on after the ledger has lost something.
    fn confirm(&self) -> Pending<'_, Result<(), Unavailable>> {
        Box::pin(async { Ok(()) })
    }

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
