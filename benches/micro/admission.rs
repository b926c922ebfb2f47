//! Admissions a second on one core, and what a resource in memory costs.

use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{self, StreamExt};
use palisade::audit::Audit;
use palisade::gate::{Gate, Settings};
use palisade::ledger::embedded::Embedded;
use tokio::runtime::{Builder, Handle};

use crate::fixture::{bid, report, resident_bytes, write};

const HOT_ADMISSIONS: u32 = 2_000_000;
const RESOURCES: usize = 1_000_000;
const AT_ONCE: usize = 20_000;

/// Runs it.
pub fn run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ledger = Embedded::open(&folder.path().join("ledger.redb"), Default::default())
        .expect("the ledger opens");
    // One thread, so that "a second" is a second of one core.
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let settings = Settings { active_resources_max: 2 * RESOURCES, ..Settings::default() };
        let gate = Gate::new(Arc::new(ledger), settings, Audit::disabled(), Handle::current());
        hot(&gate).await;
        many(&gate).await;
    });
}

async fn hot(gate: &Gate) {
    let bid = bid("hot", 1);
    let begin = Instant::now();
    for _ in 0..HOT_ADMISSIONS {
        write(gate, &bid).await;
    }
    report("admit + commit + settle, one hot resource", HOT_ADMISSIONS as usize, begin.elapsed());
}

async fn many(gate: &Gate) {
    let before = resident_bytes();
    let bids: Vec<_> = (0..RESOURCES).map(|n| bid(&format!("orders/{n:07}"), 1)).collect();
    let bids_bytes = resident_bytes() - before;
    let begin = Instant::now();
    stream::iter(&bids).for_each_concurrent(AT_ONCE, |bid| write(gate, bid)).await;
    report(
        "first write of each of 1 million resources (a durable raise)",
        RESOURCES,
        begin.elapsed(),
    );
    let memory = resident_bytes() - before - bids_bytes;
    println!("memory per active resource: {} bytes", memory / RESOURCES as u64);
    // A stride that is coprime to the number of resources visits each once, out of order.
    let begin = Instant::now();
    for n in 0..RESOURCES {
        write(gate, &bids[n * 7_919 % RESOURCES]).await;
    }
    report("admit + commit + settle, over 1 million resources", RESOURCES, begin.elapsed());
}
