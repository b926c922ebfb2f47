//! A Redis of its own for each test, replicas of it, and a Sentinel.

use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::wire::Wire;
use crate::rig::net::Node;
use crate::rig::process::Process;
use crate::rig::{Certs, free_address, unique};

/// Of the default user, and of replicas and Sentinels at the servers.
pub const PASSWORD: &str = "redis-secret";

const DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// Small and quick; without a file, because only `kill` is tried.
const SETTINGS: &str = "
bind 127.0.0.1
daemonize no
save \"\"
requirepass redis-secret
masterauth redis-secret
repl-diskless-sync yes
repl-diskless-sync-delay 0
repl-diskless-load swapdb
repl-ping-replica-period 1
enable-debug-command yes
proto-max-bulk-len 512mb
";

/// What a server is made with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup<'a> {
    /// More lines for its configuration.
    pub lines: &'a str,
    /// Where it has a second port, for TLS.
    pub tls: Option<&'a Certs>,
    /// Of which other it is a replica.
    pub replica_of: Option<u16>,
    /// On which machine, if not on loopback.
    pub node: Option<&'a Node>,
}

/// A running server. It ends, at once, when this is dropped.
#[derive(Debug)]
pub struct Server {
    pub port: u16,
    /// 0 where it speaks no TLS.
    pub tls_port: u16,
    pub process: Process,
    folder: PathBuf,
    dir: PathBuf,
    node: Option<Node>,
}

impl Server {
    /// A new one in a folder below that one.
    pub fn start(dir: &Path, setup: Setup<'_>) -> Self {
        let folder = dir.join(format!("redis-{}", unique()));
        std::fs::create_dir(&folder).unwrap();
        let port = free_address().port();
        let tls_port = if setup.tls.is_some() { free_address().port() } else { 0 };
        let shown = folder.display();
        let mut text = format!("port {port}\ndir {shown}\nunixsocket {shown}/redis.sock\n");
        text += SETTINGS;
        if let Some(certs) = setup.tls {
            let (chain, key) = (certs.server.0.display(), certs.server.1.display());
            text += &format!("tls-port {tls_port}\ntls-cert-file {chain}\ntls-key-file {key}\n");
            text += &format!("tls-ca-cert-file {}\ntls-auth-clients no\n", certs.ca.display());
        }
        if let Some(primary) = setup.replica_of {
            text += &format!("replicaof 127.0.0.1 {primary}\n");
        }
        if let Some(node) = setup.node {
            text += &format!("bind {}\n", node.ip);
        }
        text += setup.lines;
        std::fs::write(folder.join("redis.conf"), text).unwrap();
        let process = launch(dir, &folder.join("redis.conf"), &[], setup.node);
        let node = setup.node.cloned();
        let mut server = Self { port, tls_port, process, folder, dir: dir.to_owned(), node };
        server.ready();
        server
    }

    /// A replica of this one that has all of its data.
    pub async fn replica(&self) -> Self {
        let setup = Setup { replica_of: Some(self.port), ..Setup::default() };
        let replica = Self::start(&self.dir, setup);
        let followed = async || replica.ask("INFO replication").await.contains("link_status:up");
        crate::rig::eventually("the replica follows", followed).await;
        replica
    }

    /// Waits until somebody listens, everywhere.
    fn ready(&mut self) {
        let (socket, ip) = (self.socket(), self.ip());
        listened(&mut self.process, || {
            TcpStream::connect((ip, self.port)).is_ok() && UnixStream::connect(&socket).is_ok()
        });
    }

    /// A session around everything.
    pub async fn session(&self) -> Wire {
        let stream = tokio::net::UnixStream::connect(self.socket()).await.unwrap();
        let mut wire = Wire::raw(Box::new(stream));
        assert_eq!(wire.say(&format!("AUTH {PASSWORD}")).await, "OK");
        wire
    }

    /// What it answers to one command, around everything.
    pub async fn ask(&self, line: &str) -> String {
        self.session().await.say(line).await
    }

    /// Waits until CLIENT LIST has a client with all of these fields, such as `cmd=blpop`.
    pub async fn has_client(&self, what: &str) {
        let told = format!("a client with {what}");
        let is_it =
            |line: &str| what.split(' ').all(|field| line.split(' ').any(|one| one == field));
        let has = async || self.ask("CLIENT LIST").await.lines().any(is_it);
        crate::rig::eventually(&told, has).await;
    }

    /// The connections whose name ends as Palisade's sessions do.
    pub async fn sessions(&self) -> Vec<String> {
        let list = self.ask("CLIENT LIST").await;
        let lines = list.lines().filter(|line| line.contains("|palisade:"));
        lines.map(str::to_owned).collect()
    }

    /// Its machine's address.
    pub fn ip(&self) -> IpAddr {
        self.node.as_ref().map_or(Ipv4Addr::LOCALHOST.into(), |node| node.ip)
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }

    /// `kill -9`: what is not replicated is lost.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again after its end, at the same port.
    pub fn start_again(&mut self) {
        self.process = launch(&self.dir, &self.folder.join("redis.conf"), &[], self.node.as_ref());
        self.ready();
    }
}

/// A Sentinel, alone; its own word is enough for a failover.
#[derive(Debug)]
pub struct Sentinel {
    pub port: u16,
    _process: Process,
}

impl Sentinel {
    /// It watches that server, under the name `store`.
    pub fn start(dir: &Path, primary: u16) -> Self {
        let folder = dir.join(format!("sentinel-{}", unique()));
        std::fs::create_dir(&folder).unwrap();
        let port = free_address().port();
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor store 127.0.0.1 {primary} 1\n\
             sentinel auth-pass store {PASSWORD}\nsentinel down-after-milliseconds store 500\n\
             sentinel failover-timeout store 3000\n",
            folder.display()
        );
        std::fs::write(folder.join("sentinel.conf"), text).unwrap();
        let mut process = launch(dir, &folder.join("sentinel.conf"), &["--sentinel"], None);
        listened(&mut process, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { port, _process: process }
    }

    /// What it answers to one command.
    pub async fn ask(&self, line: &str) -> String {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        Wire::raw(Box::new(stream)).say(line).await
    }

    /// Waits until it knows a replica that it could promote.
    pub async fn knows_replica(&self) {
        let knows = async || {
            let told = self.ask("SENTINEL REPLICAS store").await;
            told.contains("master-link-status, ok")
        };
        crate::rig::eventually("the Sentinel knows the replica", knows).await;
    }
}

fn launch(dir: &Path, config: &Path, more: &[&str], node: Option<&Node>) -> Process {
    let mut command = Command::new("redis-server");
    command.arg(config).args(more);
    let mut command = node.map(|node| node.command(&command)).unwrap_or(command);
    Process::start(&mut command, "redis", dir)
}

fn listened(process: &mut Process, is_there: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_there() {
        let is_up = process.is_running() && Instant::now() < deadline;
        assert!(is_up, "redis-server does not start: {}", process.everything());
        std::thread::sleep(POLL);
    }
}
