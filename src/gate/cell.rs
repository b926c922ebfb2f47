//! One fence with its deadlines and with those who wait for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::{Admission, Evidence, Shared, Status};
use crate::fence::{
    Ask, Claim, Cut, Effect, Effects, Fate, Linger, Mark, Permit, Refusal, Register, Resource,
    Sent, Takeover, Ticket,
};
use crate::net::identity::Peer;
use crate::rules::Rule;
use crate::telemetry::RuleMetrics;

/// What a request is told when it is not refused.
#[derive(Debug)]
pub(super) enum Reply {
    Admitted(Admission),
    Sealed(Option<Evidence>),
}

/// How a request went into the fence.
pub(super) enum Asked {
    /// Decided at once.
    Now(Result<Reply, Refusal>),
    /// It waits; the outcome is for the driver.
    Later { outcome: Outcome, waiting: Waiting },
}

pub(super) struct Cell {
    pub(super) resource: Resource,
    pub(super) shared: Arc<Shared>,
    /// Of the rule under which it was first asked for.
    pub(super) metrics: Arc<RuleMetrics>,
    state: Mutex<State>,
    /// Wakes writes that have lost their admission.
    lost: Notify,
    touched: AtomicBool,
}

struct State {
    register: Register,
    waiters: HashMap<Ticket, Waiter>,
    /// Until when sent writes without an answer may be waited for.
    sent_until: Option<Instant>,
    /// Until when writes of unknown outcome may still land.
    unknown_until: Option<Instant>,
    settle_timeout: Duration,
    /// Sent writes are to give up on their answers, because a takeover waits for them.
    hang_up: bool,
    /// The takeover that runs, or else the last one.
    takeover: Option<Box<Running>>,
}

struct Waiter {
    reply: oneshot::Sender<Result<Reply, Refusal>>,
    claim: Claim,
    peer: Peer,
    rule: Option<Arc<Rule>>,
    settle_timeout: Duration,
}

/// What is measured of a takeover while it runs.
#[derive(Clone)]
pub(super) struct Running {
    /// Who brought the larger token, and under which rule (an operator has none).
    pub(super) claimant: Option<(Peer, Option<Arc<Rule>>)>,
    pub(super) began: Instant,
    /// When the ledger had the new mark.
    pub(super) raised: Option<Instant>,
    /// How long the holder before held the resource, as far as this process has seen.
    pub(super) tenure: Option<Duration>,
    pub(super) opened: Option<Instant>,
    pub(super) evidence: Option<Evidence>,
}

/// What came out of a transition: to be carried out once the lock is no longer held.
#[derive(Default)]
#[must_use]
pub(super) struct Outcome {
    pub(super) deliveries: Vec<Delivery>,
    pub(super) work: Effects,
}

/// A reply to one who waits.
pub(super) struct Delivery {
    reply: oneshot::Sender<Result<Reply, Refusal>>,
    value: Result<Reply, Refusal>,
}

impl Delivery {
    /// Nobody may be there any more to take it: an admission is then dropped, and so released.
    pub(super) fn send(self) {
        let _ = self.reply.send(self.value);
    }
}

impl Cell {
    pub(super) fn new(resource: Resource, shared: &Arc<Shared>, metrics: Arc<RuleMetrics>) -> Self {
        Self {
            resource,
            shared: Arc::clone(shared),
            metrics,
            state: Mutex::new(State {
                register: Register::new(shared.settings.takeover_queue_max),
                waiters: HashMap::new(),
                sent_until: None,
                unknown_until: None,
                settle_timeout: Duration::ZERO,
                hang_up: false,
                takeover: None,
            }),
            lost: Notify::new(),
            touched: AtomicBool::new(false),
        }
    }

    pub(super) fn touch(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    pub(super) fn take_touch(&self) -> bool {
        self.touched.swap(false, Ordering::Relaxed)
    }

    /// A transition that panicked leaves the lock poisoned: the resource stays shut
    /// until the process is started again, rather than go on from a half-made state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a transition of this fence has panicked; restart palisade")
    }

    /// Asks the fence. Whether the gate is closing is looked at under the lock, so that
    /// nothing is admitted behind the back of a shutdown.
    pub(super) fn ask(
        self: &Arc<Self>,
        ask: Ask,
        peer: &Peer,
        rule: Option<&Arc<Rule>>,
        settle_timeout: Duration,
    ) -> Asked {
        let ticket = ask.ticket;
        let mut state = self.lock();
        if self.shared.closing.load(Ordering::SeqCst) {
            return Asked::Now(Err(Refusal::LedgerUnavailable));
        }
        state.settle_timeout = settle_timeout;
        state.forget_expired(Instant::now);
        let claim = ask.claim.clone();
        let effects = state.register.ask(ask);
        // Nothing but this request's own fate can come out first.
        match effects.first() {
            Some(Effect::Wait { .. }) => {
                let (reply, receiver) = oneshot::channel();
                let (peer, rule) = (peer.clone(), rule.cloned());
                let waiter = Waiter { reply, claim, peer, rule, settle_timeout };
                state.waiters.insert(ticket, waiter);
                let outcome = self.sort(&mut state, effects);
                drop(state);
                let waiting = Waiting { cell: Arc::clone(self), ticket, receiver };
                Asked::Later { outcome, waiting }
            }
            _ => {
                let evidence = state.evidence();
                drop(state);
                Asked::Now(self.decided(effects, evidence, settle_timeout))
            }
        }
    }

    fn decided(
        self: &Arc<Self>,
        effects: Effects,
        evidence: Option<Evidence>,
        settle_timeout: Duration,
    ) -> Result<Reply, Refusal> {
        match effects.into_iter().next() {
            Some(Effect::Admit { permit, .. }) => {
                Ok(Reply::Admitted(Admission::new(self, permit, settle_timeout)))
            }
            Some(Effect::Sealed { .. }) => Ok(Reply::Sealed(evidence)),
            Some(Effect::Refuse { refusal, .. }) => Err(refusal),
            other => unreachable!("an ask is answered or waits, not {other:?}"),
        }
    }

    /// Makes a transition and sorts what comes out of it: replies, and work for the driver.
    pub(super) fn step(
        self: &Arc<Self>,
        transition: impl FnOnce(&mut Register) -> Effects,
    ) -> Outcome {
        self.change(|state| transition(&mut state.register))
    }

    fn change(self: &Arc<Self>, change: impl FnOnce(&mut State) -> Effects) -> Outcome {
        let mut state = self.lock();
        let effects = change(&mut state);
        self.sort(&mut state, effects)
    }

    fn sort(self: &Arc<Self>, state: &mut State, effects: Effects) -> Outcome {
        let mut outcome = Outcome::default();
        for effect in effects {
            match effect {
                Effect::Admit { ticket, permit } => match state.waiters.remove(&ticket) {
                    Some(Waiter { reply, settle_timeout, .. }) => {
                        let admission = Admission::new(self, permit, settle_timeout);
                        let value = Ok(Reply::Admitted(admission));
                        outcome.deliveries.push(Delivery { reply, value });
                    }
                    None => state.register.release(permit),
                },
                Effect::Sealed { ticket, .. } => {
                    let value = Ok(Reply::Sealed(state.evidence()));
                    outcome.deliveries.extend(state.delivery(ticket, value));
                }
                Effect::Refuse { ticket, refusal } => {
                    outcome.deliveries.extend(state.delivery(ticket, Err(refusal)));
                }
                Effect::Wait { .. } => {}
                Effect::Cut => self.lost.notify_waiters(),
                Effect::Opened(takeover) => {
                    state.hang_up = false;
                    state.opened(&takeover);
                    outcome.work.push(Effect::Opened(takeover));
                }
                Effect::Raise { to, quiesced } => {
                    state.begin(&to);
                    outcome.work.push(Effect::Raise { to, quiesced });
                }
                other => outcome.work.push(other),
            }
        }
        outcome
    }

    /// Notes that the ledger has answered a raise.
    pub(super) fn ledger_answered(&self) {
        if let Some(running) = &mut self.lock().takeover {
            running.raised = Some(Instant::now());
        }
    }

    /// What is known of the takeover that runs, or of the last one.
    pub(super) fn takeover(&self) -> Option<Running> {
        self.lock().takeover.as_deref().cloned()
    }

    pub(super) fn settle_timeout(&self) -> Duration {
        self.lock().settle_timeout
    }

    /// When the next thing that a takeover waits for is over by time; `None` when it
    /// waits for nothing that time can end.
    pub(super) fn next_deadline(&self, leftovers_until: Instant) -> Option<Instant> {
        let state = self.lock();
        if !state.register.is_quiescing() {
            return None;
        }
        let (_, sent, unknown) = state.register.in_flight();
        [
            state.sent_until.filter(|_| sent > 0 && !state.hang_up),
            state.unknown_until.filter(|_| unknown > 0),
            Some(leftovers_until).filter(|_| state.register.has_leftovers()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Ends by time what is over, and tells sent writes to hang up when theirs is.
    pub(super) fn expire(self: &Arc<Self>, leftovers_until: Instant) -> Outcome {
        let now = Instant::now();
        self.change(|state| {
            if !state.register.is_quiescing() {
                return Effects::new();
            }
            let (_, sent, _) = state.register.in_flight();
            if sent > 0 && state.sent_until.is_some_and(|until| until <= now) {
                // They close their connections and settle as unknown, and that is waited
                // for: from then on no byte of theirs can leave this process.
                state.hang_up = true;
                self.lost.notify_waiters();
            }
            let mut effects = Effects::new();
            if state.unknown_until.is_none_or(|until| until <= now) {
                state.unknown_until = None;
                effects.extend(state.register.expire(Linger::Unknown));
            }
            if leftovers_until <= now {
                effects.extend(state.register.expire(Linger::Leftovers));
            }
            effects
        })
    }

    pub(super) fn commit(&self, permit: Permit, settle_timeout: Duration) -> Result<Sent, Cut> {
        let mut state = self.lock();
        let sent = state.register.commit(permit)?;
        state.sent_until = state.sent_until.max(Some(Instant::now() + settle_timeout));
        Ok(sent)
    }

    pub(super) fn release(&self, permit: Permit) {
        self.lock().register.release(permit);
    }

    /// Ends a sent write; `unknown_until` is given where it may still land until then.
    pub(super) fn settle(self: &Arc<Self>, sent: Sent, unknown_until: Option<Instant>) -> Outcome {
        self.change(|state| {
            let fate = if unknown_until.is_some() { Fate::Unknown } else { Fate::Known };
            // Earlier ones that can no longer land must not be counted with this one.
            state.forget_expired(Instant::now);
            state.unknown_until = state.unknown_until.max(unknown_until);
            let mut effects = state.register.settle(sent, fate);
            if fate == Fate::Unknown && state.register.is_quiescing() {
                effects.push(Effect::Quiesce);
            }
            effects
        })
    }

    /// Resolves once `is_lost` of the state holds for a write of this cell.
    pub(super) async fn lost(&self, is_lost: impl Fn(&Cell) -> bool) {
        loop {
            let notified = self.lost.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if is_lost(self) {
                return;
            }
            notified.await;
        }
    }

    pub(super) fn hangs_up(&self) -> bool {
        self.lock().hang_up
    }

    pub(super) fn mark(&self) -> Option<Mark> {
        self.lock().register.mark().cloned()
    }

    pub(super) fn status(&self) -> Option<Status> {
        let state = self.lock();
        let (streaming, sent, unknown) = state.register.in_flight();
        Some(Status {
            mark: state.register.mark()?.clone(),
            busy: state.register.is_busy(),
            streaming,
            sent,
            unknown,
            evidence: state.evidence(),
        })
    }

    /// Whether nothing of this process is or may be under way in the store.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        let mut state = self.lock();
        state.forget_expired(|| now);
        state.register.is_idle()
    }

    pub(super) fn is_forgettable(&self) -> bool {
        self.is_quiet(Instant::now())
    }

    fn withdraw(&self, ticket: Ticket) -> Option<Waiter> {
        let mut state = self.lock();
        state.register.withdraw(ticket);
        state.waiters.remove(&ticket)
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cell").field("resource", &self.resource).finish_non_exhaustive()
    }
}

impl State {
    fn forget_expired(&mut self, now: impl FnOnce() -> Instant) {
        if !self.register.is_busy()
            && let Some(until) = self.unknown_until
            && until <= now()
        {
            self.unknown_until = None;
            let effects = self.register.expire(Linger::Unknown);
            debug_assert!(effects.is_empty(), "an idle fence waits for nothing");
        }
    }

    /// Notes whose token begins a takeover: of those who wait with it, the first that came.
    fn begin(&mut self, to: &Mark) {
        let now = Instant::now();
        let opened = self.takeover.as_ref().and_then(|before| before.opened);
        let claimant = self
            .waiters
            .iter()
            .filter(|(_, waiter)| waiter.claim == *to)
            .min_by_key(|(ticket, _)| **ticket)
            .map(|(_, waiter)| (waiter.peer.clone(), waiter.rule.clone()));
        self.takeover = Some(Box::new(Running {
            claimant,
            began: now,
            raised: None,
            tenure: opened.map(|opened| now - opened),
            opened: None,
            evidence: None,
        }));
    }

    fn opened(&mut self, takeover: &Arc<Takeover>) {
        let now = Instant::now();
        if self.takeover.as_ref().is_none_or(|before| before.opened.is_some()) {
            // An earlier process raised the mark; this one only had to finish.
            self.begin(&takeover.to);
        }
        let Some(running) = &mut self.takeover else { return };
        let raised = running.raised.unwrap_or(running.began);
        running.opened = Some(now);
        running.evidence = Some(Evidence {
            takeover: Arc::clone(takeover),
            ledger: raised - running.began,
            quiesce: now - raised,
        });
    }

    fn evidence(&self) -> Option<Evidence> {
        self.takeover.as_ref()?.evidence.clone()
    }

    fn delivery(&mut self, ticket: Ticket, value: Result<Reply, Refusal>) -> Option<Delivery> {
        let Waiter { reply, .. } = self.waiters.remove(&ticket)?;
        Some(Delivery { reply, value })
    }
}

/// A request in the queue. Dropped before its reply, it leaves the queue.
pub(super) struct Waiting {
    cell: Arc<Cell>,
    ticket: Ticket,
    receiver: oneshot::Receiver<Result<Reply, Refusal>>,
}

impl Waiting {
    pub(super) async fn reply(mut self, wait: Duration) -> Result<Reply, Refusal> {
        match tokio::time::timeout(wait, &mut self.receiver).await {
            Ok(reply) => reply.unwrap_or(Err(Refusal::LedgerUnavailable)),
            Err(_) => {
                let quiescing = self.cell.lock().register.is_quiescing();
                // Once it is out of the queue nothing new can come; what came just before counts.
                self.cell.withdraw(self.ticket);
                self.receiver.try_recv().unwrap_or(Err(match quiescing {
                    true => Refusal::Unsettled,
                    false => Refusal::LedgerUnavailable,
                }))
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.cell.withdraw(self.ticket);
    }
}
