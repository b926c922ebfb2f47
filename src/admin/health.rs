//! `/livez`, `/readyz`, `/metrics`.

use axum::extract::State as Extracted;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::{Check, State, replicas};
use crate::{ledger, telemetry};

/// `GET /readyz`.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Ready {
    pub(super) ready: bool,
    pub(super) checks: Vec<Check>,
}

impl Ready {
    pub(super) fn of(state: &State) -> Self {
        let checks = state.readiness.checks(&*state.ledger);
        Self { ready: checks.iter().all(|check| check.ok), checks }
    }
}

/// The process answers: that is all there is to being alive.
pub(super) async fn livez() -> Response {
    axum::Json(serde_json::json!({ "alive": true })).into_response()
}

pub(super) async fn readyz(Extracted(state): Extracted<State>) -> Response {
    let ready = Ready::of(&state);
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(ready)).into_response()
}

pub(super) async fn metrics(Extracted(state): Extracted<State>) -> Response {
    // Told when it is asked for, so that no timer can leave it out of date.
    let ready = Ready::of(&state).ready;
    metrics::gauge!(telemetry::READY).set(f64::from(u8::from(ready)));
    let is_failing = state.ledger.health().is_err();
    metrics::gauge!(telemetry::LEDGER_FAILING).set(f64::from(u8::from(is_failing)));
    let condition = replicas::condition(&state.ledger.condition());
    for name in replicas::CONDITIONS {
        let is_so = f64::from(u8::from(name == condition));
        metrics::gauge!(ledger::metrics::CONDITION, "condition" => name).set(is_so);
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.render())
        .into_response()
}
