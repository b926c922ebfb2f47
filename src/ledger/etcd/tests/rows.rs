//! Rows: compare-and-swap, reading, listing, namespaces.

use super::super::swap::SWAPS_MAX;
use super::super::testing::{Cluster, Options, shared};
use super::*;

#[tokio::test]
async fn a_row_is_changed_by_who_knows_it() {
    let etcd = shared().await;
    let store = etcd.store("rows-one");
    let session = store.begin("r1", TTL, "about").await.unwrap();
    assert_eq!(store.read(&resource("a")).await.unwrap(), None);

    let [Swapped::Done(first)] = store.swap(&session, &[change("a", 0, "one")]).await[..] else {
        panic!("not created");
    };
    assert!(first > 0);
    assert_eq!(store.read(&resource("a")).await.unwrap(), Some(row(first, "one")));
    let differs = vec![Swapped::Differs(Some(row(first, "one")))];
    assert_eq!(store.swap(&session, &[change("a", 0, "two")]).await, differs);
    assert_eq!(store.swap(&session, &[change("a", first + 1, "two")]).await, differs);
    assert_eq!(store.swap(&session, &[change("a", u64::MAX, "two")]).await, differs);
    let absent = store.swap(&session, &[change("b", first, "two")]).await;
    assert_eq!(absent, [Swapped::Differs(None)]);

    let [Swapped::Done(second)] = store.swap(&session, &[change("a", first, "two")]).await[..]
    else {
        panic!("not changed");
    };
    assert!(second > first);
    assert_eq!(store.read(&resource("a")).await.unwrap(), Some(row(second, "two")));
}

#[tokio::test]
async fn a_loser_does_not_fail_the_rest_of_its_batch() {
    let etcd = shared().await;
    let store = etcd.store("rows-batch");
    let session = store.begin("r1", TTL, "").await.unwrap();
    let a = put(&store, &session, "a", "1").await;
    let b = put(&store, &session, "b", "1").await;

    let batch = [change("a", a, "2"), change("b", a, "2"), change("c", 0, "2"), change("d", 9, "")];
    let ends = store.swap(&session, &batch).await;
    let [Swapped::Done(a), Swapped::Differs(Some(other)), Swapped::Done(c), Swapped::Differs(None)] =
        &ends[..]
    else {
        panic!("{ends:?}");
    };
    assert_eq!((a, other), (c, &row(b, "1")));
    assert_eq!(store.read(&resource("a")).await.unwrap(), Some(row(*a, "2")));
    assert_eq!(store.read(&resource("b")).await.unwrap(), Some(row(b, "1")));
}

#[tokio::test]
async fn without_a_session_nothing_changes() {
    let etcd = shared().await;
    let store = etcd.store("rows-session");
    let session = store.begin("r1", TTL, "").await.unwrap();
    put(&store, &session, "a", "1").await;
    store.end(&session).await.unwrap();
    // Whether or not it could be done otherwise.
    for batch in
        [&[change("b", 0, "2"), change("c", 0, "2")], &[change("a", 0, "2"), change("b", 0, "2")]]
    {
        assert_eq!(store.swap(&session, batch).await, [Swapped::NoSession, Swapped::NoSession]);
    }
    assert_eq!(store.read(&resource("b")).await.unwrap(), None);
}

#[tokio::test]
async fn full_batches_and_long_rows() {
    let etcd = shared().await;
    let store = etcd.store("rows-full");
    let session = store.begin("r1", TTL, "").await.unwrap();
    assert_eq!(store.swaps_max(), SWAPS_MAX);
    // Each with the longest name there is, and so much text that it takes several requests.
    let text = "x".repeat(30_000);
    let name = |index: usize| format!("{index:0width$}", width = Resource::LEN_MAX_BYTES);
    let batch: Vec<_> = (0..SWAPS_MAX).map(|index| change(&name(index), 0, &text)).collect();
    let ends = store.swap(&session, &batch).await;
    assert!(ends.iter().all(|end| matches!(end, Swapped::Done(_))), "{ends:?}");
    let rows = store.list(None, usize::MAX).await.unwrap();
    assert_eq!(rows.len(), SWAPS_MAX);
    assert!(rows.iter().all(|(_, row)| row.text.len() == text.len()));
    let huge = store.swap(&session, &[change("huge", 0, &"x".repeat(2 << 20))]).await;
    assert!(
        matches!(&huge[..], [Swapped::Failed(why)] if why.contains("--max-request-bytes")),
        "{huge:?}"
    );
}

#[tokio::test]
async fn rows_are_listed_in_the_order_of_their_bytes() {
    let etcd = shared().await;
    let store = etcd.store("rows-list");
    let session = store.begin("r1", TTL, "").await.unwrap();
    let mut names = vec!["B", "a", "a!", "a/b", "a0", "aa", "ä", "z"];
    let batch: Vec<_> = names.iter().rev().map(|name| change(name, 0, name)).collect();
    store.swap(&session, &batch).await;
    names.sort_unstable();
    let list = async |after: Option<&str>, max: usize| -> Vec<String> {
        let rows = store.list(after, max).await.unwrap();
        rows.into_iter().map(|(resource, _)| resource.as_str().to_owned()).collect()
    };
    assert_eq!(list(None, 100).await, names);
    assert_eq!(list(None, 3).await, names[..3]);
    assert_eq!(list(None, 0).await, Vec::<String>::new());
    for (index, name) in names.iter().enumerate() {
        assert_eq!(
            list(Some(name), 2).await,
            names[index + 1..].iter().take(2).copied().collect::<Vec<_>>()
        );
    }
    assert_eq!(list(Some("\u{10ffff}"), 2).await, Vec::<String>::new());
}

/// More rows than one answer has, with something in between that is no row.
#[tokio::test]
async fn long_lists_come_in_pages() {
    let etcd = shared().await;
    let store = etcd.store("rows-pages");
    let session = store.begin("r1", TTL, "").await.unwrap();
    for first in (0..300).step_by(100) {
        let batch: Vec<_> =
            (first..first + 100).map(|index| change(&format!("{index:03}"), 0, "x")).collect();
        store.swap(&session, &batch).await;
    }
    let foreign = format!("/palisade/v1/rows-pages/row/127{}", "x".repeat(600));
    etcd.etcdctl(0, &["put", &foreign, "x"]);
    let names = |rows: Vec<(Resource, Stored)>| -> Vec<String> {
        rows.into_iter().map(|(resource, _)| resource.as_str().to_owned()).collect()
    };
    let all: Vec<_> = (0..300).map(|index| format!("{index:03}")).collect();
    assert_eq!(names(store.list(None, usize::MAX).await.unwrap()), all);
    assert_eq!(names(store.list(Some("009"), 250).await.unwrap()), all[10..260]);
}

#[tokio::test]
async fn namespaces_do_not_see_each_other() {
    let etcd = shared().await;
    let (one, other) = (Arc::new(etcd.store("names")), Arc::new(etcd.store("names-2")));
    let session = one.begin("r1", TTL, "one").await.unwrap();
    let foreign = other.begin("r1", TTL, "other").await.unwrap();
    assert_eq!((session.number(), foreign.number()), (1, 1));
    let mut feed = Feed::of(&one, None);
    let (_, from) = feed.batch().await;
    put(&other, &foreign, "a", "other").await;
    let version = put(&one, &session, "b", "one").await;
    assert_eq!(one.read(&resource("a")).await.unwrap(), None);
    assert_eq!(one.list(None, 9).await.unwrap(), [(resource("b"), row(version, "one"))]);
    assert_eq!(one.sessions().await.unwrap(), [about(&session, "one")]);
    let told = Event::Row { resource: resource("b"), stored: row(version, "one") };
    assert_eq!(feed.batch().await, (vec![told], version));
    assert!(from < version);
}

#[tokio::test]
async fn what_is_there_can_be_read_by_hand() {
    let etcd = shared().await;
    let store = etcd.store("by-hand");
    let session = store.begin("r1", TTL, "{\"state\":\"serving\"}").await.unwrap();
    put(&store, &session, "orders/7", "{\"v\":1}").await;
    let said = etcd.etcdctl(0, &["get", "--prefix", "/palisade/v1/by-hand/"]);
    let expected = "/palisade/v1/by-hand/number\n1\n\
                    /palisade/v1/by-hand/row/orders/7\n{\"v\":1}\n\
                    /palisade/v1/by-hand/session/r1#1\n{\"state\":\"serving\"}\n";
    assert_eq!(said, expected);
}

#[tokio::test]
async fn an_etcd_that_takes_too_few_operations_is_told() {
    let arguments = vec!["--max-txn-ops=4".to_owned()];
    let etcd = Cluster::start(1, Options { arguments, tls: None }).await;
    let store = etcd.store("few");
    let session = store.begin("r1", TTL, "").await.unwrap();
    let few: Vec<_> = (0..3).map(|index| change(&format!("a{index}"), 0, "")).collect();
    let ends = store.swap(&session, &few).await;
    assert!(ends.iter().all(|end| matches!(end, Swapped::Done(_))), "{ends:?}");
    let many: Vec<_> = (0..4).map(|index| change(&format!("b{index}"), 0, "")).collect();
    let ends = store.swap(&session, &many).await;
    let told = |end: &Swapped| matches!(end, Swapped::Failed(why) if why.contains("--max-txn-ops"));
    assert!(ends.iter().all(told), "{ends:?}");
}

/// Many calls share one connection, and none waits for another.
#[tokio::test]
async fn calls_go_side_by_side() {
    let etcd = shared().await;
    let store = Arc::new(etcd.store("rows-many"));
    let session = store.begin("r1", TTL, "").await.unwrap();
    let swaps = (0..200).map(|index| {
        let (store, session) = (Arc::clone(&store), session.clone());
        tokio::spawn(
            async move { store.swap(&session, &[change(&format!("{index}"), 0, "x")]).await },
        )
    });
    for swap in swaps.collect::<Vec<_>>() {
        let ends = swap.await.unwrap();
        assert!(matches!(ends[..], [Swapped::Done(_)]), "{ends:?}");
    }
    assert_eq!(store.list(None, 1000).await.unwrap().len(), 200);
}
