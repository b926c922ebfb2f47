//! What the configuration says of etcd.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::net::connect::ClientTls;

/// One member of the cluster.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint {
    /// A name or an address.
    pub host: Arc<str>,
    /// The port for clients, usually 2379.
    pub port: u16,
}

/// `[ledger.etcd]`.
#[derive(Clone, Eq, PartialEq)]
pub struct Settings {
    /// The members, at least one. `https://` endpoints come with `tls`.
    pub endpoints: Vec<Endpoint>,
    /// Tells several installations apart that share one etcd.
    pub namespace: Arc<str>,
    /// TLS, with a client certificate where etcd asks for one.
    pub tls: Option<ClientTls>,
    /// User and password, where etcd has authentication switched on.
    pub login: Option<(String, Zeroizing<String>)>,
    /// How long one request may take, connecting included.
    pub timeout: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("endpoints", &self.endpoints)
            .field("namespace", &self.namespace)
            .field("user", &self.login.as_ref().map(|(user, _)| user))
            .finish_non_exhaustive()
    }
}
