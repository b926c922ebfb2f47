//! Disks that fail: what is not known is called unknown, and nothing is answered after it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::super::{Embedded, OpenError, Settings};
use super::disk::{Control, Disk, Fault};
use super::reopen;
use crate::fence::{Granted, RaiseOutcome};
use crate::ledger::Ledger;
use crate::ledger::contract::{mark, record, resource};

struct Rig {
    _folder: tempfile::TempDir,
    path: PathBuf,
    control: Arc<Control>,
    ledger: Embedded,
}

/// A ledger on a disk that works so far, with `a` raised to 1.
async fn rig() -> Rig {
    rig_with(Settings::default()).await
}

async fn rig_with(settings: Settings) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let control = Control::new();
    let wrap = |file| Disk { file, control: control.clone() };
    let ledger = Embedded::open_with(&path, settings, wrap).unwrap();
    let done = ledger.raise(&resource("a"), &mark(1, "one"), true).await;
    assert_eq!(done, record(mark(1, "one"), 1));
    Rig { _folder: folder, path, control, ledger }
}

async fn check_stopped(ledger: &Embedded) {
    for name in ["a", "b"] {
        let name = &resource(name);
        assert_eq!(ledger.raise(name, &mark(9, "nine"), true).await, RaiseOutcome::Failed);
        assert_eq!(ledger.grant(name, mark(1, "").token).await, Granted::Failed);
        ledger.load(name).await.unwrap_err();
    }
    let told = ledger.health().unwrap_err().to_string();
    assert!(told.contains("restart palisade"), "{told}");
    ledger.close().await.unwrap_err();
}

#[tokio::test]
async fn a_failed_fsync_is_unknown_and_final() {
    let rig = rig().await;
    rig.control.set(Fault::Sync);
    let outcome = rig.ledger.raise(&resource("a"), &mark(2, "two"), true).await;
    assert_eq!(outcome, RaiseOutcome::Unknown);
    // The disk has recovered, it says. Nothing says what it has lost.
    rig.control.set(Fault::None);
    check_stopped(&rig.ledger).await;
    drop(rig.ledger);
    let ledger = reopen(&rig.path);
    assert!(ledger.ended_uncleanly(), "a close that failed is no close");
    let found = ledger.load(&resource("a")).await.unwrap().mark;
    assert!(found == mark(1, "one") || found == mark(2, "two"), "{found:?}");
    assert_eq!(ledger.raise(&resource("a"), &mark(3, "c"), true).await, record(mark(3, "c"), 3));
}

#[tokio::test]
async fn everybody_in_a_failed_batch_is_told_so() {
    let rig = rig().await;
    rig.control.set(Fault::Sync);
    let names: Vec<_> = (0..50).map(|i| resource(&format!("n{i}"))).collect();
    let to = mark(2, "two");
    let outcomes = join_all(names.iter().map(|name| rig.ledger.raise(name, &to, true))).await;
    // Those of the batch that failed do not know; those behind it were never begun.
    assert!(outcomes.contains(&RaiseOutcome::Unknown));
    assert!(!outcomes.iter().any(|outcome| matches!(outcome, RaiseOutcome::Done(_))));
    check_stopped(&rig.ledger).await;
}

#[tokio::test]
async fn a_dead_thread_stops_the_ledger() {
    let rig = rig().await;
    rig.control.set(Fault::Panic);
    let outcome = rig.ledger.raise(&resource("a"), &mark(2, "two"), true).await;
    assert_eq!(outcome, RaiseOutcome::Unknown);
    rig.control.set(Fault::None);
    check_stopped(&rig.ledger).await;
}

#[tokio::test]
async fn a_hanging_fsync_holds_nobody_else() {
    let rig = rig().await;
    rig.control.set(Fault::Hang);
    // This runtime has one thread: if the ledger blocked it, no timer would ever fire.
    let name = &resource("a");
    let to = mark(2, "two");
    let mut raise = rig.ledger.raise(name, &to, true);
    let waited = tokio::time::timeout(Duration::from_millis(50), &mut raise).await;
    assert!(waited.is_err(), "{waited:?}");
    // Other resources can be read, and what is not durable is not seen.
    let seen = tokio::time::timeout(Duration::from_secs(5), rig.ledger.load(name)).await;
    assert_eq!(seen.unwrap().unwrap().mark, mark(1, "one"));
    rig.control.set(Fault::None);
    assert_eq!(raise.await, record(to.clone(), 2));
    rig.ledger.health().unwrap();
}

#[tokio::test]
async fn a_hanging_fsync_shows_in_the_health() {
    let stall = Duration::from_millis(100);
    let rig = rig_with(Settings { commit_stall_timeout: stall, ..Settings::default() }).await;
    rig.control.set(Fault::Hang);
    let (name, to) = (&resource("a"), mark(2, "two"));
    let mut raise = rig.ledger.raise(name, &to, true);
    let waited = tokio::time::timeout(stall / 2, &mut raise).await;
    assert!(waited.is_err(), "{waited:?}");
    rig.ledger.health().expect("not for long enough");
    tokio::time::sleep(stall).await;
    let told = rig.ledger.health().unwrap_err().to_string();
    assert!(told.contains("a commit has been running for 0 s; look at the disk"), "{told}");
    rig.control.set(Fault::None);
    assert_eq!(raise.await, record(to.clone(), 2));
    rig.ledger.health().expect("it is over");
}

#[tokio::test]
async fn a_raise_given_up_is_awaited_by_the_next_load() {
    let rig = rig().await;
    rig.control.set(Fault::Hang);
    let name = &resource("a");
    let to = mark(2, "two");
    let raise = rig.ledger.raise(name, &to, true);
    tokio::time::timeout(Duration::from_millis(20), raise).await.unwrap_err();
    let mut load = rig.ledger.load(name);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut load).await;
    assert!(early.is_err(), "answered before the raise was settled: {early:?}");
    rig.control.set(Fault::None);
    assert_eq!(load.await.unwrap().mark, to);
}

#[tokio::test]
async fn a_full_disk_is_survived() {
    let rig = rig().await;
    let now_bytes = std::fs::metadata(&rig.path).unwrap().len();
    rig.control.limit(now_bytes);
    let (mut done, mut last) = (0, RaiseOutcome::Failed);
    for i in 0..2_000 {
        let names: Vec<_> = (0..100).map(|j| resource(&format!("{i}/{j}/{:0>99}", 0))).collect();
        let to = mark(2, "two");
        let outcomes = join_all(names.iter().map(|name| rig.ledger.raise(name, &to, true))).await;
        match outcomes.iter().find(|outcome| !matches!(outcome, RaiseOutcome::Done(_))) {
            None => done += 1,
            Some(outcome) => {
                last = outcome.clone();
                break;
            }
        }
    }
    assert!(done > 0 && done < 2_000, "{done} batches fitted");
    assert!(matches!(last, RaiseOutcome::Failed | RaiseOutcome::Unknown));
    check_stopped(&rig.ledger).await;
    drop(rig.ledger);
    // Room was made.
    let ledger = reopen(&rig.path);
    assert!(ledger.ended_uncleanly());
    let last_done = resource(&format!("{}/99/{:0>99}", done - 1, 0));
    assert_eq!(ledger.load(&last_done).await.unwrap().mark, mark(2, "two"));
    assert_eq!(ledger.raise(&last_done, &mark(3, "c"), true).await, record(mark(3, "c"), 3));
}

#[test]
fn a_disk_that_fails_at_the_start_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let open = |fault| {
        let control = Control::new();
        control.set(fault);
        Embedded::open_with(&path, Settings::default(), |file| Disk { file, control })
    };
    for fault in [Fault::Sync, Fault::Write] {
        let error = open(fault).err().expect("it was opened");
        assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
        assert!(!path.exists(), "half a ledger was left under its name");
    }
    drop(open(Fault::None).unwrap());
    for fault in [Fault::Sync, Fault::Write] {
        drop(reopen(&path));
        std::thread::sleep(Duration::from_millis(50));
        let error = open(fault).err().expect("it was opened");
        assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    }
    assert!(reopen(&path).ended_uncleanly());
}
