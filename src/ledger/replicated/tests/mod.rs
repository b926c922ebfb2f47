//! Shared ledgers on a store in memory: the contract of all ledgers, and what a store that can be
//! made to fail shows besides.

mod fate;
mod faults;
mod feed;
mod marks;
mod memory;
mod sessions;
mod text;

use std::sync::Arc;
use std::time::Duration;

use self::memory::{Wire, World};
use super::store::Store;
use super::{Replicated, Settings};
use crate::ledger::contract::replicas::{self, Ground};

impl Ground for Arc<World> {
    fn store(&self) -> Arc<dyn Store> {
        self.wire()
    }

    fn ttl_min(&self) -> Duration {
        Duration::from_millis(400)
    }
}

#[tokio::test]
async fn keeps_the_contract() {
    replicas::all(async || World::new()).await;
}

/// A process with a session that lives as long as the test, and its wire.
async fn process(world: &Arc<World>, replica: &str) -> (Arc<Replicated>, Arc<Wire>) {
    process_with(world, replicas::settings(replica)).await
}

async fn process_with(world: &Arc<World>, settings: Settings) -> (Arc<Replicated>, Arc<Wire>) {
    let wire = world.wire();
    (Replicated::open(wire.clone(), settings).await.unwrap(), wire)
}
