//! Sessions: their numbers, their end by themselves and at once, and what is told of them.

use super::super::testing::shared;
use super::*;
use crate::ledger::replicated::store::Kept;

#[tokio::test]
async fn numbers_rise_whoever_begins() {
    let etcd = shared().await;
    let stores: Vec<_> = (0..5).map(|_| Arc::new(etcd.store("numbers"))).collect();
    let begun = stores.iter().enumerate().map(|(index, store)| {
        let store = Arc::clone(store);
        tokio::spawn(async move { store.begin(&format!("r{index}"), TTL, "").await.unwrap() })
    });
    let mut numbers = Vec::new();
    for session in begun.collect::<Vec<_>>() {
        numbers.push(session.await.unwrap().number());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let last = stores[0].begin("r1", TTL, "").await.unwrap();
    assert_eq!(last.to_string(), "r1#6");
    assert_eq!(stores[1].sessions().await.unwrap().len(), 6);
    assert!(stores[0].about().what.starts_with("etcd 3."), "{:?}", stores[0].about());
    assert!(stores[0].about().what.ends_with(", 1 member"), "{:?}", stores[0].about());
}

#[tokio::test]
async fn a_session_that_nobody_keeps_ends() {
    let etcd = shared().await;
    let store = Arc::new(etcd.store("expiry"));
    let ttl = Duration::from_secs(1);
    let kept = store.begin("kept", ttl, "").await.unwrap();
    let left = store.begin("left", ttl, "x").await.unwrap();
    let mut feed = Feed::of(&store, None);
    feed.batch().await;
    let keeping = {
        let (store, kept) = (Arc::clone(&store), kept.clone());
        tokio::spawn(async move {
            loop {
                assert_eq!(store.keep(&kept, "y").await.unwrap(), Kept::Alive);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        })
    };
    feed.until(&Event::Session(about(&kept, "y"))).await;
    feed.until(&Event::Gone(left.clone())).await;
    assert_eq!(store.sessions().await.unwrap(), [about(&kept, "y")]);
    assert_eq!(store.keep(&left, "z").await.unwrap(), Kept::Gone);
    let ends = store.swap(&left, &[change("a", 0, "")]).await;
    assert_eq!(ends, [Swapped::NoSession]);
    assert!(!keeping.is_finished());
    keeping.abort();
    feed.until(&Event::Gone(kept.clone())).await;
    assert_eq!(store.keep(&kept, "z").await.unwrap(), Kept::Gone);
    // It does not come back by that.
    assert_eq!(store.sessions().await.unwrap(), []);
}

#[tokio::test]
async fn a_session_is_ended_at_once_and_by_anybody() {
    let etcd = shared().await;
    let (store, other) = (Arc::new(etcd.store("ends")), etcd.store("ends"));
    let first = store.begin("r1", TTL, "").await.unwrap();
    let second = store.begin("r1", TTL, "").await.unwrap();
    let mut feed = Feed::of(&store, None);
    feed.batch().await;
    store.end(&first).await.unwrap();
    assert_eq!(feed.next().await, Event::Gone(first.clone()));
    assert_eq!(store.sessions().await.unwrap(), [about(&second, "")]);
    store.end(&first).await.unwrap();
    assert_eq!(store.keep(&first, "").await.unwrap(), Kept::Gone);
    // One that did not begin it finds its lease.
    assert_eq!(other.keep(&second, "kept").await.unwrap(), Kept::Alive);
    assert_eq!(store.sessions().await.unwrap(), [about(&second, "kept")]);
    other.end(&second).await.unwrap();
    assert_eq!(store.keep(&second, "").await.unwrap(), Kept::Gone);
}

/// A lease can be there without the key: somebody has deleted that by hand.
#[tokio::test]
async fn a_session_without_its_key_is_over() {
    let etcd = shared().await;
    let store = etcd.store("deleted");
    let session = store.begin("r1", TTL, "").await.unwrap();
    etcd.etcdctl(0, &["del", "/palisade/v1/deleted/session/r1#1"]);
    assert_eq!(store.keep(&session, "").await.unwrap(), Kept::Gone);
    assert_eq!(store.sessions().await.unwrap(), []);
}

#[tokio::test]
async fn a_counter_that_is_no_number_is_told() {
    let etcd = shared().await;
    let store = etcd.store("counter");
    etcd.etcdctl(0, &["put", "/palisade/v1/counter/number", "x"]);
    let error = store.begin("r1", TTL, "").await.unwrap_err();
    assert!(error.0.contains("/palisade/v1/counter/number is not a number"), "{error}");
}
