//! The feed: in order, from where it was broken off, and honest about what it has missed.

use std::time::Duration;

use super::rig::{Feed, Server, begun, done, ledger, resource, settings, swap};
use crate::ledger::redis::Settings;
use crate::ledger::replicated::store::{Event, Store, Stored, Swapped};

fn row(name: &str, version: u64, text: &str) -> Event {
    let stored = Stored { text: text.as_bytes().to_vec(), version };
    Event::Row { resource: resource(name), stored }
}

#[tokio::test]
async fn changes_are_told_in_their_order_and_a_feed_goes_on_where_it_broke_off() {
    let server = Server::durable();
    let (ledger, session) = begun(settings(&server), "r1").await;
    let elsewhere = Settings { namespace: "other".into(), ..settings(&server) };
    let (other, stranger) = begun(elsewhere, "r1").await;
    done(swap(&ledger, &session, "before", 0, "not told").await);
    let (mut feed, at) = Feed::follow(&ledger).await;
    let one = done(swap(&ledger, &session, "a", 0, "1").await);
    done(swap(&other, &stranger, "a", 0, "of another").await);
    let two = done(swap(&ledger, &session, "a", one, "2").await);
    assert_eq!((one, two), (at + 1, at + 2));
    assert_eq!(feed.news().await, row("a", one, "1"));
    assert_eq!(feed.news().await, row("a", two, "2"));
    assert_eq!(feed.next().await, Event::Position(two));
    drop(feed);
    let three = done(swap(&ledger, &session, "b", 0, "3").await);
    let mut feed = Feed::resume(&ledger, Some(two));
    assert_eq!(feed.next().await, row("b", three, "3"));
    assert_eq!(feed.next().await, Event::Position(three));
    // From long before: everything that the log has.
    let mut feed = Feed::resume(&ledger, Some(at));
    for expected in [row("a", one, "1"), row("a", two, "2"), row("b", three, "3")] {
        assert_eq!(feed.next().await, expected);
    }
}

#[tokio::test]
async fn what_was_trimmed_was_missed() {
    let server = Server::durable();
    let (ledger, session) = begun(settings(&server), "r1").await;
    let (mut feed, _) = Feed::follow(&ledger).await;
    let at = done(swap(&ledger, &session, "a", 0, "1").await);
    assert_eq!(feed.news().await, row("a", at, "1"));
    assert_eq!(feed.next().await, Event::Position(at));
    drop(feed);
    done(swap(&ledger, &session, "a", at, "2").await);
    let last = done(swap(&ledger, &session, "a", at + 1, "3").await);
    let log = "palisade:v1:{test}:log";
    server.ask(&["XTRIM", log, "MINID", &format!("{last}-0")]);
    let mut feed = Feed::resume(&ledger, Some(at));
    let first = feed.next().await;
    assert_eq!(first, Event::Missed);
    ledger.frozen().expect("nothing is lost");
    // One that knows only where it was.
    let mut other = Feed::resume(&self::ledger(settings(&server)), Some(at));
    assert_eq!(other.next().await, Event::Missed);
    assert_eq!(other.next().await, row("a", last, "3"));
    assert_eq!(other.next().await, Event::Position(last));
    let next = done(swap(&ledger, &session, "b", 0, "4").await);
    while feed.news().await != row("b", next, "4") {}
    // One that was not there for it, and has the last change but that.
    server.ask(&["XTRIM", log, "MAXLEN", "0"]);
    let mut feed = Feed::resume(&ledger, Some(last));
    assert_eq!(feed.next().await, Event::Missed);
    assert_eq!(feed.next().await, Event::Position(next));
    ledger.frozen().expect("nothing is lost");
}

/// What counts is the change itself, not how many there have been.
#[tokio::test]
async fn what_was_told_and_is_not_there_any_more_was_lost() {
    let server = Server::durable();
    let (one, session) = begun(settings(&server), "r1").await;
    let watcher = ledger(settings(&server));
    let (mut feed, _) = Feed::follow(&watcher).await;
    let at = done(swap(&one, &session, "a", 0, "1").await);
    while feed.next().await != Event::Position(at) {}
    drop(feed);
    drop(one);
    server.ask(&["FLUSHALL"]);
    let (two, session) = begun(settings(&server), "r2").await;
    for number in 0..=at {
        done(swap(&two, &session, &format!("b{number}"), 0, "1").await);
    }
    two.frozen().expect("it has lost nothing");
    let mut feed = Feed::resume(&watcher, Some(at));
    assert_eq!(feed.next().await, Event::Missed);
    watcher.frozen().expect_err("it has");
    let swapped = swap(&two, &session, "c", 0, "1").await;
    assert!(matches!(swapped, Swapped::Failed(_)), "{swapped:?}");
    two.frozen().expect_err("it is told");
}

#[tokio::test]
async fn a_feed_ends_with_its_server_and_resumes_on_the_next_one() {
    let mut server = Server::durable();
    let (ledger, session) = begun(settings(&server), "r1").await;
    let (feed, at) = Feed::follow(&ledger).await;
    server.restart();
    let (told, why) = tokio::time::timeout(Duration::from_secs(5), feed.end()).await.expect("soon");
    assert_eq!(told, []);
    assert!(!why.to_string().is_empty());
    let one = done(swap(&ledger, &session, "a", 0, "1").await);
    let mut feed = Feed::resume(&ledger, Some(at));
    assert_eq!(feed.next().await, row("a", one, "1"));
    ledger.frozen().expect("nothing is lost");
}

#[tokio::test]
async fn a_feed_from_a_time_that_the_server_has_not_seen_begins_anew() {
    let server = Server::durable();
    let ledger = ledger(settings(&server));
    let mut feed = Feed::resume(&ledger, Some(77));
    assert_eq!(feed.next().await, Event::Missed);
    assert_eq!(feed.next().await, Event::Position(0));
}
