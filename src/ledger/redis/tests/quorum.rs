//! Replicas that have to acknowledge, and servers that do not answer.

use std::time::{Duration, Instant};

use super::rig::{Feed, Server, begun, done, ledger, resource, settings, swap};
use crate::ledger::redis::Settings;
use crate::ledger::replicated::store::{Event, Store, Swapped};

#[tokio::test]
async fn without_its_replica_nothing_is_said_to_be_done_or_to_be_so() {
    let server = Server::start(&[]);
    let replica = server.replica();
    let wait_timeout = Duration::from_millis(600);
    let settings = Settings { wait_replicas: 1, wait_timeout, ..settings(&server) };
    let (ledger, session) = begun(settings, "r1").await;
    let one = done(swap(&ledger, &session, "a", 0, "1").await);
    replica.freeze();
    let begun = Instant::now();
    let waits = swap(&ledger, &session, "a", one, "2");
    let lists = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let rows = Store::list(&*ledger, None, 9).await.expect("they are listed");
        (rows[0].1.text.clone(), begun.elapsed())
    };
    let (swapped, (text, listed)) = tokio::join!(waits, lists);
    let Swapped::Unknown(why) = swapped else { panic!("{swapped:?}") };
    assert!(why.contains("0 of the 1 replicas") && why.contains("wait_replicas"), "{why}");
    assert!(begun.elapsed() >= wait_timeout && listed < wait_timeout, "{listed:?}");
    assert_eq!(text, b"2");
    // What may be lost is shown to people, and not relied on.
    Store::read(&*ledger, &resource("a")).await.expect_err("it is not acknowledged");
    Store::sessions(&*ledger).await.expect_err("it may be the primary no more");
    // Nothing to acknowledge: nothing to wait for.
    let differs = swap(&ledger, &session, "a", one, "3").await;
    assert!(matches!(differs, Swapped::Differs(Some(_))), "{differs:?}");
    Store::keep(&*ledger, &session, "x").await.expect_err("its time is not acknowledged");
    replica.thaw();
    let row = Store::read(&*ledger, &resource("a")).await.expect("it is read");
    assert_eq!(row.expect("a row").text, b"2");
    assert_eq!(Store::sessions(&*ledger).await.expect("they are read").len(), 1);
    assert!(matches!(swap(&ledger, &session, "b", 0, "1").await, Swapped::Done(_)));
    Store::keep(&*ledger, &session, "x").await.expect("it is kept");
    ledger.frozen().expect("nothing is lost");
}

#[tokio::test]
async fn what_was_sent_is_unknown_and_what_was_not_has_failed() {
    let mut server = Server::durable();
    let settings = Settings { timeout: Duration::from_millis(400), ..settings(&server) };
    let (ledger, session) = begun(settings, "r1").await;
    let one = done(swap(&ledger, &session, "a", 0, "1").await);
    server.freeze();
    let swapped = swap(&ledger, &session, "a", one, "2").await;
    assert!(matches!(swapped, Swapped::Unknown(_)), "{swapped:?}");
    // It takes no new connection, either: nothing is sent.
    let swapped = swap(&ledger, &session, "b", 0, "1").await;
    assert!(matches!(swapped, Swapped::Failed(_)), "{swapped:?}");
    Store::read(&*ledger, &resource("a")).await.expect_err("it does not answer");
    server.thaw();
    let swapped = swap(&ledger, &session, "b", 0, "1").await;
    assert!(matches!(swapped, Swapped::Done(_)), "{swapped:?}");
    server.crash();
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let swapped = swap(&ledger, &session, "c", 0, "1").await;
        match swapped {
            Swapped::Failed(why) => break assert!(!why.is_empty()),
            Swapped::Unknown(_) => assert!(Instant::now() < until, "it is not noticed"),
            other => panic!("{other:?}"),
        }
    }
    server.restart();
    // For a moment the failure before it is the answer.
    tokio::time::sleep(Duration::from_millis(150)).await;
    done(swap(&ledger, &session, "c", 0, "1").await);
    ledger.frozen().expect("nothing is lost");
}

/// On a primary that was cut off from its replicas: elsewhere the session may go on.
#[tokio::test]
async fn without_its_replica_no_session_is_said_to_be_over() {
    let server = Server::start(&[]);
    let replica = server.replica();
    let wait_timeout = Duration::from_millis(100);
    let settings = Settings { wait_replicas: 1, wait_timeout, ..settings(&server) };
    let ledger = ledger(settings);
    let ttl = Duration::from_millis(300);
    let (mut feed, _) = Feed::follow(&ledger).await;
    let session = Store::begin(&*ledger, "r1", ttl, "x").await.expect("it begins");
    assert!(matches!(feed.news().await, Event::Session(_)));
    replica.freeze();
    let silence = tokio::time::timeout(Duration::from_millis(1500), feed.news()).await;
    assert!(silence.is_err(), "{silence:?}");
    replica.thaw();
    assert_eq!(feed.news().await, Event::Gone(session));
}
