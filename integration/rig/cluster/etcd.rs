//! Three nodes of etcd, each on a machine of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::NODES;
use crate::rig::client::Client;
use crate::rig::net::{Net, Node};
use crate::rig::process::Process;

/// How long they may take to find a leader.
const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// How long one of them may take to answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);

/// The nodes.
#[derive(Debug)]
pub struct Etcd {
    pub members: Vec<Member>,
}

/// One of them.
#[derive(Debug)]
pub struct Member {
    pub node: Node,
    /// Where clients reach it.
    pub address: SocketAddr,
    process: Option<Process>,
    arguments: Vec<String>,
    dir: PathBuf,
}

impl Etcd {
    /// A new cluster that has a leader.
    pub async fn start(net: &Net, dir: &Path) -> Self {
        let places: Vec<_> = NODES
            .map(|name| {
                let node = net.node(name);
                let (address, peer) = (node.free_address(), node.free_address());
                (node, address, peer)
            })
            .into();
        let all: Vec<_> =
            places.iter().map(|(node, _, peer)| format!("{}=http://{peer}", node.name)).collect();
        let members = places.into_iter().map(|(node, address, peer)| {
            let data = dir.join(format!("etcd-{}", node.name));
            let arguments = [
                format!("--name={}", node.name),
                format!("--data-dir={}", data.display()),
                format!("--listen-client-urls=http://{address}"),
                format!("--advertise-client-urls=http://{address}"),
                format!("--listen-peer-urls=http://{peer}"),
                format!("--initial-advertise-peer-urls=http://{peer}"),
                format!("--initial-cluster={}", all.join(",")),
                "--initial-cluster-state=new".to_owned(),
                "--log-level=warn".to_owned(),
                "--logger=zap".to_owned(),
            ];
            let arguments = arguments.into();
            Member { node, address, process: None, arguments, dir: dir.to_owned() }
        });
        let mut etcd = Self { members: members.collect() };
        for member in &mut etcd.members {
            member.launch();
        }
        etcd.ready().await;
        etcd
    }

    /// Waits until all that run agree on a leader.
    pub async fn ready(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        while !self.agrees().await {
            for member in &mut self.members {
                let Some(process) = &mut member.process else { continue };
                assert!(process.is_running(), "etcd has ended: {}", process.everything());
            }
            assert!(Instant::now() < deadline, "etcd has no leader");
            tokio::time::sleep(POLL).await;
        }
    }

    async fn agrees(&self) -> bool {
        let mut leaders = Vec::new();
        for member in self.members.iter().filter(|member| member.process.is_some()) {
            leaders.push(member.status().await.and_then(|status| leader(&status)));
        }
        leaders.iter().all(|leader| leader.is_some() && *leader == leaders[0])
    }

    /// Which of them leads, by its own word.
    pub async fn leader(&mut self) -> usize {
        let deadline = Instant::now() + DEADLINE;
        loop {
            for (index, member) in self.members.iter().enumerate() {
                let status = member.status().await;
                let own = status
                    .as_ref()
                    .and_then(|status| Some(status["header"]["member_id"].as_str()?.to_owned()));
                if own.is_some() && own == status.as_ref().and_then(leader) {
                    return index;
                }
            }
            assert!(Instant::now() < deadline, "etcd has no leader");
            tokio::time::sleep(POLL).await;
        }
    }

    /// What etcdctl says, asked at the first node.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").arg(format!("--endpoints={}", self.members[0].address));
        let (status, said) = crate::rig::run(
            {
                command.args(arguments);
                command
            },
            &self.members[0].dir,
        );
        assert!(status.success(), "etcdctl {arguments:?}: {said}");
        said
    }
}

impl Member {
    /// Starts it (again).
    pub fn launch(&mut self) {
        let mut command = Command::new("etcd");
        command.args(&self.arguments);
        let mut command = self.node.command(&command);
        self.process = Some(Process::start(&mut command, &self.node.name, &self.dir));
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// SIGSTOP.
    pub fn freeze(&self) {
        self.process.iter().for_each(Process::freeze);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.process.iter().for_each(Process::thaw);
    }

    async fn status(&self) -> Option<Value> {
        let client = Client::plain(self.address).with("content-type", "application/json");
        let asking = client.try_send(http::Method::POST, "/v3/maintenance/status", "{}");
        let reply = tokio::time::timeout(ASK_TIMEOUT, asking).await.ok()?.ok()?;
        serde_json::from_slice(&reply.body).ok()
    }
}

/// Whom it takes for the leader.
fn leader(status: &Value) -> Option<String> {
    status["leader"].as_str().filter(|leader| *leader != "0").map(str::to_owned)
}
