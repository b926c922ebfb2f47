//! The composition root: ledger, gate, listeners; wait; drain.

pub mod ledger;
mod listeners;
mod serve;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::admin::{self, ListenerInfo, Readiness};
use crate::audit::{self, Audit};
use crate::config::{self, Config};
use crate::gate::Gate;
use crate::ledger::embedded::OpenError;
use crate::ledger::{Ledger, Unavailable};
use crate::net::connect::ConnectorError;
use crate::net::listen::{BindError, Server, Workers};
use crate::net::tls::LoadError;
use crate::protocol::{http, postgres, redis};
use serve::Served;

/// How long the audit log may take to be durable at the end.
const AUDIT_TIMEOUT: Duration = Duration::from_secs(5);
/// What the gate has at least to end cleanly, however short the drain was.
const CLOSE_MIN: Duration = Duration::from_secs(2);
/// How long writes past their commit point may wait for the store's answer when the drain is over.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the last answers may take to reach their clients, before connections are cut.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The audit log.
    #[error("the audit log cannot be opened: {0}; name a file that can be written in [audit]")]
    Audit(std::io::Error),
    /// An address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// TLS to a store.
    #[error("listener {listener}: {error}")]
    Connector {
        /// In front of it.
        listener: Arc<str>,
        /// What is wrong.
        error: ConnectorError,
    },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] OpenError),
    /// A ledger that several replicas share.
    #[error(
        "nothing can be served without the ledger ({place}): {error}; once that is mended start \
         palisade again, it does not try by itself"
    )]
    SharedLedger {
        /// Where it is.
        place: String,
        /// What is wrong.
        error: Unavailable,
    },
    /// Threads and sockets of the operating system.
    #[error("the operating system refuses what is needed: {0}")]
    System(#[from] std::io::Error),
    /// Certificates.
    #[error("listener {listener}: {error}")]
    Tls {
        /// Whose.
        listener: Arc<str>,
        /// Everything that is wrong.
        error: LoadError,
    },
}

/// A Palisade that serves.
pub struct Running {
    listeners: Vec<(Arc<str>, Server, Served)>,
    /// By the upstream's name.
    servers: HashMap<Arc<str>, postgres::Servers>,
    redis_servers: HashMap<Arc<str>, redis::Servers>,
    admin_address: SocketAddr,
    admin_server: Option<Server>,
    tasks: Vec<JoinHandle<()>>,
    gate: Arc<Gate>,
    ledger: Arc<dyn Ledger>,
    readiness: Readiness,
    workers: Workers,
    audit: Audit,
    drain_delay: Duration,
    drain_timeout: Duration,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ended {
    /// Connections that were cut, because they took too long.
    pub cut: usize,
    /// Resources with writes that may still land. The next start will wait for them.
    pub unsettled: usize,
}

/// Starts everything, in the order in which it is needed: whatever is wrong shows before
/// the first connection is accepted. Has to be called on a multi-thread runtime.
///
/// # Errors
/// The first thing that is wrong.
pub async fn start(config: Config, metrics: PrometheusHandle) -> Result<Running, StartError> {
    describe_metrics();
    let audit = Audit::open(config.audit.clone()).map_err(StartError::Audit)?;
    let ledger = ledger::open(&config.ledger).await?;
    if let Some(loses) = ledger.loses() {
        tracing::warn!("a failover of the ledger can lose marks: {loses}");
    }
    let gate =
        Arc::new(Gate::new(Arc::clone(&ledger), config.gate, audit.clone(), Handle::current()));
    for rule in config.listeners.iter().flat_map(|listener| listener.rules().iter()) {
        gate.count_rule(&rule.name);
    }
    let shared = ledger::guarantee(&config.ledger, &*ledger);
    let readiness =
        Readiness::new(config.listeners.iter().map(|listener| describe(listener, &shared)));
    let workers = Workers::start(config.workers)?;
    let instance = instance();
    let mut running = Running {
        listeners: Vec::new(),
        servers: HashMap::new(),
        redis_servers: HashMap::new(),
        admin_address: config.admin.listen,
        admin_server: None,
        tasks: vec![tokio::spawn(crate::telemetry::upkeep(metrics.clone()))],
        gate: Arc::clone(&gate),
        ledger: Arc::clone(&ledger),
        readiness: readiness.clone(),
        workers,
        audit: audit.clone(),
        drain_delay: config.drain_delay,
        drain_timeout: config.drain_timeout,
    };
    let operators = config.admin.operators.clone();
    running
        .start_admin(
            &config.admin,
            admin::State { gate, ledger, metrics, readiness, audit, operators },
        )
        .await?;
    for listener in config.listeners {
        match listener {
            config::Listener::Http(listener) => running.start_http(listener, &instance)?,
            config::Listener::Postgres(listener) => running.start_postgres(listener)?,
            config::Listener::Redis(listener) => running.start_redis(listener)?,
        }
    }
    let Running { audit, ledger, .. } = &running;
    let unclean = ledger.ended_uncleanly();
    if unclean {
        tracing::warn!(
            "the process before this one did not end cleanly: the first new leader of each resource \
             waits until settle_timeout after this start"
        );
    }
    audit.record(audit::Event {
        event: "start",
        detail: Some(serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "unclean_end_before": unclean,
            "session": ledger.session().map(|session| session.to_string()),
        })),
        ..audit::Event::default()
    });
    Ok(running)
}

impl Running {
    /// Where a listener accepts connections.
    pub fn addresses(&self, listener: &str) -> &[SocketAddr] {
        let found = self.listeners.iter().find(|(name, ..)| **name == *listener);
        found.map_or(&[], |(_, server, _)| server.local_addrs())
    }

    /// Where the admin listener accepts connections.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Reads certificates, keys, authorities and revocation lists again. What does not load
    /// is told loudly, and the old ones stay.
    pub async fn reload(&self) {
        let admin = self.admin_server.iter();
        for server in self.listeners.iter().map(|(_, server, _)| server).chain(admin) {
            // What is wrong was logged and counted.
            let _ = server.tls().reload().await;
        }
        self.audit.record(audit::Event { event: "reload", ..audit::Event::default() });
    }

    /// How long [`Running::shutdown`] takes at most.
    pub fn shutdown_max(&self) -> Duration {
        let ending = ANSWER_TIMEOUT + FAREWELL_TIMEOUT + CLOSE_MIN + AUDIT_TIMEOUT;
        self.drain_delay + self.drain_timeout + ending
    }

    /// Is not ready any more; after `drain_delay` takes no new connections, lets requests finish
    /// for as long as `drain_timeout`, tells those that did not what became of them, and gives
    /// all grants up if nothing is left in flight.
    pub async fn shutdown(self) -> Ended {
        self.readiness.drain();
        tokio::time::sleep(self.drain_delay).await;
        let deadline = Instant::now() + self.drain_timeout;
        let gate = Arc::clone(&self.gate);
        let ending = tokio::spawn(async move {
            tokio::time::sleep_until(deadline).await;
            gate.halt();
            tokio::time::sleep(ANSWER_TIMEOUT).await;
            gate.give_up();
        });
        let within = self.drain_timeout + ANSWER_TIMEOUT + FAREWELL_TIMEOUT;
        let mut ended = Ended::default();
        let mut handlers = Vec::new();
        let mut closing = Vec::new();
        for (_, server, handler) in self.listeners {
            closing.push(tokio::spawn(server.shutdown(within)));
            handlers.push(handler);
        }
        for closed in closing {
            ended.cut += closed.await.map_or(0, |closed| closed.cut);
        }
        for handler in handlers {
            // Writes whose clients hung up; those that do not end are found by the gate.
            let _ = tokio::time::timeout_at(deadline, handler.finished()).await;
        }
        ending.abort();
        let deadline = deadline.max(Instant::now() + CLOSE_MIN);
        if let Err(unsettled) = self.gate.close(deadline).await {
            ended.unsettled = unsettled;
            tracing::warn!(unsettled, "writes may still land: the next start will wait for them");
        }
        for task in self.tasks {
            task.abort();
        }
        self.audit.record(audit::Event {
            event: "stop",
            detail: Some(serde_json::json!({ "cut": ended.cut, "unsettled": ended.unsettled })),
            ..audit::Event::default()
        });
        let (workers, audit, admin) = (self.workers, self.audit, self.admin_server);
        drop(admin);
        let ending = tokio::task::spawn_blocking(move || {
            workers.stop();
            audit.close(AUDIT_TIMEOUT)
        });
        if !ending.await.unwrap_or(false) {
            tracing::error!("the last lines of the audit log may not be on disk");
        }
        ended
    }
}

/// Says what the metrics of each part mean; telemetry says it of the shared ones.
fn describe_metrics() {
    crate::ledger::metrics::describe();
    crate::net::metrics::describe();
    http::metrics::describe();
    postgres::describe_metrics();
    redis::describe_metrics();
}

/// `shared`: what the ledger adds.
fn describe(listener: &config::Listener, shared: &str) -> ListenerInfo {
    let slowest = listener.rules().iter().map(|rule| rule.settle_timeout).max();
    let guarantee = match (slowest, listener) {
        (None, config::Listener::Http(_)) => "no rule: every request is refused".to_owned(),
        (None, config::Listener::Postgres(_)) => "no rule: every session is refused".to_owned(),
        (None, config::Listener::Redis(_)) => "no rule: every command is refused".to_owned(),
        (Some(settle), config::Listener::Http(_)) => format!(
            "stale writes are refused; kept as long as the store applies nothing later than {} \
             after a request's last byte without having answered it",
            config::show_duration(settle)
        ),
        (Some(_), config::Listener::Postgres(_)) => "stale sessions are ended; kept through the \
             server itself, which says that they are gone (pg_terminate_backend)"
            .to_owned(),
        (Some(_), config::Listener::Redis(_)) => "stale sessions are ended; kept through the \
             server itself, which says that they are gone (CLIENT KILL)"
            .to_owned(),
    };
    let guarantee = if slowest.is_some() { guarantee + shared } else { guarantee };
    ListenerInfo { name: Arc::clone(listener.name()), speaks: listener.protocol(), guarantee }
}

/// Tells this process from every other one, for the loop guard.
fn instance() -> String {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}", std::process::id(), since_epoch.as_nanos())
}
