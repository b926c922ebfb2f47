//! What is told while it runs: log lines, and the metrics that are shared.
//!
//! Labels are of bounded number: rules, reasons, listeners. Never a resource, a token or
//! an identity, of which there may be millions.

mod gate;
mod limit;
mod log;
mod metrics;

#[cfg(test)]
mod tests;

pub use gate::{GateMetrics, REASONS, RuleMetrics};
pub use limit::RateLimit;
pub use log::{LogError, LogFormat, LogSettings, init_log};
pub use metrics::{
    BUILD_INFO, LEDGER_FAILING, READY, UPKEEP_INTERVAL, describe, install_metrics, upkeep,
};
