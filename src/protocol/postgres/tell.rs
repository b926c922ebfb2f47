//! What is told to operators: refusals, ends of sessions, outcomes that nobody can know.

use std::time::Instant;

use super::refusal::{Denial, Outcome, Problem};
use super::server::Front;
use crate::audit::Event;
use crate::fence::Refusal;
use crate::net::identity::Peer;

impl Front {
    /// A session or a statement that was refused: nothing of it reached the server.
    pub(super) fn tell_refused(&self, peer: &Peer, problem: &Problem) {
        let row = problem.denial.row();
        self.metrics.refused(problem.rule.as_ref(), row.reason);
        let event = match &problem.denial {
            Denial::Fence(Refusal::Unsettled) => "unsettled",
            _ => "refused",
        };
        self.tell(event, row.reason, peer, problem);
    }

    /// A session that Palisade ended.
    pub(super) fn tell_ended(&self, peer: &Peer, problem: &Problem) {
        let row = problem.denial.row();
        self.metrics.ended(row.reason);
        if problem.outcome == Outcome::Unknown {
            self.metrics.unknown.increment(1);
        }
        let event = match (problem.outcome, &problem.denial) {
            (Outcome::Unknown, _) => "unknown",
            // Nobody lost anything by it.
            (Outcome::Nothing, Denial::Ending | Denial::Moved | Denial::Suspended) => return,
            _ => "cut",
        };
        self.tell(event, row.reason, peer, problem);
    }

    fn tell(&self, event: &'static str, reason: &'static str, peer: &Peer, problem: &Problem) {
        let mark = problem.shown_mark();
        self.audit.record(Event {
            event,
            reason: Some(reason),
            listener: Some(self.listener.name.clone()),
            rule: problem.rule.clone(),
            resource: problem.resource.as_ref().map(ToString::to_string),
            operation: Some("session".to_owned()),
            token: problem.token.map(|token| token.to_string()),
            mark: mark.as_ref().map(|mark| mark.token.to_string()),
            holder: mark.as_ref().map(|mark| mark.holder.to_string()),
            outcome: Some(problem.outcome.word()),
            ..Event::by(peer)
        });
        if let Some(left_out) = self.lines.say(&reason, Instant::now()) {
            tracing::warn!(
                reason,
                event,
                identity = %peer.identity.name,
                address = %peer.address,
                listener = %self.listener.name,
                rule = problem.rule.as_deref().unwrap_or(""),
                resource = problem.resource.as_ref().map_or("", |resource| resource.as_str()),
                token = problem.token.map(tracing::field::display),
                mark = mark.map(|mark| tracing::field::display(mark.token)),
                outcome = problem.outcome.word(),
                left_out,
                mend = %problem.denial.row().mend,
                "{event}: {}",
                problem.denial,
            );
        }
    }
}
