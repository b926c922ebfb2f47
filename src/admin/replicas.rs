//! The replicas that share the ledger, and an operator's word that takeovers may go on.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State as Extracted};
use axum::http::HeaderMap;

use super::guard::{Caller, check_origin};
use super::problem::Problem;
use super::resources::{check_operator, reason};
use super::{State, view};
use crate::audit::Event;
use crate::ledger::Condition;

/// What the ledger can be in, as the metric and the API call it.
pub(super) const CONDITIONS: [&str; 4] = ["serving", "out_of_reach", "frozen", "suspended"];

/// The name of a condition.
pub(super) fn condition(condition: &Condition) -> &'static str {
    match condition {
        Condition::Serving => CONDITIONS[0],
        Condition::OutOfReach { .. } => CONDITIONS[1],
        Condition::Frozen { .. } => CONDITIONS[2],
        Condition::Suspended { .. } => CONDITIONS[3],
    }
}

pub(super) async fn list(Extracted(state): Extracted<State>) -> Json<view::Replicas> {
    let ledger = &state.ledger;
    let checks = state.readiness.checks(&**ledger);
    let check = checks.into_iter().find(|check| check.name == "ledger");
    // The condition is of most use while the ledger does not answer.
    let (replicas, problem) = match ledger.replicas().await {
        Ok(replicas) => (replicas, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    Json(view::Replicas {
        shared: ledger.session().is_some(),
        session: ledger.session().map(|session| session.to_string()),
        condition: condition(&ledger.condition()).to_owned(),
        detail: check.map(|check| check.detail).unwrap_or_default(),
        loses: ledger.loses(),
        replicas,
        problem,
    })
}

pub(super) async fn confirm(
    Extracted(state): Extracted<State>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<view::Confirmed>, Problem> {
    check_origin(&headers)?;
    let asked: view::Confirmation = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))?;
    let event =
        |event| Event { event, listener: Some("admin".into()), ..Event::by(&caller.peer()) };
    check_operator(&state, &caller, "confirm", event("refused"))?;
    let reason = reason(&asked.reason)?;
    if reason.is_empty() {
        let detail = "a confirmation needs a reason; it is kept in the audit log";
        return Err(Problem::bad_request(detail));
    }
    if state.ledger.session().is_none() {
        let detail = "the embedded ledger serves one process, and never waits for a confirmation";
        return Err(Problem::bad_request(detail));
    }
    let was_frozen = match state.ledger.condition() {
        Condition::Frozen { why } => Some(why),
        _ => None,
    };
    state.ledger.confirm().await?;
    let detail = serde_json::json!({ "reason": reason, "was_frozen": was_frozen });
    state.audit.record(Event { detail: Some(detail), ..event("confirm") });
    Ok(Json(view::Confirmed { was_frozen }))
}
