//! The state of a small world, and what its clients want.

use smallvec::SmallVec;

use super::mutation::Mutation;
use super::safety::Property;
use crate::fence::{
    Ask, Claim, Holder, Intent, Mark, Permit, Record, Register, Sent, Ticket, Token, TokenRules,
};

/// A request that some client makes once, at any moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Request {
    pub holder: &'static str,
    pub token: u64,
    pub intent: Intent,
    pub may_raise: bool,
    pub share: bool,
}

impl Request {
    pub(super) const fn write(holder: &'static str, token: u64) -> Self {
        Self { holder, token, intent: Intent::Write, may_raise: true, share: false }
    }

    pub(super) const fn seal(holder: &'static str, token: u64) -> Self {
        Self { intent: Intent::Seal, ..Self::write(holder, token) }
    }

    pub(super) const fn shared(self) -> Self {
        Self { share: true, ..self }
    }

    pub(super) const fn without_raise(self) -> Self {
        Self { may_raise: false, ..self }
    }

    pub(super) fn token(&self) -> Token {
        Token::new(0, self.token)
    }

    pub(super) fn claim(&self) -> Claim {
        Claim { token: self.token(), holder: Holder::new(self.holder) }
    }
}

/// What does not change while a world is explored.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Requests that are equal are made in their order here.
    pub requests: Vec<Request>,
    pub queue_max: u32,
    pub max_jump: u64,
    /// Whether idle fences are forgotten and loaded again.
    pub evicts: bool,
    /// The rule that is taken away, if any.
    pub mutation: Option<Mutation>,
    /// Report only violations of this property.
    pub only: Option<Property>,
}

impl Model {
    pub(super) fn new(requests: &[Request]) -> Self {
        Self {
            requests: requests.to_vec(),
            queue_max: 8,
            max_jump: TokenRules::MAX_JUMP_DEFAULT,
            evicts: false,
            mutation: None,
            only: None,
        }
    }

    pub(super) fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub(super) fn ask(&self, which: usize) -> Ask {
        let request = &self.requests[which];
        let share = request.share || self.is(Mutation::ConflictAdmitted);
        let unbounded = self.is(Mutation::JumpNotBounded);
        Ask {
            ticket: Ticket(which as u64),
            claim: request.claim(),
            intent: request.intent,
            may_raise: request.may_raise || self.is(Mutation::RaisedByAnyone),
            rules: TokenRules {
                max_jump: if unbounded { u64::MAX } else { self.max_jump },
                incarnation: 0,
                share,
            },
        }
    }

    /// The fence of a process, or of a resource, that nobody has asked yet.
    pub(super) fn fresh(&self) -> Register {
        let unbounded = self.is(Mutation::QueueNotBounded);
        Register::new(if unbounded { u32::MAX } else { self.queue_max })
    }

    pub(super) fn beginning(&self) -> World {
        World {
            fence: Some(self.fresh()),
            ledger: Ledger::default(),
            leftovers: false,
            phases: self.requests.iter().map(|_| Phase::Idle).collect(),
            waiting: SmallVec::new(),
            through: Mark::default(),
            seen: Seen::default(),
        }
    }
}

/// Everything at one moment.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct World {
    /// The process; `None` while there is none.
    pub fence: Option<Register>,
    pub ledger: Ledger,
    /// An earlier process ended uncleanly, and the wait for what it left is not over.
    pub leftovers: bool,
    /// How far each request is.
    pub phases: SmallVec<[Phase; 4]>,
    /// The requests that wait, in the order in which they arrived.
    pub waiting: SmallVec<[u8; 4]>,
    /// For the checks: the largest claim that was ever let through, by any process.
    pub through: Mark,
    /// For the checks: the takeover that is under way in this process.
    pub seen: Seen,
}

/// What a takeover did, as the world saw it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Seen {
    /// The fence has begun to quiesce and has not been opened since.
    pub quiesces: bool,
    pub cut: u8,
    pub awaited: u8,
    pub unknown: u8,
    pub leftovers: bool,
}

/// What is durable, and the one request that the ledger is working on.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Ledger {
    pub record: Record,
    /// It was closed by the last process that had it open.
    pub clean: bool,
    pub pending: Option<Pending>,
    /// Only under a mutation: a raise of a dead process that may still be done.
    pub stray: Option<Pending>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Pending {
    Load,
    Raise { to: Mark, quiesced: bool },
    Grant { at: Token },
}

impl Ledger {
    /// Does what is asked of it, durably, as the trait `Ledger` promises.
    pub(super) fn execute(&mut self, pending: &Pending) {
        match pending {
            Pending::Load => {}
            Pending::Raise { to, quiesced } => {
                if to.token > self.record.mark.token {
                    self.record.mark = to.clone();
                    if *quiesced {
                        self.record.grant = to.token;
                    }
                }
            }
            Pending::Grant { at } => {
                if *at == self.record.mark.token {
                    self.record.grant = *at;
                }
            }
        }
    }
}

/// How far a request is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Phase {
    /// Not made yet.
    Idle,
    /// Waits in the fence.
    Waiting,
    /// Admitted; its body goes to the store, all but the last byte.
    Streaming {
        permit: Permit,
        /// It has lost its admission.
        cut: bool,
        /// It was told to look.
        woken: bool,
    },
    /// Past its commit point.
    Sent {
        wire: Wire,
        /// The store has not applied it yet, and still may.
        can_land: bool,
    },
    /// Answered one way or another, and nothing more can come of it.
    Ended,
}

/// Who still looks after a write past its commit point.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Wire {
    /// The driver waits for the store's answer.
    Open(Sent),
    /// The connection broke, or the driver hung up: outcome unknown, counted by the fence until it has expired.
    Broken,
    /// Nobody: its process is gone, or has forgotten it.
    Unwatched,
}

impl Phase {
    /// What is left of a sent write that nobody looks after any more.
    pub(super) fn unwatched(can_land: bool) -> Self {
        if can_land { Self::Sent { wire: Wire::Unwatched, can_land } } else { Self::Ended }
    }

    pub(super) fn can_land(&self) -> bool {
        matches!(self, Self::Sent { can_land: true, .. })
    }
}

impl World {
    pub(super) fn take(&mut self, which: usize) -> Phase {
        std::mem::replace(&mut self.phases[which], Phase::Ended)
    }

    /// Whether a write of that kind may still land.
    pub(super) fn can_any_land(&self, kind: fn(&Wire) -> bool) -> bool {
        let lands = |p: &Phase| matches!(p, Phase::Sent { wire, can_land: true } if kind(wire));
        self.phases.iter().any(lands)
    }

    pub(super) fn count(&self, kind: fn(&Phase) -> bool) -> u32 {
        self.phases.iter().filter(|phase| kind(phase)).count() as u32
    }
}
