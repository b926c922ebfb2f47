//! Health, metrics and resources for operators, on a listener of its own.
//!
//! Plain HTTP on loopback, where whoever reaches it is an operator; elsewhere mTLS, where
//! any trusted certificate may look and only `operators` may seal, reset and confirm. Pages of
//! other sites that run in an operator's browser may do neither: see `guard`.

mod dashboard;
mod guard;
mod health;
mod problem;
mod readiness;
mod replicas;
mod resources;
mod serve;
pub mod view;

#[cfg(test)]
pub(crate) mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;

use crate::audit::Audit;
use crate::gate::Gate;
use crate::ledger::Ledger;
use crate::net::tls::ServerTls;
use crate::rules::Globs;

pub use guard::{Caller, OPERATOR_HEADER};
pub use readiness::{Check, ListenerInfo, Readiness};
pub use serve::Server;

/// The `[admin]` table.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens: loopback, unless it has TLS.
    pub listen: SocketAddr,
    /// mTLS for it.
    pub tls: Option<ServerTls>,
    /// With TLS: which identities may seal and reset. On plain loopback whoever reaches it may.
    pub operators: Globs,
}

/// What the listener shows and acts on.
#[derive(Clone)]
pub struct State {
    /// What knows of writes in flight, and what seals and resets.
    pub gate: Arc<Gate>,
    /// What is listed.
    pub ledger: Arc<dyn Ledger>,
    /// What `/metrics` renders.
    pub metrics: PrometheusHandle,
    /// What `/readyz` answers.
    pub readiness: Readiness,
    /// Whose recent entries are shown, and where an operator's seal is recorded.
    pub audit: Audit,
    /// Which identities may seal and reset, where the caller has one.
    pub operators: Globs,
}

/// Connections at once; further ones are closed.
pub const CONNECTIONS_MAX: usize = 64;
/// Requests that look at something, at once; further ones wait.
pub const READS_MAX: usize = 16;
/// Seals and resets at once; further ones are told to try again.
pub const OPERATIONS_MAX: usize = 8;
/// How long a request that looks at something may take, waiting included.
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a seal or a reset may take: it waits until older writes have settled.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a head may take to arrive, and an idle connection is kept.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a request's head.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Resources in one answer, unless asked for otherwise.
pub const LIST_DEFAULT: usize = 100;
/// Resources in one answer at most.
pub const LIST_MAX: usize = 1_000;
/// Bytes of an operator's reason.
pub const REASON_BYTES_MAX: usize = 500;
