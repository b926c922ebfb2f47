//! The proxies before the server, as their manuals would have one set them up.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::pgbench::Way;
use super::server::{Server, as_owner, binary, own};
use crate::peers::{Peer, free_address};
use crate::usage;

/// Which one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The server alone.
    Direct,
    PgBouncer,
    Palisade,
}

/// A running proxy.
pub struct Proxy {
    pub address: SocketAddr,
    /// The user that clients call themselves.
    pub user: &'static str,
    pub way: Way,
    pub pids: Vec<u32>,
    pub certs: PathBuf,
    _peer: Peer,
}

impl Kind {
    /// In the order of the table.
    pub const ALL: [Self; 3] = [Self::Direct, Self::PgBouncer, Self::Palisade];

    /// Its name in the table.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::PgBouncer => "pgbouncer",
            Self::Palisade => "palisade",
        }
    }

    /// Whether it is installed.
    pub fn is_there(&self) -> bool {
        let is_there = *self != Self::PgBouncer || binary("pgbouncer").is_some();
        if !is_there {
            println!("pgbouncer is not installed, so it is left out");
        }
        is_there
    }

    /// Starts it and waits until it listens.
    pub fn start(&self, server: &Server) -> Option<Proxy> {
        let address = free_address();
        let dir = server.dir.join(format!("{}-{}", self.name(), address.port()));
        fs::create_dir(&dir).expect("a folder");
        let (mut command, user, options) = match self {
            Self::Direct => return None,
            Self::PgBouncer => (pgbouncer(server, &dir, address), "leader", ""),
            Self::Palisade => (palisade(server, &dir, address), "app", "-c palisade.token=7"),
        };
        let mut peer = Peer::new(address);
        peer.spawn(&mut command, &dir, address);
        let pids = usage::family(&peer.child_pids());
        let at = |name: &str| server.certs.join(name).display().to_string();
        let port = address.port().to_string();
        let way = Way::new(&[
            ("PGHOST", "localhost"),
            ("PGHOSTADDR", "127.0.0.1"),
            ("PGPORT", &port),
            ("PGUSER", user),
            ("PGDATABASE", "app"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", &at("ca.pem")),
            ("PGSSLCERT", &at("leader.pem")),
            ("PGSSLKEY", &at("leader.key")),
            ("PGOPTIONS", options),
            ("PGGSSENCMODE", "disable"),
        ]);
        Some(Proxy { address, user, way, pids, certs: server.certs.clone(), _peer: peer })
    }
}

/// A session of the server for each of the client, as with Palisade.
fn pgbouncer(server: &Server, dir: &Path, address: SocketAddr) -> Command {
    let (place, own_place) = (dir.display(), dir);
    // It does not run as root, and root's keys are root's.
    for name in ["ca.pem", "server.pem", "server.key"] {
        fs::copy(server.certs.join(name), dir.join(name)).expect("certificates");
        own(&dir.join(name));
    }
    own(own_place);
    fs::write(dir.join("users"), "\"leader\" \"\"\n").expect("users");
    let text = format!(
        "[databases]
app = host=127.0.0.1 port={port} dbname=app user=app password=app-secret
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = cert
auth_file = {place}/users
pool_mode = session
max_client_conn = 3000
default_pool_size = 2000
client_tls_sslmode = verify-full
client_tls_protocols = tlsv1.3
client_tls_ca_file = {place}/ca.pem
client_tls_cert_file = {place}/server.pem
client_tls_key_file = {place}/server.key
server_tls_sslmode = disable
log_connections = 0
log_disconnections = 0
ignore_startup_parameters = extra_float_digits
",
        port = server.port,
        listen = address.port(),
    );
    let config = dir.join("pgbouncer.ini");
    fs::write(&config, text).expect("a configuration");
    let mut command = as_owner("pgbouncer");
    command.arg(config);
    command
}

/// With everything on: the fence, the durable mark, audit, metrics, revocation.
fn palisade(server: &Server, dir: &Path, address: SocketAddr) -> Command {
    for role in ["app", "control"] {
        fs::write(dir.join(role), format!("{role}-secret")).expect("a password");
    }
    let (place, certs, port) = (dir.display(), server.certs.display(), server.port);
    let admin = free_address();
    let text = format!(
        r#"
workers = 1
[ledger.embedded]
path = "{place}/ledger.redb"
[admin]
listen = "{admin}"
[audit]
file = "{place}/audit.jsonl"
[listeners.main]
protocol = "postgres"
listen = "{address}"
upstream = "server"
[listeners.main.tls]
certificate = "{certs}/server.pem"
key = "{certs}/server.key"
client_ca = "{certs}/ca.pem"
crls = ["{certs}/crl.pem"]
[listeners.main.limits]
connections_per_identity_max = 10_000
[upstreams.server]
endpoints = ["postgres://127.0.0.1:{port}"]
[upstreams.server.postgres]
login = "held"
control_role = "control"
control_password_file = "{place}/control"
[upstreams.server.postgres.roles.app]
password_file = "{place}/app"
[[resources]]
name = "bench"
path = "/{{database}}/*"
resource = "pg/{{database}}"
read = ["leader"]
write = ["leader"]
drain = "1s"
"#
    );
    let config = dir.join("palisade.toml");
    fs::write(&config, text).expect("a configuration");
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    command.arg("run").arg("--config").arg(config);
    command
}
