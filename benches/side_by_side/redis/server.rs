//! The server behind everything.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::peers::{Peer, find, free_address};

/// What every client but Palisade's has to say.
pub const PASSWORD: &str = "bench-secret";

/// A running server. Dropped, it is ended, by its pid.
pub struct Server {
    pub address: SocketAddr,
    /// The same with mTLS.
    pub tls_address: SocketAddr,
    pub dir: PathBuf,
    pub certs: PathBuf,
    _peer: Peer,
}

impl Server {
    /// One that keeps nothing: what the disk costs is not what is compared.
    pub fn start(dir: &Path, certs: &Path) -> Self {
        let dir = dir.join("redis");
        fs::create_dir(&dir).expect("a folder");
        let (address, tls_address) = (free_address(), free_address());
        let at = |name: &str| certs.join(name);
        let mut command = Command::new(find("redis-server").expect("redis-server is there"));
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args(["--requirepass", PASSWORD, "--maxclients", "5000", "--loglevel", "warning"]);
        command.arg("--port").arg(address.port().to_string()).arg("--dir").arg(&dir);
        command.arg("--tls-port").arg(tls_address.port().to_string());
        command.args(["--tls-protocols", "TLSv1.3", "--tls-auth-clients", "yes"]);
        command.arg("--tls-cert-file").arg(at("server.pem"));
        command.arg("--tls-key-file").arg(at("server.key"));
        command.arg("--tls-ca-cert-file").arg(at("ca.pem"));
        let mut peer = Peer::new(address);
        peer.spawn(&mut command, &dir, address);
        Self { address, tls_address, dir, certs: certs.to_owned(), _peer: peer }
    }
}
