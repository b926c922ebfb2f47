//! The proxies: Palisade, and the others as their manuals would have one set them up.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::configs;
use super::usage;

const READY_DEADLINE: Duration = Duration::from_secs(10);
const END_DEADLINE: Duration = Duration::from_secs(5);

/// Which proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// This one.
    Palisade,
    /// The same with its ledger in etcd, which is not counted: it is asked at takeovers only.
    PalisadeEtcd,
    /// Another build of it.
    Other(PathBuf),
    HaProxy,
    Nginx,
    /// nginx that asks Redis for the mark with a Lua script before each write.
    NginxRedis,
    Envoy,
}

/// Where everything is that proxies need.
pub struct Place {
    pub dir: PathBuf,
    /// `ca.pem`, `server.pem` and `.key`, `leader.pem` and `.key`, and `server-both.pem`.
    pub certs: PathBuf,
    pub origin: SocketAddr,
}

/// A running proxy. Dropped, it is ended, by its pid.
pub struct Peer {
    pub address: SocketAddr,
    /// All its processes.
    pub pids: Vec<u32>,
    children: Vec<Child>,
}

impl Kind {
    /// Its name in the table.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Palisade => "palisade",
            Self::PalisadeEtcd => "palisade+etcd",
            Self::Other(_) => "other build",
            Self::HaProxy => "haproxy",
            Self::Nginx => "nginx",
            Self::NginxRedis => "nginx+redis",
            Self::Envoy => "envoy",
        }
    }

    /// Whether it refuses stale writes.
    pub fn is_fence(&self) -> bool {
        !matches!(self, Self::HaProxy | Self::Nginx | Self::Envoy)
    }

    /// Whether it is installed.
    pub fn is_there(&self) -> bool {
        let needs: &[&str] = match self {
            Self::Palisade | Self::Other(_) => &[],
            Self::PalisadeEtcd => &["etcd"],
            Self::HaProxy => &["haproxy"],
            Self::Nginx => &["nginx"],
            Self::NginxRedis => {
                return ["nginx", "redis-server"].iter().all(|program| find(program).is_some())
                    && Path::new(configs::LUA_MODULE).exists();
            }
            Self::Envoy => &["envoy"],
        };
        needs.iter().all(|program| find(program).is_some())
    }

    /// Starts it and waits until it listens.
    pub fn start(&self, place: &Place) -> Peer {
        let dir = place.dir.join(format!("{}-{}", self.name().replace(' ', "-"), unique()));
        fs::create_dir(&dir).expect("a folder for a proxy");
        let address = free_address();
        let write = |name: &str, text: String| {
            let path = dir.join(name);
            fs::write(&path, text).expect("a configuration is written");
            path
        };
        let mut peer = Peer::new(address);
        let mut command = match self {
            Self::Palisade | Self::Other(_) => {
                let ledger = configs::embedded(&dir);
                let text = configs::palisade(place, &dir, &ledger, address, free_address());
                let config = write("palisade.toml", text);
                let mut command = Command::new(match self {
                    Self::Other(binary) => binary.clone(),
                    _ => PathBuf::from(env!("CARGO_BIN_EXE_palisade")),
                });
                command.arg("run").arg("--config").arg(config);
                command
            }
            Self::PalisadeEtcd => {
                let (etcd, peers) = (free_address(), free_address());
                let mut command = Command::new(find("etcd").expect("etcd is there"));
                let (etcd_url, peer_url) = (format!("http://{etcd}"), format!("http://{peers}"));
                command.arg("--data-dir").arg(dir.join("etcd"));
                command.args(["--listen-client-urls", &etcd_url, "--log-level", "error"]);
                command.args(["--advertise-client-urls", &etcd_url]);
                command.args(["--listen-peer-urls", &peer_url]);
                command.args(["--initial-advertise-peer-urls", &peer_url]);
                command.args(["--initial-cluster", &format!("default={peer_url}")]);
                peer.spawn(&mut command, &dir, etcd);
                let ledger = configs::etcd(etcd);
                let text = configs::palisade(place, &dir, &ledger, address, free_address());
                let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
                command.arg("run").arg("--config").arg(write("palisade.toml", text));
                command
            }
            Self::HaProxy => {
                let config = write("haproxy.cfg", configs::haproxy(place, address));
                let mut command = Command::new(find("haproxy").expect("haproxy is there"));
                command.arg("-db").arg("-f").arg(config);
                command
            }
            Self::Nginx => nginx(&write("nginx.conf", configs::nginx(place, &dir, address, None))),
            Self::NginxRedis => {
                let redis = free_address();
                let mut command = Command::new(find("redis-server").expect("redis is there"));
                command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
                command.arg("--port").arg(redis.port().to_string()).arg("--dir").arg(&dir);
                peer.spawn(&mut command, &dir, redis);
                let text = configs::nginx(place, &dir, address, Some(redis));
                nginx(&write("nginx.conf", text))
            }
            Self::Envoy => {
                let config = write("envoy.yaml", configs::envoy(place, address));
                let mut command = Command::new(find("envoy").expect("envoy is there"));
                command.args(["--concurrency", "2", "--disable-hot-restart", "-l", "error"]);
                command.arg("-c").arg(config);
                command
            }
        };
        peer.spawn(&mut command, &dir, address);
        let pids = peer.child_pids();
        let counted = match self {
            Self::PalisadeEtcd => &pids[1..],
            _ => &pids,
        };
        peer.pids = usage::family(counted);
        peer
    }
}

impl Peer {
    /// One that has no process yet.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, pids: Vec::new(), children: Vec::new() }
    }

    /// Those that were started, without their children.
    pub fn child_pids(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }

    /// Starts one of its processes and waits until it listens.
    pub fn spawn(&mut self, command: &mut Command, dir: &Path, address: SocketAddr) {
        let path = dir.join(format!("log-{}", unique()));
        let log = File::create(&path).expect("a log");
        let output = log.try_clone().expect("a log");
        let command = command.stdin(Stdio::null()).stdout(output).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        self.children.push(child);
        let deadline = Instant::now() + READY_DEADLINE;
        while std::net::TcpStream::connect(address).is_err() {
            let said = || std::fs::read_to_string(&path).unwrap_or_default();
            assert!(Instant::now() < deadline, "{command:?} does not listen: {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        // Workers come up after the listener.
        std::thread::sleep(Duration::from_millis(200));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};
        for child in &mut self.children {
            // Not SIGKILL at first: nginx's master then ends its workers.
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
        }
        let deadline = Instant::now() + END_DEADLINE;
        for child in &mut self.children {
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn nginx(config: &Path) -> Command {
    let mut command = Command::new(find("nginx").expect("nginx is there"));
    command.arg("-c").arg(config).arg("-e").arg("stderr");
    command
}

/// In PATH, where Debian keeps servers, or where the head of main.rs has Envoy put.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("envoy").join("bin");
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), venv]);
    folders.map(|folder| folder.join(program)).find(|path| path.exists())
}

/// An address on loopback that nobody listens at.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}

fn unique() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
