//! What a listener for PostgreSQL is told by the configuration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::upstream::Upstream;
use crate::net::tls::ServerTls;
use crate::rules::Rules;

/// One `[listeners.NAME]` table with `protocol = "postgres"`.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Where it listens. Port 0 takes a free one.
    pub addresses: Vec<SocketAddr>,
    /// Who it is and whom it lets in.
    pub tls: ServerTls,
    /// The servers behind it.
    pub upstream: Arc<Upstream>,
    /// The rules that hold on it, asked with `/DATABASE/USER` and, where the client names a
    /// resource itself, with `/DATABASE/USER/RESOURCE`.
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
    /// How long the request for TLS and its handshake may take.
    pub handshake_timeout: Duration,
    /// How long the start-up packet may take to arrive once TLS is up.
    pub startup_timeout: Duration,
    /// Bytes of a statement that Palisade has to understand: in a read-only session longer ones
    /// are refused, in others they pass unseen.
    pub statement_bytes_max: usize,
    /// Prepared statements and portals of a read-only session, each.
    pub prepared_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_identity_max: 1_000,
            handshake_timeout: Duration::from_secs(10),
            startup_timeout: Duration::from_secs(10),
            statement_bytes_max: 64 * 1024,
            prepared_max: 10_000,
        }
    }
}
