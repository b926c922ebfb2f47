//! Palisade before a Redis, and what clients have to know of both.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::config::{By, Choice, Places, text};
use super::server::{PASSWORD, Sentinel, Server, Setup};
use super::wire::{CUT, Wire};
use crate::rig::client::Client;
use crate::rig::process::{Process, palisade};
use crate::rig::{Certs, Duplex, POLL, READY_DEADLINE, free_address};

/// Palisade before a server of its own.
#[derive(Debug)]
pub struct Front {
    pub certs: Certs,
    pub server: Server,
    /// Where there is a Sentinel.
    pub replica: Option<Server>,
    pub sentinel: Option<Sentinel>,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    palisade: Option<Process>,
    config: PathBuf,
    // Last, so that the processes are gone when the folder is removed.
    dir: TempDir,
}

impl Front {
    /// Everything by default.
    pub async fn start() -> Self {
        Self::with(Choice::default()).await
    }

    /// By those choices.
    pub async fn with(choice: Choice) -> Self {
        let mut front = Self::prepare(&choice).await;
        front.run().await;
        front
    }

    /// Everything but the start of Palisade.
    pub async fn prepare(choice: &Choice) -> Self {
        Self::prepare_in(tempfile::tempdir().unwrap(), choice).await
    }

    /// Everything but the start of Palisade, in that folder.
    pub async fn prepare_in(dir: TempDir, choice: &Choice) -> Self {
        let certs = Certs::issue(dir.path());
        let tls = (choice.by == By::Tls).then_some(&certs);
        let setup = Setup { lines: choice.server, tls, ..Setup::default() };
        let server = Server::start(dir.path(), setup);
        let (mut replica, mut sentinel) = (None, None);
        let endpoints = match choice.by {
            By::Tcp => vec![format!("redis://127.0.0.1:{}", server.port)],
            By::Socket => vec![format!("unix:{}", server.socket().display())],
            By::Tls => vec![format!("rediss://localhost:{}", server.tls_port)],
            By::Sentinel => {
                replica = Some(server.replica().await);
                let watching = Sentinel::start(dir.path(), server.port);
                watching.knows_replica().await;
                // One of the Sentinels that it is told of is not there.
                let gone = format!("redis://{}", free_address());
                let endpoint = format!("redis://127.0.0.1:{}", watching.port);
                sentinel = Some(watching);
                vec![gone, endpoint]
            }
        };
        let (address, admin) = (free_address(), free_address());
        let config = dir.path().join("palisade.toml");
        let places =
            Places { certs: &certs, endpoints: &endpoints, address, admin, dir: dir.path() };
        std::fs::write(&config, text(choice, &places)).unwrap();
        Self { certs, server, replica, sentinel, address, admin, palisade: None, config, dir }
    }

    /// Writes something else in one place of the configuration.
    pub fn edit(&self, place: &str, instead: &str) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        assert_eq!(text.matches(place).count(), 1, "{place:?} is not one place in {text}");
        std::fs::write(&self.config, text.replace(place, instead)).unwrap();
    }

    /// Starts Palisade (again), on the same ledger, and waits until it is ready and has ended
    /// what was there before.
    pub async fn run(&mut self) {
        self.launch();
        self.ready().await;
        let swept = "palisade_redis_swept{listener=\"main\"} 1";
        crate::rig::eventually("what was there before has ended", async || {
            self.metrics().await.contains(swept)
        })
        .await;
    }

    /// Starts Palisade (again), and does not wait.
    pub fn launch(&mut self) {
        let mut command = palisade();
        command.arg("run").arg("--config").arg(&self.config);
        self.palisade = Some(Process::start(&mut command, "palisade", self.dir.path()));
    }

    /// Waits until Palisade is ready.
    pub async fn ready(&mut self) {
        let deadline = Instant::now() + READY_DEADLINE;
        let operator = Client::plain(self.admin);
        loop {
            let ready = operator.try_send(http::Method::GET, "/readyz", "").await;
            if ready.is_ok_and(|reply| reply.status.is_success()) {
                return;
            }
            let palisade = self.palisade();
            let is_up = palisade.is_running() && Instant::now() < deadline;
            assert!(is_up, "palisade is not ready: {}", palisade.everything());
            tokio::time::sleep(POLL).await;
        }
    }

    /// The running Palisade.
    pub fn palisade(&mut self) -> &mut Process {
        self.palisade.as_mut().unwrap()
    }

    /// A client of the admin listener.
    pub fn operator(&self) -> Client {
        Client::plain(self.admin)
    }

    /// All metrics.
    pub async fn metrics(&self) -> String {
        let reply = self.operator().try_send(http::Method::GET, "/metrics", "").await;
        reply.map(|reply| reply.text()).unwrap_or_default()
    }

    /// The sum of the metric over all labels in which `labels` stand.
    pub async fn metric(&self, name: &str, labels: &str) -> f64 {
        let text = self.metrics().await;
        let lines = text.lines().filter(|line| {
            let is_it = line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
            is_it && line.contains(labels)
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// The lines of the audit file so far.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.dir().join("audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Lets Palisade reach the server by another address than its own, from the next start on.
    pub fn reach(&self, address: SocketAddr) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        let own = format!("redis://127.0.0.1:{}", self.server.port);
        assert_eq!(text.matches(&own).count(), 1, "{own:?} is not one place in {text}");
        std::fs::write(&self.config, text.replace(&own, &format!("redis://{address}"))).unwrap();
    }

    /// The folder of this test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves the folder there when this is dropped, or not.
    pub fn keep(&mut self, is_kept: bool) {
        self.dir.disable_cleanup(is_kept);
    }

    /// A session of that leader with a token.
    pub async fn leader(&self, who: &str, token: impl ToString) -> Wire {
        self.try_leader(who, token).await.unwrap()
    }

    /// The same, or what is said instead.
    pub async fn try_leader(&self, who: &str, token: impl ToString) -> Result<Wire, String> {
        let mut wire = match self.door(who).tls(self.address).await {
            Ok(stream) => Wire::raw(stream),
            Err(_) => return Err(CUT.to_owned()),
        };
        match wire.say(&format!("AUTH token={} x", token.to_string())).await.as_str() {
            "OK" => Ok(wire),
            told => Err(told.to_owned()),
        }
    }

    /// A session on which nothing has been said yet.
    pub async fn session(&self, who: &str) -> Wire {
        Wire::raw(self.door(who).tls(self.address).await.unwrap())
    }

    /// What a child process needs to find the way.
    pub fn door(&self, who: &str) -> Door {
        let (chain, key) = self.certs.of(who);
        Door { ca: self.certs.ca.clone(), chain, key }
    }

    /// Tells a program the way around Palisade.
    pub fn direct(&self, command: &mut Command) {
        let port = self.server.port;
        command.env("REDIS_URL", format!("redis://:{PASSWORD}@127.0.0.1:{port}/"));
        command.env("REDIS_PORT", port.to_string()).env("REDISCLI_AUTH", PASSWORD);
    }

    /// Tells a program the way through Palisade, as that client with that token.
    pub fn through(&self, command: &mut Command, who: &str, token: u64) {
        let (port, door) = (self.address.port(), self.door(who));
        command.env("REDIS_URL", format!("rediss://token={token}:x@localhost:{port}/"));
        command.env("REDIS_PORT", port.to_string()).env("TOKEN", token.to_string());
        command.env("CA", door.ca).env("CERT", door.chain).env("KEY", door.key);
    }
}

/// A certificate, and what verifies Palisade's.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct Door {
    pub ca: PathBuf,
    pub chain: PathBuf,
    pub key: PathBuf,
}

impl Door {
    /// TLS with the certificate.
    ///
    /// # Errors
    /// The connection's, in words.
    pub async fn tls(&self, to: SocketAddr) -> Result<Box<dyn Duplex>, String> {
        let chain = CertificateDer::pem_file_iter(&self.chain).unwrap();
        let chain = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let config = self.trusting().with_client_auth_cert(chain, key).unwrap();
        shake(config, to).await
    }

    /// TLS without a certificate.
    ///
    /// # Errors
    /// The connection's, in words.
    pub async fn anonymous(&self, to: SocketAddr) -> Result<Box<dyn Duplex>, String> {
        shake(self.trusting().with_no_client_auth(), to).await
    }

    fn trusting(&self) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
    }
}

/// How long a connection may take to be made.
const CONNECT_DEADLINE: Duration = Duration::from_secs(20);

async fn shake(config: ClientConfig, to: SocketAddr) -> Result<Box<dyn Duplex>, String> {
    let shaking = async {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    let shaken = tokio::time::timeout(CONNECT_DEADLINE, shaking).await;
    let stream = shaken.map_err(|late| late.to_string())?.map_err(|error| error.to_string())?;
    Ok(Box::new(stream))
}
