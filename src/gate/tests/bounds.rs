//! How many writes of one resource are under way at once, and how they end with the process.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::rig::{Process, SETTLE, bid, bid_for, folder};
use crate::fence::Refusal;
use crate::gate::{ENDING, Settings};

const SOON: Duration = Duration::from_secs(1);

fn bounded(folder: &tempfile::TempDir, max: u32) -> Process {
    let settings = Settings {
        writes_per_resource_max: max,
        settle_timeout_max: SETTLE,
        ..Settings::default()
    };
    Process::start_with(folder, settings)
}

#[tokio::test]
async fn a_write_too_many_is_refused_and_may_be_tried_again() {
    let folder = folder();
    let Process { gate, .. } = bounded(&folder, 2);
    let streaming = gate.admit(&bid("a", 1)).await.expect("the first");
    let sent = gate.admit(&bid("a", 1)).await.expect("the second");
    sent.commit().expect("current");
    let refusal = gate.admit(&bid("a", 1)).await.expect_err("the third");
    assert_eq!(refusal, Refusal::Overloaded { limit: "writes_per_resource_max" });
    assert!(refusal.is_retryable());
    // Whose token can never be right is told so all the same, and others are not in its way.
    let stale = gate.admit(&bid("z", 0)).await.expect_err("stale");
    assert!(matches!(stale, Refusal::Stale { .. }), "{stale:?}");
    gate.admit(&bid_for("another", "a", 1)).await.expect("of another resource");
    let status = gate.status(&bid("a", 1).resource).await.expect("a status");
    assert_eq!((status.streaming, status.sent), (1, 1), "the one refused has left nothing");
    drop(streaming);
    gate.admit(&bid("a", 1)).await.expect("there is room again");
}

#[tokio::test]
async fn a_takeover_is_not_kept_waiting_by_the_bound() {
    let folder = folder();
    let Process { gate, ledger } = bounded(&folder, 2);
    let _first = gate.admit(&bid("a", 1)).await.expect("the first");
    let _second = gate.admit(&bid("a", 1)).await.expect("the second");
    ledger.held.store(true, Ordering::SeqCst);
    let mut queue = Vec::new();
    for _ in 0..4 {
        let gate = gate.clone();
        queue.push(tokio::spawn(async move { gate.admit(&bid("b", 2)).await }));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ledger.held.store(false, Ordering::SeqCst);
    ledger.release.add_permits(1);
    let mut ends = Vec::new();
    for one in queue {
        ends.push(timeout(SOON, one).await.expect("decided").expect("no panic"));
    }
    let refused = Refusal::Overloaded { limit: "writes_per_resource_max" };
    let told: Vec<_> = ends.iter().map(|end| end.as_ref().err()).collect();
    assert_eq!(told, [None, None, Some(&refused), Some(&refused)], "first come, first served");
}

#[tokio::test]
async fn an_end_cuts_what_is_streaming_and_refuses_those_who_wait() {
    let folder = folder();
    let Process { gate, ledger } = bounded(&folder, 100);
    let streaming = gate.admit(&bid("a", 1)).await.expect("admitted");
    let sent = gate.admit(&bid("a", 1)).await.expect("admitted");
    sent.commit().expect("current");
    ledger.held.store(true, Ordering::SeqCst);
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { gate.admit(&bid_for("another", "b", 2)).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(timeout(Duration::from_millis(20), streaming.lost()).await.is_err(), "nothing yet");

    gate.halt();
    timeout(SOON, streaming.lost()).await.expect("it is cut");
    assert!(streaming.outranked_by().is_none(), "by nobody");
    let told = timeout(SOON, waiting).await.expect("at once").expect("no panic");
    assert_eq!(told.expect_err("refused"), ENDING);
    assert_eq!(gate.admit(&bid("a", 1)).await.expect_err("refused"), ENDING);
    // What is past its commit point may still be answered.
    assert!(timeout(Duration::from_millis(20), sent.lost()).await.is_err(), "it goes on");
    gate.give_up();
    timeout(SOON, sent.lost()).await.expect("it is given up on");
    sent.lose(Instant::now());
    drop(streaming);
    ledger.held.store(false, Ordering::SeqCst);
    ledger.release.add_permits(1);
    assert_eq!(gate.close(Instant::now() + SETTLE / 3).await, Err(1), "it may still land");
}
