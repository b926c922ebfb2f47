//! What the configuration says of the server.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::net::connect::ClientTls;

/// One address of a server or of a Sentinel.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Endpoint {
    /// By name or address, and port.
    Tcp {
        /// A name or an address.
        host: Arc<str>,
        /// TCP port.
        port: u16,
    },
    /// A socket on this machine, such as `/run/redis/redis.sock`.
    Unix(PathBuf),
}

/// A password; `None` where none is asked for.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Password(pub Option<Zeroizing<String>>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "a password" } else { "no password" })
    }
}

/// The Sentinels that know the primary.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sentinel {
    /// What they call the primary and its replicas.
    pub service: String,
    /// The ACL user at the Sentinels; `None` is the default user.
    pub user: Option<String>,
    /// Its password.
    pub password: Password,
}

/// The server behind a listener: one `[upstreams.NAME]` table with `redis://`, `rediss://` or `unix:`
/// endpoints, and `[upstreams.NAME.redis]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upstream {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The server, one; or the Sentinels, where there is `sentinel`.
    pub endpoints: Vec<Endpoint>,
    /// How the primary is found, unless it is the one endpoint.
    pub sentinel: Option<Sentinel>,
    /// Where there is a `tls` table: TCP endpoints, and the servers that Sentinels name, are
    /// spoken to with TLS, name and chain verified.
    pub tls: Option<ClientTls>,
    /// How long a TCP or TLS connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the server may take to let a connection in.
    pub login_timeout: Duration,
    /// The ACL user that Palisade logs in as; `None` is the default user.
    pub user: Option<String>,
    /// Its password.
    pub password: Password,
    /// What this Palisade is called in the names of its connections.
    pub replica: Arc<str>,
    /// How often the server is asked whether it still is the primary, and how far it has come.
    pub check_interval: Duration,
}
