//! Real etcd for tests: one node or several, on loopback, in a folder that goes with them.
//!
//! Needs the Debian packages `etcd-server` and `etcd-client`.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::{Endpoint, Etcd, Settings};
use crate::net::connect::ClientTls;

/// Long enough for anything that is going to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How often a cluster is started again when somebody else has taken one of its ports.
const STARTS_MAX: usize = 3;

/// The files of a server with TLS.
#[derive(Clone, Debug)]
pub(crate) struct ServerFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: PathBuf,
}

/// How it is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) tls: Option<ServerFiles>,
    pub(crate) arguments: Vec<String>,
}

/// Nodes that form one cluster. They are killed when this is dropped.
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    options: Options,
    _folder: TempDir,
}

struct Node {
    child: Child,
    port: u16,
    arguments: Vec<String>,
    log: PathBuf,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            // It may have ended already; a child's number stays its own until it is waited for.
            let _ = node.child.kill();
            let _ = node.child.wait();
            if std::thread::panicking() {
                eprintln!("{}", tail(&node.log));
            }
        }
    }
}

/// One node for all tests that leave it as it is: each takes a namespace of its own. It ends with
/// the last of them.
pub(crate) async fn shared() -> Arc<Cluster> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(cluster) = shared.upgrade() {
        return cluster;
    }
    let cluster = Arc::new(Cluster::start(1, Options::default()).await);
    *shared = Arc::downgrade(&cluster);
    cluster
}

impl Cluster {
    /// Starts so many nodes and waits until they have a leader.
    pub(crate) async fn start(count: usize, options: Options) -> Self {
        for attempt in 1..=STARTS_MAX {
            let mut cluster = Self::spawn(count, &options);
            if cluster.is_up().await {
                return cluster;
            }
            assert!(attempt < STARTS_MAX, "etcd does not start");
        }
        unreachable!("the last attempt panics");
    }

    fn spawn(count: usize, options: &Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // All at once, so that they differ.
        let taken: Vec<_> =
            (0..2 * count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> =
            taken.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        drop(taken);
        let (clients, peers) = ports.split_at(count);
        let members: Vec<_> = peers
            .iter()
            .enumerate()
            .map(|(index, port)| format!("n{index}=http://127.0.0.1:{port}"))
            .collect();
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let nodes = clients.iter().zip(peers).enumerate().map(|(index, (&port, peer))| {
            let client = format!("{scheme}://127.0.0.1:{port}");
            let peer = format!("http://127.0.0.1:{peer}");
            let data = folder.path().join(format!("n{index}"));
            let mut arguments: Vec<String> = [
                ("--name", format!("n{index}")),
                ("--data-dir", data.display().to_string()),
                ("--listen-client-urls", client.clone()),
                ("--advertise-client-urls", client),
                ("--listen-peer-urls", peer.clone()),
                ("--initial-advertise-peer-urls", peer),
                ("--initial-cluster", members.join(",")),
                // Short, so that leases and elections are.
                ("--heartbeat-interval", "50".to_owned()),
                ("--election-timeout", "500".to_owned()),
            ]
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value])
            .collect();
            arguments.extend(["--enable-grpc-gateway=false", "--pre-vote"].map(str::to_owned));
            if let Some(ServerFiles { certificate, key, client_ca }) = &options.tls {
                let files = [("cert", certificate), ("key", key), ("trusted-ca", client_ca)];
                let named = files.map(|(name, path)| format!("--{name}-file={}", path.display()));
                arguments.extend(named);
                arguments.push("--client-cert-auth".to_owned());
            }
            arguments.extend(options.arguments.iter().cloned());
            let log = folder.path().join(format!("n{index}.log"));
            Node { child: launch(&arguments, &log), port, arguments, log }
        });
        let nodes = nodes.collect();
        Self { nodes, options: options.clone(), _folder: folder }
    }

    /// False when a process has ended.
    async fn is_up(&mut self) -> bool {
        let begun = Instant::now();
        loop {
            if self.nodes.iter_mut().any(|node| node.child.try_wait().unwrap().is_some()) {
                return false;
            }
            let has_leader = |node: &Node| {
                let log = std::fs::read_to_string(&node.log).unwrap_or_default();
                log.contains("ready to serve client requests")
                    || log.contains("serving insecure client requests")
                    || log.contains("serving client requests")
            };
            if self.nodes.iter().all(has_leader) {
                return true;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "etcd does not come up: {}",
                tail(&self.nodes[0].log)
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where clients find them.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        let endpoint = |node: &Node| Endpoint { host: "127.0.0.1".into(), port: node.port };
        self.nodes.iter().map(endpoint).collect()
    }

    /// For a client without TLS or login.
    pub(crate) fn settings(&self, namespace: &str) -> Settings {
        Settings {
            endpoints: self.endpoints(),
            namespace: namespace.into(),
            tls: None,
            login: None,
            timeout: Duration::from_secs(5),
        }
    }

    /// A client without TLS or login.
    pub(crate) fn store(&self, namespace: &str) -> Etcd {
        Etcd::new(self.settings(namespace)).unwrap()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].child.kill().unwrap();
        self.nodes[node].child.wait().unwrap();
    }

    /// Starts one again that was killed.
    pub(crate) fn revive(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        node.child = launch(&node.arguments, &node.log);
    }

    /// It stays, and does nothing.
    pub(crate) fn freeze(&self, node: usize) {
        self.signal(node, Signal::STOP);
    }

    /// It goes on.
    pub(crate) fn thaw(&self, node: usize) {
        self.signal(node, Signal::CONT);
    }

    fn signal(&self, node: usize, signal: Signal) {
        kill_process(Pid::from_child(&self.nodes[node].child), signal).unwrap();
    }

    /// What one node says of itself: whether it leads.
    pub(crate) fn leader(&self) -> usize {
        let leads = |node: &usize| {
            let said = self.etcdctl(*node, &["endpoint", "status", "-w", "fields"]);
            let field = |name: &str| {
                let line = said.lines().find(|line| line.starts_with(&format!("\"{name}\"")));
                line.and_then(|line| line.split(" : ").nth(1)).map(str::to_owned)
            };
            field("Leader").is_some() && field("Leader") == field("MemberID")
        };
        (0..self.nodes.len()).find(leads).expect("one of them leads")
    }

    /// Runs `etcdctl` against one node, and returns what it prints.
    pub(crate) fn etcdctl(&self, node: usize, arguments: &[&str]) -> String {
        self.etcdctl_with(node, None, arguments)
    }

    /// The same with files of TLS: authority, certificate and key.
    pub(crate) fn etcdctl_with(
        &self,
        node: usize,
        tls: Option<&ClientTls>,
        arguments: &[&str],
    ) -> String {
        let mut command = Command::new("etcdctl");
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        let endpoint = format!("--endpoints={scheme}://127.0.0.1:{}", self.nodes[node].port);
        command.env("ETCDCTL_API", "3").arg(endpoint).arg("--command-timeout=10s");
        if let Some(ClientTls { ca: Some(ca), certificate: Some((certificate, key)), .. }) = tls {
            command.arg("--cacert").arg(ca).arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        let ended = command
            .args(arguments)
            .output()
            .expect("etcdctl cannot be run: install the Debian package etcd-client");
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "etcdctl {arguments:?}: {said}{error}");
        said
    }
}

fn launch(arguments: &[String], log: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).unwrap();
    Command::new("etcd")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("etcd cannot be run: install the Debian package etcd-server")
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
