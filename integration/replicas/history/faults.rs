//! Lets the faults in, one after the other, and brings everything back after each.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::plan::{Fault, What};
use crate::rig::cluster::{Cluster, Ledger, NODES, REPLICAS, STORE, WRITERS};
use crate::rig::net::Weather;

/// What is late, and overtakes itself.
const SLOW: Weather = Weather { delay_ms: 30, jitter_ms: 150, is_lost: false };
/// Nothing arrives, and all of it later, also what the dead have sent.
const KEPT_BACK: Weather = Weather { delay_ms: 0, jitter_ms: 0, is_lost: true };
/// In which writers have something sent.
const SENDS: Duration = Duration::from_millis(150);

impl Fault {
    /// Whether it can be on this machine: where there are no namespaces, or no etcd, some cannot.
    pub fn is_possible(&self, cluster: &Cluster) -> bool {
        let has_etcd = matches!(cluster.ledger, Ledger::Etcd(_));
        let has_ledger = !matches!(cluster.ledger, Ledger::Nothing);
        match self.what {
            What::NodesOut(..) | What::Minority(..) | What::NodeDeaf(_) => {
                has_etcd && cluster.net.is_namespaced()
            }
            What::PairOut(..) | What::LeaderKilled | What::LeaderFrozen => has_etcd,
            What::LedgerOut(_)
            | What::LedgerDeaf(_)
            | What::LedgerMute(_)
            | What::AllOut
            | What::LedgerSlow(_) => has_ledger,
            What::WritersOut(_) => cluster.net.is_namespaced(),
            What::ReplicaKilled(_)
            | What::ReplicaRestarted(_)
            | What::ReplicaFrozen(_)
            | What::StoreSlow(_)
            | What::StoreDeaf(_)
            | What::StoreMute(_)
            | What::StoreOut(_)
            | What::StoreReset(_) => true,
        }
    }

    /// Lets it happen, for as long as it stays so, and brings everything back.
    pub async fn inflict(&self, cluster: &mut Cluster, end: Instant) {
        let time =
            Duration::from_millis(self.ms).min(end.saturating_duration_since(Instant::now()));
        let ledger = cluster.ledger_nodes();
        let net = &cluster.net;
        let name = |replica: usize| REPLICAS[replica];
        match self.what {
            What::ReplicaKilled(replica) => {
                self.hold(cluster, replica).await;
                cluster.replicas[replica].kill();
                sleep(time).await;
                cluster.net.heal();
                cluster.replicas[replica].launch();
            }
            What::ReplicaRestarted(replica) => {
                let mut ending = cluster.replicas[replica].terminate();
                let deadline = Instant::now() + Duration::from_secs(60);
                while ending.is_running() {
                    let said = || ending.everything();
                    assert!(Instant::now() < deadline, "it does not end: {}", said());
                    sleep(Duration::from_millis(20)).await;
                }
                sleep(time).await;
                cluster.replicas[replica].launch();
            }
            What::ReplicaFrozen(replica) => {
                self.hold(cluster, replica).await;
                cluster.replicas[replica].process().freeze();
                sleep(time).await;
                cluster.net.heal();
                cluster.replicas[replica].process().thaw();
            }
            What::LedgerOut(replica) => {
                net.split(&[name(replica)], ledger);
                sleep(time).await;
            }
            What::LedgerDeaf(replica) => {
                for node in ledger {
                    net.lose(name(replica), node);
                }
                sleep(time).await;
            }
            What::LedgerMute(replica) => {
                for node in ledger {
                    net.lose(node, name(replica));
                }
                sleep(time).await;
            }
            What::PairOut(replica, node) => {
                net.part(name(replica), NODES[node]);
                sleep(time).await;
            }
            What::NodesOut(one, other) => {
                net.part(NODES[one], NODES[other]);
                sleep(time).await;
            }
            What::Minority(node, replica) => {
                let nodes: Vec<_> = NODES.into_iter().filter(|one| *one != NODES[node]).collect();
                let others: Vec<_> =
                    REPLICAS.into_iter().filter(|one| *one != name(replica)).collect();
                net.split(&[NODES[node], name(replica)], &nodes);
                net.split(&[NODES[node]], &others);
                sleep(time).await;
            }
            What::LeaderKilled => {
                let etcd = cluster.etcd();
                let leader = etcd.leader().await;
                etcd.members[leader].kill();
                sleep(time).await;
                etcd.members[leader].launch();
            }
            What::LeaderFrozen => {
                let etcd = cluster.etcd();
                let leader = etcd.leader().await;
                etcd.members[leader].freeze();
                sleep(time).await;
                etcd.members[leader].thaw();
            }
            What::AllOut => {
                net.split(&REPLICAS, ledger);
                sleep(time).await;
            }
            What::LedgerSlow(replica) => {
                for node in ledger {
                    net.weather(name(replica), node, SLOW);
                    net.weather(node, name(replica), SLOW);
                }
                sleep(time).await;
            }
            What::StoreSlow(replica) => {
                net.weather(name(replica), STORE, SLOW);
                net.weather(STORE, name(replica), SLOW);
                sleep(time).await;
            }
            What::StoreDeaf(replica) => {
                net.lose(name(replica), STORE);
                sleep(time).await;
            }
            What::StoreMute(replica) => {
                net.lose(STORE, name(replica));
                sleep(time).await;
            }
            What::StoreReset(replica) => {
                net.weather(name(replica), STORE, SLOW);
                net.reset(name(replica), STORE);
                sleep(time).await;
                net.reset(name(replica), STORE);
            }
            What::StoreOut(replica) => {
                net.part(name(replica), STORE);
                sleep(time).await;
            }
            What::NodeDeaf(node) => {
                for other in NODES.into_iter().filter(|other| *other != NODES[node]) {
                    net.lose(other, NODES[node]);
                }
                sleep(time).await;
            }
            What::WritersOut(replica) => {
                net.part(WRITERS, name(replica));
                net.part("test", name(replica));
                sleep(time).await;
            }
        }
        cluster.net.heal();
    }

    /// What a replica sends to the store from now on is kept back, for a moment in which it does
    /// send something.
    async fn hold(&self, cluster: &Cluster, replica: usize) {
        if self.is_on_its_way {
            cluster.net.weather(REPLICAS[replica], STORE, KEPT_BACK);
            sleep(SENDS).await;
        }
    }

    /// Whether the next one may come only when this one is quite over: a ledger that has lost two
    /// nodes is another story, and so is one without a replica.
    pub async fn recover(&self, cluster: &mut Cluster) {
        match self.what {
            What::LeaderKilled
            | What::LeaderFrozen
            | What::NodesOut(..)
            | What::Minority(..)
            | What::NodeDeaf(_) => {
                cluster.etcd().ready().await;
            }
            What::ReplicaKilled(replica) | What::ReplicaRestarted(replica) => {
                cluster.replicas[replica].ready().await;
            }
            _ => {}
        }
    }
}
