//! A ledger that fails, loses its answers, or is out of reach: in doubt a write is refused.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::rig::{Process, bid, folder};
use crate::fence::{Refusal, Token};

#[tokio::test]
async fn a_raise_that_fails_leaves_the_leader_before_in_place() {
    let folder = folder();
    let Process { gate, ledger } = Process::start(&folder);
    let upload = gate.admit(&bid("a", 1)).await.expect("admitted");
    ledger.failing.store(true, Ordering::SeqCst);
    assert_eq!(gate.admit(&bid("b", 2)).await.expect_err("no"), Refusal::LedgerUnavailable);
    assert_eq!(upload.commit(), Ok(()), "nothing has outranked it");
    upload.settle();
    drop(gate.admit(&bid("a", 1)).await.expect("still the leader"));
    ledger.failing.store(false, Ordering::SeqCst);
    gate.admit(&bid("b", 2)).await.expect("back to normal by itself");
}

#[tokio::test]
async fn a_lost_answer_is_resolved_by_reading_the_ledger() {
    let folder = folder();
    let Process { gate, ledger } = Process::start(&folder);
    drop(gate.admit(&bid("a", 1)).await.expect("admitted"));
    ledger.losing.store(true, Ordering::SeqCst);
    let admission = gate.admit(&bid("b", 2)).await.expect("the ledger says that it was done");
    assert_eq!(admission.token(), Token::new(0, 2));
}

#[tokio::test]
async fn nothing_is_admitted_while_a_raise_is_unresolved() {
    let folder = folder();
    let Process { gate, ledger } = Process::start(&folder);
    drop(gate.admit(&bid("a", 1)).await.expect("admitted"));
    ledger.losing.store(true, Ordering::SeqCst);
    ledger.unreadable.store(true, Ordering::SeqCst);
    assert_eq!(gate.admit(&bid("b", 2)).await.expect_err("no"), Refusal::LedgerUnavailable);
    assert_eq!(gate.admit(&bid("a", 1)).await.expect_err("no"), Refusal::LedgerUnavailable);
    ledger.unreadable.store(false, Ordering::SeqCst);
    let refusal = gate.admit(&bid("a", 1)).await.expect_err("the raise had been done");
    assert!(matches!(refusal, Refusal::Stale { .. }), "{refusal:?}");
}

#[tokio::test]
async fn a_ledger_that_hangs_is_waited_for_only_so_long() {
    let folder = folder();
    let Process { gate, ledger } = Process::start(&folder);
    ledger.held.store(true, Ordering::SeqCst);
    let mut hasty = bid("a", 1);
    hasty.wait = Duration::from_millis(30);
    assert_eq!(gate.admit(&hasty).await.expect_err("no"), Refusal::LedgerUnavailable);
    ledger.release.add_permits(1);
    gate.admit(&bid("a", 1)).await.expect("admitted");
}
