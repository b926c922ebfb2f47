//! `kill -9` at any moment: what was acknowledged is there, and no mark ever goes down.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::super::{Embedded, OpenError, Settings};
use super::reopen;
use crate::fence::RaiseOutcome;
use crate::ledger::Ledger;
use crate::ledger::contract::{mark, resource};

const PATH_VARIABLE: &str = "PALISADE_TEST_CRASH_LEDGER";
const RESOURCES: u64 = 40;
const KILLS: u64 = 8;
/// Marks the child's lines among those of the test harness.
const DONE: &str = "done ";

/// The process that is killed: raises for ever, and prints what it was told is done.
#[tokio::test]
#[ignore = "the child of `acknowledged_marks_survive_kill_9`"]
async fn child() {
    let path = std::env::var_os(PATH_VARIABLE).expect("only the parent starts it");
    let ledger = &Embedded::open(Path::new(&path), Settings::default()).unwrap();
    let climb = |i: u64| async move {
        let name = resource(&format!("orders/{i}"));
        let next = ledger.load(&name).await.unwrap().mark.token.counter() + 1;
        let outcome = ledger.raise(&name, &mark(next, "child"), true).await;
        assert!(matches!(outcome, RaiseOutcome::Done(_)));
        (i, next)
    };
    let mut climbs: FuturesUnordered<_> = (0..RESOURCES).map(climb).collect();
    let mut out = std::io::stdout();
    while let Some((i, done)) = climbs.next().await {
        writeln!(out, "\n{DONE}{i} {done}.").unwrap();
        climbs.push(climb(i));
    }
}

/// Lets the child run a while, kills it, and says what it was told.
fn run_child(path: &Path, after_first: Duration) -> Vec<(u64, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ledger::embedded::tests::crash::child"])
        .args(["--ignored", "--nocapture", "--test-threads=1"])
        .env(PATH_VARIABLE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (first_seen, first) = std::sync::mpsc::channel();
    let listener = std::thread::spawn(move || {
        let mut told = Vec::new();
        for line in lines.map_while(Result::ok) {
            // The full stop shows that the line was not cut off by the kill.
            let Some(line) = line.strip_prefix(DONE).and_then(|l| l.strip_suffix('.')) else {
                continue;
            };
            let (i, done) = line.split_once(' ').unwrap();
            told.push((i.parse().unwrap(), done.parse().unwrap()));
            let _ = first_seen.send(());
        }
        told
    });
    let started = first.recv_timeout(Duration::from_secs(20));
    std::thread::sleep(after_first);
    let second = Embedded::open(path, Settings::default()).err();
    child.kill().unwrap();
    child.wait().unwrap();
    started.expect("the child raised nothing");
    assert!(matches!(second, Some(OpenError::AlreadyOpen { .. })), "opened twice: {second:?}");
    listener.join().unwrap()
}

#[tokio::test]
async fn acknowledged_marks_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let mut floor: HashMap<u64, u64> = HashMap::new();
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        // Some after many commits, some within the first, some while it opens again.
        for (i, done) in run_child(&path, Duration::from_millis(kill * kill * 37 % 150)) {
            let known = floor.entry(i).or_default();
            assert!(done > *known, "a mark went down: {done} after {known}");
            *known = done;
            acknowledged += 1;
        }
        let ledger = reopen(&path);
        assert!(ledger.ended_uncleanly());
        for i in 0..RESOURCES {
            let found = ledger.load(&resource(&format!("orders/{i}"))).await.unwrap();
            let known = floor.entry(i).or_default();
            assert!(found.mark.token.counter() >= *known, "lost: {found:?}, was {known}");
            *known = found.mark.token.counter();
        }
        ledger.close().await.unwrap();
    }
    assert!(acknowledged > KILLS * 10, "only {acknowledged} raises were seen");
}
