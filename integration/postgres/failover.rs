//! Another server becomes the primary.

use std::time::Duration;

use crate::rig::eventually;
use crate::rig::postgres::{Choice, Front, Wire};

async fn replicated() -> Front {
    let edits = vec![("replica = \"rig\"", "replica = \"rig\"\ncheck_interval = \"200ms\"".into())];
    let front = Front::with(Choice { is_replicated: true, edits, ..Choice::default() }).await;
    let mut session = front.leader("leader-a", 33).await;
    session.simple("CREATE TABLE t (n int); INSERT INTO t VALUES (1)").await.good();
    let standby = front.standby.as_ref().unwrap();
    let followed = "SELECT count(*) FROM pg_class WHERE relname = 't'";
    eventually("the standby follows", async || standby.ask(followed).await == ["1"]).await;
    front
}

async fn port(session: &mut Wire) -> String {
    session.value("SELECT inet_server_port()").await
}

/// A leader that gets in on the standby, within ten seconds.
async fn on_standby(front: &Front, who: &str, token: u64) -> Wire {
    let wanted = front.standby.as_ref().unwrap().port.to_string();
    let mut found = None;
    eventually("a leader gets in on the new primary", async || {
        found = front.try_leader(who, token).await.ok();
        match &mut found {
            Some(session) => {
                let answer = session.simple("SELECT inet_server_port()").await;
                answer.errors.is_empty() && answer.status.is_some() && answer.value() == wanted
            }
            None => false,
        }
    })
    .await;
    found.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_dies_and_the_standby_takes_its_place() {
    let mut front = replicated().await;
    let mut old = front.leader("leader-a", 33).await;
    old.simple("BEGIN; UPDATE t SET n = 2").await.good();
    assert_eq!(port(&mut old).await, front.server.port.to_string());
    front.server.stop();
    let told = old.farewell().await;
    assert_eq!(told.severity(), "FATAL", "{told:?}");
    front.standby.as_ref().unwrap().promote().await;
    // The same leader goes on, and then another takes over.
    let mut same = on_standby(&front, "leader-a", 33).await;
    same.simple("UPDATE t SET n = n + 10").await.good();
    let mut next = on_standby(&front, "leader-b", 34).await;
    assert_eq!(same.farewell().await.code(), "PF001");
    assert_eq!(next.value("SELECT n FROM t").await, "11");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_on_a_primary_of_an_older_timeline_end() {
    let front = replicated().await;
    let mut idle = front.leader("leader-a", 33).await;
    let mut open = front.leader("leader-a", 33).await;
    open.simple("BEGIN; UPDATE t SET n = 2").await.good();
    assert_eq!(port(&mut idle).await, front.server.port.to_string());
    // The first server runs on, and believes to be the primary: split brain of the database.
    front.standby.as_ref().unwrap().promote().await;
    for session in [&mut idle, &mut open] {
        let ending = tokio::time::timeout(Duration::from_secs(10), session.farewell()).await;
        let told = ending.expect("the session on the old primary ends");
        assert_eq!(told.severity(), "FATAL", "{told:?}");
    }
    let mut next = on_standby(&front, "leader-b", 34).await;
    assert_eq!(next.value("SELECT n FROM t").await, "1");
    for _ in 0..10 {
        let mut again = front.leader("leader-b", 34).await;
        assert_eq!(port(&mut again).await, front.standby.as_ref().unwrap().port.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_no_place_for_a_leader() {
    let edits =
        vec![("target_session_attrs = \"primary\"", "target_session_attrs = \"standby\"".into())];
    let front = Front::with(Choice { is_replicated: true, edits, ..Choice::default() }).await;
    let mut reader = front.session("reader", "reader", &[]).await.unwrap();
    assert_eq!(port(&mut reader).await, front.standby.as_ref().unwrap().port.to_string());
    assert_eq!(reader.value("SELECT pg_is_in_recovery()").await, "t");
}
