//! The embedded ledger against the contract of all ledgers, and what only a file can suffer.

mod crash;
mod disk;
mod fault;
mod opening;
mod rows;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Embedded, OpenError, Settings};
use crate::ledger::contract::{self, End, Subject};
use crate::ledger::{Ledger, Pending};

struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
    ledger: Option<Embedded>,
}

impl File {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let ledger = Some(Embedded::open(&path, Settings::default()).unwrap());
        Self { _folder: folder, path, ledger }
    }
}

impl Subject for File {
    fn ledger(&self) -> &dyn Ledger {
        self.ledger.as_ref().unwrap()
    }

    fn restart(&mut self, end: End) -> Pending<'_, ()> {
        Box::pin(async move {
            let ledger = self.ledger.take().unwrap();
            if end == End::Close {
                ledger.close().await.unwrap();
            }
            drop(ledger);
            self.ledger = Some(reopen(&self.path));
        })
    }
}

/// Opens it as soon as the threads of the one before have let it go.
fn reopen(path: &Path) -> Embedded {
    let started = Instant::now();
    loop {
        match Embedded::open(path, Settings::default()) {
            Err(OpenError::AlreadyOpen { .. }) if started.elapsed() < Duration::from_secs(10) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            opened => return opened.unwrap(),
        }
    }
}

#[tokio::test]
async fn keeps_the_contract() {
    contract::all(async || File::new()).await;
}

#[tokio::test]
async fn a_mass_failover_shares_its_fsyncs() {
    let file = File::new();
    let names: Vec<_> = (0..10_000).map(|i| contract::resource(&format!("db/{i}"))).collect();
    let to = contract::mark(34, "b");
    let ledger = file.ledger();
    let started = Instant::now();
    let raises = names.iter().map(|name| ledger.raise(name, &to, true));
    for outcome in futures_util::future::join_all(raises).await {
        assert_eq!(outcome, contract::record(to.clone(), 34));
    }
    // A commit each would be 10,000 times two fsyncs.
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[tokio::test]
async fn raises_are_counted_by_their_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let ledger = metrics::with_local_recorder(&recorder, || {
        crate::ledger::metrics::describe();
        Embedded::open(&path, Settings::default()).unwrap()
    });
    let (a, to) = (contract::resource("a"), contract::mark(1, "one"));
    ledger.raise(&a, &to, true).await;
    ledger.raise(&a, &to, true).await;
    ledger.raise(&a, &to, true).await;
    ledger.close().await.unwrap();
    ledger.raise(&a, &to, true).await;
    let text = recorder.handle().render();
    for line in [
        "palisade_ledger_raises_total{outcome=\"raised\"} 1",
        "palisade_ledger_raises_total{outcome=\"unchanged\"} 2",
        "palisade_ledger_raises_total{outcome=\"failed\"} 1",
        "palisade_ledger_commits_total 1",
        "palisade_ledger_commit_seconds_count 1",
        "palisade_ledger_batch_changes_sum 1",
        "palisade_ledger_up 0",
        "# TYPE palisade_ledger_file_bytes gauge",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}
