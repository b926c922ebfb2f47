//! What the register wants done, and the words in which it is told how that went.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Mark, Permit, Record, Refusal, Takeover, Ticket, Token};

/// What the driver has to do.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Eq, Hash, PartialEq))]
pub enum Effect {
    /// Read the ledger; answer with [`loaded`](super::Register::loaded).
    Load,
    /// Raise the mark in the ledger; answer with [`raised`](super::Register::raised). When
    /// `quiesced`, the grant moves with the mark: nothing below it is in flight.
    Raise {
        /// The mark to raise to.
        to: Mark,
        /// Nothing is in flight, and nothing is admitted before the outcome is told.
        quiesced: bool,
    },
    /// Set this process's grant, durably; answer with [`granted`](super::Register::granted).
    Grant {
        /// The token to set it to.
        at: Token,
    },
    /// Wait until no other replica has a grant below that token, see to the settling of what
    /// dead ones have left; answer with [`awaited`](super::Register::awaited).
    Await {
        /// The token that this process's grant is at.
        at: Token,
    },
    /// Give up the grant below the mark, until that is known to be done or the session is lost;
    /// answer with [`released`](super::Register::released).
    Release,
    /// Writes have lost their admission before their commit point: wake them, so that
    /// they see it at once. They cannot commit any more, woken or not.
    Cut,
    /// Wait for what is in flight, each kind up to its own deadline; tell with
    /// [`settle`](super::Register::settle) and [`expire`](super::Register::expire). Sent
    /// writes that are past theirs have to close their connections: they settle as unknown.
    Quiesce,
    /// A takeover has ended and writes at the new mark go on.
    Opened(Arc<Takeover>),
    /// This process has given its grant up for the takeover of another replica: what became of
    /// the writes that it had.
    Yielded(Arc<Takeover>),
    /// The request waits.
    Wait {
        /// Which.
        ticket: Ticket,
    },
    /// A write is admitted.
    Admit {
        /// Which request.
        ticket: Ticket,
        /// The proof.
        permit: Permit,
    },
    /// Every write below the claim's token has settled.
    Sealed {
        /// Which request.
        ticket: Ticket,
        /// How; `None` where this process has seen no takeover of the resource.
        evidence: Option<Arc<Takeover>>,
    },
    /// The request is refused.
    Refuse {
        /// Which.
        ticket: Ticket,
        /// Why.
        refusal: Refusal,
    },
}

/// What comes out of one transition, in the order in which it has to be done.
pub type Effects = SmallVec<[Effect; 1]>;

/// The answer to [`Effect::Load`].
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Loaded {
    /// The ledger's record, and whether a process that ended uncleanly may have left
    /// writes that can still land.
    Found {
        /// What the ledger keeps.
        record: Record,
        /// Writes of an earlier process may still land.
        leftovers: bool,
    },
    /// The ledger did not answer.
    Unavailable,
}

/// The answer to [`Effect::Raise`].
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum RaiseOutcome {
    /// Compare-and-max was done and is durable; this is the record now.
    Done(Record),
    /// It certainly was not done and never will be.
    Failed,
    /// Nobody can tell: the ledger has to be read.
    Unknown,
}

/// The answer to [`Effect::Grant`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Granted {
    /// It is set, durably.
    Done {
        /// Another replica has a grant below it.
        behind: bool,
    },
    /// It was not set: the mark has moved on.
    Moved,
    /// It is not known to have been set.
    Failed,
}

/// The answer to [`Effect::Await`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Awaited {
    /// No other replica has a grant below the token, nor will have one.
    Done {
        /// What a dead replica had left was settled first.
        leftovers: bool,
    },
    /// The ledger did not answer.
    Failed,
}

/// Whose settling is ended by time alone. Writes past their commit point are not among
/// them: somebody still holds their connection, and has to close it and settle them first.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Linger {
    /// What a process before this one may have left behind.
    Leftovers,
    /// Writes past their commit point whose answer can never come any more.
    Unknown,
}
