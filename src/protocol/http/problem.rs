//! Everything that Palisade itself answers with, in one table: status, reason, outcome, mend.
//!
//! The statuses are chosen by what clients do by themselves: 412 is repeated by none of
//! them, 503 with `Retry-After` by all. [`OUTCOME_UNKNOWN`] has a status of its own.

use std::borrow::Cow;

use http::{HeaderName, StatusCode};

use super::malformed::Malformed;
use super::relay::Failure;
use super::s3;
use crate::fence::{Action, Mark, Refusal, Resource, Token};
use crate::net::connect::ConnectError;

/// The status of "nobody can tell whether it was applied": what it depends on, the store,
/// failed. Clients repeat a 5xx by themselves, and some a 408, 425 or 429; a 424 none of them
/// does (tried with botocore in each of its retry modes).
pub const OUTCOME_UNKNOWN: StatusCode = StatusCode::FAILED_DEPENDENCY;

/// Why Palisade answers in the store's place.
#[derive(Debug)]
pub enum Denial {
    /// The store was asked and gave no answer; `is_write` when something may depend on it.
    Failed {
        /// What became of it.
        failure: Failure,
        /// Whether it was a write.
        is_write: bool,
    },
    /// The fence says no.
    Fence(Refusal),
    /// The request has been here before.
    Loop,
    /// It can be read in more than one way, or in none.
    Malformed(Malformed),
    /// No rule matches, and the listener forwards no such request of this identity.
    NoRule(Action),
    /// The reserved prefix has no such thing.
    NotFound,
    /// The token cannot be read, or there are two.
    TokenMalformed(Malformed),
    /// A write, or a read under a rule that wants one, without a token.
    TokenRequired(HeaderName),
}

/// A denial, with what is known of what was asked. Boxed wherever it is an error: it is large, and
/// rare.
#[derive(Debug)]
pub struct Problem {
    /// Why.
    pub denial: Denial,
    /// Of which resource.
    pub resource: Option<Resource>,
    /// Under which rule.
    pub rule: Option<std::sync::Arc<str>>,
    /// The token that was brought.
    pub token: Option<Token>,
    /// The mark that it was compared with.
    pub mark: Option<Mark>,
    /// What it was: `PutObject`, or the method.
    pub operation: Option<&'static str>,
}

/// One row of the table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// The status of the answer.
    pub status: StatusCode,
    /// A short stable word.
    pub reason: &'static str,
    /// The same for people.
    pub title: &'static str,
    /// Whether the same request may succeed later without anybody's intervention.
    pub retryable: bool,
    /// `not_applied` or `unknown`.
    pub outcome: &'static str,
    /// What to do.
    pub mend: Cow<'static, str>,
}

impl From<Denial> for Box<Problem> {
    fn from(denial: Denial) -> Self {
        let (resource, rule, token, mark, operation) = (None, None, None, None, None);
        Self::new(Problem { denial, resource, rule, token, mark, operation })
    }
}

impl From<Malformed> for Box<Problem> {
    fn from(malformed: Malformed) -> Self {
        Denial::Malformed(malformed).into()
    }
}

impl From<s3::Malformed> for Box<Problem> {
    fn from(malformed: s3::Malformed) -> Self {
        Malformed::from(malformed).into()
    }
}

impl Denial {
    /// Its row of the table.
    pub fn row(&self) -> Row {
        match self {
            Self::Failed { failure, is_write } => failed(failure, *is_write),
            Self::Fence(refusal) => refused(refusal),
            Self::Loop => {
                no(StatusCode::LOOP_DETECTED, "loop", "Loop", "point the upstream at the store")
            }
            Self::Malformed(malformed) => {
                no(malformed.status, "malformed", "Ambiguous request", malformed.mend.clone())
            }
            Self::NoRule(_) => no(
                StatusCode::FORBIDDEN,
                "no_rule",
                "No rule matches",
                "add a rule for this path, or let the identity through under unmatched",
            ),
            Self::NotFound => no(
                StatusCode::NOT_FOUND,
                "not_found",
                "No such thing under the reserved prefix",
                "ask for POST seal, GET status or GET whoami",
            ),
            Self::TokenMalformed(malformed) => no(
                StatusCode::BAD_REQUEST,
                "token_malformed",
                "Unreadable token",
                malformed.mend.clone(),
            ),
            Self::TokenRequired(header) => no(
                StatusCode::PRECONDITION_REQUIRED,
                "token_required",
                "Token required",
                format!("send the token that you were elected with in {header}"),
            ),
        }
    }

    /// The code in S3's error documents, where the reason alone does not tell.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Malformed(malformed) => Some(malformed.code),
            _ => None,
        }
    }

    /// What happened, in a sentence.
    pub fn detail(&self) -> String {
        match self {
            Self::Failed { failure, .. } => failure.to_string(),
            Self::Fence(refusal) => refusal.to_string(),
            Self::Loop => "this request has been through this proxy already".to_owned(),
            Self::Malformed(malformed) | Self::TokenMalformed(malformed) => {
                malformed.what.to_string()
            }
            Self::NoRule(action) => format!("no rule covers this {}", action.as_str()),
            Self::NotFound => "there is nothing by this name".to_owned(),
            Self::TokenRequired(header) => format!("there is no {header}"),
        }
    }
}

fn refused(refusal: &Refusal) -> Row {
    let (status, title, mend) = match refusal {
        Refusal::Conflict { .. } => (
            StatusCode::PRECONDITION_FAILED,
            "Two leaders with one token",
            "find out why two leaders were elected with one token; only its holder may use it",
        ),
        Refusal::Forbidden { .. } => {
            (StatusCode::FORBIDDEN, "Forbidden", "name the identity in the rule, if it may")
        }
        Refusal::Implausible { .. } => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "Implausible token",
            "bring the token of the election, or raise max_jump of the rule",
        ),
        Refusal::LedgerUnavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "The ledger is not available", "try again")
        }
        Refusal::Overloaded { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Overloaded", "try again"),
        Refusal::Stale { .. } => (
            StatusCode::PRECONDITION_FAILED,
            "Stale token",
            "stop: a newer leader holds the resource; do not try again with this token",
        ),
        Refusal::Unsettled => {
            (StatusCode::SERVICE_UNAVAILABLE, "Not settled yet", "try again with the same token")
        }
    };
    let retryable = refusal.is_retryable();
    Row { retryable, ..no(status, refusal.reason(), title, mend) }
}

fn failed(failure: &Failure, is_write: bool) -> Row {
    let again =
        |status, reason, title| Row { retryable: true, ..no(status, reason, title, "try again") };
    match failure {
        Failure::Body(super::flight::BodyFault::TooLarge { .. }) => no(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "Body too large",
            "send it in parts, or raise body_bytes_max",
        ),
        Failure::Body(_) => {
            no(StatusCode::BAD_REQUEST, "body_broken", "Broken body", "send the whole body")
        }
        Failure::ClientStalled => {
            no(StatusCode::REQUEST_TIMEOUT, "body_stalled", "Stalled body", "send it faster")
        }
        // Without a mark to show, which the caller adds where it can.
        Failure::Cut => no(
            StatusCode::PRECONDITION_FAILED,
            "stale",
            "Stale token",
            "stop: a newer leader holds the resource; do not try again with this token",
        ),
        Failure::Ending => again(StatusCode::SERVICE_UNAVAILABLE, "ending", "Shutting down"),
        Failure::NotConnected(ConnectError::Exhausted(_)) => {
            again(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Overloaded")
        }
        Failure::NotConnected(_) | Failure::NotTaken(_) => again(
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream_unavailable",
            "The store is not available",
        ),
        Failure::Suspended => again(
            StatusCode::SERVICE_UNAVAILABLE,
            "ledger_unavailable",
            "The session with the ledger was lost",
        ),
        Failure::Unknown(_) if is_write => Row {
            outcome: "unknown",
            ..no(
                OUTCOME_UNKNOWN,
                "outcome_unknown",
                "Nobody can tell whether it was applied",
                "read the state before you write again",
            )
        },
        Failure::Unknown(_) => {
            again(StatusCode::BAD_GATEWAY, "upstream_broken", "The store did not answer")
        }
    }
}

fn no(
    status: StatusCode,
    reason: &'static str,
    title: &'static str,
    mend: impl Into<Cow<'static, str>>,
) -> Row {
    Row { status, reason, title, retryable: false, outcome: "not_applied", mend: mend.into() }
}
