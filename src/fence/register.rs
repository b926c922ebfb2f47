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
//! The shape, a pure engine whose outputs are commands to a runner, follows what sans-I/O
//! protocol libraries such as quinn-proto do.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Action, Claim, Cut, Fate, Mark, Permit, Record, Refusal, Sent, Token, TokenRules};

/// Names a request while it waits. The gate gives them out; they are never reused.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub u64);

/// What a request wants of the fence.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Intent {
    /// To know that every write with a smaller token has settled: a seal, or a read with a token.
    Seal,
    /// To be admitted as a write.
    Write,
}

/// A request that brings a token.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Ask {
    /// Its name while it waits.
    pub ticket: Ticket,
    /// What it brings.
    pub claim: Claim,
    /// What it wants.
    pub intent: Intent,
    /// Whether its identity may move the mark up.
    pub may_raise: bool,
    /// What the rule says about tokens.
    pub rules: TokenRules,
}

/// What a takeover did to the writes of the leaders before: the evidence of a seal.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Takeover {
    /// The mark that was outranked.
    pub from: Mark,
    /// The mark now.
    pub to: Mark,
    /// Writes cut before their commit point: nothing of them is in the store.
    pub cut: u32,
    /// Writes past their commit point, of which the store's answer was awaited.
    pub awaited: u32,
    /// Of those, and of earlier ones, how many ended without an answer: outcome unknown.
    pub unknown: u32,
    /// What an earlier, uncleanly ended process may have left was waited out.
    pub leftovers: bool,
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

/// What the driver has to do.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Eq, Hash, PartialEq))]
pub enum Effect {
    /// Read the ledger; answer with [`Register::loaded`].
    Load,
    /// Raise the mark in the ledger; answer with [`Register::raised`]. When `quiesced`,
    /// the grant moves with the mark: nothing below it is in flight.
    Raise {
        /// The mark to raise to.
        to: Mark,
        /// Nothing is in flight, and nothing is admitted before the outcome is told.
        quiesced: bool,
    },
    /// Set this process's grant, durably; answer with [`Register::granted`].
    Grant {
        /// The token to set it to.
        at: Token,
    },
    /// Writes have lost their admission before their commit point: wake them, so that
    /// they see it at once. They cannot commit any more, woken or not.
    Cut,
    /// Wait for what is in flight, each kind up to its own deadline; tell with
    /// [`Register::settle`] and [`Register::expire`]. Sent writes that are past theirs have
    /// to close their connections: they settle as unknown.
    Quiesce,
    /// A takeover has ended and writes at the new mark go on.
    Opened(Arc<Takeover>),
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

enum Verdict {
    Current,
    Raise,
    Refuse(Refusal),
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

    fn consider(&mut self, ask: Ask, effects: &mut Effects) {
        match (self.stage(), self.judge(&ask)) {
            // The mark never goes down, so what is stale now is stale for ever.
            (_, Verdict::Refuse(refusal @ Refusal::Stale { .. })) => {
                effects.push(Effect::Refuse { ticket: ask.ticket, refusal });
            }
            (None, _) if self.knowledge != Knowledge::Known => {
                self.wait(ask, effects);
                self.enter(Stage::Loading);
                effects.push(Effect::Load);
            }
            (None | Some(Stage::Quiescing), Verdict::Refuse(refusal)) => {
                effects.push(Effect::Refuse { ticket: ask.ticket, refusal });
            }
            (None, Verdict::Current) if self.grant == self.mark.token => self.pass(ask, effects),
            (None, Verdict::Current) => {
                // The mark is ours, but an earlier takeover to it did not finish.
                self.wait(ask, effects);
                self.quiesce(effects);
            }
            (None | Some(Stage::Quiescing), Verdict::Raise) => {
                let to = ask.claim.clone();
                if self.wait(ask, effects) {
                    self.raise(to, effects);
                }
            }
            (Some(_), _) => {
                self.wait(ask, effects);
            }
        }
    }

    fn judge(&self, ask: &Ask) -> Verdict {
        let Claim { token, holder } = &ask.claim;
        let mark = &self.mark;
        if *token < mark.token {
            Verdict::Refuse(Refusal::Stale { token: *token, mark: mark.clone() })
        } else if *token == mark.token {
            if *holder == mark.holder || ask.rules.share {
                Verdict::Current
            } else {
                Verdict::Refuse(Refusal::Conflict { token: *token, holder: mark.holder.clone() })
            }
        } else {
            let limit = limit_above(mark.token, *token, &ask.rules);
            if *token > limit || token.counter() > Token::MAX.counter() {
                Verdict::Refuse(Refusal::Implausible { token: *token, mark: mark.token, limit })
            } else if !ask.may_raise {
                Verdict::Refuse(Refusal::Forbidden { action: Action::Raise })
            } else {
                Verdict::Raise
            }
        }
    }

    fn pass(&mut self, ask: Ask, effects: &mut Effects) {
        let ticket = ask.ticket;
        effects.push(match ask.intent {
            Intent::Write => {
                self.streaming += 1;
                Effect::Admit { ticket, permit: Permit { token: self.mark.token } }
            }
            Intent::Seal => Effect::Sealed { ticket, evidence: self.last.clone() },
        });
    }

    /// Puts the request in the queue; false when the queue is full and it was refused.
    fn wait(&mut self, ask: Ask, effects: &mut Effects) -> bool {
        let ticket = ask.ticket;
        let room = self.queue_max as usize > self.busy.as_ref().map_or(0, |b| b.queue.len());
        if room {
            self.busy().queue.push_back(ask);
            effects.push(Effect::Wait { ticket });
        } else {
            let refusal = Refusal::Overloaded { limit: "takeover_queue_max" };
            effects.push(Effect::Refuse { ticket, refusal });
        }
        room
    }

    fn raise(&mut self, to: Mark, effects: &mut Effects) {
        self.enter(Stage::Raising);
        let quiesced = self.streaming == 0 && self.is_quiet();
        effects.push(Effect::Raise { to, quiesced });
    }

    /// Takes over what the ledger says. Writes below a higher mark lose their admission here.
    fn adopt(&mut self, record: Record, effects: &mut Effects) {
        if record.mark.token > self.mark.token {
            let from = std::mem::replace(&mut self.mark, record.mark);
            let cut = std::mem::take(&mut self.streaming);
            let (to, sent, unknown) = (self.mark.clone(), self.sent, self.unknown);
            let progress = &mut self.busy().progress;
            if progress.to.token == Token::ZERO {
                progress.from = from;
            }
            progress.to = to;
            progress.cut = progress.cut.saturating_add(cut);
            progress.awaited = progress.awaited.max(sent.saturating_add(unknown));
            if cut > 0 {
                effects.push(Effect::Cut);
            }
        }
        self.grant = self.grant.max(record.grant);
    }

    /// After the mark or the knowledge of it has changed: each waiting request is judged
    /// again, in order, and the takeover goes on to where it now has to go.
    fn reconsider(&mut self, effects: &mut Effects) {
        self.enter(Stage::Quiescing);
        for ask in std::mem::take(&mut self.busy().queue) {
            match self.judge(&ask) {
                Verdict::Refuse(refusal @ (Refusal::Stale { .. } | Refusal::Conflict { .. })) => {
                    effects.push(Effect::Refuse { ticket: ask.ticket, refusal });
                }
                // Against a mark that is about to move, only the two above are final.
                Verdict::Refuse(refusal) if self.stage() == Some(Stage::Quiescing) => {
                    effects.push(Effect::Refuse { ticket: ask.ticket, refusal });
                }
                Verdict::Raise if self.stage() == Some(Stage::Quiescing) => {
                    self.raise(ask.claim.clone(), effects);
                    self.busy().queue.push_back(ask);
                }
                Verdict::Current | Verdict::Raise | Verdict::Refuse(_) => {
                    self.busy().queue.push_back(ask);
                }
            }
        }
        if self.stage() == Some(Stage::Quiescing) {
            if self.grant == self.mark.token {
                self.open(effects);
            } else {
                self.quiesce(effects);
            }
        }
    }

    fn quiesce(&mut self, effects: &mut Effects) {
        self.enter(Stage::Quiescing);
        if self.busy().progress.to.token == Token::ZERO {
            // An earlier process raised the mark and did not finish; this one does.
            let from = Mark { token: self.grant, ..Mark::default() };
            self.busy().progress = Takeover { from, to: self.mark.clone(), ..Takeover::default() };
        }
        if !self.is_quiet() {
            effects.push(Effect::Quiesce);
        }
        self.advance(effects);
    }

    fn advance(&mut self, effects: &mut Effects) {
        if self.stage() == Some(Stage::Quiescing) && self.is_quiet() {
            self.enter(Stage::Granting);
            effects.push(Effect::Grant { at: self.mark.token });
        }
    }

    fn open(&mut self, effects: &mut Effects) {
        let Some(busy) = self.busy.take() else { return };
        if busy.progress.to.token > Token::ZERO {
            let evidence = Arc::new(busy.progress);
            self.last = Some(Arc::clone(&evidence));
            effects.push(Effect::Opened(evidence));
        }
        for ask in busy.queue {
            self.consider(ask, effects);
        }
    }

    /// The ledger is out of reach: nobody waits for it, and the next request tries again.
    fn fail(&mut self, effects: &mut Effects) {
        let Some(busy) = self.busy.take() else { return };
        if busy.progress.to.token > Token::ZERO {
            self.unfinished = Some(Box::new(busy.progress));
        }
        for Ask { ticket, .. } in busy.queue {
            effects.push(Effect::Refuse { ticket, refusal: Refusal::LedgerUnavailable });
        }
    }

    fn refuse_above_mark(&mut self, effects: &mut Effects) {
        let mark = self.mark.token;
        self.busy().queue.retain(|ask| {
            let below = ask.claim.token <= mark;
            if !below {
                let refusal = Refusal::LedgerUnavailable;
                effects.push(Effect::Refuse { ticket: ask.ticket, refusal });
            }
            below
        });
    }

    fn is_quiet(&self) -> bool {
        self.sent == 0 && self.unknown == 0 && !self.leftovers
    }

    fn stage(&self) -> Option<Stage> {
        self.busy.as_ref().map(|busy| busy.stage)
    }

    fn enter(&mut self, stage: Stage) {
        self.busy().stage = stage;
    }

    fn busy(&mut self) -> &mut Busy {
        self.busy.get_or_insert_with(|| {
            let queue = VecDeque::new();
            let progress = self.unfinished.take().map_or_else(Takeover::default, |kept| *kept);
            Box::new(Busy { stage: Stage::Loading, queue, progress })
        })
    }
}

/// The largest token that is believed in the incarnation of `token`, or, where that is one
/// to come, in the last one.
fn limit_above(mark: Token, token: Token, rules: &TokenRules) -> Token {
    let last = rules.incarnation.max(mark.incarnation());
    let incarnation = token.incarnation().min(last);
    // A later incarnation starts counting again; the mark's own goes on from the mark.
    let from = if incarnation == mark.incarnation() { mark.counter() } else { 0 };
    let counter = from.saturating_add(rules.max_jump).min(Token::MAX.counter());
    Token::new(incarnation, counter)
}
