//! Admissions a second on one core, and what a resource in memory costs.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::stream::{self, StreamExt};
use palisade::audit::Audit;
use palisade::fence::{Holder, Mark, Resource, Token, TokenRules};
use palisade::gate::{Bid, Gate, Settings};
use palisade::ledger::embedded::Embedded;
use palisade::net::identity::{Identity, Peer, Source};
use palisade::rules::{
    CommitPoint, Covers, Globs, HolderKind, Pattern, Reads, Rule, Template, Who,
};
use tokio::runtime::{Builder, Handle};

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
    let bid = bid("hot".into());
    let begin = Instant::now();
    for _ in 0..HOT_ADMISSIONS {
        write(gate, &bid).await;
    }
    report("admit + commit + settle, one hot resource", HOT_ADMISSIONS as usize, begin.elapsed());
}

async fn many(gate: &Gate) {
    let before = resident_bytes();
    let bids: Vec<_> = (0..RESOURCES).map(|n| bid(format!("orders/{n:07}"))).collect();
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

async fn write(gate: &Gate, bid: &Bid) {
    let admission = gate.admit(bid).await.expect("admitted");
    admission.commit().expect("nobody takes over");
    admission.settle();
}

fn report(what: &str, count: usize, took: Duration) {
    let nanos = took.as_nanos() / count as u128;
    println!("{what}: {:.0} a second ({nanos} ns each)", count as f64 / took.as_secs_f64());
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("a number") * 4096
}

fn bid(resource: String) -> Bid {
    thread_local! {
        static SHARED: (Arc<Rule>, Peer, Holder) = (Arc::new(rule()), peer(), Holder::new("a"));
    }
    SHARED.with(|(rule, peer, holder)| Bid {
        resource: Resource::new(&resource).expect("a name"),
        rule: Arc::clone(rule),
        claim: Mark { token: Token::new(0, 1), holder: holder.clone() },
        peer: peer.clone(),
        wait: Duration::from_secs(60),
    })
}

fn peer() -> Peer {
    let identity = Identity {
        name: "a".into(),
        source: Source::Cn,
        serial: "01".into(),
        fingerprint: "ab".into(),
        not_after: SystemTime::now(),
    };
    Peer { identity: Arc::new(identity), address: ([127, 0, 0, 1], 1).into() }
}

fn rule() -> Rule {
    let pattern = Pattern::parse("/orders/**").expect("a pattern");
    let everybody = || Globs::new(["**"]).expect("a glob");
    Rule {
        name: "orders".into(),
        resource: Template::parse("orders", &pattern).expect("a template"),
        covers: Covers::Paths(pattern),
        who: Who { read: everybody(), write: everybody(), raise: everybody(), ..Who::default() },
        reads: Reads::Open,
        tokens: TokenRules::default(),
        holder: HolderKind::Identity,
        commit_point: CommitPoint::LastByte,
        settle_timeout: Duration::from_secs(30),
        takeover_timeout: Duration::from_secs(60),
        sessions: palisade::rules::Sessions::default(),
    }
}
