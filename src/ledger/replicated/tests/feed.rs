//! A feed that is cut, mute, or has left something out.

use std::collections::HashMap;
use std::time::Duration;

use super::memory::World;
use super::{process, process_with};
use crate::fence::{Own, RaiseOutcome, Resource, SessionId, Token};
use crate::ledger::contract::replicas::{self, told, until};
use crate::ledger::contract::{mark, resource};
use crate::ledger::replicated::held::{Held, RECENT_MAX, Seen};
use crate::ledger::replicated::text::Kept;
use crate::ledger::replicated::{Replicated, Settings};
use crate::ledger::{Ledger, News};

fn owing_at(counter: u64) -> impl FnMut(News) -> Option<()> {
    move |news| match news {
        News::Row { record, is_owing: true, .. } => {
            (record.mark.token == Token::new(0, counter)).then_some(())
        }
        _ => None,
    }
}

async fn raise(ledger: &Replicated, name: &Resource, counter: u64) {
    let outcome = ledger.raise(name, &mark(counter, "one"), true).await;
    assert!(matches!(outcome, RaiseOutcome::Done(_)), "{outcome:?}");
}

#[tokio::test]
async fn what_a_broken_feed_has_not_told_is_told() {
    let world = World::new();
    let (one, wire) = process(&world, "r1").await;
    let (two, _) = process(&world, "r2").await;
    let mut news = one.news().unwrap();
    let (a, b) = (resource("a"), resource("b"));
    raise(&one, &a, 5).await;
    raise(&one, &b, 5).await;
    // Taken up where it broke off, or where the log begins now.
    for (is_compacted, counter) in [(false, 6), (true, 8)] {
        wire.set(|faults| faults.is_feed_broken = true);
        tokio::time::sleep(Duration::from_millis(20)).await;
        raise(&two, &a, counter).await;
        if is_compacted {
            world.compact();
        }
        wire.set(|faults| faults.is_feed_broken = false);
        told(&mut news, "the higher mark", owing_at(counter)).await;
        raise(&one, &a, counter + 1).await;
    }
    // Missed without having been broken: it was slow.
    wire.set(|faults| faults.is_feed_mute = true);
    raise(&two, &b, 6).await;
    world.compact();
    wire.set(|faults| faults.is_feed_mute = false);
    told(&mut news, "what was missed", owing_at(6)).await;
}

#[tokio::test]
async fn a_feed_that_does_not_echo_is_not_relied_on() {
    let world = World::new();
    let ttl = Duration::from_secs(3);
    let settings = Settings { ttl, margin: ttl / 10, drain: ttl / 10, ..replicas::settings("r1") };
    let (one, wire) = process_with(&world, settings).await;
    let (two, _) = process(&world, "r2").await;
    let mut news = one.news().unwrap();
    let a = resource("a");
    raise(&one, &a, 5).await;
    // Nothing is told from here on, and nothing ends.
    wire.set(|faults| faults.is_feed_mute = true);
    raise(&two, &a, 6).await;
    told(&mut news, "the higher mark, all the same", owing_at(6)).await;
    assert!(one.lease().admits());
}

#[tokio::test]
async fn a_gate_that_is_slow_is_waited_for() {
    let world = World::new();
    let (one, _) = process(&world, "r1").await;
    let (two, _) = process(&world, "r2").await;
    let names: Vec<_> = (0..300).map(|i| resource(&format!("db/{i}"))).collect();
    for counter in 1..=3 {
        let to = mark(counter, "two");
        let raises = names.iter().map(|name| two.raise(name, &to, true));
        futures_util::future::join_all(raises).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut news = one.news().unwrap();
    let mut last = HashMap::new();
    while last.len() < names.len() || last.values().any(|counter| *counter < 3) {
        let (resource, counter) = told(&mut news, "every row", |news| match news {
            News::Row { resource, record, .. } => Some((resource, record.mark.token.counter())),
            _ => None,
        })
        .await;
        let before = last.insert(resource, counter);
        assert!(before.is_none_or(|before| before <= counter), "out of order");
    }
}

#[tokio::test]
async fn a_replica_that_is_gone_is_seen_on_the_feed() {
    let world = World::new();
    let (one, _) = process(&world, "r1").await;
    let (two, wire) = process(&world, "r2").await;
    let a = resource("a");
    raise(&one, &a, 5).await;
    raise(&two, &a, 6).await;
    wire.set(|faults| faults.is_census_lost = true);
    let dead = one.session().unwrap();
    wire.ended(&dead);
    until("the end", async || {
        matches!(&two.behind(&a, Token::new(0, 6), true).await.as_deref(), Ok([behind]) if behind.gone.is_some())
    })
    .await;
}

#[test]
fn what_is_older_than_what_is_known_is_not_told() {
    let own = Own { current: SessionId::new("r1", 2), former: vec![SessionId::new("r1", 1)] };
    let other = Own { current: SessionId::new("r2", 3), former: Vec::new() };
    let name = resource("a");
    let seen = |version, by: &Own| {
        let mut kept = Kept::default();
        let row = std::sync::Arc::make_mut(&mut kept.row);
        row.raise(&mark(5, "one"), by, true);
        Seen { version, kept }
    };
    let mut held = Held::default();
    assert!(held.learn(&name, &seen(3, &own), &own));
    assert_eq!(held.count(), 1);
    assert!(!held.learn(&name, &seen(2, &other), &own), "older");
    assert_eq!(held.count(), 1);
    assert!(held.learn(&name, &seen(3, &own), &own), "its own change, told again");
    assert!(held.learn(&name, &seen(4, &other), &own));
    assert_eq!(held.count(), 0);
    // What may have been done counts as a grant until that is known.
    held.doubt(&name, &own);
    assert!(held.learn(&name, &seen(5, &other), &own));
    assert_eq!(held.sessions().into_iter().collect::<Vec<_>>(), [2]);
    held.is_certain(&name);
    assert!(held.learn(&name, &seen(6, &other), &own));
    assert_eq!(held.count(), 0);
    // What is remembered has a bound.
    let last = 2 * RECENT_MAX;
    for i in 0..=last {
        held.remember(&resource(&format!("r{i}")), seen(1, &own));
    }
    let has = |i: usize| held.recent(&resource(&format!("r{i}"))).is_some();
    assert!(has(last) && !has(0));
}
