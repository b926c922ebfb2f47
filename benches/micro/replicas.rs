//! What a shared ledger in etcd costs: a takeover from replica to replica, beside a bare
//! transaction of that etcd; and 100,000 resources under the grants of one replica.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use palisade::audit::Audit;
use palisade::fence::Resource;
use palisade::gate::{Bid, Gate, Settings};
use palisade::ledger::Ledger;
use palisade::ledger::etcd::{self, Etcd};
use palisade::ledger::replicated::store::{Store, Swap, Swapped};
use palisade::ledger::replicated::{self, Replicated};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::etcd::Server;
use crate::fixture::{bid, report, resident_bytes, write};

const ROUNDS: usize = 300;
const TRANSACTIONS: usize = 20_000;
const AT_ONCE: usize = 512;
const RESOURCES: usize = 100_000;
/// How many takeovers wait for the ledger at once.
const TAKEOVERS_AT_ONCE: usize = 10_000;
const KEEPALIVES_FOR: Duration = Duration::from_secs(10);
const TTL: Duration = Duration::from_secs(6);

/// Runs it.
pub fn run() {
    let Some(server) = Server::start() else {
        println!("replicas: SKIPPED, there is no etcd here; type: apt-get install etcd-server");
        return;
    };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("ok");
    let bare = runtime.block_on(bare(&server));
    runtime.block_on(takeover(&server, bare));
    let rate = runtime.block_on(transaction_rate(&server));
    many(&server, &runtime, rate);
}

/// The time of one transaction that nobody competes with: the median.
async fn bare(server: &Server) -> Duration {
    let store = store(server);
    let session = store.begin("bare", Duration::from_secs(60), "{}").await.expect("a session");
    let (mut version, mut took) = (0, Vec::new());
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let text = vec![b'x'; 200];
        let swap = Swap { resource: name("bare"), expected: version, text };
        let answers = store.swap(&session, &[swap]).await;
        let [Swapped::Done(now)] = answers[..] else { panic!("{answers:?}") };
        version = now;
        took.push(begin.elapsed());
    }
    let (median, slow) = quantiles(took);
    println!("a bare transaction of etcd: {median:.1?} (p50), {slow:.1?} (p99)");
    median
}

/// The leader before held the resource on one replica, the next one comes to the other.
async fn takeover(server: &Server, bare: Duration) {
    let (one, two) = (gate(server, "r1").await, gate(server, "r2").await);
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let resource = format!("takeover/{round}");
        write(&one.0, &bid(&resource, 1)).await;
        let begin = Instant::now();
        two.0.seal(&bid(&resource, 2)).await.expect("sealed");
        took.push(begin.elapsed());
    }
    let (median, slow) = quantiles(took);
    println!(
        "takeover from replica to replica, nothing in flight: {median:.1?} (p50), {slow:.1?} (p99): \
         {:.1} bare transactions",
        median.as_secs_f64() / bare.as_secs_f64()
    );
    for gate in [one, two] {
        let _ = gate.0.close(tokio::time::Instant::now() + Duration::from_secs(10)).await;
    }
}

/// How many transactions of one row each etcd does a second, asked from many sides at once.
async fn transaction_rate(server: &Server) -> f64 {
    let store = store(server);
    let session = store.begin("bare", Duration::from_secs(60), "{}").await.expect("a session");
    let (store, session) = (&store, &session);
    let begin = Instant::now();
    stream::iter(0..TRANSACTIONS)
        .for_each_concurrent(AT_ONCE, |n| async move {
            let text = vec![b'x'; 200];
            let swap = Swap { resource: name(&format!("rate/{n}")), expected: 0, text };
            let answers = store.swap(session, &[swap]).await;
            assert!(matches!(answers[..], [Swapped::Done(_)]), "{answers:?}");
        })
        .await;
    let rate = TRANSACTIONS as f64 / begin.elapsed().as_secs_f64();
    println!("etcd, {AT_ONCE} transactions of one row at once: {rate:.0} a second");
    rate
}

fn many(server: &Server, runtime: &Runtime, rate: f64) {
    // A process of its own, so to speak: it can be killed.
    let first = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("ok");
    let (one, _) = first.block_on(gate(server, "r1"));
    let idle = traffic(server);
    let bids: Vec<_> = (0..RESOURCES).map(|n| bid(&format!("many/{n:06}"), 1)).collect();
    let before = resident_bytes();
    let begin = Instant::now();
    first.block_on(all(&one, &bids));
    report("taken by one replica, of 100,000", RESOURCES, begin.elapsed());
    let memory = resident_bytes().saturating_sub(before) / RESOURCES as u64;
    println!("memory per resource under a grant, the fence in memory included: {memory} bytes");
    let busy = traffic(server);
    println!(
        "traffic with etcd at rest: {idle} bytes a second without grants, {busy} with {RESOURCES}"
    );
    let (two, ledger) = runtime.block_on(gate(server, "r2"));
    let before = runtime.block_on(ledger.replicas()).expect("the replicas").len();
    first.shutdown_background();
    drop(one);
    let begin = Instant::now();
    while runtime.block_on(ledger.replicas()).expect("the replicas").len() >= before {
        assert!(begin.elapsed() < TTL * 4, "the session of the dead replica does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("a replica is killed: its session ends after {:.1?}", begin.elapsed());
    let bids: Vec<_> = (0..RESOURCES).map(|n| bid(&format!("many/{n:06}"), 2)).collect();
    let begin = Instant::now();
    runtime.block_on(all(&two, &bids));
    let took = begin.elapsed();
    report("taken from a dead replica by another, of 100,000", RESOURCES, took);
    let moved = RESOURCES as f64 / took.as_secs_f64();
    println!("that is {:.2} of the rate of etcd's own transactions", moved / rate);
}

async fn all(gate: &Gate, bids: &[Bid]) {
    stream::iter(bids)
        .for_each_concurrent(TAKEOVERS_AT_ONCE, |bid| async move {
            let begin = Instant::now();
            while let Err(refusal) = gate.seal(bid).await {
                let can_wait = refusal.is_retryable() && begin.elapsed() < Duration::from_secs(120);
                assert!(can_wait, "{refusal}");
            }
        })
        .await;
}

/// Bytes a second between etcd and its clients, in both directions.
fn traffic(server: &Server) -> u64 {
    let before = server.client_bytes();
    std::thread::sleep(KEEPALIVES_FOR);
    (server.client_bytes() - before) / KEEPALIVES_FOR.as_secs()
}

fn store(server: &Server) -> Etcd {
    Etcd::new(etcd::Settings {
        endpoints: vec![etcd::Endpoint { host: "127.0.0.1".into(), port: server.port }],
        namespace: "bench".into(),
        tls: None,
        login: None,
        timeout: Duration::from_secs(5),
    })
    .expect("settings without files")
}

async fn gate(server: &Server, replica: &str) -> (Gate, Arc<Replicated>) {
    let settings = replicated::Settings {
        replica: replica.into(),
        ttl: TTL,
        margin: Duration::from_secs(1),
        drain: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
    };
    let opening = Replicated::open(Arc::new(store(server)), settings).await;
    let ledger = opening.expect("the ledger opens");
    let settings = Settings { active_resources_max: 2 * RESOURCES, ..Settings::default() };
    let shared: Arc<dyn Ledger> = Arc::clone(&ledger) as _;
    (Gate::new(shared, settings, Audit::disabled(), Handle::current()), ledger)
}

fn quantiles(mut took: Vec<Duration>) -> (Duration, Duration) {
    took.sort();
    (took[took.len() / 2], took[took.len() * 99 / 100])
}

fn name(text: &str) -> Resource {
    Resource::new(text).expect("a name")
}
