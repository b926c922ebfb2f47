//! What a takeover does to the writes of the leader before.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::rig::{Process, SETTLE, bid, folder};
use crate::fence::{Cut, Refusal, Token};

const SOON: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_write_before_its_commit_point_is_cut_at_once() {
    let folder = folder();
    let Process { gate, .. } = Process::start(&folder);
    let upload = gate.admit(&bid("a", 33)).await.expect("admitted");
    assert!(timeout(SOON, upload.lost()).await.is_err(), "nothing has happened yet");
    let began = Instant::now();
    let sealed = gate.seal(&bid("b", 34)).await.expect("sealed");
    assert!(began.elapsed() < SETTLE, "nobody waits for an upload");
    timeout(SOON, upload.lost()).await.expect("it is told");
    assert_eq!(upload.commit(), Err(Cut));
    assert_eq!(upload.outranked_by().map(|mark| mark.token), Some(Token::new(0, 34)));
    let evidence = sealed.evidence.expect("this process has seen it");
    assert_eq!((evidence.takeover.cut, evidence.takeover.awaited), (1, 0));
}

#[tokio::test]
async fn a_write_past_its_commit_point_is_waited_for() {
    let folder = folder();
    let Process { gate, .. } = Process::start(&folder);
    let write = gate.admit(&bid("a", 33)).await.expect("admitted");
    write.commit().expect("current");
    let seal = tokio::spawn({
        let gate = gate.clone();
        async move { gate.seal(&bid("b", 34)).await }
    });
    tokio::time::sleep(SOON).await;
    assert!(!seal.is_finished(), "the store has not answered yet");
    write.settle();
    let sealed = timeout(SOON, seal).await.expect("at once").expect("no panic").expect("sealed");
    let takeover = sealed.evidence.expect("seen").takeover;
    assert_eq!((takeover.cut, takeover.awaited, takeover.unknown), (0, 1, 0));
}

#[tokio::test]
async fn a_write_without_an_answer_is_told_to_hang_up_and_then_waited_out() {
    let folder = folder();
    let Process { gate, .. } = Process::start(&folder);
    let write = gate.admit(&bid("a", 33)).await.expect("admitted");
    write.commit().expect("current");
    let committed = Instant::now();
    let seal = tokio::spawn({
        let gate = gate.clone();
        async move { gate.seal(&bid("b", 34)).await }
    });
    timeout(SETTLE * 2, write.lost()).await.expect("told to hang up after the settle time");
    assert!(committed.elapsed() >= SETTLE);
    tokio::time::sleep(SOON).await;
    assert!(!seal.is_finished(), "its connection may still send: it has not said that it hung up");
    // Its last byte left later than its commit point: the store has its time from then.
    let last_write = committed + SETTLE / 2;
    write.lose(last_write);
    let sealed = seal.await.expect("no panic").expect("sealed");
    assert!(last_write.elapsed() >= SETTLE, "{:?}", last_write.elapsed());
    let takeover = sealed.evidence.expect("seen").takeover;
    assert_eq!((takeover.awaited, takeover.unknown), (1, 1));
}

#[tokio::test]
async fn an_unknown_write_is_waited_out_by_the_next_leader_and_forgotten_after() {
    let folder = folder();
    let Process { gate, .. } = Process::start(&folder);
    let write = gate.admit(&bid("a", 1)).await.expect("admitted");
    write.commit().expect("current");
    let last_write = Instant::now();
    drop(write);
    gate.admit(&bid("a", 1)).await.expect("its own leader need not wait");
    let sealed = gate.seal(&bid("b", 2)).await.expect("sealed");
    assert!(last_write.elapsed() >= SETTLE);
    assert_eq!(sealed.evidence.expect("seen").takeover.unknown, 1);

    let write = gate.admit(&bid("b", 2)).await.expect("admitted");
    write.commit().expect("current");
    drop(write);
    tokio::time::sleep(SETTLE).await;
    let began = Instant::now();
    let sealed = gate.seal(&bid("c", 3)).await.expect("sealed");
    assert!(began.elapsed() < SETTLE, "it could not land any more");
    assert_eq!(sealed.evidence.expect("seen").takeover.unknown, 0);
}

#[tokio::test]
async fn a_leader_that_does_not_want_to_wait_is_told_unsettled() {
    let folder = folder();
    let Process { gate, .. } = Process::start(&folder);
    let write = gate.admit(&bid("a", 1)).await.expect("admitted");
    write.commit().expect("current");
    let mut hasty = bid("b", 2);
    hasty.wait = Duration::from_secs(1); // Long enough for the raise, whatever else the machine does.
    assert_eq!(gate.admit(&hasty).await.expect_err("not settled yet"), Refusal::Unsettled);
    let refusal = gate.admit(&bid("a", 1)).await.expect_err("the mark has moved all the same");
    assert!(matches!(refusal, Refusal::Stale { .. }), "{refusal:?}");
    write.settle();
    gate.admit(&bid("b", 2)).await.expect("trying again is all it takes");
}

#[tokio::test]
async fn a_still_newer_leader_overtakes_one_that_waits() {
    let folder = folder();
    let Process { gate, .. } = Process::start(&folder);
    let write = gate.admit(&bid("a", 1)).await.expect("admitted");
    write.commit().expect("current");
    let bids = [bid("b", 2), bid("c", 3)];
    let [second, third] = bids.map(|bid| {
        let gate = gate.clone();
        tokio::spawn(async move { gate.admit(&bid).await.map(|admission| admission.token()) })
    });
    let refusal = second.await.expect("no panic").expect_err("overtaken");
    assert!(matches!(refusal, Refusal::Stale { .. }), "{refusal:?}");
    assert!(!third.is_finished());
    write.settle();
    assert_eq!(third.await.expect("no panic").expect("admitted"), Token::new(0, 3));
}

#[tokio::test]
async fn a_reset_outranks_every_old_token_and_lets_the_new_incarnation_in() {
    let folder = folder();
    let Process { gate, .. } = Process::start(&folder);
    drop(gate.admit(&bid("a", 1_000_000)).await.expect("a poisoned mark"));
    let operator = super::rig::peer("ops");
    let sealed = gate.reset(&bid("a", 1).resource, &operator, "etcd was restored").await;
    assert_eq!(sealed.expect("reset").mark.token, Token::new(1, 0));
    let refusal = gate.admit(&bid("a", 1_000_001)).await.expect_err("of the old incarnation");
    assert!(matches!(refusal, Refusal::Stale { .. }), "{refusal:?}");
    let mut fresh = bid("a", 1);
    fresh.claim.token = Token::new(1, 1);
    gate.admit(&fresh).await.expect("admitted");
}

#[tokio::test]
async fn a_watch_tells_of_a_larger_token_though_nothing_is_in_flight() {
    let folder = folder();
    let Process { gate, .. } = Process::start(&folder);
    let old = bid("a", 33);
    gate.seal(&old).await.expect("sealed");
    let watch = gate.watch(&old).expect("room");
    assert!(timeout(SOON, watch.over()).await.is_err() && !watch.is_over());
    gate.seal(&bid("b", 34)).await.expect("sealed");
    timeout(SOON, watch.over()).await.expect("it is told");
    assert_eq!(watch.outranked_by().map(|mark| mark.token), Some(Token::new(0, 34)));
    let watch = gate.watch(&bid("b", 34)).expect("room");
    gate.halt();
    timeout(SOON, watch.over()).await.expect("nothing is admitted any more");
    assert_eq!(watch.outranked_by(), None);
}
