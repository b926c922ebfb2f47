//! Health, metrics and resources for operators, on a listener of its own.

use std::net::SocketAddr;

use crate::net::tls::ServerTls;
use crate::rules::Globs;

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
