//! The page for people: one document, one style sheet, one script, nothing from elsewhere.

use askama::Template;
use axum::Json;
use axum::extract::State as Extracted;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::health::Ready;
use super::problem::Problem;
use super::{Check, State};
use crate::audit;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How often the page looks again.
const REFRESH_MS: u32 = 2_000;

/// Resources on the page; the rest is behind the command line.
const RESOURCES_SHOWN: usize = 50;

/// What no browser may do with what this listener answers.
const HARDENING: [(HeaderName, &str); 5] = [
    (CACHE_CONTROL, "no-store"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
];

pub(super) async fn harden(mut response: Response) -> Response {
    for (name, value) in HARDENING {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[derive(Template)]
#[template(path = "dashboard.html", config = "src/admin/pages/askama.toml")]
struct Page<'a> {
    version: &'a str,
    ready: bool,
    checks: &'a [Check],
    listeners: &'a [Listener],
    shared: bool,
    refresh_ms: u32,
    resources_shown: usize,
}

/// `GET /api/overview`: what the page shows besides resources.
#[derive(Debug, Serialize)]
struct Overview {
    version: &'static str,
    #[serde(flatten)]
    ready: Ready,
    listeners: Vec<Listener>,
    recent: Vec<audit::Entry>,
}

#[derive(Debug, Serialize)]
struct Listener {
    name: String,
    speaks: &'static str,
    addresses: Vec<String>,
    guarantee: String,
}

fn listeners(state: &State) -> Vec<Listener> {
    let listeners = state.readiness.listeners().into_iter();
    listeners
        .map(|listener| Listener {
            name: listener.info.name.to_string(),
            speaks: listener.info.speaks,
            addresses: listener.addresses.iter().map(ToString::to_string).collect(),
            guarantee: listener.info.guarantee,
        })
        .collect()
}

pub(super) async fn overview(Extracted(state): Extracted<State>) -> Response {
    let (ready, listeners, recent) = (Ready::of(&state), listeners(&state), state.audit.recent());
    Json(Overview { version: VERSION, ready, listeners, recent }).into_response()
}

pub(super) async fn page(Extracted(state): Extracted<State>) -> Result<Response, Problem> {
    let ready = Ready::of(&state);
    let page = Page {
        version: VERSION,
        ready: ready.ready,
        checks: &ready.checks,
        listeners: &listeners(&state),
        shared: state.ledger.session().is_some(),
        refresh_ms: REFRESH_MS,
        resources_shown: RESOURCES_SHOWN,
    };
    let page = page.render().map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "error", error.to_string())
    })?;
    Ok(asset("text/html; charset=utf-8", page))
}

pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("pages/dashboard.js"))
}

pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("pages/dashboard.css"))
}

fn asset(media_type: &'static str, body: impl IntoResponse) -> Response {
    ([(CONTENT_TYPE, media_type)], body).into_response()
}
