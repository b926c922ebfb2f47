//! Palisade with mTLS in front of a store, from a configuration file as anybody would write it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::client::{self, Client};
use super::story::{TOKEN_A, TOKEN_B};

/// The access key id of the store behind Palisade.
pub(super) const STORE_KEY_ID: &str = "demo";
/// Its secret key: it guards a folder of the demo on loopback, so it need not be one.
pub(super) const SECRET_KEY: &str = "demo-secret-key";

/// A running Palisade.
#[derive(Debug)]
pub(super) struct Fenced {
    address: SocketAddr,
    admin: SocketAddr,
    certs: PathBuf,
}

impl Fenced {
    /// Makes certificates, writes the configuration, and starts.
    pub(super) async fn start(dir: &Path, store: SocketAddr) -> anyhow::Result<Self> {
        let _ = (dir, store);
        anyhow::bail!("not wired yet")
    }

    /// Where leaders connect to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the admin page is.
    pub(super) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The folder of the certificates.
    pub(super) fn certs(&self) -> &Path {
        &self.certs
    }

    /// Leader A, with its certificate.
    pub(super) fn leader_a(&self) -> anyhow::Result<Client> {
        self.leader("leader-a", TOKEN_A)
    }

    /// Leader B, with its certificate.
    pub(super) fn leader_b(&self) -> anyhow::Result<Client> {
        self.leader("leader-b", TOKEN_B)
    }

    fn leader(&self, name: &str, token: u64) -> anyhow::Result<Client> {
        let file = |name: &str| self.certs.join(name);
        let tls = client::tls(
            &file("ca.pem"),
            &file(&format!("{name}.pem")),
            &file(&format!("{name}.key")),
        )?;
        Ok(Client::new(self.address, Some(tls), token))
    }

    /// Stops it in order.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        Ok(())
    }
}
