//! One event of the audit log, and the line it becomes.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

use crate::net::identity::Peer;

/// Room for a usual line.
const LINE_BYTES_USUAL: usize = 512;

/// One line of the audit log.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Event {
    /// What happened: `takeover`, `refused`, `cut`, `unknown`, `unsettled`, `reset`, `reload`, `start`, `stop`.
    pub event: &'static str,
    /// A stable word for why: `stale`, `conflict`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The identity of who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Arc<str>>,
    /// The serial number of its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Arc<str>>,
    /// Where it asked from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The listener it asked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<Arc<str>>,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<str>>,
    /// The resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// What was asked: `PutObject`, `PUT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The token that was brought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// Who holds the mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// What became of the write: `applied`, `not_applied`, `unknown`; at a takeover, of those
    /// below it: `settled`, or `unknown` where that of some is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// Anything else that belongs to this kind of event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
}

impl Event {
    /// An event with who asked and from where.
    pub fn by(peer: &Peer) -> Self {
        Self {
            identity: Some(Arc::clone(&peer.identity.name)),
            serial: Some(Arc::clone(&peer.identity.serial)),
            address: Some(peer.address.to_string()),
            ..Self::default()
        }
    }
}

/// An event with its place in the log: what a line says.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// When it happened, UTC, RFC 3339 with milliseconds.
    pub time: String,
    /// Counts up by one from 1 at each start of the process; lost events leave a gap.
    pub sequence: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Entry {
    pub(super) fn new(at: SystemTime, sequence: u64, event: Event) -> Self {
        Self { time: timestamp(at), sequence, event }
    }

    /// The line with its line feed. What would be longer than `max_bytes` loses its
    /// detail, and then its free texts: a line is never left out for being long.
    pub(super) fn line(&self, max_bytes: usize) -> Vec<u8> {
        let line = encode(self);
        if line.len() <= max_bytes {
            return line;
        }
        let mut short = self.clone();
        short.event.detail = Some(serde_json::json!({ "truncated_bytes": line.len() }));
        let line = encode(&short);
        if line.len() <= max_bytes {
            return line;
        }
        short.event.operation = None;
        short.event.identity = None;
        short.event.holder = None;
        encode(&short)
    }
}

fn encode(entry: &Entry) -> Vec<u8> {
    // Only strings, numbers and JSON values: there is nothing in it that cannot be encoded.
    let mut line = Vec::with_capacity(LINE_BYTES_USUAL);
    let _ = serde_json::to_writer(&mut line, entry);
    line.push(b'\n');
    line
}

/// A clock outside of what the format can say (year 10000) is told as the epoch.
fn timestamp(at: SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

/// The line that tells how many events could not be recorded.
#[derive(Serialize)]
pub(super) struct Gap {
    time: String,
    sequence: u64,
    event: &'static str,
    lost: u64,
}

impl Gap {
    pub(super) fn line(at: SystemTime, sequence: u64, lost: u64) -> Vec<u8> {
        let gap = Self { time: timestamp(at), sequence, event: "audit_gap", lost };
        let mut line = serde_json::to_vec(&gap).unwrap_or_default();
        line.push(b'\n');
        line
    }
}
