//! Resources as JSON, and what operators do to them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State as Extracted};
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt as _;
use serde::Deserialize;

use super::guard::{Caller, check_origin};
use super::problem::Problem;
use super::serve::Operations;
use super::{LIST_DEFAULT, LIST_MAX, OPERATION_TIMEOUT, REASON_BYTES_MAX, State, view};
use crate::audit::Event;
use crate::fence::Resource;
use crate::gate::Sealed;
use crate::net::identity::Peer;

/// Resources of one page whose status is asked for at once.
const STATUS_CONCURRENCY: usize = 16;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowQuery {
    name: String,
}

pub(super) async fn list(
    Extracted(state): Extracted<State>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<view::Page>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let limit = query.limit.unwrap_or(LIST_DEFAULT);
    if !(1..=LIST_MAX).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is from 1 to {LIST_MAX}")));
    }
    // One more than asked for tells whether there is another page.
    let mut entries = state.ledger.list(query.after.as_deref(), limit + 1).await?;
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| has_more).map(|last| last.resource.to_string());
    let resources = futures_util::stream::iter(entries)
        .map(async |entry| {
            let status = state.gate.status(&entry.resource).await.ok();
            view::Resource::new(entry, status)
        })
        .buffered(STATUS_CONCURRENCY)
        .collect()
        .await;
    Ok(Json(view::Page { resources, next }))
}

pub(super) async fn show(
    Extracted(state): Extracted<State>,
    query: Result<Query<ShowQuery>, QueryRejection>,
) -> Result<Json<view::Resource>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let resource = resource(&query.name)?;
    let Some(entry) = state.ledger.entry(&resource).await? else {
        return Err(not_found(&resource));
    };
    let status = state.gate.status(&resource).await.ok();
    Ok(Json(view::Resource::new(entry, status)))
}

pub(super) async fn seal(
    Extracted(state): Extracted<State>,
    Extension(caller): Extension<Caller>,
    Extension(operations): Extension<Operations>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<view::Done>, Problem> {
    let asked = Asked::new(&state, &caller, "seal", &headers, &body)?;
    let resource = asked.resource;
    if state.ledger.entry(&resource).await?.is_none() {
        return Err(not_found(&resource));
    }
    let sealed = operations.run(state.gate.reseal(&resource, &asked.peer)).await?;
    // It moves no mark, so the gate has nothing to record; that somebody asked is told here.
    let mut event = event("seal", &asked.peer, &resource);
    event.mark = Some(sealed.mark.token.to_string());
    event.holder = Some(sealed.mark.holder.to_string());
    event.detail = Some(serde_json::json!({ "reason": asked.reason }));
    state.audit.record(event);
    Ok(Json(view::Done::new(&resource, &sealed)))
}

pub(super) async fn reset(
    Extracted(state): Extracted<State>,
    Extension(caller): Extension<Caller>,
    Extension(operations): Extension<Operations>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<view::Done>, Problem> {
    let Asked { resource, peer, reason } = Asked::new(&state, &caller, "reset", &headers, &body)?;
    if reason.is_empty() {
        return Err(Problem::bad_request("a reset needs a reason; it is kept in the audit log"));
    }
    // A name that was mistyped would otherwise get a mark of its own.
    if state.ledger.entry(&resource).await?.is_none() {
        return Err(not_found(&resource));
    }
    let sealed: Sealed = operations.run(state.gate.reset(&resource, &peer, &reason)).await?;
    Ok(Json(view::Done::new(&resource, &sealed)))
}

/// A request to change something, once it is known to be an operator's.
struct Asked {
    resource: Resource,
    peer: Peer,
    reason: String,
}

impl Asked {
    fn new(
        state: &State,
        caller: &Caller,
        operation: &'static str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Self, Problem> {
        check_origin(headers)?;
        let peer = caller.peer();
        let asked: view::Operation = serde_json::from_slice(body)
            .map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))?;
        let resource = resource(&asked.name)?;
        check_operator(state, caller, operation, event("refused", &peer, &resource))?;
        let reason = reason(&asked.reason)?;
        Ok(Self { resource, peer, reason })
    }
}

impl Operations {
    /// Runs a seal or a reset if there is room for one more.
    async fn run<T>(
        &self,
        operation: impl Future<Output = Result<T, crate::fence::Refusal>>,
    ) -> Result<T, Problem> {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        let Ok(_permit) = self.0.try_acquire() else {
            let detail = "too many seals and resets are under way; try again";
            return Err(Problem::new(unavailable, "overloaded", detail));
        };
        match tokio::time::timeout(OPERATION_TIMEOUT, operation).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => {
                let detail = "older writes have not settled yet; what was begun goes on, ask again";
                Err(Problem::new(unavailable, "unsettled", detail))
            }
        }
    }
}

/// Records in `event` who may not do that.
pub(super) fn check_operator(
    state: &State,
    caller: &Caller,
    operation: &'static str,
    event: Event,
) -> Result<(), Problem> {
    if caller.may_operate(&state.operators) {
        return Ok(());
    }
    let reason = Some("forbidden");
    state.audit.record(Event { reason, operation: Some(operation.into()), ..event });
    Err(Problem::forbidden(format!(
        "{} is not one of the operators; add it to admin.operators",
        caller.peer().identity.name
    )))
}

/// An operator's reason, as it is kept.
pub(super) fn reason(text: &str) -> Result<String, Problem> {
    let reason = text.trim();
    if reason.len() > REASON_BYTES_MAX || reason.chars().any(char::is_control) {
        return Err(Problem::bad_request(format!(
            "a reason is one line of at most {REASON_BYTES_MAX} bytes"
        )));
    }
    Ok(reason.to_owned())
}

fn resource(name: &str) -> Result<Resource, Problem> {
    Resource::new(name).map_err(|error| Problem::bad_request(error.to_string()))
}

fn not_found(resource: &Resource) -> Problem {
    let detail = format!(
        "no token was ever admitted for {resource}; `palisade resources list` names all there are"
    );
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}

fn event(event: &'static str, peer: &Peer, resource: &Resource) -> Event {
    Event {
        event,
        listener: Some("admin".into()),
        resource: Some(resource.to_string()),
        ..Event::by(peer)
    }
}
