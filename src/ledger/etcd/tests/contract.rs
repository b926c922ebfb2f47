//! The contract of all ledgers, on real etcd.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::ledger::contract::replicas::{self, Ground};
use crate::ledger::etcd::testing::{Cluster, shared};
use crate::ledger::replicated::store::Store;

struct Namespace {
    cluster: Arc<Cluster>,
    name: String,
}

impl Ground for Namespace {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.cluster.store(&self.name))
    }

    fn ttl_min(&self) -> Duration {
        Duration::from_secs(2)
    }
}

#[tokio::test]
async fn keeps_the_contract() {
    let cluster = &shared().await;
    let next = &AtomicU32::new(0);
    replicas::all(async || {
        let number = next.fetch_add(1, Ordering::Relaxed);
        Namespace { cluster: Arc::clone(cluster), name: format!("contract-{number}") }
    })
    .await;
}
