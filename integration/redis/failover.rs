//! Another server becomes the primary, or the same one comes back without the last writes.

use std::time::Duration;

use crate::rig::eventually;
use crate::rig::redis::{By, Choice, Front, Wire};

async fn replicated() -> Front {
    let front = Front::with(Choice { by: By::Sentinel, ..Choice::default() }).await;
    let mut session = front.leader("leader-a", 33).await;
    assert_eq!(session.say("SET a 1").await, "OK");
    let replica = front.replica.as_ref().unwrap();
    eventually("the replica has it", async || replica.ask("GET a").await == "1").await;
    front
}

/// A leader that writes to the replica, which is the primary now.
async fn on_replica(front: &Front, who: &str, token: u64) -> Wire {
    let mut found = None;
    eventually("a leader gets in on the new primary", async || {
        if let Ok(mut wire) = front.try_leader(who, token).await
            && wire.say(&format!("SET who {token}")).await == "OK"
        {
            found = Some(wire);
        }
        found.is_some()
    })
    .await;
    let replica = front.replica.as_ref().unwrap();
    assert_eq!(replica.ask("GET who").await, token.to_string(), "it is on another server");
    found.unwrap()
}

/// Waits until the log, the audit log and the metrics say it.
async fn is_told(front: &mut Front, what: &str) {
    eventually(&format!("{what} is audited"), async || {
        front.audit().iter().any(|line| line.to_string().contains(what))
    })
    .await;
    let metric = async || front.metric("palisade_redis_primary_changes_total", what).await;
    eventually(&format!("{what} is counted"), async || metric().await >= 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_dies_and_sentinel_promotes_the_replica() {
    let mut front = replicated().await;
    let mut old = front.leader("leader-a", 33).await;
    assert_eq!(old.pipe(&["GET a", "MULTI", "SET a 2"]).await, ["1", "OK", "QUEUED"]);
    let mut waits = front.leader("leader-a", 33).await;
    waits.tell("BLPOP q 0").await;
    front.server.has_client("cmd=blpop").await;
    front.server.kill();
    let told = old.farewell().await;
    assert!(told.starts_with("-TRYAGAIN"), "{told}");
    // It may have popped something before it died.
    let told = waits.farewell().await;
    assert!(told.starts_with("-UNKNOWN"), "{told}");
    // The same leader goes on, and then another takes over.
    let mut same = on_replica(&front, "leader-a", 33).await;
    assert_eq!(same.say("INCRBY a 10").await, ":11");
    let mut next = on_replica(&front, "leader-b", 34).await;
    assert!(same.farewell().await.starts_with("-FENCED"));
    assert_eq!(next.say("GET a").await, "11");
    // The mark is not kept there.
    let told = front.try_leader("leader-a", 33).await.err().unwrap();
    assert!(told.starts_with("-FENCED"), "{told}");
    is_told(&mut front, "other_primary").await;
    // The old one comes back, and is nobody's primary.
    front.server.start_again();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut again = front.leader("leader-b", 34).await;
    assert_eq!(again.say("INCR a").await, ":12");
}

/// The first server runs on, and believes to be the primary: split brain of the store.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_on_a_server_that_is_the_primary_no_more_end() {
    let front = replicated().await;
    let mut idle = front.leader("leader-a", 33).await;
    let mut open = front.leader("leader-a", 33).await;
    assert_eq!(open.pipe(&["GET a", "MULTI", "SET a 2"]).await, ["1", "OK", "QUEUED"]);
    assert_eq!(idle.say("GET a").await, "1");
    let mut waits = front.leader("leader-a", 33).await;
    waits.tell("BLPOP q 0").await;
    front.server.has_client("cmd=blpop").await;
    let sentinel = front.sentinel.as_ref().unwrap();
    assert_eq!(sentinel.ask("SENTINEL FAILOVER store").await, "OK");
    for session in [&mut idle, &mut open, &mut waits] {
        let ending = tokio::time::timeout(Duration::from_secs(20), session.farewell()).await;
        let told = ending.expect("the session on the old primary ends");
        // Who waits for nothing need not hear of it: it would be taken for the next answer.
        let word = told.split(' ').next().unwrap();
        assert!(["CUT", "-TRYAGAIN", "-UNKNOWN", "-UNBLOCKED"].contains(&word), "{told}");
    }
    let mut next = on_replica(&front, "leader-b", 34).await;
    assert_eq!(next.say("GET a").await, "1");
}

/// The only server is made a replica by somebody, and a primary again.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_demoted_takes_its_sessions_with_it() {
    let mut front = Front::start().await;
    let other = front.server.replica().await;
    let mut idle = front.leader("leader-a", 33).await;
    let mut waits = front.leader("leader-a", 33).await;
    assert_eq!(idle.pipe(&["SET a 1", "MULTI", "SET a 2"]).await, ["OK", "OK", "QUEUED"]);
    waits.tell("BLPOP q 0").await;
    front.server.has_client("cmd=blpop").await;
    assert_eq!(other.ask("REPLICAOF NO ONE").await, "OK");
    assert_eq!(front.server.ask(&format!("REPLICAOF 127.0.0.1 {}", other.port)).await, "OK");
    for session in [&mut idle, &mut waits] {
        let told = session.farewell().await;
        let word = told.split(' ').next().unwrap();
        assert!(["-TRYAGAIN", "-UNKNOWN", "-UNBLOCKED"].contains(&word), "{told}");
    }
    is_told(&mut front, "demoted").await;
    let told = front.try_leader("leader-b", 34).await.err().expect("it is no place for a leader");
    assert!(told.starts_with("-TRYAGAIN"), "{told}");
    assert_eq!(front.server.ask("REPLICAOF NO ONE").await, "OK");
    let let_in = async || match front.try_leader("leader-b", 34).await {
        Ok(mut wire) => wire.say("INCR a").await == ":2",
        Err(_) => false,
    };
    eventually("a leader gets in again", let_in).await;
}

/// Without a file, so all is lost; how much, only a server tells that has a replica.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_without_the_last_writes_is_told_of() {
    for (has_replica, what) in [(false, "history_unknown"), (true, "data_lost")] {
        let mut front = Front::start().await;
        let replica = if has_replica { Some(front.server.replica().await) } else { None };
        let mut old = front.leader("leader-a", 33).await;
        for n in 0..20 {
            assert_eq!(old.say(&format!("SET a {n}")).await, "OK");
        }
        // It is asked every now and then how far it is.
        tokio::time::sleep(Duration::from_millis(700)).await;
        front.server.kill();
        front.server.start_again();
        let told = old.farewell().await;
        assert!(told.starts_with("-TRYAGAIN"), "{told}");
        let let_in = async || match front.try_leader("leader-a", 33).await {
            Ok(mut wire) => wire.say("GET a").await == "nil",
            Err(_) => false,
        };
        eventually("the leader gets in again", let_in).await;
        is_told(&mut front, "restarted").await;
        is_told(&mut front, what).await;
        // The mark does not go down for that.
        let told = front.try_leader("leader-b", 32).await.err().unwrap();
        assert!(told.starts_with("-FENCED"), "{told}");
        assert_eq!(front.leader("leader-b", 34).await.say("SET a 1").await, "OK");
        drop(replica);
    }
}

/// The replica that is promoted lacks what the primary had acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lacks_the_last_writes_is_told_of() {
    let mut front = replicated().await;
    let mut old = front.leader("leader-a", 33).await;
    // From now on it follows nobody; Sentinel minds that only after a while.
    let replica = front.replica.as_ref().unwrap();
    assert_eq!(replica.ask("REPLICAOF 127.0.0.1 1").await, "OK");
    for n in 2..50 {
        assert_eq!(old.say("INCR a").await, format!(":{n}"));
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    front.server.kill();
    let mut next = on_replica(&front, "leader-b", 34).await;
    assert_eq!(next.say("GET a").await, "1");
    is_told(&mut front, "data_lost").await;
    let lost = front.metric("palisade_redis_lost_bytes_total", "").await;
    assert!(lost > 48.0 * 20.0, "{lost} bytes");
    let told = front.try_leader("leader-a", 33).await.err().unwrap();
    assert!(told.starts_with("-FENCED"), "{told}");
}
