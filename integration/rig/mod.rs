//! The rig: a real Palisade before a real store, on free ports, in a folder of its own.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

mod certs;
mod client;
pub mod cluster;
mod config;
pub mod net;
pub mod postgres;
mod process;
pub mod redis;
mod stores;

pub use certs::Certs;
pub use client::{Client, Duplex, Reply, Version};
pub use config::Options;
pub use process::{Process, palisade, python, run};
pub use stores::{CREDENTIALS, Kind, Store, naive, open_store};

/// The reserved prefix of a data listener.
const PREFIX: &str = "/.palisade";

/// How long Palisade may take to be ready.
const READY_DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Ports below those that the kernel gives to outgoing connections, so that nobody takes
/// one between its choice here and its use by the process under test.
const PORTS: std::ops::Range<u32> = 20_000..32_000;

/// The parts of one test.
#[derive(Debug)]
pub struct Rig {
    pub certs: Certs,
    pub store: Store,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    palisade: Option<Process>,
    environment: Vec<(&'static str, PathBuf)>,
    config: PathBuf,
    // Last, so that the processes are gone when the folder is removed.
    dir: TempDir,
}

impl Rig {
    /// Palisade before a store with a journal.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// Palisade by those options.
    pub async fn with(options: Options) -> Self {
        let mut rig = Self::prepare(tempfile::tempdir().unwrap(), options);
        rig.run().await;
        rig
    }

    /// Everything but the start of Palisade, in that folder.
    pub fn prepare(dir: TempDir, options: Options) -> Self {
        let certs = Certs::issue(dir.path());
        let store = options.store.start(dir.path());
        let (address, admin) = (free_address(), free_address());
        let config = dir.path().join("palisade.toml");
        let text = config::text(&options, &certs, store.address, address, admin, dir.path());
        std::fs::write(&config, text).unwrap();
        let environment = Vec::new();
        Self { certs, store, address, admin, palisade: None, environment, config, dir }
    }

    /// What Palisade is started with from now on.
    pub fn environment(&mut self, environment: Vec<(&'static str, PathBuf)>) {
        self.environment = environment;
    }

    /// Starts Palisade (again), on the same ledger, and waits until it is ready.
    pub async fn run(&mut self) {
        self.launch();
        self.ready().await.unwrap();
    }

    /// Starts Palisade (again), and does not wait.
    pub fn launch(&mut self) {
        let mut command = palisade();
        command.arg("run").arg("--config").arg(&self.config);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.palisade = Some(Process::start(&mut command, "palisade", self.dir.path()));
    }

    /// Waits until Palisade is ready.
    ///
    /// # Errors
    /// It has ended, or takes too long.
    pub async fn ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + READY_DEADLINE;
        loop {
            let ready = self.operator("leader-a").try_send(http::Method::GET, "/readyz", "").await;
            if ready.is_ok_and(|reply| reply.status.is_success()) {
                return Ok(());
            }
            let palisade = self.palisade();
            if !palisade.is_running() {
                return Err(format!("palisade has ended: {}", palisade.everything()));
            }
            if Instant::now() >= deadline {
                return Err(format!("palisade is not ready: {}", palisade.everything()));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Leaves the folder there when this is dropped, or not.
    pub fn keep(&mut self, is_kept: bool) {
        self.dir.disable_cleanup(is_kept);
    }

    /// The running Palisade.
    pub fn palisade(&mut self) -> &mut Process {
        self.palisade.as_mut().unwrap()
    }

    /// A client that shows the certificate of that name.
    pub fn client(&self, who: &str) -> Client {
        let (chain, key) = self.certs.of(who);
        Client::mtls(self.address, &self.certs.ca, &chain, &key)
    }

    /// A client of the admin listener, which has mTLS where the test has configured it.
    pub fn operator(&self, who: &str) -> Client {
        let is_plain = !std::fs::read_to_string(&self.config).unwrap().contains("[admin.tls]");
        let (chain, key) = self.certs.of(who);
        match is_plain {
            true => Client::plain(self.admin),
            false => Client::mtls(self.admin, &self.certs.ca, &chain, &key),
        }
    }

    /// All metrics.
    pub async fn metrics(&self) -> String {
        self.operator("leader-a").get("/metrics").await.text()
    }

    /// The lines of the audit file so far.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.dir().join("audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A client whose writes the history checker can follow.
    pub fn writer(&self, who: &str, token: u64, write: &str) -> Client {
        let client = self.client(who).token(token);
        client.with("x-amz-meta-token", token).with("x-amz-meta-write", write)
    }

    /// Seals the resource of a path.
    pub async fn seal(&self, who: &str, token: u64, path: &str) -> Reply {
        let path = format!("{PREFIX}/seal?path={path}");
        self.client(who).token(token).send(http::Method::POST, &path, "").await
    }

    /// Waits until one write of the path's resource is that far: `streaming` before its commit
    /// point, `sent` past it.
    pub async fn one_is(&self, stage: &str, path: &str) {
        let status = format!("{PREFIX}/status?path={path}");
        eventually(&format!("a write is {stage}"), async || {
            self.client("leader-b").get(&status).await.json()[stage] == 1
        })
        .await;
    }

    /// The folder of this test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }
}

/// An address on loopback that nobody listens at.
pub fn free_address() -> SocketAddr {
    for _ in 0..PORTS.len() {
        let spread = std::process::id().wrapping_mul(97);
        let port = PORTS.start + spread.wrapping_add(unique()) % (PORTS.end - PORTS.start);
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port in {PORTS:?} is free");
}

/// A number that no other caller in this process gets.
pub fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Waits until it is true, or fails after ten seconds.
pub async fn eventually(what: &str, is_true: impl AsyncFnMut() -> bool) {
    within(Duration::from_secs(10), what, is_true).await;
}

/// Waits until it is true, or fails after that time.
pub async fn within(limit: Duration, what: &str, mut is_true: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_true().await {
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        tokio::time::sleep(POLL).await;
    }
}
