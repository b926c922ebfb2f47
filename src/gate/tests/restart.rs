//! What a process that ended leaves behind, and what the next one makes of it.

use std::time::Duration;

use tokio::time::Instant;

use super::rig::{Process, SETTLE, bid, crashed, folder};
use crate::fence::{Refusal, Token};
use crate::gate::ENDING;

async fn close(process: Process) -> Result<(), usize> {
    process.gate.close(Instant::now() + Duration::from_secs(2)).await
}

#[tokio::test]
async fn the_mark_outlives_the_process() {
    let folder = folder();
    let first = Process::start(&folder);
    drop(first.gate.admit(&bid("b", 34)).await.expect("admitted"));
    let second = Process::start(&crashed(&folder));
    let refusal = second.gate.admit(&bid("a", 33)).await.expect_err("stale");
    assert!(matches!(refusal, Refusal::Stale { .. }), "{refusal:?}");
}

#[tokio::test]
async fn after_an_unclean_end_the_next_leader_waits_and_the_current_one_does_not() {
    let folder = folder();
    let first = Process::start(&folder);
    let write = first.gate.admit(&bid("a", 1)).await.expect("admitted");
    write.commit().expect("current");
    let second = Process::start(&crashed(&folder));
    let began = Instant::now();
    drop(second.gate.admit(&bid("a", 1)).await.expect("the current leader"));
    assert!(began.elapsed() < SETTLE);
    let sealed = second.gate.seal(&bid("b", 2)).await.expect("sealed");
    assert!(began.elapsed() >= SETTLE * 9 / 10, "{:?}", began.elapsed());
    assert!(sealed.evidence.expect("seen").takeover.leftovers);
}

#[tokio::test]
async fn an_end_in_the_middle_of_a_takeover_is_waited_out_even_at_the_current_mark() {
    let folder = folder();
    let first = Process::start(&folder);
    let write = first.gate.admit(&bid("a", 1)).await.expect("admitted");
    write.commit().expect("current");
    let mut hasty = bid("b", 2);
    hasty.wait = Duration::from_secs(1); // Long enough for the raise, whatever else the machine does.
    assert_eq!(first.gate.admit(&hasty).await.expect_err("busy"), Refusal::Unsettled);
    let second = Process::start(&crashed(&folder));
    let began = Instant::now();
    let admission = second.gate.admit(&bid("b", 2)).await.expect("admitted");
    assert_eq!(admission.token(), Token::new(0, 2));
    assert!(began.elapsed() >= SETTLE * 9 / 10, "the old write may land: {:?}", began.elapsed());
}

#[tokio::test]
async fn after_a_clean_end_nobody_waits() {
    let folder = folder();
    let first = Process::start(&folder);
    let write = first.gate.admit(&bid("a", 1)).await.expect("admitted");
    write.commit().expect("current");
    write.settle();
    drop(write);
    assert_eq!(close(first).await, Ok(()));
    let second = Process::start(&folder);
    let began = Instant::now();
    second.gate.seal(&bid("b", 2)).await.expect("sealed");
    assert!(began.elapsed() < SETTLE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_end_with_a_write_that_may_still_land_is_not_clean() {
    let folder = folder();
    let first = Process::start(&folder);
    let write = first.gate.admit(&bid("a", 1)).await.expect("admitted");
    write.commit().expect("current");
    drop(write);
    let Process { gate, ledger } = first;
    assert_eq!(gate.close(Instant::now()).await, Err(1));
    let refusal = gate.admit(&bid("a", 1)).await.expect_err("it is closing");
    assert_eq!(refusal, ENDING);
    drop(ledger);
    let second = Process::start(&crashed(&folder));
    let began = Instant::now();
    second.gate.seal(&bid("b", 2)).await.expect("sealed");
    assert!(began.elapsed() >= SETTLE * 9 / 10);
}
