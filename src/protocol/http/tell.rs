//! What is told to operators of a request that did not get an answer from the store.

use std::time::Instant;

use super::asked::Asked;
use super::flight::Flight;
use super::problem::{Denial, Problem, Row};
use super::relay::Failure;
use super::session::Session;
use crate::audit::Event;

impl Session {
    /// A request that Palisade itself answers.
    pub(super) fn tell_refused(&self, problem: &Problem, row: &Row) {
        let front = &self.service.front;
        front.metrics.refused(problem.rule.as_ref(), row.reason);
        let mark = problem.shown_mark();
        let event = match &problem.denial {
            Denial::Failed { failure: Failure::Unknown(_), .. } if problem.token.is_some() => None,
            Denial::Failed { failure: Failure::Cut, .. } => Some("cut"),
            Denial::Fence(crate::fence::Refusal::Unsettled) => Some("unsettled"),
            _ => Some("refused"),
        };
        if let Some(event) = event {
            front.audit.record(Event {
                event,
                reason: Some(row.reason),
                listener: Some(front.listener.name.clone()),
                rule: problem.rule.clone(),
                resource: problem.resource.as_ref().map(ToString::to_string),
                operation: problem.operation.map(str::to_owned),
                token: problem.token.map(|token| token.to_string()),
                mark: mark.as_ref().map(|mark| mark.token.to_string()),
                holder: mark.as_ref().map(|mark| mark.holder.to_string()),
                outcome: Some(row.outcome),
                ..Event::by(&self.peer)
            });
        }
        if let Some(left_out) = front.lines.say(&row.reason, Instant::now()) {
            tracing::warn!(
                reason = row.reason,
                status = row.status.as_u16(),
                identity = %self.peer.identity.name,
                address = %self.peer.address,
                listener = %front.listener.name,
                rule = problem.rule.as_deref().unwrap_or(""),
                resource = problem.resource.as_ref().map_or("", |resource| resource.as_str()),
                operation = problem.operation.unwrap_or(""),
                token = problem.token.map(tracing::field::display),
                mark = mark.map(|mark| tracing::field::display(mark.token)),
                left_out,
                mend = %row.mend,
                "refused: {}",
                problem.denial.detail(),
            );
        }
    }

    /// A fenced write that ended without an answer, whether or not its client is still there.
    pub(super) fn tell_ended(&self, asked: &Asked, failure: &Failure, flight: &Flight) {
        let Failure::Unknown(why) = failure else { return };
        let front = &self.service.front;
        front.metrics.rule(asked.rule()).unknown.increment(1);
        for admission in flight.admissions() {
            front.audit.record(Event {
                event: "unknown",
                reason: Some("outcome_unknown"),
                listener: Some(front.listener.name.clone()),
                rule: asked.rule().map(|rule| rule.name.clone()),
                resource: Some(admission.resource().to_string()),
                operation: Some(asked.operation.to_owned()),
                token: Some(admission.token().to_string()),
                outcome: Some("unknown"),
                detail: Some(serde_json::Value::from(why.as_str())),
                ..Event::by(&self.peer)
            });
        }
    }
}
