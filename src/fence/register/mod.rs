//! The state machine of one resource in one process.
//!
//! ```text
//!            ask                 loaded              grant == mark
//! unknown ─────────▶ Loading ──────────▶ Quiescing ─────────────────▶ open
//!                       ▲                 ▲   │ nothing below the mark  ▲
//!        outcome unknown│      raised /   │   │ is in flight            │ granted
//!                       │      not raised │   ▼                         │
//!  open ── ask above ─▶ Raising ──────────┘  Granting ──────────────────┘
//! ```
//!
//! Everything that happens comes in as a method call and goes out as [`Effects`], so
//! that the same transitions run under the gate and under the model. While the fence is
//! busy, requests wait in the order of their arrival.
//!
//! Here are the state and what can happen to it; in `queue` those who wait, in `course` the
//! way from stage to stage.
//!
//! The shape, a pure engine whose outputs are commands to a runner, follows what sans-I/O
//! protocol libraries such as quinn-proto do.

mod course;
mod queue;

use std::collections::VecDeque;
use std::sync::Arc;

use super::{
    Ask, Cut, Effect, Effects, Fate, Linger, Loaded, Mark, Permit, RaiseOutcome, Sent, Takeover,
    Ticket, Token,
};

/// The fence of one resource.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(Eq, Hash, PartialEq))]
pub struct Register {
    mark: Mark,
    grant: Token,
    knowledge: Knowledge,
    leftovers: bool,
    streaming: u32,
    sent: u32,
    unknown: u32,
    queue_max: u32,
    busy: Option<Box<Busy>>,
    /// What a takeover did before the ledger failed it. The one that ends it tells that too.
    unfinished: Option<Box<Takeover>>,
    last: Option<Arc<Takeover>>,
}

#[derive(Clone, Debug)]
#[cfg_attr(test, derive(Eq, Hash, PartialEq))]
struct Busy {
    stage: Stage,
    queue: VecDeque<Ask>,
    progress: Takeover,
}

/// What this process knows of the mark in the ledger.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Knowledge {
    /// It has the mark.
    Known,
    /// It had it, and then a raise ended unknown.
    Lost,
    /// It has not asked yet.
    Never,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Stage {
    Granting,
    Loading,
    Quiescing,
    Raising,
}

impl Register {
    /// A fence that knows nothing yet and loads at the first request. At most
    /// `queue_max` requests (at least one) wait while it is busy.
    pub fn new(queue_max: u32) -> Self {
        Self {
            mark: Mark::default(),
            grant: Token::ZERO,
            knowledge: Knowledge::Never,
            leftovers: false,
            streaming: 0,
            sent: 0,
            unknown: 0,
            queue_max: queue_max.max(1),
            busy: None,
            unfinished: None,
            last: None,
        }
    }

    /// The high-water mark, or `None` while it is not known.
    pub fn mark(&self) -> Option<&Mark> {
        (self.knowledge == Knowledge::Known).then_some(&self.mark)
    }

    /// What the mark is at least, also while a raise is unresolved. It never goes down.
    pub fn mark_at_least(&self) -> &Mark {
        &self.mark
    }

    /// How the last takeover that this process saw went.
    pub fn last_takeover(&self) -> Option<&Arc<Takeover>> {
        self.last.as_ref()
    }

    /// Admitted writes before their commit point, sent ones without an answer, and ones
    /// whose outcome is unknown.
    pub fn in_flight(&self) -> (u32, u32, u32) {
        (self.streaming, self.sent, self.unknown)
    }

    /// Whether what an earlier process left may still land.
    pub fn has_leftovers(&self) -> bool {
        self.leftovers
    }

    /// Whether a takeover or a load is under way.
    pub fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    /// Whether a takeover waits for writes with a smaller token to settle.
    pub fn is_quiescing(&self) -> bool {
        self.stage() == Some(Stage::Quiescing)
    }

    /// Whether it could be forgotten and loaded again later without losing anything.
    /// Unknown writes count against it until they have expired. (What is lost is evidence:
    /// of the last takeover, and of one that the ledger has failed.)
    ///
    /// Not enough for a clean end of the process: leftovers may still land then.
    pub fn is_idle(&self) -> bool {
        self.busy.is_none() && self.streaming == 0 && self.sent == 0 && self.unknown == 0
    }

    /// A request brings a token.
    pub fn ask(&mut self, ask: Ask) -> Effects {
        let mut effects = Effects::new();
        self.consider(ask, &mut effects);
        effects
    }

    /// A waiting request has gone away. What it set in motion goes on without it.
    pub fn withdraw(&mut self, ticket: Ticket) {
        if let Some(busy) = &mut self.busy {
            busy.queue.retain(|ask| ask.ticket != ticket);
        }
    }

    /// The second look at the fence: the last moment before the write may take effect.
    ///
    /// # Errors
    /// [`Cut`] when a takeover came first. Nothing of the write may then be completed.
    pub fn commit(&mut self, permit: Permit) -> Result<Sent, Cut> {
        if permit.token < self.mark.token {
            return Err(Cut); // Its takeover took it off the books already.
        }
        self.streaming -= 1;
        self.sent += 1;
        Ok(Sent(()))
    }

    /// An admitted write ended before its commit point: nothing of it is in the store.
    pub fn release(&mut self, permit: Permit) {
        if permit.token >= self.mark.token {
            self.streaming -= 1;
        }
    }

    /// A write past its commit point has ended.
    pub fn settle(&mut self, sent: Sent, fate: Fate) -> Effects {
        let Sent(()) = sent; // Consumed: it cannot be settled twice.
        let mut effects = Effects::new();
        self.sent -= 1;
        if fate == Fate::Unknown {
            self.unknown = self.unknown.saturating_add(1);
        }
        self.advance(&mut effects);
        effects
    }

    /// The time in which writes of one kind may still land is over.
    pub fn expire(&mut self, linger: Linger) -> Effects {
        let mut effects = Effects::new();
        let (unknown, leftovers) = match linger {
            Linger::Leftovers => (0, std::mem::take(&mut self.leftovers)),
            Linger::Unknown => (std::mem::take(&mut self.unknown), false),
        };
        let busy = self.busy.as_mut().map(|busy| &mut busy.progress);
        if let Some(progress) = busy.or(self.unfinished.as_deref_mut()) {
            progress.unknown = progress.unknown.saturating_add(unknown);
            progress.leftovers |= leftovers;
        }
        self.advance(&mut effects);
        effects
    }

    /// The ledger was read.
    pub fn loaded(&mut self, loaded: Loaded) -> Effects {
        let mut effects = Effects::new();
        debug_assert_eq!(self.stage(), Some(Stage::Loading));
        match loaded {
            Loaded::Found { record, leftovers } => {
                self.leftovers = leftovers;
                match std::mem::replace(&mut self.knowledge, Knowledge::Known) {
                    Knowledge::Never => {
                        self.mark = record.mark;
                        self.grant = record.grant;
                    }
                    Knowledge::Known | Knowledge::Lost => self.adopt(record, &mut effects),
                }
                self.reconsider(&mut effects);
            }
            Loaded::Unavailable => self.fail(&mut effects),
        }
        effects
    }

    /// The raise has ended, or nobody can tell.
    pub fn raised(&mut self, outcome: RaiseOutcome) -> Effects {
        let mut effects = Effects::new();
        debug_assert_eq!(self.stage(), Some(Stage::Raising));
        match outcome {
            RaiseOutcome::Done(record) => {
                self.adopt(record, &mut effects);
                self.reconsider(&mut effects);
            }
            RaiseOutcome::Failed => {
                self.refuse_above_mark(&mut effects);
                self.reconsider(&mut effects);
            }
            RaiseOutcome::Unknown => {
                self.knowledge = Knowledge::Lost;
                self.enter(Stage::Loading);
                effects.push(Effect::Load);
            }
        }
        effects
    }

    /// The grant has been set durably, or (`false`) it is not known to have been.
    pub fn granted(&mut self, done: bool) -> Effects {
        let mut effects = Effects::new();
        debug_assert_eq!(self.stage(), Some(Stage::Granting));
        if done {
            self.grant = self.mark.token;
            self.open(&mut effects);
        } else {
            self.fail(&mut effects);
        }
        effects
    }
}
