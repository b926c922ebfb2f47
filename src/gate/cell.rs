//! One fence with its deadlines and with those who wait for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::state::{Delivery, Outcome, Running, State, Waiter};
use super::waiting::Waiting;
use super::{Admission, ENDING, Evidence, Shared, Status};
use crate::fence::{
    Ask, Cut, Effect, Effects, Fate, Linger, Mark, Permit, Refusal, Register, Resource, Sent,
    Ticket, Token,
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
    pub(super) lost: Notify,
    /// Wakes who waits for the grants of others.
    pub(super) rows: Notify,
    touched: AtomicBool,
}

impl Cell {
    pub(super) fn new(resource: Resource, shared: &Arc<Shared>, metrics: Arc<RuleMetrics>) -> Self {
        let queue_max = shared.settings.takeover_queue_max;
        let register = match shared.is_replicated {
            true => Register::among_replicas(queue_max),
            false => Register::new(queue_max),
        };
        Self {
            resource,
            shared: Arc::clone(shared),
            metrics,
            state: Mutex::new(State::new(register)),
            lost: Notify::new(),
            rows: Notify::new(),
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
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
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
            return Asked::Now(Err(ENDING));
        }
        state.settle_timeout = settle_timeout;
        if self.shared.is_replicated {
            state.ask_under(rule);
            self.look_at_lease(&mut state);
        }
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
                let effects = self.bounded(&mut state, effects);
                let evidence = state.evidence();
                drop(state);
                Asked::Now(self.decided(effects, evidence, settle_timeout))
            }
        }
    }

    /// Refuses writes that are too many, the last that came first. After the fence has decided,
    /// so that who is stale is told so, and no takeover is kept waiting.
    fn bounded(&self, state: &mut State, effects: Effects) -> Effects {
        let are_too_many = |state: &State| {
            let (streaming, sent, _) = state.register.in_flight();
            streaming.saturating_add(sent) > self.shared.settings.writes_per_resource_max
        };
        if !are_too_many(state) {
            return effects;
        }
        let bound = |effect| match effect {
            Effect::Admit { ticket, permit } if are_too_many(state) => {
                state.register.release(permit);
                let refusal = Refusal::Overloaded { limit: "writes_per_resource_max" };
                Effect::Refuse { ticket, refusal }
            }
            other => other,
        };
        let mut bounded: Effects = effects.into_iter().rev().map(bound).collect();
        bounded.reverse();
        bounded
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

    pub(super) fn change(self: &Arc<Self>, change: impl FnOnce(&mut State) -> Effects) -> Outcome {
        let mut state = self.lock();
        if self.shared.is_replicated && state.register.is_busy() {
            // What comes now may open the fence: a process that was frozen must not tell it.
            self.look_at_lease(&mut state);
        }
        let before = state.register.mark_at_least().token;
        let effects = change(&mut state);
        if state.register.mark_at_least().token > before {
            // Those who only watch have nothing in flight that would be cut.
            self.lost.notify_waiters();
        }
        self.sort(&mut state, effects)
    }

    pub(super) fn sort(self: &Arc<Self>, state: &mut State, effects: Effects) -> Outcome {
        let mut outcome = Outcome::default();
        for effect in self.bounded(state, effects) {
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

    pub(super) fn commit(
        self: &Arc<Self>,
        permit: Permit,
        settle_timeout: Duration,
    ) -> Result<Sent, Cut> {
        let mut state = self.lock();
        // The last look at the clock: a process that was frozen finds out here.
        self.look_at_lease(&mut state);
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

    /// After `closing` was set: refuses those who wait, and wakes the writes that are cut by it.
    pub(super) fn halt(self: &Arc<Self>) {
        let mut state = self.lock();
        let waiters: Vec<_> = state.waiters.drain().collect();
        for (ticket, Waiter { reply, .. }) in waiters {
            state.register.withdraw(ticket);
            let _ = reply.send(Err(ENDING));
        }
        drop(state);
        self.lost.notify_waiters();
    }

    /// Tells sent writes to hang up.
    pub(super) fn give_up(self: &Arc<Self>) {
        self.lock().hang_up = true;
        self.lost.notify_waiters();
    }

    /// The mark, if it is above that token for certain.
    pub(super) fn mark_above(&self, token: Token) -> Option<Mark> {
        let state = self.lock();
        Some(state.register.mark_at_least()).filter(|mark| mark.token > token).cloned()
    }

    /// What the mark is at least.
    pub(super) fn mark(&self) -> Mark {
        self.lock().register.mark_at_least().clone()
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
        self.is_quiet(Instant::now()) && !self.lock().register.is_owing()
    }

    pub(super) fn is_unsettled(&self) -> bool {
        self.lock().register.is_unsettled()
    }

    /// Takes a request out of the queue.
    pub(super) fn withdraw(&self, ticket: Ticket) {
        let mut state = self.lock();
        state.register.withdraw(ticket);
        state.waiters.remove(&ticket);
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cell").field("resource", &self.resource).finish_non_exhaustive()
    }
}
