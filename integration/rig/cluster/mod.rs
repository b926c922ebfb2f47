//! Palisades that share a ledger, each on a machine of its own, before one store.
//!
//! | file | has |
//! |---|---|
//! | `etcd` | three nodes of etcd |
//! | `config` | the configuration of each replica |
//! | `replica` | one Palisade: its machine, its ways, its end |
//! | `ways` | clients of each, and what each tells |
//!
//! What a replica says to the ledger and to the store goes through relays on its own machine.

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

mod config;
mod etcd;
mod replica;
mod ways;

pub use config::{DRAIN_MS, MARGIN_MS, SETTLE_MS, TTL_MS};
pub use etcd::Etcd;
pub use replica::Replica;

use super::net::Net;
use super::{Certs, Store, postgres, redis, stores};

/// The replicas, by their names.
pub const REPLICAS: [&str; 3] = ["r1", "r2", "r3"];
/// The nodes of etcd.
pub const NODES: [&str; 3] = ["e1", "e2", "e3"];
/// Where the store is.
pub const STORE: &str = "store";
/// Where a ledger in Redis is.
pub const LEDGER: &str = "ledger";
/// Where writers are that are processes of their own.
pub const WRITERS: &str = "writers";
/// Each is a dozen processes, and machines are small.
const CLUSTERS_MAX: usize = 2;
static CLUSTERS: Semaphore = Semaphore::const_new(CLUSTERS_MAX);

/// What is behind Palisade.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Kind {
    #[default]
    S3,
    Postgres,
    Redis,
}

/// Where marks are kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Shared {
    #[default]
    Etcd,
    Redis,
    /// In no place that they share: each has a file of its own. That is no fence.
    Nothing,
}

/// What a test may choose.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub store: Kind,
    pub ledger: Shared,
    /// Places in the configuration, and what to write there instead.
    pub edits: Vec<(&'static str, String)>,
    /// Lines for the configuration of the store.
    pub server: &'static str,
    pub seed: u64,
}

/// The store.
#[derive(Debug)]
pub enum Behind {
    S3(Store),
    Postgres(postgres::Server),
    Redis(redis::Server),
}

/// The ledger.
#[derive(Debug)]
pub enum Ledger {
    Etcd(Etcd),
    Redis(redis::Server),
    Nothing,
}

/// All of it.
#[derive(Debug)]
pub struct Cluster {
    pub replicas: Vec<Replica>,
    pub ledger: Ledger,
    pub store: Behind,
    pub certs: Certs,
    pub net: Net,
    wish: Wish,
    dir: TempDir,
    _turn: SemaphorePermit<'static>,
}

impl Cluster {
    /// All replicas run.
    pub async fn start(wish: Wish) -> Self {
        let mut cluster = Self::prepare(wish).await;
        cluster.run().await;
        cluster
    }

    /// Starts all replicas, and waits until they are ready.
    pub async fn run(&mut self) {
        self.replicas.iter_mut().for_each(Replica::launch);
        for replica in &mut self.replicas {
            replica.ready().await;
        }
    }

    /// Everything but the replicas runs.
    pub async fn prepare(wish: Wish) -> Self {
        let turn = CLUSTERS.acquire().await.unwrap();
        let dir = tempfile::Builder::new().prefix("replicas-").tempdir().unwrap();
        let mut names = [&REPLICAS[..], &[STORE, WRITERS]].concat();
        match wish.ledger {
            Shared::Etcd => names.extend(NODES),
            Shared::Redis => names.push(LEDGER),
            Shared::Nothing => {}
        }
        let net = Net::new(&names, wish.seed);
        let certs = Certs::issue(dir.path());
        certs.renew_server_for(&REPLICAS.map(|name| net.node(name).ip.to_string()));
        let ledger = match wish.ledger {
            Shared::Etcd => Ledger::Etcd(Etcd::start(&net, dir.path()).await),
            Shared::Redis => {
                let node = net.node(LEDGER);
                let lines = "appendonly yes\nappendfsync always\n";
                let setup = redis::Setup { lines, node: Some(&node), ..redis::Setup::default() };
                Ledger::Redis(redis::Server::start(dir.path(), setup))
            }
            Shared::Nothing => Ledger::Nothing,
        };
        let node = net.node(STORE);
        let store = match wish.store {
            Kind::S3 => Behind::S3(stores::store_on(&node, dir.path())),
            Kind::Postgres => {
                Behind::Postgres(postgres::Server::on(Some(&node), dir.path(), wish.server))
            }
            Kind::Redis => {
                let setup =
                    redis::Setup { lines: wish.server, node: Some(&node), ..Default::default() };
                Behind::Redis(redis::Server::start(dir.path(), setup))
            }
        };
        let replicas = Vec::new();
        let mut cluster = Self { replicas, ledger, store, certs, net, wish, dir, _turn: turn };
        for name in REPLICAS {
            let replica = Replica::prepare(name, &cluster);
            cluster.replicas.push(replica);
        }
        cluster
    }

    /// The folder of this test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves the folder there when this is dropped, or not.
    pub fn keep(&mut self, is_kept: bool) {
        self.dir.disable_cleanup(is_kept);
    }

    /// The etcd; fails where there is none.
    pub fn etcd(&mut self) -> &mut Etcd {
        match &mut self.ledger {
            Ledger::Etcd(etcd) => etcd,
            _ => panic!("there is no etcd"),
        }
    }

    /// The machines that the ledger is on.
    pub fn ledger_nodes(&self) -> &'static [&'static str] {
        match self.ledger {
            Ledger::Etcd(_) => &NODES,
            Ledger::Redis(_) => &[LEDGER],
            Ledger::Nothing => &[],
        }
    }

    /// A replica no longer reaches the ledger, nor the ledger it.
    pub fn cut_from_ledger(&self, replica: &str) {
        self.net.split(&[replica], self.ledger_nodes());
    }

    /// It does again.
    pub fn back_to_ledger(&self, replica: &str) {
        for node in self.ledger_nodes() {
            self.net.join(replica, node);
        }
    }

    fn store_address(&self) -> SocketAddr {
        match &self.store {
            Behind::S3(store) => store.address,
            Behind::Postgres(server) => (self.net.node(STORE).ip, server.port).into(),
            Behind::Redis(server) => (server.ip(), server.port).into(),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("PALISADE_KEEP").is_some() {
            self.keep(true);
            eprintln!("everything is in {}", self.dir().display());
        }
    }
}
