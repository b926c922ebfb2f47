//! Three nodes: whoever is lost, the others are asked.

use std::time::Instant;

use super::super::testing::{Cluster, Options};
use super::*;
use crate::ledger::replicated::store::Kept;

async fn three() -> Cluster {
    Cluster::start(3, Options::default()).await
}

/// Changes a row as soon as that can be done again, as the layer above would: what is unknown is
/// read. Returns what the row's version is then.
async fn put_when_possible(store: &Etcd, session: &SessionId, name: &str, text: &str) -> u64 {
    let begun = Instant::now();
    let mut said = Vec::new();
    while begun.elapsed() < PATIENCE {
        match store.read(&resource(name)).await {
            Ok(Some(row)) if row.text == text.as_bytes() => return row.version,
            Ok(row) => {
                let version = row.map_or(0, |row| row.version);
                let mut ends = store.swap(session, &[change(name, version, text)]).await;
                match ends.remove(0) {
                    Swapped::Done(version) => return version,
                    other => said.push(format!("{other:?}")),
                }
            }
            Err(error) => said.push(error.to_string()),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{said:#?}");
}

#[tokio::test]
async fn any_member_serves_and_knows_what_the_others_do() {
    let etcd = three().await;
    let stores: Vec<_> = etcd
        .endpoints()
        .into_iter()
        .map(|endpoint| {
            let endpoints = vec![endpoint];
            Arc::new(
                Etcd::new(super::super::Settings { endpoints, ..etcd.settings("any") }).unwrap(),
            )
        })
        .collect();
    let mut sessions = Vec::new();
    for (index, store) in stores.iter().enumerate() {
        sessions.push(store.begin(&format!("r{index}"), TTL, "").await.unwrap());
        assert!(store.about().what.ends_with(", 3 members"), "{:?}", store.about());
    }
    let mut feed = Feed::of(&stores[2], None);
    feed.batch().await;
    for index in 0..30 {
        let text = index.to_string();
        let version = put(&stores[index % 3], &sessions[index % 3], "a", &text).await;
        let read = stores[(index + 1) % 3].read(&resource("a")).await.unwrap();
        assert_eq!(read, Some(row(version, &text)));
        assert_eq!(feed.batch().await.1, version);
    }
}

#[tokio::test]
async fn the_leader_is_killed() {
    let mut etcd = three().await;
    let leader = etcd.leader();
    // The first endpoint is the one that is used first.
    let mut settings = etcd.settings("killed");
    settings.endpoints.rotate_left(leader);
    let store = Arc::new(Etcd::new(settings).unwrap());
    let session = store.begin("r1", TTL, "").await.unwrap();
    let mut feed = Feed::of(&store, None);
    feed.batch().await;
    let before = put(&store, &session, "a", "before").await;
    assert_eq!(feed.batch().await.1, before);

    etcd.kill(leader);
    let why = feed.end().await;
    assert!(why.starts_with("etcd at 127.0.0.1:"), "{why}");
    let after = put_when_possible(&store, &session, "a", "after").await;
    assert_eq!(store.keep(&session, "alive").await.unwrap(), Kept::Alive);
    let mut feed = Feed::of(&store, Some(before));
    feed.until(&Event::Row { resource: resource("a"), stored: row(after, "after") }).await;
    feed.until(&Event::Session(about(&session, "alive"))).await;
    // The one who comes back is of use again.
    etcd.revive(leader);
    put_when_possible(&store, &session, "a", "last").await;
}

#[tokio::test]
async fn without_a_majority_nothing_is_done_and_then_it_goes_on() {
    let mut etcd = three().await;
    let timeout = Duration::from_secs(1);
    let settings = super::super::Settings { timeout, ..etcd.settings("minority") };
    let store = Etcd::new(settings).unwrap();
    let session = store.begin("r1", TTL, "").await.unwrap();
    let version = put(&store, &session, "a", "before").await;
    etcd.kill(1);
    etcd.kill(2);
    let begun = Instant::now();
    loop {
        let mut ends = store.swap(&session, &[change("a", version, "after")]).await;
        match ends.remove(0) {
            Swapped::Failed(why) if why.contains("knows no leader") => break,
            Swapped::Failed(_) | Swapped::Unknown(_) => {}
            other => panic!("{other:?}"),
        }
        assert!(begun.elapsed() < PATIENCE, "nobody says what is wrong");
    }
    let error = store.read(&resource("a")).await.unwrap_err();
    assert!(error.0.contains("nothing listens there"), "{error}");
    assert!(store.keep(&session, "").await.is_err());
    etcd.revive(1);
    put_when_possible(&store, &session, "a", "again").await;
}

#[tokio::test]
async fn a_frozen_member_is_left() {
    let etcd = three().await;
    let frozen = (etcd.leader() + 1) % 3;
    let mut settings = etcd.settings("frozen");
    settings.endpoints.rotate_left(frozen);
    settings.timeout = Duration::from_secs(1);
    let another = || Etcd::new(settings.clone()).unwrap();
    let (store, connected) = (Arc::new(another()), another());
    let session = store.begin("r1", TTL, "").await.unwrap();
    let mut feed = Feed::of(&store, None);
    feed.batch().await;
    let version = put(&store, &session, "a", "before").await;
    assert!(connected.read(&resource("a")).await.unwrap().is_some());
    assert_eq!(feed.batch().await.1, version);

    etcd.freeze(frozen);
    let begun = Instant::now();
    // It has been sent, and may still be done once the member goes on.
    let ends = store.swap(&session, &[change("a", version, "unknown")]).await;
    assert!(
        matches!(&ends[..], [Swapped::Unknown(why)] if why.contains("no answer within")),
        "{ends:?}"
    );
    let took = begun.elapsed();
    assert!((950..3000).contains(&took.as_millis()), "{took:?}");
    // The next call goes to another member. It shows the change that cannot be told to be undone.
    let after = put(&store, &session, "a", "after").await;
    assert_eq!(store.keep(&session, "alive").await.unwrap(), Kept::Alive);
    // So does a feed that is begun anew; the old one notices by itself, later.
    let mut next = Feed::of(&store, Some(version));
    next.until(&Event::Row { resource: resource("a"), stored: row(after, "after") }).await;
    next.until(&Event::Session(about(&session, "alive"))).await;

    // What may be done twice is asked of another member within the same call, whether the
    // connection to the frozen one is there or still to be made.
    assert_eq!(connected.keep(&session, "again").await.unwrap(), Kept::Alive);
    let fresh = another();
    assert_eq!(fresh.read(&resource("a")).await.unwrap(), Some(row(after, "after")));
    let why = feed.end().await;
    etcd.thaw(frozen);
    assert!(begun.elapsed() < Duration::from_secs(12), "{why}");
}

/// One that was put there by mistake knows nothing of the marks.
#[tokio::test]
async fn a_member_of_another_cluster_is_refused() {
    let (mut one, other) =
        tokio::join!(Cluster::start(1, Options::default()), Cluster::start(1, Options::default()));
    let mut settings = one.settings("other");
    settings.endpoints.extend(other.endpoints());
    let store = Etcd::new(settings).unwrap();
    let session = store.begin("r1", TTL, "").await.unwrap();
    put(&store, &session, "a", "x").await;
    one.kill(0);
    let error = loop {
        match store.read(&resource("a")).await {
            Ok(row) => panic!("{row:?}"),
            Err(error) if error.0.contains("another cluster") => break error,
            Err(_) => {}
        }
    };
    assert!(error.0.contains("nothing listens there"), "{error}");
}

#[tokio::test]
async fn one_that_was_frozen_may_still_do_it() {
    let etcd = Cluster::start(1, Options::default()).await;
    let timeout = Duration::from_millis(500);
    let settings = super::super::Settings { timeout, ..etcd.settings("thawed") };
    let store = Etcd::new(settings).unwrap();
    let session = store.begin("r1", TTL, "").await.unwrap();
    let version = put(&store, &session, "a", "before").await;
    etcd.freeze(0);
    let ends = store.swap(&session, &[change("a", version, "late")]).await;
    assert!(matches!(ends[..], [Swapped::Unknown(_)]), "{ends:?}");
    // Now there is no connection, and nothing is sent.
    let ends = store.swap(&session, &[change("a", version, "never")]).await;
    assert!(matches!(ends[..], [Swapped::Failed(_)]), "{ends:?}");
    assert!(store.keep(&session, "").await.is_err());
    etcd.thaw(0);
    let last = put_when_possible(&store, &session, "a", "last").await;
    assert!(last > version);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(store.read(&resource("a")).await.unwrap(), Some(row(last, "last")));
}
