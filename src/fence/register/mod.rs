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
//! Among several replicas two stages are added. Before it opens, a fence that has its grant waits
//! until no other replica has one below the mark (*Awaiting*); and one that sees a higher mark of
//! others' making gives its own up once it has quiesced (*Releasing*).
//!
//! Here are the state and what can happen to it; in `queue` those who wait, in `course` the
//! way from stage to stage, in `replicas` what others do and what becomes of the session.
//!
//! The shape, a pure engine whose outputs are commands to a runner, follows what sans-I/O
//! protocol libraries such as quinn-proto do.

mod course;
mod queue;
mod replicas;

use std::collections::VecDeque;
use std::sync::Arc;

use super::{
    Ask, Cut, Effects, Fate, Granted, Linger, Loaded, Mark, Permit, RaiseOutcome, Sent, Takeover,
    Ticket, Token,
};

/// The fence of one resource.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(Eq, Hash, PartialEq))]
pub struct Register {
    mark: Mark,
    grant: Token,
    /// Another replica has a grant below the mark.
    behind: bool,
    /// Others share the ledger.
    replicated: bool,
    /// This process has a grant below the mark, and has still to give it up.
    owing: bool,
    /// The session with the ledger is over or about to be: nothing is admitted.
    suspended: bool,
    /// How often it was.
    epoch: u32,
    /// The largest mark that it was open at: all below it has settled, for ever.
    sealed: Token,
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
    /// In which epoch the stage began: an answer of the ledger to an earlier one says nothing of
    /// this one's grant.
    epoch: u32,
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
    Awaiting,
    Granting,
    Loading,
    Quiescing,
    Raising,
    Releasing,
}

impl Register {
    /// A fence that knows nothing yet and loads at the first request. At most
    /// `queue_max` requests (at least one) wait while it is busy.
    pub fn new(queue_max: u32) -> Self {
        Self {
            mark: Mark::default(),
            grant: Token::ZERO,
            behind: false,
            replicated: false,
            owing: false,
            suspended: false,
            epoch: 0,
            sealed: Token::ZERO,
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

    /// The same, where other replicas share the ledger.
    pub fn among_replicas(queue_max: u32) -> Self {
        Self { replicated: true, ..Self::new(queue_max) }
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

    /// Whether this process has a grant below the mark that it has still to give up. One that is
    /// idle and owes is not to be forgotten: nobody would tell it again.
    pub fn is_owing(&self) -> bool {
        self.owing
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
        if !self.is_admitted(&permit) {
            return Err(Cut); // What came first took it off the books already.
        }
        self.streaming -= 1;
        self.sent += 1;
        Ok(Sent(()))
    }

    /// An admitted write ended before its commit point: nothing of it is in the store.
    pub fn release(&mut self, permit: Permit) {
        if self.is_admitted(&permit) {
            self.streaming -= 1;
        }
    }

    fn is_admitted(&self, permit: &Permit) -> bool {
        permit.token >= self.mark.token && permit.epoch == self.epoch
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
            Loaded::Found { record, .. } if self.is_late() => {
                self.start_over(Some(record), &mut effects)
            }
            Loaded::Found { record, leftovers } => {
                self.leftovers = leftovers;
                let before = std::mem::replace(&mut self.knowledge, Knowledge::Known);
                if before == Knowledge::Never && record.mark.token >= self.mark.token {
                    self.mark = record.mark.clone();
                }
                self.adopt(record, &mut effects);
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
            RaiseOutcome::Done(record) if self.is_late() => {
                self.start_over(Some(record), &mut effects)
            }
            _ if self.is_late() => self.start_over(None, &mut effects),
            RaiseOutcome::Done(record) => {
                self.adopt(record, &mut effects);
                self.reconsider(&mut effects);
            }
            RaiseOutcome::Failed => {
                self.refuse_above_mark(&mut effects);
                self.reconsider(&mut effects);
            }
            RaiseOutcome::Unknown => self.load(&mut effects),
        }
        effects
    }

    /// How setting the grant at that token has ended.
    pub fn granted(&mut self, at: Token, outcome: Granted) -> Effects {
        let mut effects = Effects::new();
        debug_assert_eq!(self.stage(), Some(Stage::Granting));
        match outcome {
            _ if self.is_late() => self.start_over(None, &mut effects),
            Granted::Done { behind } => {
                self.grant = at;
                self.behind = behind;
                self.owing = false;
                if at < self.mark.token {
                    self.reconsider(&mut effects); // Others have raised it meanwhile.
                } else {
                    self.enter(Stage::Quiescing);
                    self.go_on(&mut effects);
                }
            }
            Granted::Moved => self.load(&mut effects),
            Granted::Failed => self.fail(&mut effects),
        }
        effects
    }
}
