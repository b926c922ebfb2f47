//! The embedded ledger: raises with fsync, loads, start-up and memory.
//!
//! `PALISADE_BENCH_RESOURCES=10000000` fills it with that many instead of one million, and
//! `TMPDIR` says on which disk.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use palisade::fence::{Holder, Mark, RaiseOutcome, Resource, Token};
use palisade::ledger::Ledger;
use palisade::ledger::embedded::{Embedded, Settings};

const RESOURCES_VARIABLE: &str = "PALISADE_BENCH_RESOURCES";
/// Set for the process of its own in which a filled file is opened, so that the memory it
/// needs is not mixed with that of the filling.
const OPEN_VARIABLE: &str = "PALISADE_BENCH_OPEN";
/// How many raises are under way at a time while the file is filled.
const WAVE: usize = 50_000;

/// Runs it.
pub fn run() {
    let resources = std::env::var(RESOURCES_VARIABLE)
        .map(|text| text.parse().expect("PALISADE_BENCH_RESOURCES is a number"))
        .unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("threads can be started");
    if let Some(path) = std::env::var_os(OPEN_VARIABLE) {
        return runtime.block_on(start(Path::new(&path), resources));
    }
    let folder = std::env::temp_dir().join(format!("palisade-bench-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("the folder for temporary files is writable");
    let path = folder.join("ledger");
    println!("embedded ledger");
    runtime.block_on(raises(&path, resources));
    let started = std::process::Command::new(std::env::current_exe().expect("it has a path"))
        .arg("ledger")
        .env(OPEN_VARIABLE, &path)
        .status();
    assert!(started.expect("it starts").success());
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}

fn open(path: &Path, verify_on_open: bool) -> (Embedded, Duration) {
    let settings = Settings { verify_on_open, ..Settings::default() };
    let started = Instant::now();
    let ledger = Embedded::open(path, settings).expect("the ledger opens");
    (ledger, started.elapsed())
}

async fn raises(path: &Path, resources: u64) {
    let (ledger, took) = open(path, true);
    line("open, new file", format!("{took:.1?}"));
    sequential(&ledger, "raise, one after another, small file", 500).await;
    for count in [1_000, 100_000] {
        let took = wave(&ledger, (0..count).map(name).collect(), 1).await;
        line(&format!("raise, {count} at once, new"), rate(count, took));
    }
    // In their order, because it is only to be full.
    let mut numbers: Vec<u64> = (0..resources).map(mixed).collect();
    numbers.sort_unstable();
    let started = Instant::now();
    for wanted in numbers.chunks(WAVE) {
        wave(&ledger, wanted.iter().map(|&mixed| named(mixed)).collect(), 2).await;
    }
    line(&format!("fill to {resources}, {WAVE} at a time"), rate(resources, started.elapsed()));
    sequential(&ledger, "raise, one after another, full file", 500).await;
    let count = resources.min(100_000);
    let took = wave(&ledger, (0..count).map(name).collect(), 3).await;
    line(&format!("raise, {count} of {resources} at once"), rate(count, took));
    ledger.close().await.expect("it closes");
}

/// What a start costs, and what is in memory after it.
async fn start(path: &Path, resources: u64) {
    for verify in [false, true] {
        let (ledger, took) = open(path, verify);
        let started = Instant::now();
        ledger.load(&name(resources / 2)).await.expect("it loads");
        let first = started.elapsed();
        line(&format!("open, verify {verify}"), format!("{took:.1?}, first load {first:.1?}"));
        line("  resident memory", resident());
        ledger.close().await.expect("it closes");
    }
    let (ledger, _) = open(path, true);
    let count = 20_000;
    let started = Instant::now();
    for i in 0..count {
        ledger.load(&name(i * 7919 % resources)).await.expect("it loads");
    }
    line("load, one after another", rate(count, started.elapsed()));
    let names: Vec<_> = (0..100_000).map(|i| name(i * 7919 % resources)).collect();
    let started = Instant::now();
    join_all(names.iter().map(|name| ledger.load(name))).await;
    line("load, 100000 at once", rate(100_000, started.elapsed()));
    let bytes = path.metadata().expect("it is there").len();
    line("file", format!("{} MiB, {} bytes a resource", bytes >> 20, bytes / resources));
    line("resident memory now", resident());
}

/// Raises of one resource each, and how long each took.
async fn sequential(ledger: &Embedded, what: &str, count: u64) {
    let start = ledger.load(&name(0)).await.expect("it loads").mark.token.counter();
    let mut times = Vec::new();
    for i in 1..=count {
        let started = Instant::now();
        raise(ledger, &name(0), start + i).await;
        times.push(started.elapsed());
    }
    let total = times.iter().sum();
    times.sort();
    let at = |percent| times[times.len() * percent / 100];
    line(what, format!("{}, p50 {:.1?}, p99 {:.1?}", rate(count, total), at(50), at(99)));
}

async fn wave(ledger: &Embedded, names: Vec<Resource>, counter: u64) -> Duration {
    let started = Instant::now();
    join_all(names.iter().map(|name| raise(ledger, name, counter))).await;
    started.elapsed()
}

async fn raise(ledger: &Embedded, name: &Resource, counter: u64) {
    let holder = Holder::new("spiffe://example.org/ns/prod/sa/orders-writer");
    let to = Mark { token: Token::new(0, counter), holder };
    let outcome = ledger.raise(name, &to, true).await;
    assert!(matches!(outcome, RaiseOutcome::Done(_)), "{outcome:?}");
}

/// Names in no useful order, as hashed shards are.
fn name(i: u64) -> Resource {
    named(mixed(i))
}

fn mixed(i: u64) -> u64 {
    i.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}

fn named(mixed: u64) -> Resource {
    Resource::new(&format!("orders/{mixed:016x}")).expect("a short name of plain letters")
}

fn rate(count: u64, took: Duration) -> String {
    format!("{:.0}/s ({took:.1?})", count as f64 / took.as_secs_f64())
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap_or("?:?");
        line.split_once(':').map_or("?", |(_, value)| value.trim()).to_owned()
    };
    format!("{}, at most {}", of("VmRSS"), of("VmHWM"))
}

fn line(what: &str, value: String) {
    println!("  {what:<42} {value}");
}
