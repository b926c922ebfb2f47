//! `kill -9`, SIGSTOP and SIGTERM of Palisade, and starts on the same ledger.

use std::time::{Duration, Instant};

use crate::rig::eventually;
use crate::rig::postgres::{Front, Wire, query};

async fn with_table(front: &Front) -> Wire {
    let mut session = front.leader("leader-a", 33).await;
    session.simple("CREATE TABLE t (n int); INSERT INTO t VALUES (1)").await.good();
    session
}

/// Waits until a statement with that text runs.
async fn runs(front: &Front, what: &str) {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename = 'app' AND \
         query LIKE '%{what}%'"
    );
    eventually(&format!("{what} runs"), async || front.server.ask(&sql).await == ["1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_palisade_left_is_ended_before_the_first_raise() {
    let mut front = Front::start().await;
    let mut open = with_table(&front).await;
    open.simple("BEGIN; UPDATE t SET n = 5").await.good();
    let mut running = front.leader("leader-a", 33).await;
    // The server goes on with it: nobody tells it that the client is gone.
    running.send(&query("INSERT INTO t SELECT 7 FROM pg_sleep(6) AS leftover")).await;
    runs(&front, "leftover").await;
    front.palisade().kill();
    assert_eq!(running.farewell().await.code(), "CUT");
    runs(&front, "leftover").await;
    front.run().await;

    let begun = Instant::now();
    let mut next = front.leader("leader-b", 34).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(4), "it waited {took:?}: for the statement, it seems");
    let mine = next.backend().await;
    let left =
        format!("SELECT query FROM pg_stat_activity WHERE usename = 'app' AND pid <> {mine}");
    assert_eq!(front.server.ask(&left).await, Vec::<String>::new());
    assert_eq!(next.value("SELECT sum(n) FROM t").await, "1");
    next.simple("UPDATE t SET n = n + 1").await.good();
    tokio::time::sleep(Duration::from_secs(6).saturating_sub(begun.elapsed())).await;
    assert_eq!(front.server.ask("SELECT sum(n) FROM t").await, ["2"]);
    // The mark is what it was.
    let stale = front.leader("leader-a", 33).await.simple("DELETE FROM t").await;
    assert!(["PF001", "PF009"].contains(&stale.code()), "{stale:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_ends_what_goes_around_it_and_not_what_belongs_to_another() {
    let mut front = Front::start().await;
    front.palisade().kill();
    let parameters = |name| [("user", "app"), ("database", "app"), ("application_name", name)];
    // Whoever knows the password; a Palisade that calls itself something else; one that only
    // sounds like this one.
    let mut around = front.server.session_with(&parameters("psql")).await;
    let mut another = front.server.session_with(&parameters("x [palisade:other]")).await;
    let mut own = front.server.session_with(&parameters("x [palisade:rig]")).await;
    let mut root = front.server.session("postgres").await;
    for session in [&mut around, &mut another, &mut own] {
        session.simple("BEGIN; SELECT 1").await.good();
    }
    front.run().await;
    let _leader = front.leader("leader-a", 33).await;
    for session in [&mut around, &mut own] {
        let told = session.farewell().await;
        assert_eq!(told.code(), "57P01", "{told:?}");
    }
    assert_eq!(another.value("SELECT 1").await, "1");
    assert_eq!(root.value("SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_end_tells_the_sessions_and_leaves_nothing() {
    let mut front = Front::start().await;
    let mut idle = with_table(&front).await;
    let mut open = front.leader("leader-a", 33).await;
    open.simple("BEGIN; UPDATE t SET n = 5").await.good();
    front.palisade().terminate();
    // A client that does not go by itself does not keep it for good.
    let told = idle.farewell().await;
    assert_eq!((told.code(), told.severity()), ("57P01", "FATAL"), "{told:?}");
    front.palisade().wait(Duration::from_secs(60));
    let left = "SELECT count(*) FROM pg_stat_activity WHERE usename IN ('app', 'control')";
    eventually("no session is left", async || front.server.ask(left).await == ["0"]).await;
    assert_eq!(front.server.ask("SELECT sum(n) FROM t").await, ["1"]);
    drop(open);
    front.run().await;
    let begun = Instant::now();
    let mut next = front.leader("leader-b", 34).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "it waited {:?}", begun.elapsed());
    assert_eq!(next.value("SELECT sum(n) FROM t").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_palisade_goes_on_where_it_was() {
    let front = Front::start().await;
    let mut front = front;
    let mut old = with_table(&front).await;
    old.simple("BEGIN; UPDATE t SET n = 5").await.good();
    front.palisade().freeze();
    old.send(&query("COMMIT")).await;
    let leader = {
        let door = front.door("leader-b");
        let address = front.address;
        tokio::spawn(async move {
            let parameters = [("user", "app"), ("database", "app"), ("palisade.token", "34")];
            Wire::open(door.tls(address).await.unwrap(), &parameters).await.unwrap()
        })
    };
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!leader.is_finished(), "nobody can have let it in");
    front.palisade().thaw();
    let mut next = leader.await.unwrap();
    // Whichever came first: what the old leader was told is what the new one finds.
    let found = next.value("SELECT n FROM t").await;
    let answer = old.answer().await;
    let is_committed = answer.tags == ["COMMIT"];
    assert_eq!(found, if is_committed { "5" } else { "1" }, "{answer:?}");
    next.simple("UPDATE t SET n = n + 1").await.good();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_yet_is_waited_for_without_a_raise() {
    let mut front = Front::start().await;
    with_table(&front).await;
    front.palisade().kill();
    front.server.stop();
    front.launch();
    // It may not be ready, but it answers; with what may be tried again.
    let mut told = None;
    eventually("it listens", async || {
        told = front.try_leader("leader-b", 34).await.err();
        told.as_ref().is_some_and(|told| told.code() != "CUT")
    })
    .await;
    let told = told.unwrap();
    assert_eq!((told.code(), told.severity()), ("57P03", "FATAL"), "{told:?}");
    front.server.start_again();
    eventually("a leader gets in", async || front.try_leader("leader-b", 34).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_whose_server_crashes_end_and_later_ones_get_in() {
    let mut front = Front::start().await;
    let mut session = with_table(&front).await;
    session.simple("BEGIN; UPDATE t SET n = 5").await.good();
    front.server.stop();
    let told = session.farewell().await;
    assert_eq!(told.severity(), "FATAL", "{told:?}");
    front.server.start_again();
    // The one that the restart ended holds nobody up.
    let mut next = None;
    eventually("the next leader gets in", async || {
        next = front.try_leader("leader-b", 34).await.ok();
        next.is_some()
    })
    .await;
    assert_eq!(next.unwrap().value("SELECT n FROM t").await, "1");
}
