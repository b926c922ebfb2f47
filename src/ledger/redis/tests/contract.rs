//! The contract of all ledgers, on a real Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::rig::{Server, ledger, settings};
use crate::ledger::contract::replicas::{self, Ground};
use crate::ledger::redis::Settings;
use crate::ledger::replicated::store::Store;

struct Namespace(Settings);

impl Ground for Namespace {
    fn store(&self) -> Arc<dyn Store> {
        ledger(self.0.clone())
    }

    fn ttl_min(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[tokio::test]
async fn keeps_the_contract() {
    let server = Server::durable();
    let next = AtomicU32::new(0);
    replicas::all(async || {
        let number = next.fetch_add(1, Ordering::Relaxed);
        Namespace(Settings { namespace: format!("contract-{number}").into(), ..settings(&server) })
    })
    .await;
}
