//! Errors of this listener as RFC 9457 problem documents.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::view;
use crate::fence::Refusal;

const MEDIA_TYPE: &str = "application/problem+json";
/// Seconds after which what may be tried again should be.
const RETRY_AFTER_SECONDS: &str = "1";

/// What was wrong with a request, or with answering it.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    reason: &'static str,
    detail: String,
    is_retryable: bool,
}

impl Problem {
    pub(super) fn new(status: StatusCode, reason: &'static str, detail: impl Into<String>) -> Self {
        let is_retryable = status == StatusCode::SERVICE_UNAVAILABLE;
        Self { status, reason, detail: detail.into(), is_retryable }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::Forbidden { .. } => StatusCode::FORBIDDEN,
            Refusal::LedgerUnavailable | Refusal::Overloaded { .. } | Refusal::Unsettled => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Refusal::Conflict { .. } | Refusal::Implausible { .. } | Refusal::Stale { .. } => {
                StatusCode::PRECONDITION_FAILED
            }
        };
        Self::new(status, refusal.reason(), refusal.to_string())
    }
}

impl From<crate::ledger::Unavailable> for Problem {
    fn from(error: crate::ledger::Unavailable) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, Refusal::LedgerUnavailable.reason(), error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = view::Problem {
            reason: self.reason.into(),
            status: self.status.as_u16(),
            title: self.status.canonical_reason().unwrap_or("error").into(),
            detail: self.detail,
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.is_retryable {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        response
    }
}

/// What the layers around the handlers answer by themselves has no document yet.
pub(super) async fn complete(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let content_type = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !is_error || content_type.is_some_and(|there| there.ends_with(b"json")) {
        return response;
    }
    let (reason, detail) = match status {
        StatusCode::NOT_FOUND => ("not_found", "there is nothing here; GET / lists what there is"),
        StatusCode::METHOD_NOT_ALLOWED => {
            ("method_not_allowed", "this address does not take that method")
        }
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the body is larger than 16 KiB"),
        StatusCode::SERVICE_UNAVAILABLE => ("timeout", "it took too long; try again"),
        _ => ("error", "the request could not be answered; the log says why"),
    };
    let allow = response.headers().get(axum::http::header::ALLOW).cloned();
    let mut response = Problem::new(status, reason, detail).into_response();
    if let Some(allow) = allow {
        response.headers_mut().insert(axum::http::header::ALLOW, allow);
    }
    response
}
