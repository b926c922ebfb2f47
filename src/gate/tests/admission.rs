//! Who is admitted, and what a request that goes away leaves behind: nothing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::rig::{Process, bid, folder};
use crate::fence::{Cut, Refusal};

#[tokio::test]
async fn the_first_leader_is_admitted_and_a_stale_one_is_not() {
    let folder = folder();
    let Process { gate, .. } = Process::start(&folder);
    let admission = gate.admit(&bid("a", 33)).await.expect("admitted");
    assert_eq!(admission.commit(), Ok(()));
    assert_eq!(admission.commit(), Ok(()), "asking again changes nothing");
    admission.settle();
    assert_eq!(admission.commit(), Err(Cut), "it has ended");
    gate.admit(&bid("b", 34)).await.expect("a larger token takes over");
    let refusal = gate.admit(&bid("a", 33)).await.expect_err("stale");
    assert!(matches!(refusal, Refusal::Stale { .. }), "{refusal:?}");
    let refusal = gate.seal(&bid("a", 33)).await.expect_err("a read with a stale token, too");
    assert!(matches!(refusal, Refusal::Stale { .. }), "{refusal:?}");
    let refusal = gate.admit(&bid("c", 34)).await.expect_err("two leaders with one token");
    assert!(matches!(refusal, Refusal::Conflict { .. }), "{refusal:?}");
}

#[tokio::test]
async fn every_way_out_of_an_admission_gives_its_permit_back() {
    let folder = folder();
    let Process { gate, .. } = Process::start(&folder);
    let resource = bid("a", 1).resource;
    let in_flight = async || {
        let status = gate.status(&resource).await.expect("a status");
        (status.streaming, status.sent, status.unknown)
    };
    drop(gate.admit(&bid("a", 1)).await.expect("admitted"));
    assert_eq!(in_flight().await, (0, 0, 0), "dropped before its commit point");

    let admission = gate.admit(&bid("a", 1)).await.expect("admitted");
    assert_eq!(in_flight().await, (1, 0, 0));
    admission.commit().expect("current");
    assert_eq!(in_flight().await, (0, 1, 0));
    admission.settle();
    admission.settle();
    drop(admission);
    assert_eq!(in_flight().await, (0, 0, 0), "settled, once");

    let admission = gate.admit(&bid("a", 1)).await.expect("admitted");
    admission.commit().expect("current");
    drop(admission);
    assert_eq!(in_flight().await, (0, 0, 1), "dropped past its commit point: unknown");
}

#[tokio::test]
async fn one_who_stops_waiting_leaves_the_queue_and_the_takeover_goes_on() {
    let folder = folder();
    let Process { gate, ledger } = Process::start(&folder);
    drop(gate.admit(&bid("a", 1)).await.expect("admitted"));
    ledger.held.store(true, Ordering::SeqCst);
    // Dropped at an await, in the middle of the raise that it began.
    let hasty = tokio::time::timeout(Duration::from_millis(50), gate.admit(&bid("b", 2))).await;
    assert!(hasty.is_err());
    ledger.release.add_permits(1);
    ledger.held.store(false, Ordering::SeqCst);
    let admission = gate.admit(&bid("b", 2)).await.expect("the takeover has ended without it");
    assert_eq!(ledger.raises.load(Ordering::SeqCst), 2, "one for each token");
    drop(admission);
    let status = gate.status(&bid("b", 2).resource).await.expect("a status");
    assert_eq!((status.streaming, status.sent, status.busy), (0, 0, false));
}

#[tokio::test]
async fn writers_wait_for_a_raise_and_go_on_in_the_order_of_their_arrival() {
    let folder = folder();
    let Process { gate, ledger } = Process::start(&folder);
    drop(gate.admit(&bid("a", 1)).await.expect("admitted"));
    ledger.held.store(true, Ordering::SeqCst);
    let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = Vec::new();
    for n in 0..8u32 {
        let (gate, told) = (gate.clone(), told.clone());
        // An old leader's write among them is not refused before the raise is known to be done.
        let bid = if n == 3 { bid("a", 1) } else { bid("b", 2) };
        tasks.push(tokio::spawn(async move {
            let admitted = gate.admit(&bid).await;
            told.send((n, admitted.is_ok())).expect("somebody listens");
        }));
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(order.try_recv().is_err(), "nobody is answered before the raise is");
    ledger.release.add_permits(1);
    for task in tasks {
        task.await.expect("no panic");
    }
    let mut answers: Vec<_> = std::iter::from_fn(|| order.try_recv().ok()).collect();
    answers.sort_by_key(|(_, admitted)| *admitted); // The refused one first; the others stay in order.
    let expected: Vec<_> =
        [(3, false)].into_iter().chain([0, 1, 2, 4, 5, 6, 7].map(|n| (n, true))).collect();
    assert_eq!(answers, expected);
}
