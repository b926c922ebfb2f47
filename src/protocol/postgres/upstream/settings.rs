//! What the configuration says of the servers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::net::connect::ClientTls;

/// One address of a server.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Endpoint {
    /// By name or address, and port.
    Tcp {
        /// A name or an address.
        host: Arc<str>,
        /// TCP port.
        port: u16,
    },
    /// The socket itself, such as `/run/postgresql/.s.PGSQL.5432`.
    Unix(PathBuf),
}

/// Which of several servers are good enough, by libpq's names.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TargetSessionAttrs {
    /// Whichever answers.
    Any,
    /// One that is not a standby, and where sessions may write by default.
    ReadWrite,
    /// One that is a standby, or where sessions may not write by default.
    ReadOnly,
    /// One that is not a standby.
    #[default]
    Primary,
    /// One that is.
    Standby,
    /// One that is, or else any.
    PreferStandby,
}

impl TargetSessionAttrs {
    /// Whether a session has to be on the primary, and to end where that is elsewhere.
    pub fn is_about_the_primary(self) -> bool {
        matches!(self, Self::Primary | Self::ReadWrite)
    }
}

/// A role's password; `None` where the server asks for none (client certificate, trust, peer).
#[derive(Clone, Eq, PartialEq)]
pub struct Password(pub Option<Zeroizing<String>>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "a password" } else { "no password" })
    }
}

/// Who proves to the server that a session may be had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Login {
    /// Palisade, with the credentials of these roles. Clients need none.
    Held {
        /// By name.
        roles: BTreeMap<String, Password>,
    },
    /// The client; Palisade relays what it and the server say.
    PassThrough,
}

/// The servers behind a listener: one `[upstreams.NAME]` table with `[upstreams.NAME.postgres]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upstream {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its addresses, tried in this order.
    pub endpoints: Vec<Endpoint>,
    /// Which of them are good enough.
    pub target: TargetSessionAttrs,
    /// Where there is a `tls` table: TCP endpoints are spoken to with TLS, name and chain verified.
    pub tls: Option<ClientTls>,
    /// How long a TCP or TLS connection may take to be made, to each endpoint.
    pub connect_timeout: Duration,
    /// How long the server may take to let a session in.
    pub login_timeout: Duration,
    /// Who logs in.
    pub login: Login,
    /// The role of Palisade's own connection, a member of `pg_signal_backend` and
    /// `pg_read_all_stats` unless it is the only role that sessions log in as.
    pub control_role: String,
    /// Its password.
    pub control_password: Password,
    /// The database of Palisade's own connection.
    pub control_database: String,
    /// What this Palisade is called in the names of its sessions.
    pub replica: Arc<str>,
    /// How often the servers are asked which of them is the primary, where there are several.
    pub check_interval: Duration,
}
