//! Connections to the stores.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One address of a store.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint {
    /// Whether TLS is spoken to it.
    pub tls: bool,
    /// A name or an address.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
}

/// Which HTTP is spoken to a store.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Version {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, with prior knowledge where there is no TLS.
    Http2,
}

/// How Palisade shows itself to a store, and what it trusts there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientTls {
    /// PEM bundle to verify the store with; `None` means the public web's authorities.
    pub ca: Option<PathBuf>,
    /// PEM chain of Palisade's own client certificate, with its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The name to verify instead of the endpoint's host.
    pub server_name: Option<String>,
}

/// A store, by one `[upstreams.NAME]` table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upstream {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its addresses, taken in turn; one that refuses connections is passed over for a while.
    pub endpoints: Vec<Endpoint>,
    /// Which HTTP is spoken.
    pub version: Version,
    /// For endpoints with TLS.
    pub tls: ClientTls,
    /// At most this many connections, per worker thread.
    pub connections_max: usize,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the store may take to begin its answer after the request's last byte.
    pub response_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
}
