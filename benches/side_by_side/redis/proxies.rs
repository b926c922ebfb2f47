//! The proxies before the server, as their manuals would have one set them up.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::server::{PASSWORD, Server};
use crate::peers::{Peer, find, free_address};
use crate::usage;

/// Which one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The server alone, without TLS.
    Direct,
    /// The server alone, with its own mTLS.
    DirectTls,
    /// In TCP mode: it does not look at what it passes on.
    HaProxy,
    /// In TCP mode, too.
    Envoy,
    /// Without TLS, which it does not know; all clients share one connection to the server.
    Nutcracker,
    Palisade,
    /// Another build of it.
    Other(PathBuf),
}

/// A way to the server, and what is on it.
pub struct Proxy {
    pub address: SocketAddr,
    pub has_tls: bool,
    pub is_fence: bool,
    /// None where there is no proxy.
    pub pids: Vec<u32>,
    pub certs: PathBuf,
    _peer: Option<Peer>,
}

impl Kind {
    /// In the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Direct,
        Self::DirectTls,
        Self::HaProxy,
        Self::Envoy,
        Self::Nutcracker,
        Self::Palisade,
    ];

    /// Its name in the table.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::DirectTls => "direct, TLS",
            Self::HaProxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Nutcracker => "nutcracker, no TLS",
            Self::Palisade => "palisade",
            Self::Other(_) => "other build",
        }
    }

    /// Whether it is installed.
    pub fn is_there(&self) -> bool {
        let program = match self {
            Self::HaProxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Nutcracker => "nutcracker",
            _ => return true,
        };
        let is_there = find(program).is_some();
        if !is_there {
            println!("{program} is not installed, so it is left out");
        }
        is_there
    }

    /// Starts it and waits until it listens.
    pub fn start(&self, server: &Server) -> Proxy {
        let way = |address, has_tls| Proxy {
            address,
            has_tls,
            is_fence: false,
            pids: Vec::new(),
            certs: server.certs.clone(),
            _peer: None,
        };
        let address = free_address();
        let dir = server.dir.join(format!("{}-{}", self.name(), address.port()));
        let mut command = match self {
            Self::Direct => return way(server.address, false),
            Self::DirectTls => return way(server.tls_address, true),
            Self::HaProxy => {
                let mut command = Command::new(find("haproxy").expect("haproxy is there"));
                command.arg("-db").arg("-f");
                command.arg(write(&dir, "haproxy.cfg", haproxy(server, address)));
                command
            }
            Self::Envoy => {
                let mut command = Command::new(find("envoy").expect("envoy is there"));
                command.args(["--concurrency", "1", "--disable-hot-restart", "-l", "error"]);
                command.arg("-c").arg(write(&dir, "envoy.yaml", envoy(server, address)));
                command
            }
            Self::Nutcracker => {
                let mut command = Command::new(find("nutcracker").expect("nutcracker is there"));
                let stats = free_address().port().to_string();
                command.args(["--stats-addr", "127.0.0.1", "--stats-port", &stats]);
                command.args(["--verbose", "1", "--conf-file"]);
                command.arg(write(&dir, "nutcracker.yml", nutcracker(server, address)));
                command
            }
            Self::Palisade | Self::Other(_) => {
                let mut command = Command::new(match self {
                    Self::Other(binary) => binary.clone(),
                    _ => PathBuf::from(env!("CARGO_BIN_EXE_palisade")),
                });
                let config = write(&dir, "palisade.toml", palisade(server, &dir, address));
                fs::write(dir.join("password"), PASSWORD).expect("a password");
                command.arg("run").arg("--config").arg(config);
                command
            }
        };
        let mut peer = Peer::new(address);
        peer.spawn(&mut command, &dir, address);
        Proxy {
            is_fence: matches!(self, Self::Palisade | Self::Other(_)),
            pids: usage::family(&peer.child_pids()),
            _peer: Some(peer),
            ..way(address, *self != Self::Nutcracker)
        }
    }
}

fn write(dir: &Path, name: &str, text: String) -> PathBuf {
    fs::create_dir(dir).expect("a folder for a proxy");
    let path = dir.join(name);
    fs::write(&path, text).expect("a configuration is written");
    path
}

fn haproxy(server: &Server, address: SocketAddr) -> String {
    let certs = server.certs.display();
    format!(
        "global
    nbthread 1
    maxconn 4000
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen redis
    bind {address} ssl crt {certs}/server-both.pem ca-file {certs}/ca.pem crl-file {certs}/crl.pem verify required
    server redis {redis}
",
        redis = server.address
    )
}

fn envoy(server: &Server, address: SocketAddr) -> String {
    let certs = server.certs.display();
    let at = |address: SocketAddr| {
        format!("{{socket_address: {{address: 127.0.0.1, port_value: {}}}}}", address.port())
    };
    format!(
        r#"
static_resources:
  listeners:
  - address: {listen}
    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            tls_params: {{tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3}}
            tls_certificates:
            - {{certificate_chain: {{filename: "{certs}/server.pem"}}, private_key: {{filename: "{certs}/server.key"}}}}
            validation_context: {{trusted_ca: {{filename: "{certs}/ca.pem"}}, crl: {{filename: "{certs}/crl.pem"}}}}
      filters:
      - name: tcp
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: main
          cluster: redis
  clusters:
  - name: redis
    type: STATIC
    circuit_breakers: {{thresholds: [{{max_connections: 10000}}]}}
    load_assignment:
      cluster_name: redis
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {upstream}}}}}]}}]
"#,
        listen = at(address),
        upstream = at(server.address),
    )
}

fn nutcracker(server: &Server, address: SocketAddr) -> String {
    format!(
        "bench:
  listen: {address}
  hash: fnv1a_64
  distribution: ketama
  redis: true
  redis_auth: {PASSWORD}
  preconnect: true
  server_connections: 1
  client_connections: 4000
  servers:
    - {redis}:1
",
        redis = server.address
    )
}

/// With everything on: the fence, the durable mark, audit, metrics, revocation.
fn palisade(server: &Server, dir: &Path, address: SocketAddr) -> String {
    let (place, certs) = (dir.display(), server.certs.display());
    format!(
        r#"
workers = 1
[ledger.embedded]
path = "{place}/ledger.redb"
[admin]
listen = "{admin}"
[audit]
file = "{place}/audit.jsonl"
[listeners.main]
protocol = "redis"
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
endpoints = ["redis://{redis}"]
[upstreams.server.redis]
password_file = "{place}/password"
[[resources]]
name = "bench"
resource = "redis"
read = ["leader"]
write = ["leader"]
drain = "1s"
"#,
        admin = free_address(),
        redis = server.address,
    )
}
