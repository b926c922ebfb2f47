//! Answers that are lost, changes that land late, rows that are damaged, a store that has lost
//! something.

use std::time::Duration;

use super::fate::Fate;
use super::memory::World;
use super::{process, process_with};
use crate::fence::{Granted, RaiseOutcome, Record, Resource, Token};
use crate::ledger::contract::{mark, record, replicas, resource};
use crate::ledger::replicated::Settings;
use crate::ledger::replicated::store::Swapped;
use crate::ledger::{Condition, HOLDER_LEN_MAX_BYTES, Ledger};

#[tokio::test]
async fn what_nobody_can_tell_is_settled_before_a_load() {
    for (fate, was_done) in
        [(Fate::LostAfter, true), (Fate::LostBefore, false), (Fate::Late, false)]
    {
        let world = World::new();
        let (ledger, wire) = process(&world, "r1").await;
        let (a, to) = (resource("a"), mark(5, "one"));
        wire.set(|faults| faults.swaps = fate);
        assert_eq!(ledger.raise(&a, &to, true).await, RaiseOutcome::Unknown, "{fate:?}");
        assert!(ledger.load(&a).await.is_err(), "{fate:?}: it could still be done");
        wire.set(|faults| faults.swaps = Fate::Answered);
        let found = ledger.load(&a).await.unwrap();
        assert_eq!(found.mark.token == to.token, was_done, "{fate:?}");
        // A row that was only made to be sure is none.
        assert_eq!(ledger.entry(&a).await.unwrap().is_some(), was_done);
        assert_eq!(ledger.list(None, 10).await.unwrap().len(), usize::from(was_done));
        for landed in wire.land() {
            assert!(matches!(landed, Swapped::Differs(_)), "{landed:?} after a load");
        }
        assert_eq!(ledger.load(&a).await.unwrap(), found, "{fate:?}");
        assert_eq!(ledger.raise(&a, &mark(6, "one"), true).await, record(mark(6, "one"), 6));
    }
}

#[tokio::test]
async fn a_dropped_change_is_settled_before_a_load() {
    let world = World::new();
    let (ledger, wire) = process(&world, "r1").await;
    for (round, delay_ms) in [0, 5, 20].into_iter().enumerate() {
        wire.set(|faults| faults.delay = Duration::from_millis(delay_ms));
        let name = resource(&format!("a{round}"));
        let to = mark(5, "one");
        let raise = ledger.raise(&name, &to, true);
        let _ = tokio::time::timeout(Duration::from_millis(delay_ms + 10), raise).await;
        wire.set(|faults| faults.delay = Duration::ZERO);
        let found = ledger.load(&name).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2 * delay_ms)).await;
        assert_eq!(ledger.load(&name).await.unwrap(), found);
        assert_eq!(ledger.entry(&name).await.unwrap().is_some(), found.mark == to);
    }
    // One that waits for others in the same process is never sent.
    wire.set(|faults| faults.delay = Duration::from_millis(10));
    let names: Vec<_> = (0..500).map(|i| resource(&format!("b{i}"))).collect();
    let to = mark(5, "one");
    let mut raises: Vec<_> = names.iter().map(|name| ledger.raise(name, &to, true)).collect();
    let all = futures_util::future::join_all(raises.iter_mut());
    assert!(tokio::time::timeout(Duration::from_millis(35), all).await.is_err());
    drop(raises);
    wire.set(|faults| faults.delay = Duration::ZERO);
    let loads = async || {
        let loads = names.iter().map(|name| ledger.load(name));
        futures_util::future::try_join_all(loads).await.unwrap()
    };
    let found = loads().await;
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert_eq!(loads().await, found);
}

#[tokio::test]
async fn a_lost_grant_does_not_come_back() {
    let world = World::new();
    let (ledger, wire) = process(&world, "r1").await;
    let a = resource("a");
    ledger.raise(&a, &mark(5, "one"), false).await;
    wire.set(|faults| faults.swaps = Fate::Late);
    assert_eq!(ledger.grant(&a, Token::new(0, 5)).await, Granted::Failed);
    wire.set(|faults| faults.swaps = Fate::Answered);
    // There is nothing to give up that can be seen; what is on its way is made void all the same.
    assert!(ledger.release(&a).await);
    assert!(matches!(wire.land()[..], [Swapped::Differs(_)]));
    assert_eq!(ledger.load(&a).await.unwrap().grant, Token::ZERO);
}

#[tokio::test]
async fn a_refused_change_is_not_done() {
    let world = World::new();
    let (ledger, wire) = process(&world, "r1").await;
    let a = resource("a");
    wire.set(|faults| faults.swaps = Fate::Refused);
    assert_eq!(ledger.raise(&a, &mark(5, "one"), true).await, RaiseOutcome::Failed);
    assert_eq!(ledger.grant(&a, Token::ZERO).await, Granted::Done { behind: false });
    assert_eq!(ledger.load(&a).await.unwrap(), Record::default());
    assert_eq!(world.row(&a), None);
    wire.set(|faults| faults.swaps = Fate::Answered);
    let longest = mark(6, &"x".repeat(HOLDER_LEN_MAX_BYTES));
    assert_eq!(ledger.raise(&a, &longest, true).await, record(longest, 6));
    let too_long = mark(7, &"x".repeat(HOLDER_LEN_MAX_BYTES + 1));
    assert_eq!(ledger.raise(&a, &too_long, true).await, RaiseOutcome::Failed);
}

#[tokio::test]
async fn a_store_that_hangs_is_not_waited_for() {
    let world = World::new();
    let settings = Settings { timeout: Duration::from_millis(40), ..replicas::settings("r1") };
    let (ledger, wire) = process_with(&world, settings).await;
    let a = resource("a");
    wire.set(|faults| faults.swaps = Fate::Hangs);
    assert_eq!(ledger.raise(&a, &mark(5, "one"), true).await, RaiseOutcome::Unknown);
    wire.set(|faults| (faults.swaps, faults.others) = (Fate::Answered, Fate::Hangs));
    assert!(ledger.behind(&a, Token::new(0, 5), true).await.is_err());
    wire.set(|faults| faults.others = Fate::Answered);
    assert_eq!(ledger.load(&a).await.unwrap().mark, mark(5, "one"));
}

#[tokio::test]
async fn changes_that_wait_share_batches() {
    let world = World::new();
    let (ledger, wire) = process(&world, "r1").await;
    let (other, _) = process(&world, "r2").await;
    wire.set(|faults| faults.delay = Duration::from_millis(2));
    let names: Vec<Resource> = (0..1_000).map(|i| resource(&format!("db/{i}"))).collect();
    let raise_all = async |counter| {
        let to = mark(counter, "one");
        let raises = names.iter().map(|name| ledger.raise(name, &to, true));
        for outcome in futures_util::future::join_all(raises).await {
            assert_eq!(outcome, record(to.clone(), counter));
        }
        std::mem::take(&mut *wire.batches.lock().unwrap())
    };
    raise_all(4).await;
    let batches = raise_all(5).await;
    assert!(batches.len() <= 1_000 / 64 + 30, "{batches:?}");
    // What was seen is not read again.
    *wire.reads.lock().unwrap() = 0;
    // A row that somebody else has changed spoils its batch: the others are tried again.
    for name in names.iter().step_by(100) {
        assert!(other.bury(name, &other.session().unwrap()).await || other.release(name).await);
        let RaiseOutcome::Done(_) = other.raise(name, &mark(6, "two"), false).await else {
            panic!()
        };
    }
    raise_all(7).await;
    assert_eq!(*wire.reads.lock().unwrap(), 0);
    // Of those that race for one row, only such as can win are sent.
    let a = resource("a");
    let marks: Vec<_> = (1..=200).map(|i| mark(i * 7919 % 211, "racer")).collect();
    wire.batches.lock().unwrap().clear();
    futures_util::future::join_all(marks.iter().map(|to| ledger.raise(&a, to, true))).await;
    let sent = wire.batches.lock().unwrap().len();
    assert!(sent < 100, "{sent}");
}

#[tokio::test]
async fn nothing_is_taken_over_in_a_store_that_has_lost_something() {
    let world = World::new();
    let (ledger, wire) = process(&world, "r1").await;
    let (a, to) = (resource("a"), mark(5, "one"));
    ledger.raise(&a, &to, true).await;
    wire.set(|faults| faults.frozen = Some("it has lost 3 changes; confirm"));
    assert_eq!(ledger.raise(&a, &mark(6, "one"), true).await, RaiseOutcome::Failed);
    assert_eq!(ledger.grant(&a, Token::new(0, 5)).await, Granted::Failed);
    assert!(ledger.load(&a).await.unwrap_err().to_string().contains("confirm"));
    assert!(matches!(ledger.condition(), Condition::Frozen { .. }));
    ledger.health().unwrap();
    assert!(ledger.lease().admits(), "who holds a grant is served");
    assert!(ledger.release(&a).await);
    ledger.confirm().await.unwrap();
    assert_eq!(ledger.condition(), Condition::Serving);
    assert_eq!(ledger.raise(&a, &mark(6, "one"), true).await, record(mark(6, "one"), 6));
}

#[tokio::test]
async fn a_damaged_row_is_no_mark_of_0() {
    let world = World::new();
    let (ledger, _) = process(&world, "r1").await;
    let a = resource("orders/a");
    ledger.raise(&a, &mark(5, "one"), true).await;
    for (text, why) in [("{", "EOF"), (r#"{"v":7}"#, "a newer palisade wrote it")] {
        world.put(&a, text.as_bytes());
        let errors = [
            ledger.load(&a).await.unwrap_err().to_string(),
            ledger.entry(&a).await.unwrap_err().to_string(),
            ledger.list(None, 10).await.unwrap_err().to_string(),
            ledger.behind(&a, Token::new(0, 5), true).await.unwrap_err().to_string(),
        ];
        for error in errors {
            assert!(error.contains("`orders/a`") && error.contains(why), "{error}");
        }
        assert_eq!(ledger.raise(&a, &mark(6, "one"), true).await, RaiseOutcome::Failed);
        assert_eq!(ledger.grant(&a, Token::new(0, 5)).await, Granted::Failed);
        assert!(!ledger.release(&a).await);
        assert_eq!(world.row(&a).unwrap().text, text.as_bytes(), "it is left as it is");
    }
}

#[tokio::test]
async fn nobody_is_dead_without_a_census() {
    let world = World::new();
    let (one, _) = process(&world, "r1").await;
    let (two, wire) = process(&world, "r2").await;
    let a = resource("a");
    one.raise(&a, &mark(5, "one"), true).await;
    two.raise(&a, &mark(6, "two"), true).await;
    let session = one.session().unwrap();
    wire.set(|faults| faults.is_census_lost = true);
    assert!(two.behind(&a, Token::new(0, 6), true).await.is_err());
    assert!(!two.bury(&a, &session).await);
    wire.set(|faults| faults.is_census_lost = false);
    assert!(!two.bury(&a, &session).await, "it is alive");
    assert!(two.load(&a).await.unwrap().behind);
    one.close().await.unwrap();
    assert!(two.bury(&a, &session).await);
}
