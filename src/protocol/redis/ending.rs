//! What leads to the end of a session: a larger token, the process, the client, the server.

use std::time::Duration;

use tokio::time::Instant;

use super::fences::Fences;
use super::refusal::{Denial, Outcome, Problem};
use super::session::{Flow, Phase, Session};
use crate::fence::Refusal;

/// How long the last words of a client that is being killed are waited for: they tell what became
/// of what it had sent.
pub const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a command that waits for somebody else has at least to be told to wait no more.
const UNBLOCK_MIN: Duration = Duration::from_millis(500);
/// How long what a client had sent before it hung up may take to be answered.
pub const HUNG_UP_TIMEOUT: Duration = Duration::from_secs(5);

impl Session {
    /// A token is outranked, the session with the ledger was lost, or nothing is admitted any more
    /// because the process ends: only then the rule's time to drain is over already.
    pub(super) async fn outranked(&mut self) -> Flow {
        // One that was replaced by another of this connection's own is no news.
        let Some(fence) = self.fences().find_map(Fences::over) else { return Flow::Go };
        let drain = match fence.watch.why() {
            Some(Refusal::Stale { .. } | Refusal::LedgerUnavailable) => {
                fence.bid.rule.sessions.drain
            }
            _ => Duration::ZERO,
        };
        self.drain(drain);
        self.wind_up().await
    }

    /// The process wants to end.
    pub(super) async fn closing(&mut self) -> Flow {
        self.is_closing = true;
        // What waits for somebody else may do so for ever.
        if self.pending.is_blocked() {
            self.drain(LAST_WORDS_TIMEOUT);
        }
        self.wind_up().await
    }

    /// Nothing more is forwarded, and what was has that long.
    fn drain(&mut self, time: Duration) {
        let is_blocked = self.pending.is_blocked();
        // The server's word that a command does not wait any more is worth a moment.
        let time = if is_blocked { time.max(UNBLOCK_MIN) } else { time };
        let until = Instant::now() + time;
        match self.phase {
            Phase::Open => {
                self.phase = Phase::Draining(until);
                self.cut();
                if is_blocked {
                    self.front.unblock_soon(&self.hold.server, self.hold.client_id);
                }
            }
            Phase::Draining(at) => self.phase = Phase::Draining(at.min(until)),
            Phase::Reaped(_) => {}
        }
    }

    /// A request whose last byte has not gone to the server never will: to it, it is none.
    fn cut(&mut self) {
        if self.passing.is_some() && self.unanswered() == 0 {
            self.hold.settle();
        }
    }

    /// Ends the session if nothing of it runs.
    pub(super) async fn wind_up(&mut self) -> Flow {
        let is_quiet = match self.phase {
            Phase::Open => self.pending.is_empty(),
            _ => self.unanswered() == 0,
        };
        // Also between MULTI and EXEC: nothing of it is done yet, and nobody knows when it will be.
        let is_ending = self.phase != Phase::Open || self.is_closing;
        if !is_ending || !is_quiet {
            return Flow::Go;
        }
        let problem = self.over();
        self.hold.settle();
        match self.has_hung_up {
            true => self.leave(None).await,
            false => self.end(problem).await,
        }
    }

    /// Why the session is to end.
    pub(super) fn over(&self) -> Problem {
        let outcome = self.outcome();
        let over = self.fences().find_map(Fences::over);
        let denial = Denial::over(over.and_then(|fence| fence.watch.why()));
        let Some(fence) = over.filter(|_| !matches!(denial, Denial::Ending)) else {
            return Problem { outcome, ..self.problem(denial) };
        };
        Problem {
            resource: Some(fence.bid.resource.clone()),
            rule: Some(fence.bid.rule.name.clone()),
            token: Some(fence.bid.claim.token),
            outcome,
            ..self.problem(denial)
        }
    }

    /// What was sent is not answered in time.
    pub(super) async fn overdue(&mut self) -> Flow {
        match self.phase {
            Phase::Open if self.unread_until.is_some() => {
                let outcome = self.outcome();
                let problem = Problem { outcome, ..self.problem(Denial::Unread) };
                self.end(problem).await
            }
            Phase::Open => Flow::Go,
            Phase::Draining(_) => {
                self.phase = Phase::Reaped(Instant::now() + LAST_WORDS_TIMEOUT);
                self.hold.reap();
                Flow::Go
            }
            Phase::Reaped(_) => {
                let problem = self.over();
                self.end(problem).await
            }
        }
    }

    /// What it had sent goes on, as it would without anybody between, and is answered; but not
    /// what waits for somebody else, as a server would not have it wait either.
    pub(super) async fn hung_up(&mut self) -> Flow {
        self.has_hung_up = true;
        self.cut();
        let is_blocked = self.pending.is_blocked();
        if self.unanswered() == 0 || is_blocked || self.client.is_none() && self.hold.is_clean() {
            return self.leave(None).await;
        }
        self.hold.orphan();
        self.drain(HUNG_UP_TIMEOUT);
        Flow::Go
    }

    pub(super) async fn server_gone(&mut self) -> Flow {
        let outcome = self.outcome();
        self.hold.reap();
        if self.client.is_none() {
            return self.leave(None).await;
        }
        if self.phase != Phase::Open {
            let problem = Problem { outcome, ..self.over() };
            return self.end(problem).await;
        }
        let denial = match outcome {
            Outcome::Unknown => Denial::Unknown,
            Outcome::Nothing => Denial::Unavailable("it closed the connection".to_owned()),
        };
        let problem = Problem { outcome, ..self.problem(denial) };
        self.end(problem).await
    }
}
