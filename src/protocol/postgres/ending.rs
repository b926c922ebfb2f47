//! What leads to the end of a session: a larger token, the process, the client, the server.

use std::time::Duration;

use tokio::time::Instant;

use super::codec::message::write;
use super::refusal::{Denial, Outcome, Problem};
use super::session::{CANCEL_TIMEOUT, Flow, LAST_WORDS_TIMEOUT, Phase, Session};
use crate::fence::Refusal;

impl Session {
    /// The token is outranked, the session with the ledger was lost, or nothing is admitted any
    /// more because the process ends: only then the rule's time to drain is over already.
    pub(super) async fn outranked(&mut self) -> Flow {
        let drain = match self.fence().and_then(|fence| fence.watch.why()) {
            Some(Refusal::Stale { .. } | Refusal::LedgerUnavailable) => self.rule.sessions.drain,
            _ => Duration::ZERO,
        };
        if self.phase == Phase::Open || matches!(self.phase, Phase::Draining(_)) {
            self.phase = Phase::Draining(Instant::now() + drain);
        }
        self.wind_up().await
    }

    /// Ends the session if nothing of it runs.
    pub(super) async fn wind_up(&mut self) -> Flow {
        let is_over = self.fence().is_some_and(|fence| fence.watch.is_over());
        // Somebody waits for what it holds: nothing of it may be committed any more.
        let may_end = self.tracker.is_idle()
            || is_over && (self.tracker.is_quiet() || self.tracker.is_copying_in());
        let is_ending = self.is_closing || self.phase != Phase::Open;
        if !is_ending || !may_end || matches!(self.phase, Phase::Reaped(_)) {
            return Flow::Go;
        }
        self.hold.reap();
        let problem = self.over();
        self.end(problem).await
    }

    /// Why the session is to end.
    pub(super) fn over(&self) -> Problem {
        let why = self.fence().and_then(|fence| fence.watch.why());
        let mut problem = self.problem(Denial::over(why));
        problem.outcome = match self.witness.outcome(&self.tracker) {
            Outcome::Nothing if self.is_cancelled => Outcome::RolledBack,
            outcome => outcome,
        };
        problem
    }

    /// What ran did not end in time.
    pub(super) async fn overdue(&mut self) -> Flow {
        match self.phase {
            Phase::Open => {}
            Phase::Draining(_) => {
                self.phase = Phase::Cancelled(Instant::now() + CANCEL_TIMEOUT);
                self.front.cancel_soon(self.hold.host, self.hold.pid, &self.secret);
            }
            Phase::Cancelled(_) => {
                self.phase = Phase::Reaped(Instant::now() + LAST_WORDS_TIMEOUT);
                self.hold.reap();
            }
            Phase::Reaped(_) => {
                let problem = self.over();
                return self.end(problem).await;
            }
        }
        Flow::Go
    }

    /// What runs goes on, as it would without anybody between, and its end is waited for.
    pub(super) fn client_gone(&mut self, politely: bool) -> Flow {
        self.client = None;
        if politely || self.from_client.is_between_messages() {
            write::terminate(&mut self.to_server);
        }
        Flow::Go
    }

    pub(super) async fn server_gone(&mut self) -> Flow {
        let outcome = self.witness.outcome(&self.tracker);
        let is_told = self.witness.is_told_of_the_end();
        self.hold.reap();
        if self.client.is_none() || self.phase == Phase::Open && is_told {
            return self.leave(None).await;
        }
        if self.phase != Phase::Open {
            let problem = self.over();
            return self.end(problem).await;
        }
        let denial = match outcome {
            Outcome::Unknown => Denial::Unknown,
            _ => Denial::Unavailable("it closed the connection".to_owned()),
        };
        let problem = Problem { outcome, ..self.problem(denial) };
        self.end(problem).await
    }
}
