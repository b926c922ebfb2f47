//! What a fence's lock guards: the fence, its deadlines, those who wait, and what is measured.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Evidence;
use super::cell::Reply;
use crate::fence::{Claim, Effects, Linger, Mark, Record, Refusal, Register, Takeover, Ticket};
use crate::net::identity::Peer;
use crate::rules::Rule;

/// The fence and what goes with it under its lock.
pub(super) struct State {
    pub(super) register: Register,
    pub(super) waiters: HashMap<Ticket, Waiter>,
    /// Until when sent writes without an answer may be waited for.
    pub(super) sent_until: Option<Instant>,
    /// Until when writes of unknown outcome may still land.
    pub(super) unknown_until: Option<Instant>,
    pub(super) settle_timeout: Duration,
    /// Sent writes are to give up on their answers, because a takeover waits for them.
    pub(super) hang_up: bool,
    /// Writes that were sent in an earlier epoch than this one are to give up, too: their session
    /// is over.
    pub(super) hang_up_before: u32,
    /// The row as the ledger's feed last told it, for this process.
    pub(super) seen: Option<Record>,
    /// The rule that was last asked under; `None` for an operator.
    pub(super) rule: Option<Arc<Rule>>,
    /// The takeover that runs, or else the last one.
    pub(super) takeover: Option<Box<Running>>,
}

pub(super) struct Waiter {
    pub(super) reply: oneshot::Sender<Result<Reply, Refusal>>,
    pub(super) claim: Claim,
    pub(super) peer: Peer,
    pub(super) rule: Option<Arc<Rule>>,
    pub(super) settle_timeout: Duration,
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
    pub(super) reply: oneshot::Sender<Result<Reply, Refusal>>,
    pub(super) value: Result<Reply, Refusal>,
}

impl Delivery {
    /// Nobody may be there any more to take it: an admission is then dropped, and so released.
    pub(super) fn send(self) {
        let _ = self.reply.send(self.value);
    }
}

impl State {
    pub(super) fn new(register: Register) -> Self {
        Self {
            register,
            waiters: HashMap::new(),
            sent_until: None,
            unknown_until: None,
            settle_timeout: Duration::ZERO,
            hang_up: false,
            hang_up_before: 0,
            seen: None,
            rule: None,
            takeover: None,
        }
    }

    /// Notes the rule of a request: a look at a pointer, where it is the one before.
    pub(super) fn ask_under(&mut self, rule: Option<&Arc<Rule>>) {
        let is_same = match (&self.rule, rule) {
            (Some(before), Some(rule)) => Arc::ptr_eq(before, rule),
            (before, rule) => before.is_none() && rule.is_none(),
        };
        if !is_same {
            self.rule = rule.cloned();
        }
    }

    pub(super) fn forget_expired(&mut self, now: impl FnOnce() -> Instant) {
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
    pub(super) fn begin(&mut self, to: &Mark) {
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

    pub(super) fn opened(&mut self, takeover: &Arc<Takeover>) {
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

    pub(super) fn evidence(&self) -> Option<Evidence> {
        self.takeover.as_ref()?.evidence.clone()
    }

    pub(super) fn delivery(
        &mut self,
        ticket: Ticket,
        value: Result<Reply, Refusal>,
    ) -> Option<Delivery> {
        let Waiter { reply, .. } = self.waiters.remove(&ticket)?;
        Some(Delivery { reply, value })
    }
}
