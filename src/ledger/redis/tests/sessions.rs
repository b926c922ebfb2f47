//! Sessions begin, go on, expire and end, and the feed tells it.

use std::time::{Duration, Instant};

use super::rig::{Feed, Server, TTL, begun, ledger, settings, swap};
use crate::ledger::replicated::store::{Event, Kept, Session, Store, Swapped};

#[tokio::test]
async fn sessions_have_rising_numbers_and_say_something_of_themselves() {
    let server = Server::durable();
    let (ledger, one) = begun(settings(&server), "r1").await;
    let (other, two) = begun(settings(&server), "r2").await;
    let three = Store::begin(&*ledger, "r1", TTL, "again").await.expect("it begins");
    assert!(one.number() < two.number() && two.number() < three.number());
    assert_eq!(Store::keep(&*other, &two, "changed").await.expect("it is kept"), Kept::Alive);
    let session = |id, about: &str| Session { id, about: about.to_owned() };
    let expected = [session(one.clone(), "x"), session(two, "changed"), session(three, "again")];
    assert_eq!(Store::sessions(&*ledger).await.expect("they are listed"), expected);
    Store::end(&*ledger, &one).await.expect("it ends");
    Store::end(&*ledger, &one).await.expect("it has ended");
    assert_eq!(Store::keep(&*ledger, &one, "y").await.expect("it is asked"), Kept::Gone);
    assert_eq!(Store::sessions(&*ledger).await.expect("they are listed"), expected[1..]);
}

#[tokio::test]
async fn a_session_lives_for_its_time_from_the_last_keepalive() {
    let server = Server::durable();
    let watcher = ledger(settings(&server));
    let ledger = ledger(settings(&server));
    let ttl = Duration::from_millis(700);
    let session = Store::begin(&*ledger, "r1", ttl, "x").await.expect("it begins");
    let (mut feed, _) = Feed::follow(&watcher).await;
    let mut kept = Instant::now();
    for _ in 0..4 {
        tokio::time::sleep(ttl / 2).await;
        kept = Instant::now();
        assert_eq!(Store::keep(&*ledger, &session, "x").await.expect("it is kept"), Kept::Alive);
        let said = Event::Session(Session { id: session.clone(), about: "x".to_owned() });
        assert_eq!(feed.news().await, said);
    }
    assert_eq!(feed.news().await, Event::Gone(session.clone()));
    assert!(kept.elapsed() >= ttl, "{:?}", kept.elapsed());
    assert!(kept.elapsed() < ttl + Duration::from_secs(2), "{:?}", kept.elapsed());
    assert_eq!(Store::keep(&*ledger, &session, "x").await.expect("it is asked"), Kept::Gone);
    assert_eq!(swap(&ledger, &session, "a", 0, "x").await, Swapped::NoSession);
    assert_eq!(Store::sessions(&*ledger).await.expect("they are listed"), []);
    let next = Store::begin(&*ledger, "r1", ttl, "x").await.expect("it begins");
    assert!(next.number() > session.number());
    Store::end(&*ledger, &next).await.expect("it ends");
    assert!(matches!(feed.news().await, Event::Session(_)));
    assert_eq!(feed.news().await, Event::Gone(next));
}
