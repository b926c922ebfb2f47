//! The JSON of this listener, for the dashboard, the command line and scripts.
//!
//! Tokens are strings, as everywhere. Times are RFC 3339 in UTC, durations milliseconds.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::gate::{Evidence, Sealed, Status};
use crate::ledger::{Entry, Raised};

/// `GET /api/resources`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Page {
    /// In the order of their names.
    pub resources: Vec<Resource>,
    /// What to give as `after` for the next page; nothing when this was the last one.
    pub next: Option<String>,
}

/// `GET /api/resources/show`, and each of a [`Page`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Resource {
    /// Its name.
    pub resource: String,
    /// The high-water mark.
    pub mark: String,
    /// Who brought it.
    pub holder: String,
    /// A lower bound on the tokens of writes that this process may have on the wire.
    pub grant: String,
    /// What is in flight; nothing when the gate could not tell.
    pub in_flight: Option<InFlight>,
    /// The last takeover that this process saw.
    pub last_takeover: Option<Takeover>,
    /// The latest raises, oldest first.
    pub history: Vec<Raise>,
}

/// Writes that have not settled.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InFlight {
    /// Whether a takeover is under way.
    pub busy: bool,
    /// Before their commit point.
    pub streaming: u32,
    /// Past it, without an answer yet.
    pub sent: u32,
    /// Whose outcome is unknown and that may still land.
    pub unknown: u32,
}

/// How a takeover went.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Takeover {
    /// The token that was outranked.
    pub from: String,
    /// Who held it.
    pub from_holder: String,
    /// The token now.
    pub to: String,
    /// Who holds it.
    pub to_holder: String,
    /// Writes cut before their commit point: nothing of them is in the store.
    pub cut: u32,
    /// Writes past it, of which the store's answer was awaited.
    pub awaited: u32,
    /// Those that ended without an answer: outcome unknown.
    pub unknown: u32,
    /// What an earlier, uncleanly ended process may have left was waited out.
    pub leftovers: bool,
    /// What the ledger took.
    pub ledger_ms: u64,
    /// What settling took.
    pub quiesce_ms: u64,
}

/// A raise of the past.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Raise {
    /// To which token.
    pub token: String,
    /// By whom.
    pub holder: String,
    /// When.
    pub at: String,
}

/// `POST /api/resources/seal` and `/reset`: what is asked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// The resource.
    pub name: String,
    /// Why, in the operator's words. A reset needs one.
    #[serde(default)]
    pub reason: String,
}

/// What is answered: every write below the mark has settled.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Done {
    /// The resource.
    pub resource: String,
    /// The mark now.
    pub mark: String,
    /// Who holds it.
    pub holder: String,
    /// The last takeover that this process saw.
    pub evidence: Option<Takeover>,
}

/// `GET /api/replicas`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Replicas {
    /// Whether several can share the ledger; otherwise this process is alone.
    pub shared: bool,
    /// The session of the one that answers, where there are sessions.
    pub session: Option<String>,
    /// `serving`, `out_of_reach`, `frozen` or `suspended`.
    pub condition: String,
    /// The condition in a sentence.
    pub detail: String,
    /// What a failover of the ledger can lose.
    pub loses: Option<String>,
    /// Those that are alive, by the ledger's own word.
    pub replicas: Vec<crate::ledger::Replica>,
    /// Why they cannot be told.
    pub problem: Option<String>,
}

/// `POST /api/ledger/confirm`: what is asked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// Why takeovers may go on, in the operator's words.
    pub reason: String,
}

/// What is answered: takeovers go on.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Confirmed {
    /// Why they were refused until now; nothing when they were not.
    pub was_frozen: Option<String>,
}

/// An RFC 9457 problem document.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// What kind of problem, for programs.
    pub reason: String,
    /// The HTTP status.
    pub status: u16,
    /// The status in words.
    pub title: String,
    /// What is wrong and what to do.
    pub detail: String,
}

impl Resource {
    pub(super) fn new(entry: Entry, status: Option<Status>) -> Self {
        Self {
            resource: entry.resource.to_string(),
            mark: entry.record.mark.token.to_string(),
            holder: entry.record.mark.holder.to_string(),
            grant: entry.record.grant.to_string(),
            in_flight: status.as_ref().map(InFlight::new),
            last_takeover: status.and_then(|status| status.evidence).as_ref().map(Takeover::new),
            history: entry.history.iter().map(Raise::new).collect(),
        }
    }
}

impl InFlight {
    fn new(status: &Status) -> Self {
        let Status { busy, streaming, sent, unknown, .. } = *status;
        Self { busy, streaming, sent, unknown }
    }
}

impl Takeover {
    fn new(evidence: &Evidence) -> Self {
        let takeover = &*evidence.takeover;
        let millis =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            from: takeover.from.token.to_string(),
            from_holder: takeover.from.holder.to_string(),
            to: takeover.to.token.to_string(),
            to_holder: takeover.to.holder.to_string(),
            cut: takeover.cut,
            awaited: takeover.awaited,
            unknown: takeover.unknown,
            leftovers: takeover.leftovers,
            ledger_ms: millis(evidence.ledger),
            quiesce_ms: millis(evidence.quiesce),
        }
    }
}

impl Raise {
    fn new(raised: &Raised) -> Self {
        Self {
            token: raised.token.to_string(),
            holder: raised.holder.to_string(),
            at: timestamp(raised.at),
        }
    }
}

impl Done {
    pub(super) fn new(resource: &crate::fence::Resource, sealed: &Sealed) -> Self {
        Self {
            resource: resource.to_string(),
            mark: sealed.mark.token.to_string(),
            holder: sealed.mark.holder.to_string(),
            evidence: sealed.evidence.as_ref().map(Takeover::new),
        }
    }
}

fn timestamp(at: SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}
