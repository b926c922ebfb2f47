//! Failovers through Sentinel, and restarts: what is kept goes on, what is lost freezes the ledger.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::rig::{
    Feed, PATIENCE, Server, TTL, begun, done, resource, sentinel, settings, swap, watched,
};
use crate::fence::SessionId;
use crate::ledger::redis::{Redis, Settings};
use crate::ledger::replicated::store::{Event, Kept, Store, Swapped};

const ROW: &str =
    r#"{"v":1,"mark":"5","holder":"h","grants":{"r1#1":"5","r2#2":"4"},"history":[]}"#;
const LEFT: &str = r#"{"v":1,"mark":"5","holder":"h","grants":{"r1#1":"5"},"history":[]}"#;
const RAISED: &str = r#"{"v":1,"mark":"6","holder":"h","grants":{"r1#1":"5"},"history":[]}"#;
const GRANTED: &str = r#"{"v":1,"mark":"5","holder":"h","grants":{"r3#3":"5"},"history":[]}"#;

/// Swaps as soon as the new primary is found; what is said meanwhile is that nothing was done.
async fn done_soon(ledger: &Redis, session: &SessionId, name: &str, at: u64, text: &str) -> u64 {
    let until = Instant::now() + PATIENCE;
    loop {
        match swap(ledger, session, name, at, text).await {
            Swapped::Done(version) => break version,
            Swapped::Failed(why) => assert!(Instant::now() < until, "{why}"),
            // Of before, on a connection to the old primary.
            Swapped::Unknown(why) => assert!(Instant::now() < until, "{why}"),
            Swapped::Differs(Some(stored)) if stored.text == text.as_bytes() => {
                break stored.version;
            }
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asks until the primary answers.
async fn looked(ledger: &Redis) {
    let until = Instant::now() + PATIENCE;
    while let Err(why) = Store::read(ledger, &resource("any")).await {
        assert!(Instant::now() < until, "{why}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_frozen(ledger: &Redis) -> bool {
    match Store::frozen(ledger) {
        Ok(()) => false,
        Err(why) => {
            assert!(why.to_string().contains("palisade ledger confirm"), "{why}");
            true
        }
    }
}

#[tokio::test]
async fn a_failover_that_loses_nothing_goes_on() {
    let primary = Server::durable();
    let replica = primary.replica();
    let sentinel = sentinel(&primary);
    let settings = watched(&sentinel, 1);
    let (ledger, session) = begun(settings.clone(), "r1").await;
    let what = Store::about(&*ledger).what;
    assert!(what.ends_with("through Sentinel, acknowledged by 1 of 1 replicas"), "{what}");
    let (mut feed, _) = Feed::follow(&ledger).await;
    let one = done(swap(&ledger, &session, "a", 0, "1").await);
    assert!(matches!(feed.news().await, Event::Row { .. }));
    assert_eq!(feed.next().await, Event::Position(one));
    sentinel.fail_over(&primary, &replica);
    // Nobody has asked anything of the old one yet, and it does not hang up by itself.
    let (told, _) = tokio::time::timeout(PATIENCE, feed.end()).await.expect("it breaks off");
    assert_eq!(told, []);
    let two = done_soon(&ledger, &session, "a", one, "2").await;
    assert_eq!(Store::keep(&*ledger, &session, "x").await.expect("it is kept"), Kept::Alive);
    let mut feed = Feed::resume(&ledger, Some(one));
    assert!(matches!(feed.news().await, Event::Row { stored, .. } if stored.version == two));
    assert!(!is_frozen(&ledger));
    // One that starts now relies on the one that is alive and has found all there.
    let (fresh, _) = begun(settings.clone(), "r2").await;
    assert!(!is_frozen(&fresh));
    assert!(replica.text(&["INFO", "replication"]).contains("role:master"));
}

/// Both the one that was there and one that starts later; until an operator confirms.
#[tokio::test]
async fn a_failover_that_loses_something_freezes_takeovers() {
    let mut primary = Server::durable();
    let replica = primary.replica();
    let sentinel = sentinel(&primary);
    let settings = Settings { accept_loss: true, ..watched(&sentinel, 0) };
    let (ledger, session) = begun(settings.clone(), "r1").await;
    let loses = Store::about(&*ledger).loses.expect("it can");
    assert!(loses.contains("a failover of Redis loses the marks"), "{loses}");
    let (other, stranger) = begun(settings.clone(), "r2").await;
    let row = done(swap(&ledger, &session, "a", 0, ROW).await);
    until_has(&replica, row);
    // It comes back, and is not let in.
    primary.ask(&["ACL", "SETUSER", "default", "-psync", "-sync"]);
    primary.ask(&["CLIENT", "KILL", "TYPE", "replica"]);
    let last = done(swap(&ledger, &session, "lost", 0, ROW).await);
    primary.crash();
    sentinel.names(&replica);
    // Another one, of which nothing is lost, writes more than was lost.
    for number in 0..3 {
        let name = format!("b{number}");
        assert!(done_soon(&other, &stranger, &name, 0, ROW).await <= last + number);
    }
    assert!(!is_frozen(&other));

    looked(&ledger).await;
    assert!(is_frozen(&ledger));
    let (mut feed, _) = Feed::follow(&ledger).await;
    let refused = async |ledger: &Arc<Redis>, session, name, at, text| {
        let swapped = swap(ledger, session, name, at, text).await;
        let Swapped::Failed(why) = swapped else { panic!("{text}: {swapped:?}") };
        assert!(why.contains("palisade ledger confirm"), "{why}");
    };
    let (fresh, newcomer) = begun(settings.clone(), "r3").await;
    assert!(newcomer.number() > 1_000_000, "numbers given out in what is lost come back");
    for (ledger, session) in [(&ledger, &session), (&other, &stranger), (&fresh, &newcomer)] {
        refused(ledger, session, "new", 0, ROW).await;
        refused(ledger, session, "a", row, RAISED).await;
        refused(ledger, session, "a", row, GRANTED).await;
        refused(ledger, session, "a", row, "no row").await;
        assert!(is_frozen(ledger));
    }
    assert_eq!(Store::keep(&*ledger, &session, "x").await.expect("holders go on"), Kept::Alive);
    let row = done(swap(&ledger, &session, "a", row, LEFT).await);
    let row = done(swap(&fresh, &newcomer, "a", row, LEFT).await);

    // `palisade ledger confirm` is a process of its own.
    Store::confirm(&*super::rig::ledger(settings.clone())).await.expect("it is confirmed");
    let row = done(swap(&ledger, &session, "a", row, RAISED).await);
    assert!(row > last, "a version of before comes back");
    for ledger in [&ledger, &other, &fresh] {
        looked(ledger).await;
        assert!(!is_frozen(ledger));
    }
    let (late, _) = begun(settings, "r4").await;
    assert!(!is_frozen(&late));
    done(swap(&other, &stranger, "new", 0, ROW).await);
    while feed.news().await != told("a", row, RAISED) {}
}

fn told(name: &str, version: u64, text: &str) -> Event {
    let stored = crate::ledger::replicated::store::Stored { text: text.into(), version };
    Event::Row { resource: resource(name), stored }
}

/// Waits until a replica has that change.
fn until_has(replica: &Server, generation: u64) {
    super::rig::until("the replica has it", || {
        replica.text(&["GET", "palisade:v1:{test}:generation"]) == generation.to_string()
    });
}

#[tokio::test]
async fn nobody_alive_to_vouch_for_another_history_freezes_takeovers() {
    let primary = Server::durable();
    let replica = primary.replica();
    let sentinel = sentinel(&primary);
    let settings = watched(&sentinel, 1);
    let (ledger, session) = begun(settings.clone(), "r1").await;
    sentinel.fail_over(&primary, &replica);
    // One is alive, and looks after a while.
    let (fresh, looking) = (super::rig::ledger(settings.clone()), ledger.clone());
    let waiting = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        looked(&looking).await;
    });
    let until = Instant::now() + PATIENCE;
    let second = loop {
        match Store::begin(&*fresh, "r2", TTL, "x").await {
            Ok(second) => break second,
            Err(why) => assert!(Instant::now() < until, "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    waiting.await.expect("no panic");
    assert!(!is_frozen(&fresh) && !is_frozen(&ledger));

    Store::end(&*ledger, &session).await.expect("it ends");
    Store::end(&*fresh, &second).await.expect("it ends");
    drop((ledger, fresh));
    let (again, session) = begun(settings.clone(), "r1").await;
    assert!(!is_frozen(&again), "it is the same history");
    Store::end(&*again, &session).await.expect("it ends");
    drop(again);
    // The same as if another failover had been: that of a replica in step takes its time.
    replica.ask(&["HSET", "palisade:v1:{test}:origin", "replid", "another"]);
    let (fresh, session) = begun(settings.clone(), "r1").await;
    assert!(is_frozen(&fresh));
    assert!(matches!(swap(&fresh, &session, "a", 0, ROW).await, Swapped::Failed(_)));
    Store::confirm(&*fresh).await.expect("it is confirmed");
    assert!(!is_frozen(&fresh));
    done(swap(&fresh, &session, "a", 0, ROW).await);
    Store::end(&*fresh, &session).await.expect("it ends");
    let (last, _) = begun(settings, "r1").await;
    assert!(!is_frozen(&last));
}

#[tokio::test]
async fn a_restart_that_keeps_all_goes_on_and_one_that_loses_all_freezes() {
    let mut server = Server::durable();
    let (ledger, session) = begun(settings(&server), "r1").await;
    let one = done(swap(&ledger, &session, "a", 0, ROW).await);
    server.restart();
    looked(&ledger).await;
    assert!(!is_frozen(&ledger));
    let (fresh, _) = begun(settings(&server), "r2").await;
    assert!(!is_frozen(&fresh), "a server of its own that syncs always has all");
    done(swap(&ledger, &session, "a", one, ROW).await);

    let mut server = Server::start(&[]);
    let settings = Settings { accept_loss: true, ..settings(&server) };
    let (ledger, session) = begun(settings.clone(), "r1").await;
    done(swap(&ledger, &session, "a", 0, ROW).await);
    server.restart();
    looked(&ledger).await;
    assert!(is_frozen(&ledger));
    assert_eq!(swap(&ledger, &session, "a", 0, ROW).await, Swapped::NoSession);
    let (fresh, later) = begun(settings, "r1").await;
    assert!(is_frozen(&fresh) && later.number() > session.number());
    Store::confirm(&*ledger).await.expect("it is confirmed");
    done(swap(&fresh, &later, "a", 0, ROW).await);
}

#[tokio::test]
async fn a_server_that_was_made_a_replica_is_not_read() {
    let server = Server::durable();
    let (ledger, session) = begun(settings(&server), "r1").await;
    let (feed, _) = Feed::follow(&ledger).await;
    let one = done(swap(&ledger, &session, "a", 0, ROW).await);
    // It goes on to answer from what it has.
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    let why = Store::read(&*ledger, &resource("a")).await.expect_err("it may be out of date");
    assert!(why.to_string().contains("a replica of 127.0.0.1:1"), "{why}");
    Store::sessions(&*ledger).await.expect_err("they may be out of date");
    tokio::time::timeout(PATIENCE, feed.end()).await.expect("it breaks off");
    let swapped = swap(&ledger, &session, "a", one, ROW).await;
    assert!(matches!(swapped, Swapped::Failed(_)), "{swapped:?}");
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    done_soon(&ledger, &session, "a", one, ROW).await;
    assert!(!is_frozen(&ledger));
}

#[tokio::test]
async fn what_is_lost_while_the_server_runs_is_noticed_with_the_next_call() {
    let server = Server::durable();
    let (ledger, session) = begun(settings(&server), "r1").await;
    let (feed, _) = Feed::follow(&ledger).await;
    server.ask(&["FLUSHALL"]);
    let swapped = swap(&ledger, &session, "a", 0, ROW).await;
    assert!(matches!(swapped, Swapped::Failed(_)), "{swapped:?}");
    looked(&ledger).await;
    assert!(is_frozen(&ledger));
    tokio::time::timeout(PATIENCE, feed.end()).await.expect("it breaks off");
}
