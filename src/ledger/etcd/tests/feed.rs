//! The feed: everything, in order, from a position on, and never silently less.

use super::super::testing::{Cluster, Options, shared};
use super::*;

#[tokio::test]
async fn changes_are_told_in_their_order() {
    let etcd = shared().await;
    let store = Arc::new(etcd.store("feed"));
    let session = store.begin("r1", TTL, "x").await.unwrap();
    let before = put(&store, &session, "a", "0").await;
    let mut feed = Feed::of(&store, None);
    let (first, begun) = feed.batch().await;
    assert_eq!(first, []);
    assert!(begun >= before);
    for index in 1..=20 {
        let text = index.to_string();
        let version = put(&store, &session, "a", &text).await;
        let told = Event::Row { resource: resource("a"), stored: row(version, &text) };
        assert_eq!(feed.batch().await, (vec![told], version));
    }
    // Of one transaction: all, and then the position.
    let ends = store.swap(&session, &[change("b", 0, "1"), change("c", 0, "1")]).await;
    let [Swapped::Done(version), Swapped::Done(_)] = ends[..] else { panic!("{ends:?}") };
    let told = |name| Event::Row { resource: resource(name), stored: row(version, "1") };
    assert_eq!(feed.batch().await, (vec![told("b"), told("c")], version));
    store.keep(&session, "y").await.unwrap();
    assert_eq!(feed.batch().await.0, [Event::Session(about(&session, "y"))]);
    let second = store.begin("r1", TTL, "z").await.unwrap();
    assert_eq!(feed.batch().await.0, [Event::Session(about(&second, "z"))]);
    store.end(&session).await.unwrap();
    assert_eq!(feed.batch().await.0, [Event::Gone(session)]);
}

#[tokio::test]
async fn a_feed_goes_on_behind_a_position() {
    let etcd = shared().await;
    let store = Arc::new(etcd.store("resume"));
    let session = store.begin("r1", TTL, "").await.unwrap();
    let mut versions = Vec::new();
    for index in 0..50 {
        versions.push(put(&store, &session, "a", &index.to_string()).await);
    }
    for from in [0, 17, 48] {
        let mut feed = Feed::of(&store, Some(versions[from]));
        for (index, &version) in versions.iter().enumerate().skip(from + 1) {
            let stored = row(version, &index.to_string());
            let told = Event::Row { resource: resource("a"), stored };
            let mut next = feed.next().await;
            while matches!(next, Event::Position(_)) {
                next = feed.next().await;
            }
            assert_eq!(next, told);
        }
        assert_eq!(feed.batch().await.1, versions[49]);
    }
}

/// So many changes, and so large, that they come in several parts.
#[tokio::test]
async fn a_long_way_back_is_told_whole() {
    let etcd = shared().await;
    let store = Arc::new(etcd.store("long"));
    let session = store.begin("r1", TTL, "").await.unwrap();
    let from = put(&store, &session, "first", "").await;
    let text = "x".repeat(9_000);
    for round in 0..6 {
        let batch: Vec<_> =
            (0..100).map(|index| change(&format!("{round}-{index}"), 0, &text)).collect();
        let ends = store.swap(&session, &batch).await;
        assert!(ends.iter().all(|end| matches!(end, Swapped::Done(_))), "{ends:?}");
    }
    let last = put(&store, &session, "last", "").await;
    let mut feed = Feed::of(&store, Some(from));
    let mut rows = 0;
    loop {
        let (events, position) = feed.batch().await;
        rows += events.len();
        // A position comes only behind all changes of its revision.
        assert_eq!(rows, if position == last { 601 } else { 100 * (rows / 100) });
        if position == last {
            return;
        }
    }
}

#[tokio::test]
async fn what_was_compacted_is_told_as_missed() {
    // Of its own: compaction is for all namespaces.
    let etcd = Cluster::start(1, Options::default()).await;
    let store = Arc::new(etcd.store("compacted"));
    let session = store.begin("r1", TTL, "").await.unwrap();
    let old = put(&store, &session, "a", "1").await;
    put(&store, &session, "a", "2").await;
    let current = put(&store, &session, "a", "3").await;
    etcd.etcdctl(0, &["compact", &current.to_string()]);
    let mut feed = Feed::of(&store, Some(old));
    assert_eq!(feed.next().await, Event::Missed);
    let Event::Position(fresh) = feed.next().await else { panic!("no position") };
    assert!(fresh >= current);
    let version = put(&store, &session, "a", "4").await;
    let told = Event::Row { resource: resource("a"), stored: row(version, "4") };
    assert_eq!(feed.batch().await, (vec![told], version));
}

/// An etcd that was set back knows less than it has told: its next changes would be taken for old.
#[tokio::test]
async fn a_position_from_the_future_is_told_as_missed() {
    let etcd = shared().await;
    let store = Arc::new(etcd.store("future"));
    let session = store.begin("r1", TTL, "").await.unwrap();
    let mut feed = Feed::of(&store, Some(1 << 40));
    assert_eq!(feed.next().await, Event::Missed);
    assert!(matches!(feed.next().await, Event::Position(_)));
    let version = put(&store, &session, "a", "1").await;
    assert_eq!(feed.batch().await.1, version);
}

#[tokio::test]
async fn a_row_deleted_by_hand_is_told_as_missed() {
    let etcd = shared().await;
    let store = Arc::new(etcd.store("deletion"));
    let session = store.begin("r1", TTL, "").await.unwrap();
    put(&store, &session, "a", "1").await;
    let mut feed = Feed::of(&store, None);
    feed.batch().await;
    etcd.etcdctl(0, &["del", "/palisade/v1/deletion/row/a"]);
    assert_eq!(feed.next().await, Event::Missed);
}

#[tokio::test]
async fn a_feed_that_nobody_reads_ends() {
    let etcd = shared().await;
    let store = Arc::new(etcd.store("unread"));
    let session = store.begin("r1", TTL, "").await.unwrap();
    let (sender, events) = mpsc::channel(1);
    drop(events);
    let ended = timeout(PATIENCE, store.follow(None, &sender)).await.unwrap();
    assert!(ended.0.contains("nobody reads"), "{ended}");
    put(&store, &session, "a", "1").await;
}
