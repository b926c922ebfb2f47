//! What a listener for Redis is told by the configuration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::upstream::Upstream;
use crate::net::tls::ServerTls;
use crate::rules::Rules;

/// One `[listeners.NAME]` table with `protocol = "redis"`.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Where it listens. Port 0 takes a free one.
    pub addresses: Vec<SocketAddr>,
    /// Who it is and whom it lets in.
    pub tls: ServerTls,
    /// The server behind it.
    pub upstream: Arc<Upstream>,
    /// The rules that hold on it, asked with a database and a key.
    pub rules: Rules,
    /// Its bounds.
    pub limits: Limits,
}

/// The bounds of a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once of one identity.
    pub connections_per_identity_max: usize,
    /// How long TLS's handshake may take.
    pub handshake_timeout: Duration,
    /// Bytes of a command that are held until all of its keys are there. One whose keys lie
    /// further behind is refused; where one resource is everything, no key has to be seen.
    pub command_bytes_max: usize,
    /// Resources that one connection uses at once.
    pub resources_max: usize,
    /// How long Palisade's own answers may lie there without a client's reading any, once there
    /// are so many that nothing more is taken from it.
    pub unread_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_identity_max: 1_000,
            handshake_timeout: Duration::from_secs(10),
            command_bytes_max: 1024 * 1024,
            resources_max: 1_000,
            unread_timeout: Duration::from_secs(60),
        }
    }
}
