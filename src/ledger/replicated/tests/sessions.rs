//! Sessions that cannot be kept, and what the gate is told of them.

use std::time::{Duration, Instant};

use super::memory::{Fate, World};
use super::process_with;
use crate::fence::{Granted, RaiseOutcome, Token};
use crate::ledger::contract::replicas::{told, until};
use crate::ledger::contract::{mark, resource};
use crate::ledger::replicated::Settings;
use crate::ledger::{Condition, Ledger, News};

/// It admits for 600 ms, hangs up at 900 ms, and is over at 1,200 ms.
fn short() -> Settings {
    Settings {
        replica: "r1".into(),
        ttl: Duration::from_millis(1_200),
        margin: Duration::from_millis(300),
        drain: Duration::from_millis(300),
        timeout: Duration::from_millis(100),
    }
}

fn is(wanted: &'static str) -> impl FnMut(News) -> Option<Instant> {
    move |news| {
        let name = match news {
            News::Suspended => "suspended",
            News::HangUp(_) => "hang up",
            News::Resumed => "resumed",
            News::Row { .. } => return None,
        };
        assert_eq!(name, wanted);
        Some(Instant::now())
    }
}

#[tokio::test]
async fn a_ledger_out_of_reach_and_back() {
    for is_answer_lost in [false, true] {
        let world = World::new();
        let (ledger, wire) = process_with(&world, short()).await;
        let mut news = ledger.news().unwrap();
        let (a, before) = (resource("a"), ledger.session().unwrap());
        ledger.raise(&a, &mark(5, "one"), true).await;
        assert_eq!(ledger.condition(), Condition::Serving);
        let cut = Instant::now();
        if is_answer_lost {
            // The ledger goes on to hear of this process, and this process of nothing.
            wire.set(|faults| (faults.swaps, faults.others) = (Fate::LostAfter, Fate::LostAfter));
        } else {
            wire.cut(true);
        }
        until("the first sign", async || !matches!(ledger.condition(), Condition::Serving)).await;
        if let Condition::OutOfReach { serves_for, .. } = ledger.condition() {
            assert!(ledger.lease().admits() && serves_for <= short().admits_for());
        }
        let suspended = told(&mut news, "the end", is("suspended")).await;
        assert!(!ledger.lease().admits());
        assert!(suspended - cut >= short().admits_for() / 3, "holders are served for a while");
        let why = ledger.health().unwrap_err().to_string();
        assert!(why.contains(&format!("{before} is over")) && why.contains("reachable"), "{why}");
        assert!(matches!(ledger.condition(), Condition::Suspended { .. }));
        assert_eq!(ledger.raise(&a, &mark(6, "one"), true).await, RaiseOutcome::Failed);
        assert_eq!(ledger.grant(&a, Token::new(0, 5)).await, Granted::Failed);
        assert!(ledger.load(&a).await.is_err() && !ledger.release(&a).await);
        let hang_up = told(&mut news, "the end of connections", is("hang up")).await;
        assert!(hang_up - suspended >= short().drain / 2, "what is under way has time to end");
        tokio::time::sleep(short().margin).await;
        wire.cut(false);
        told(&mut news, "the new session", is("resumed")).await;
        until("the lease", async || ledger.lease().admits()).await;
        assert!(ledger.session().unwrap().number() > before.number());
        assert!(!world.sessions().contains(&before), "it was ended");
        assert_eq!(ledger.condition(), Condition::Serving);
        let found = ledger.load(&a).await.unwrap();
        assert_eq!((found.mark, found.grant), (mark(5, "one"), Token::ZERO));
        assert_eq!(ledger.grant(&a, Token::new(0, 5)).await, Granted::Done { behind: false });
        let grants = String::from_utf8(world.row(&a).unwrap().text).unwrap();
        assert!(!grants.contains(&before.to_string()), "{grants}");
    }
}

/// Counted from when it was sent, a keepalive that takes so long leaves no time for the next.
#[tokio::test]
async fn a_keepalive_counts_from_when_it_was_sent() {
    let world = World::new();
    let settings = Settings { timeout: Duration::from_secs(5), ..short() };
    let (ledger, wire) = process_with(&world, settings).await;
    let mut news = ledger.news().unwrap();
    wire.set(|faults| faults.delay = short().admits_for() * 6 / 10);
    told(&mut news, "the end", is("suspended")).await;
    wire.set(|faults| faults.delay = Duration::ZERO);
    told(&mut news, "the end of connections", is("hang up")).await;
    told(&mut news, "the new session", is("resumed")).await;
}

/// What was admitted under the old session must not pass for the new one's.
#[tokio::test]
async fn no_new_session_is_relied_on_before_the_gate_has_hung_up() {
    let world = World::new();
    let (ledger, wire) = process_with(&world, short()).await;
    let mut news = ledger.news().unwrap();
    let before = ledger.session().unwrap();
    wire.ended(&before);
    let carried_out = told(&mut news, "the end of connections", |news| match news {
        News::HangUp(carried_out) => Some(carried_out),
        _ => None,
    })
    .await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!ledger.lease().admits());
    assert_eq!(ledger.session().unwrap(), before);
    drop(carried_out);
    told(&mut news, "the new session", is("resumed")).await;
    until("the lease", async || ledger.lease().admits()).await;
}

#[tokio::test]
async fn a_session_is_lost_once_however_many_changes_tell_it() {
    let world = World::new();
    let settings = crate::ledger::contract::replicas::settings("r1");
    let (ledger, wire) = process_with(&world, settings).await;
    let mut news = ledger.news().unwrap();
    let before = ledger.session().unwrap();
    wire.set(|faults| (faults.swaps_max, faults.delay) = (1, Duration::from_millis(20)));
    wire.ended(&before);
    let names: Vec<_> = (0..40).map(|i| resource(&format!("a{i}"))).collect();
    let to = mark(5, "one");
    let raises = futures_util::future::join_all(names.iter().map(|n| ledger.raise(n, &to, true)));
    for outcome in raises.await {
        assert_eq!(outcome, RaiseOutcome::Failed);
    }
    // Long before a keepalive would find it.
    let soon = Duration::from_secs(8);
    assert!(soon < crate::ledger::contract::replicas::settings("r1").keepalive_interval());
    let end = told(&mut news, "the end", is("suspended"));
    tokio::time::timeout(soon, end).await.expect("a refused change tells it");
    told(&mut news, "the end of connections", is("hang up")).await;
    told(&mut news, "the new session", is("resumed")).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(ledger.session().unwrap().number(), before.number() + 1);
    assert!(ledger.lease().admits());
}

#[tokio::test]
async fn a_keepalive_that_fails_now_and_then_ends_nothing() {
    let world = World::new();
    let (ledger, wire) = process_with(&world, short()).await;
    let before = ledger.session().unwrap();
    for round in 0..10 {
        let fate = if round % 2 == 0 { Fate::LostBefore } else { Fate::Answered };
        wire.set(|faults| faults.others = fate);
        tokio::time::sleep(short().keepalive_interval() / 2).await;
    }
    wire.set(|faults| faults.others = Fate::Answered);
    until("the session", async || ledger.condition() == Condition::Serving).await;
    assert_eq!(ledger.session().unwrap(), before);
}

#[tokio::test]
async fn news_that_nobody_takes_is_kept_short_and_in_turn() {
    let world = World::new();
    let (ledger, wire) = process_with(&world, short()).await;
    for _ in 0..6 {
        let before = ledger.session().unwrap();
        wire.ended(&before);
        until("a new session", async || ledger.session().unwrap() != before).await;
    }
    // Of the sessions that are over none has left a grant.
    assert!(ledger.shared.own().former.is_empty());
    until("the lease", async || ledger.lease().admits()).await;
    let mut news = ledger.news().unwrap();
    let mut names = Vec::new();
    while let Ok(Some(told)) = tokio::time::timeout(Duration::from_millis(50), news.recv()).await {
        names.push(match told {
            News::Suspended => 0,
            News::HangUp(_) => 1,
            News::Resumed => 2,
            News::Row { .. } => continue,
        });
    }
    assert!(names.len() >= 3 && names.len() <= 18, "{names:?}");
    assert_eq!(names.last(), Some(&2));
    assert!(names.iter().zip(&names[1..]).all(|(one, next)| (one + 1) % 3 == *next), "{names:?}");
}

#[tokio::test]
async fn what_cannot_be_given_up_is_told() {
    let world = World::new();
    let (ledger, wire) = process_with(&world, short()).await;
    for name in ["a", "b"] {
        ledger.raise(&resource(name), &mark(5, "one"), true).await;
    }
    wire.cut(true);
    let error = ledger.close().await.unwrap_err().to_string();
    assert!(error.contains("2 grants of r1#1 were not given up"), "{error}");
    assert!(!ledger.lease().admits());
    ledger.close().await.unwrap();
    assert_eq!(ledger.raise(&resource("a"), &mark(6, "one"), true).await, RaiseOutcome::Failed);
}

#[tokio::test]
async fn metrics_tell_how_it_is() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    crate::ledger::metrics::describe();
    let world = World::new();
    let (ledger, wire) = process_with(&world, short()).await;
    ledger.raise(&resource("a"), &mark(5, "one"), true).await;
    ledger.raise(&resource("a"), &mark(5, "one"), true).await;
    let shows = async |lines: &[&str]| {
        until("a metric", async || {
            let text = handle.render();
            lines.iter().all(|line| text.lines().any(|found| found.starts_with(line)))
        })
        .await;
    };
    shows(&[
        "palisade_ledger_raises_total{outcome=\"raised\"} 1",
        "palisade_ledger_raises_total{outcome=\"unchanged\"} 1",
        "palisade_ledger_commits_total 1",
        "palisade_ledger_grants_held 1",
        "palisade_ledger_up 1",
        "palisade_ledger_feed_lag_seconds",
        "palisade_ledger_session_age_seconds",
        "palisade_ledger_condition{condition=\"serving\"} 1",
        "palisade_ledger_request_seconds_count{operation=\"keep\"}",
        "palisade_ledger_request_seconds_count{operation=\"swap\"} 1",
        "# TYPE palisade_ledger_condition gauge",
    ])
    .await;
    wire.cut(true);
    shows(&["palisade_ledger_keepalives_failed_total 2"]).await;
    shows(&[
        "palisade_ledger_condition{condition=\"serving\"} 0",
        "palisade_ledger_condition{condition=\"suspended\"} 1",
        "palisade_ledger_up 0",
    ])
    .await;
    std::thread::sleep(Duration::from_millis(1_100));
    shows(&["palisade_ledger_freezes_total 1"]).await;
}
