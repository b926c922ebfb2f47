//! What the configuration says of the Redis that keeps the ledger.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::net::connect::ClientTls;

/// A server or a Sentinel.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint {
    /// A name or an address.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
}

/// User and password, as far as they are asked for.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Login {
    /// The ACL user; `None` is the default user.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Zeroizing<String>>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The Sentinels that know the primary: then the endpoints are theirs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sentinel {
    /// What they call the primary.
    pub service: String,
    /// How to log in to them.
    pub login: Login,
}

/// `[ledger.redis]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The server, one; or the Sentinels.
    pub endpoints: Vec<Endpoint>,
    /// How the primary is found, unless it is the one endpoint.
    pub sentinel: Option<Sentinel>,
    /// TLS to servers and Sentinels, with a client certificate where one is asked for.
    pub tls: Option<ClientTls>,
    /// How to log in.
    pub login: Login,
    /// `SELECT`ed.
    pub database: u32,
    /// Tells several installations apart that share one Redis.
    pub namespace: Arc<str>,
    /// How many replicas have to have acknowledged a change (`WAIT`); 0: none are asked.
    pub wait_replicas: u32,
    /// How long they may take.
    pub wait_timeout: Duration,
    /// The operator accepts that a failover or a crash loses marks.
    pub accept_loss: bool,
    /// How long one request may take, connecting included.
    pub timeout: Duration,
}
