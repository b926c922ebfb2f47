//! The configuration: one TOML file, read once into types that cannot be wrong.
//!
//! Each layer owns its settings; here they are filled.

use std::path::PathBuf;
use std::time::Duration;

use crate::protocol::http::Listener;
use crate::{admin, audit, gate, telemetry};

/// A whole configuration. If there is one, it can be served.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file of the embedded ledger.
    pub ledger: Ledger,
    /// The bounds of the gate.
    pub gate: gate::Settings,
    /// The listeners that writers use.
    pub listeners: Vec<Listener>,
    /// The listener that operators use.
    pub admin: admin::Settings,
    /// Log lines.
    pub log: telemetry::LogSettings,
    /// The audit log.
    pub audit: audit::Target,
    /// Worker threads; one a core by default.
    pub workers: usize,
    /// How long requests may go on after SIGTERM.
    pub drain_timeout: Duration,
}

/// Which ledger.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ledger {
    /// `[ledger.embedded]`: a file.
    Embedded {
        /// The file.
        path: PathBuf,
    },
}
