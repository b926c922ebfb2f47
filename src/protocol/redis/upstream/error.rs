//! Why there is no connection.

use std::sync::Arc;
use std::time::Duration;

/// Why there is no connection to the primary. Nothing is left of what was begun.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// No server, or no Sentinel, could be connected to, or it went away.
    #[error("no server of upstream {upstream} can be reached: {cause}")]
    Unreachable {
        /// The upstream's name.
        upstream: Arc<str>,
        /// Which address, and what happened.
        cause: String,
    },
    /// The server does not let us in. Only an operator can mend it; the text says how.
    #[error("{0}")]
    Login(String),
    /// It is a node of a cluster.
    #[error(
        "{host} of upstream {upstream} is a node of a Redis Cluster, which Palisade does not speak \
         to: a key may move to another node in the middle of a takeover; set cluster-enabled no \
         there, and give each shard an upstream and a listener of its own"
    )]
    Cluster {
        /// The upstream's name.
        upstream: Arc<str>,
        /// The server.
        host: Arc<str>,
    },
    /// It follows another server.
    #[error("{host} of upstream {upstream} is a replica; is a failover under way?")]
    NotPrimary {
        /// The upstream's name.
        upstream: Arc<str>,
        /// The server.
        host: Arc<str>,
    },
    /// It is older than 6.2.
    #[error("{host} of upstream {upstream} is Redis {version}; Palisade needs 6.2 or later")]
    TooOld {
        /// The upstream's name.
        upstream: Arc<str>,
        /// The server.
        host: Arc<str>,
        /// Its version.
        version: String,
    },
    /// It reads its data, or runs a long script.
    #[error("{host} of upstream {upstream} is not ready: {why}")]
    Loading {
        /// The upstream's name.
        upstream: Arc<str>,
        /// The server.
        host: Arc<str>,
        /// What it says.
        why: String,
    },
    /// It has as many clients as it takes.
    #[error("{host} of upstream {upstream} has no room for another client; raise its maxclients")]
    Full {
        /// The upstream's name.
        upstream: Arc<str>,
        /// The server.
        host: Arc<str>,
    },
    /// It took too long.
    #[error("{limit} ({} ms) of upstream {upstream} is over", .after.as_millis())]
    Timeout {
        /// The upstream's name.
        upstream: Arc<str>,
        /// `connect_timeout` or `login_timeout`.
        limit: &'static str,
        /// Which is that long.
        after: Duration,
    },
    /// The Sentinels answer, and do not tell the primary.
    #[error("no Sentinel of upstream {upstream} tells the primary: {why}")]
    Sentinel {
        /// The upstream's name.
        upstream: Arc<str>,
        /// What the last one said.
        why: String,
    },
    /// What is there is no Redis that we know.
    #[error("{host} of upstream {upstream} cannot be spoken with: {why}")]
    Protocol {
        /// The upstream's name.
        upstream: Arc<str>,
        /// The server.
        host: Arc<str>,
        /// What it did.
        why: String,
    },
}

impl OpenError {
    /// Whether another try may do, without an operator.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::NotPrimary { .. }
            | Self::Loading { .. }
            | Self::Full { .. }
            | Self::Timeout { .. }
            | Self::Sentinel { .. } => true,
            Self::Login(_) | Self::Cluster { .. } | Self::TooOld { .. } | Self::Protocol { .. } => {
                false
            }
        }
    }
}
