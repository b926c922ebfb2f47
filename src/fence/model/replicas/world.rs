//! The state of a small world of replicas.

use std::collections::BTreeSet;

use smallvec::SmallVec;

use super::mutation::Mutation;
use crate::fence::model::safety::Property;
use crate::fence::model::world::Request;
use crate::fence::{
    Granted, Loaded, Mark, Own, Permit, RaiseOutcome, Record, Register, Row, Sent, SessionId, Token,
};

/// What does not change while a world is explored.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub replicas: usize,
    /// Each is made once, at a replica of its client's choice. Those that are equal are made in
    /// their order here; not where their places are given, unless at one place.
    pub requests: Vec<Request>,
    /// At which replica each request is made, where that is not its client's choice.
    pub places: Option<&'static [usize]>,
    /// How much may go wrong.
    pub faults: Faults,
    pub store: Store,
    /// Between the last look at the fence and the first byte of what cannot be undone, anything
    /// may happen.
    pub slow: bool,
    /// What the ledger tells of rows is late: the feed, and the answers to reads.
    pub late_rows: bool,
    /// What the keeper of the session tells the gate is late.
    pub late_keeper: bool,
    /// Idle fences are forgotten.
    pub evicts: bool,
    /// The rule that is taken away, if any.
    pub mutation: Option<Mutation>,
    /// Report only violations of this property.
    pub only: Option<Property>,
}

/// How the store ends what a dead replica has left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Store {
    /// It can be asked to (PostgreSQL, Redis).
    Asked,
    /// It promises that nothing lands later than `settle_timeout` (S3, HTTP).
    Timed,
}

/// How often each fault may still happen.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Faults {
    /// A process is killed, or ends cleanly, and may be started again.
    pub ends: u8,
    /// A process is frozen for so long that its lease runs out.
    pub freezes: u8,
    /// A lease runs out: the ledger was not reached in time.
    pub lapses: u8,
    /// A client that waits goes away.
    pub leaves: u8,
    /// The ledger fails, or its answer is lost.
    pub lost: u8,
}

impl Model {
    pub(super) fn new(replicas: usize, requests: &[Request], faults: Faults) -> Self {
        Self {
            replicas,
            requests: requests.to_vec(),
            places: None,
            faults,
            store: Store::Timed,
            slow: false,
            late_rows: false,
            late_keeper: false,
            evicts: false,
            mutation: None,
            only: None,
        }
    }

    pub(super) fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub(super) fn beginning(&self) -> World {
        let mut world = World {
            replicas: (0..self.replicas).map(|_| Replica::default()).collect(),
            ledger: Ledger::default(),
            phases: self.requests.iter().map(|_| Phase::Idle).collect(),
            through: Mark::default(),
            left: self.faults,
        };
        for which in 0..self.replicas {
            world.begin(which);
        }
        world
    }
}

/// Everything at one moment.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct World {
    pub replicas: SmallVec<[Replica; 3]>,
    pub ledger: Ledger,
    /// How far each request is.
    pub phases: SmallVec<[Phase; 4]>,
    /// For the checks: the largest claim that was ever let through, by any replica.
    pub through: Mark,
    pub left: Faults,
}

/// One replica: a name, under which processes run one after the other.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Replica {
    pub process: Option<Process>,
    /// How many sessions were begun under that name.
    pub sessions: u64,
}

/// A running process: what `gate` and `ledger::replicated` keep of one resource.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Process {
    pub own: Own,
    /// `None` while nobody has asked, or after it was forgotten.
    pub fence: Option<Register>,
    /// What the fence has asked of the ledger.
    pub work: Option<Work>,
    /// The fence was forgotten, and the grant has to be given up below that mark.
    pub giving_up: Option<Token>,
    /// What is told to the gate, in its order.
    pub news: SmallVec<[News; 2]>,
    /// The row has changed since it was last told.
    pub has_news: bool,
    /// The feed has told a row with this process's grant at that token, and nobody behind it.
    pub clear: Token,
    /// The lease admits.
    pub lease: bool,
    pub keeper: Keeper,
    pub frozen: bool,
    /// It was frozen, and the session has not been prolonged since: the ledger may end it.
    pub overdue: bool,
    /// Something asked of the ledger has ended unknown: the next read makes sure that it can never
    /// be done any more.
    pub unsure: bool,
}

/// How far the keeper of a session is with it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Keeper {
    /// It prolongs it.
    Keeps,
    /// It has told the gate to admit nothing more.
    Suspended,
    /// It has told the gate to hang up.
    HungUp,
}

/// What the ledger's side of a process tells the gate.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum News {
    HangUp,
    Resumed,
    Row { record: Record, owing: bool },
    Suspended,
}

/// A request of a fence to the ledger.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Work {
    Asked(Op),
    /// It was done, or not, and the answer is on its way.
    Answered(Answer),
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Op {
    Grant { at: Token },
    Load,
    Raise { to: Mark, quiesced: bool },
    Release,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Answer {
    Granted(Token, Granted),
    Loaded(Loaded),
    Raised(RaiseOutcome),
    Released(bool),
}

/// What is durable.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Ledger {
    pub row: Row,
    /// The sessions that it has not ended.
    pub alive: BTreeSet<SessionId>,
    /// Requests without an answer that may still be done: as long as the row is the one that they
    /// were made for. So they are not numbered by its version; whatever changes it drops them.
    pub strays: SmallVec<[Stray; 2]>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Stray {
    pub op: Op,
    pub own: Own,
}

/// How far a request is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Phase {
    /// Not made yet.
    Idle,
    /// Waits in a fence.
    Waiting { at: usize },
    /// Admitted; its body goes to the store, all but the last byte.
    Streaming { at: usize, permit: Permit },
    /// The fence let it pass its commit point, and nothing of that is on the wire yet.
    Checked { link: Link, sent: Sent },
    /// Past its commit point.
    Sent {
        link: Link,
        wire: Wire,
        /// The store may still apply it.
        can_land: bool,
    },
    /// Answered one way or another, and nothing more can come of it.
    Ended,
}

/// By whom a write was sent.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Link {
    pub at: usize,
    pub session: SessionId,
    /// The register's.
    pub epoch: u32,
    /// The store has closed it.
    pub closed: bool,
}

/// Who still looks after a write past its commit point.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Wire {
    /// The process waits for the store's answer.
    Open(Sent),
    /// The connection broke, or the process hung up: outcome unknown, counted by its fence.
    Broken,
    /// Nobody: its process is gone.
    Unwatched,
}

impl Phase {
    /// What is left of a sent write that nobody looks after any more.
    pub(super) fn unwatched(link: Link, can_land: bool) -> Self {
        if can_land { Self::Sent { link, wire: Wire::Unwatched, can_land } } else { Self::Ended }
    }

    pub(super) fn can_land(&self) -> bool {
        matches!(self, Self::Sent { can_land: true, .. })
    }

    /// Whose connection it has, or had.
    pub(super) fn link(&self) -> Option<&Link> {
        match self {
            Self::Checked { link, .. } | Self::Sent { link, .. } => Some(link),
            _ => None,
        }
    }

    /// The process has not let go of it: it was let past the commit point, and has not ended.
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Checked { .. } | Self::Sent { wire: Wire::Open(_), .. })
    }
}

impl World {
    /// A process starts.
    pub(super) fn begin(&mut self, at: usize) {
        let current = self.new_session(at);
        self.replicas[at].process = Some(Process {
            own: Own { current, former: Vec::new() },
            fence: None,
            work: None,
            giving_up: None,
            news: SmallVec::new(),
            has_news: false,
            clear: Token::ZERO,
            lease: true,
            keeper: Keeper::Keeps,
            frozen: false,
            overdue: false,
            unsure: false,
        });
    }

    pub(super) fn new_session(&mut self, at: usize) -> SessionId {
        let replica = &mut self.replicas[at];
        replica.sessions += 1;
        let session = SessionId::new(["r1", "r2", "r3"][at], replica.sessions);
        self.ledger.alive.insert(session.clone());
        session
    }

    pub(super) fn process(&mut self, at: usize) -> &mut Process {
        self.replicas[at].process.as_mut().expect("only a running process does anything")
    }

    pub(super) fn fence(&mut self, at: usize) -> &mut Register {
        self.process(at).fence.as_mut().expect("only a fence has effects")
    }

    /// The process that runs and is not frozen.
    pub(super) fn awake(&self, at: usize) -> Option<&Process> {
        self.replicas[at].process.as_ref().filter(|process| !process.frozen)
    }

    pub(super) fn is_alive(&self, own: &Own) -> bool {
        self.ledger.alive.contains(&own.current)
    }

    pub(super) fn take(&mut self, which: usize) -> Phase {
        std::mem::replace(&mut self.phases[which], Phase::Ended)
    }

    /// Nobody has asked it anything, and nothing has happened to it.
    pub(super) fn is_untouched(&self, at: usize) -> bool {
        let replica = &self.replicas[at];
        let is_new = |process: &Process| process.fence.is_none() && process.giving_up.is_none();
        replica.sessions == 1 && replica.process.as_ref().is_some_and(is_new)
    }
}
