//! What a store has to do by itself, before any ledger is on it.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{Ground, PATIENCE};
use crate::fence::Resource;
use crate::ledger::contract::resource;
use crate::ledger::replicated::store::{Event, Stored, Swap, Swapped};

/// The store by itself: compare-and-swap under a session.
pub(super) async fn swaps_are_compared(ground: &dyn Ground) {
    let store = ground.store();
    let ttl = Duration::from_secs(60);
    let one = store.begin("r1", ttl, "{}").await.unwrap();
    let two = ground.store().begin("r1", ttl, "{}").await.unwrap();
    assert!(two.number() > one.number(), "{one} {two}");
    let (a, b) = (resource("a"), resource("ä/日 \"*"));
    let swap = |name: &Resource, expected, text: &str| Swap {
        resource: name.clone(),
        expected,
        text: text.as_bytes().to_vec(),
    };
    assert_eq!(store.read(&b).await.unwrap(), None);
    let Swapped::Done(first) = store.swap(&one, &[swap(&b, 0, "1")]).await[0] else { panic!() };
    assert_ne!(first, 0);
    let there = Some(Stored { text: b"1".to_vec(), version: first });
    assert_eq!(store.read(&b).await.unwrap(), there);
    assert_eq!(store.swap(&one, &[swap(&b, 0, "2")]).await, [Swapped::Differs(there.clone())]);
    assert_eq!(store.swap(&one, &[swap(&a, 7, "2")]).await, [Swapped::Differs(None)]);
    // One that can be done and one that cannot: the second changes nothing.
    let answers = store.swap(&one, &[swap(&a, 0, "3"), swap(&b, first + 1, "4")]).await;
    assert!(matches!(answers[0], Swapped::Done(_) | Swapped::Differs(None)), "{answers:?}");
    assert_eq!(answers[1], Swapped::Differs(there));
    let Swapped::Done(second) = store.swap(&two, &[swap(&b, first, "5")]).await[0] else {
        panic!()
    };
    assert!(second > first);
    store.end(&one).await.unwrap();
    assert_eq!(store.swap(&one, &[swap(&b, second, "6")]).await, [Swapped::NoSession]);
    let there = Some(Stored { text: b"5".to_vec(), version: second });
    assert_eq!(store.read(&b).await.unwrap(), there);
    let alive: Vec<_> =
        store.sessions().await.unwrap().into_iter().map(|session| session.id).collect();
    assert_eq!(alive, [two]);
}

pub(super) async fn the_feed_goes_on_where_it_broke_off(ground: &dyn Ground) {
    let store = ground.store();
    let session = store.begin("r1", Duration::from_secs(60), "{}").await.unwrap();
    let name = resource("a");
    let mut version = 0;
    let mut at = None;
    let mut texts = Vec::new();
    for round in 0..3 {
        let (events, mut told) = mpsc::channel(64);
        let follower = ground.store();
        let from = at;
        let following = tokio::spawn(async move { follower.follow(from, &events).await });
        let mut next = async || tokio::time::timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
        if at.is_none() {
            let Event::Position(position) = next().await else { panic!("where it begins") };
            at = Some(position);
        }
        // In the second round and the third, one was made while nobody followed.
        for change in 0..2 {
            let is_last = change == 1;
            let text = format!("{round}.{change}").into_bytes();
            let swap = Swap { resource: name.clone(), expected: version, text };
            match store.swap(&session, &[swap]).await[0] {
                Swapped::Done(done) => version = done,
                ref other => panic!("{other:?}"),
            }
            if is_last && round < 2 {
                continue;
            }
            while texts.last().map(String::as_str) != Some(&format!("{round}.{change}")) {
                match next().await {
                    Event::Row { resource, stored } => {
                        assert_eq!(resource, name);
                        texts.push(String::from_utf8(stored.text).unwrap());
                    }
                    Event::Position(position) => at = Some(position),
                    Event::Session(_) | Event::Gone(_) => {}
                    Event::Missed => panic!("nothing was cut"),
                }
            }
        }
        // The position may come after the row.
        let settle = async {
            loop {
                match next().await {
                    Event::Position(position) => at = Some(position),
                    Event::Row { stored, .. } => {
                        texts.push(String::from_utf8(stored.text).unwrap());
                    }
                    _ => {}
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(50), settle).await;
        following.abort();
    }
    // What a broken feed had told already may be told again; nothing is left out, and in order.
    texts.dedup();
    let wanted = ["0.0", "0.1", "1.0", "1.1", "2.0", "2.1"];
    let mut rest = texts.iter();
    for wanted in wanted {
        assert!(rest.any(|text| text == wanted), "{wanted} is not in {texts:?}");
    }
}
