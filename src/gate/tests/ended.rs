//! Why something is over.

use std::time::Duration;

use tokio::time::timeout;

use super::rig::{Process, bid, folder};
use crate::fence::{Cut, Refusal};
use crate::gate::ENDING;
use crate::ledger::Ledger as _;
use crate::ledger::lease::Moment;

#[tokio::test]
async fn a_larger_token_a_lost_session_and_the_end_of_the_process_are_told_apart() {
    let folder = folder();
    let Process { gate, ledger } = Process::start(&folder);
    let first = gate.admit(&bid("a", 1)).await.expect("admitted");
    let overtaken = gate.watch(&bid("a", 1)).expect("watched");
    assert_eq!((first.why(), overtaken.why()), (None, None));
    let second = gate.admit(&bid("b", 2)).await.expect("admitted");
    let current = gate.watch(&bid("b", 2)).expect("watched");
    let is_stale = |why| matches!(why, Some(Refusal::Stale { .. }));
    assert!(is_stale(first.why()) && is_stale(overtaken.why()));

    ledger.lease().end();
    assert_eq!(second.why(), Some(Refusal::LedgerUnavailable));
    assert_eq!(second.commit(), Err(Cut));
    timeout(Duration::from_secs(1), current.over()).await.expect("it is told");
    assert_eq!(current.why(), Some(Refusal::LedgerUnavailable));
    // Another session with the ledger does not bring back what was admitted under this one.
    ledger.lease().set(Moment::NEVER);
    assert!(current.is_over());
    for why in [second.why(), current.why()] {
        assert_eq!(why, Some(Refusal::LedgerUnavailable));
    }
    assert!(is_stale(first.why()) && is_stale(overtaken.why()), "that is final");

    gate.halt();
    assert_eq!((second.why(), current.why()), (Some(ENDING), Some(ENDING)));
    assert!(is_stale(overtaken.why()));
}
