//! One of the Palisades.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Cluster;
use super::config::{Place, text};
use crate::rig::client::{Client, Reply};
use crate::rig::net::Node;
use crate::rig::process::{Process, palisade, run};

const POLL: Duration = Duration::from_millis(20);
/// How long it may take to be ready: it may have to wait for the ledger.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// One of them.
#[derive(Debug)]
pub struct Replica {
    pub node: Node,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    operator: Client,
    process: Option<Process>,
    config: PathBuf,
    /// An operator's: authority, certificate, key.
    papers: (PathBuf, PathBuf, PathBuf),
    dir: PathBuf,
}

impl Replica {
    /// Its configuration is written; it does not run.
    pub fn prepare(name: &str, cluster: &Cluster) -> Self {
        let node = cluster.net.node(name);
        let dir = cluster.dir().join(name);
        std::fs::create_dir(&dir).unwrap();
        let (address, admin) = (node.free_address(), node.free_address());
        let config = dir.join("palisade.toml");
        let place = Place { node: &node, address, admin, dir: &dir };
        std::fs::write(&config, text(cluster, &place)).unwrap();
        let (chain, key) = cluster.certs.of("leader-a");
        let operator = Client::mtls(admin, &cluster.certs.ca, &chain, &key);
        let papers = (cluster.certs.ca.clone(), chain, key);
        Self { node, address, admin, operator, process: None, config, papers, dir }
    }

    /// Starts it (again), and waits until it is ready.
    pub async fn run(&mut self) {
        self.launch();
        self.ready().await;
    }

    /// Starts it (again), and does not wait.
    pub fn launch(&mut self) {
        let mut command = palisade();
        command.arg("run").arg("--config").arg(&self.config);
        let mut command = self.node.command(&command);
        self.process = Some(Process::start(&mut command, &self.node.name, &self.dir));
    }

    /// Waits until it is ready.
    pub async fn ready(&mut self) {
        let deadline = Instant::now() + READY_DEADLINE;
        while !self.readiness().await.is_some_and(|reply| reply.status.is_success()) {
            let process = self.process();
            let is_up = process.is_running() && Instant::now() < deadline;
            assert!(is_up, "palisade is not ready: {}", process.everything());
            tokio::time::sleep(POLL).await;
        }
    }

    /// What it says of itself at `/readyz`; `None` if it does not answer.
    pub async fn readiness(&self) -> Option<Reply> {
        let asking = self.operator.try_send(http::Method::GET, "/readyz", "");
        tokio::time::timeout(Duration::from_secs(5), asking).await.ok()?.ok()
    }

    /// A client of its admin listener.
    pub fn operator(&self) -> &Client {
        &self.operator
    }

    /// All metrics.
    pub async fn metrics(&self) -> String {
        self.operator.get("/metrics").await.text()
    }

    /// The lines of its audit file so far.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.dir.join("audit.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The running process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the replica was started")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// SIGTERM, and waits until it has ended by itself.
    pub fn end(&mut self) {
        let mut process = self.process.take().expect("the replica was started");
        let status = process.end();
        assert!(status.success(), "{status}: {}", process.everything());
    }

    /// SIGTERM, and does not wait: what was the process.
    pub fn terminate(&mut self) -> Process {
        let process = self.process.take().expect("the replica was started");
        process.terminate();
        process
    }

    /// A command of the program that asks its admin listener.
    pub fn ask(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = palisade();
        let (ca, chain, key) = &self.papers;
        command.args(arguments).arg("--admin").arg(format!("https://{}", self.admin));
        command.arg("--ca").arg(ca).arg("--cert").arg(chain).arg("--key").arg(key);
        let (status, said) = run(command, &self.dir);
        (status.success(), said)
    }
}
