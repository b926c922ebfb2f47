//! What a shared ledger is kept in: rows with compare-and-swap, sessions, and a feed of changes.
//!
//! A store knows nothing of tokens. It keeps a text for each resource, changes it only if nobody
//! else has meanwhile and the session that asks is alive, both in one transaction, and tells of
//! every change in their order.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::fence::{Resource, SessionId};
use crate::ledger::{Pending, Unavailable};

/// A row as the store has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// What was put there.
    pub text: Vec<u8>,
    /// Which change of the row this is: larger after every change. Never 0.
    pub version: u64,
}

/// One change of one row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Swap {
    /// Whose row.
    pub resource: Resource,
    /// The version that is changed; 0: there is no row yet.
    pub expected: u64,
    /// What is put there.
    pub text: Vec<u8>,
}

/// What became of a [`Swap`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Swapped {
    /// Done and durable; the row's version now.
    Done(u64),
    /// Not done: the row has another version. This is what is there.
    Differs(Option<Stored>),
    /// Not done: the session is over.
    NoSession,
    /// Certainly not done, and never will be: why.
    Failed(String),
    /// Nobody can tell whether it was done, or still will be: why.
    Unknown(String),
}

/// Whether a session goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// For its whole time to live, from before this was asked.
    Alive,
    /// It is over, for good.
    Gone,
}

/// A session, as whoever began it describes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// Whose.
    pub id: SessionId,
    /// What its replica last said of itself ([`Store::keep`]).
    pub about: String,
}

/// What a feed tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A row has changed.
    Row {
        /// Whose row.
        resource: Resource,
        /// As it was put there.
        stored: Stored,
    },
    /// A session was begun, or its replica said something of itself.
    Session(Session),
    /// A session is over.
    Gone(SessionId),
    /// Changes were missed (compaction, a log that was cut): everything has to be looked at anew.
    /// What comes after this is complete again.
    Missed,
    /// All changes up to here have been told. A feed that is broken off goes on behind it.
    Position(u64),
}

/// What the ledger is told when it is opened, for people.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct About {
    /// `etcd 3.4.23, 3 members`, `Redis 7.0.15, appendonly yes, appendfsync always`.
    pub what: String,
    /// What a failover can lose, where it can lose anything: told with every route's guarantee.
    pub loses: Option<String>,
}

/// See the module. Everything is within one namespace.
pub trait Store: Send + Sync + 'static {
    /// What is behind it. Known after [`Store::begin`].
    fn about(&self) -> About;

    /// Begins a session that lives for `ttl` from the last [`Store::keep`], and returns its number:
    /// larger than every one before it. The store's first use: what is wrong with it shows here.
    fn begin<'a>(
        &'a self,
        replica: &'a str,
        ttl: Duration,
        about: &'a str,
    ) -> Pending<'a, Result<SessionId, Unavailable>>;

    /// Prolongs a session, and sets what is told of it. The feed tells that, too: from its own
    /// words a replica knows how far behind its feed is.
    fn keep<'a>(
        &'a self,
        session: &'a SessionId,
        about: &'a str,
    ) -> Pending<'a, Result<Kept, Unavailable>>;

    /// Ends a session at once.
    fn end<'a>(&'a self, session: &'a SessionId) -> Pending<'a, Result<(), Unavailable>>;

    /// The sessions that are alive, read from the store itself, not from a copy that may lag.
    fn sessions(&self) -> Pending<'_, Result<Vec<Session>, Unavailable>>;

    /// A row, read from the store itself.
    fn read<'a>(
        &'a self,
        resource: &'a Resource,
    ) -> Pending<'a, Result<Option<Stored>, Unavailable>>;

    /// At most `max` rows whose names come after `after`, in the order of their bytes.
    fn list<'a>(
        &'a self,
        after: Option<&'a str>,
        max: usize,
    ) -> Pending<'a, Result<Vec<(Resource, Stored)>, Unavailable>>;

    /// Changes rows, each only if it has the expected version and the session is alive; durable
    /// when it returns. One answer for each, in their order. No two are for one resource; there
    /// are at most [`Store::swaps_max`]. Whether some are done when others are not is the store's
    /// affair.
    fn swap<'a>(&'a self, session: &'a SessionId, swaps: &'a [Swap]) -> Pending<'a, Vec<Swapped>>;

    /// How many rows are changed at once at most.
    fn swaps_max(&self) -> usize;

    /// Tells `events` what changes behind a position, until the feed breaks off: why. Without a
    /// position it begins now, with a [`Event::Position`] first. One feed is for all rows.
    fn follow<'a>(
        &'a self,
        from: Option<u64>,
        events: &'a mpsc::Sender<Event>,
    ) -> Pending<'a, Unavailable>;

    /// `Err` with what an operator has to do, while nothing may be raised: the store itself says
    /// that it has lost what it had acknowledged.
    fn frozen(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    /// An operator has looked after what was lost, and lets takeovers go on.
    fn confirm(&self) -> Pending<'_, Result<(), Unavailable>> {
        Box::pin(async { Ok(()) })
    }
}
