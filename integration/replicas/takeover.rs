//! A leader on one replica, the next one on another.

use std::time::{Duration, Instant};

use crate::history::{self, Answers, Told};
use crate::rig::cluster::{Cluster, Kind, TTL_MS, Wish};
use crate::rig::eventually;
use crate::siege::refused;

/// Nobody waits for a session to end.
const QUICK: Duration = Duration::from_millis(TTL_MS - 1_500);

#[tokio::test(flavor = "multi_thread")]
async fn leaders_move_from_replica_to_replica_on_s3() {
    let mut cluster = Cluster::start(Wish::default()).await;
    let path = "/fenced/x/state";
    let a = cluster.writer(0, "leader-a", 33, "first");
    assert_eq!(a.put(path, "first").await.status, 200);

    // On its way up at the first replica when the second one raises.
    let body = vec![b'a'; 1 << 20];
    let mut upload =
        cluster.client(0, "leader-a").token(33).begin(http::Method::PUT, path, body.len());
    upload.send(body[..1 << 19].to_vec()).await;
    cluster.one_is(0, "streaming", path).await;
    let begun = Instant::now();
    let seal = cluster.insist(1, "leader-b", 34, path).await;
    assert_eq!(seal.status, 200, "{}", seal.text());
    assert!(begun.elapsed() < QUICK, "it waited {:?}", begun.elapsed());
    assert_eq!(refused(&upload.early().await.unwrap()), (412, "stale"));

    for replica in 0..3 {
        let stale = cluster.client(replica, "leader-a").token(33).put(path, "stale").await;
        assert_eq!(refused(&stale), (412, "stale"), "at r{}", replica + 1);
        assert_eq!(stale.element("Mark"), "34", "{}", stale.text());
        let two = cluster.client(replica, "leader-a").token(34).put(path, "two").await;
        assert_eq!(refused(&two).1, "conflict", "at r{}", replica + 1);
    }
    // Its writes may come by any replica.
    for replica in 0..3 {
        let write = format!("next-{replica}");
        let put = cluster.writer(replica, "leader-b", 34, &write).put(path, write.clone()).await;
        assert_eq!(put.status, 200, "{}", put.text());
    }
    let answers: Answers = ["first", "next-0", "next-1", "next-2"]
        .map(|write| (write.to_owned(), Told::Applied))
        .into();
    let history = history::journal(&cluster.s3().journal);
    assert_eq!(history.len(), 4);
    history::check(&history, &answers).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_past_its_commit_point_at_one_replica_is_waited_for_at_another() {
    let mut cluster = Cluster::start(Wish::default()).await;
    let path = "/fenced/wait/state";
    let a = cluster.writer(0, "leader-a", 33, "late").with("x-amz-meta-delay-ms", 800);
    let late = tokio::spawn(async move { a.put(path, "late").await });
    cluster.one_is(0, "sent", path).await;
    let read = cluster.client(1, "leader-b").token(34).get(path).await;
    // What the new leader reads is what the old one has left, and stays so.
    assert_eq!((read.status.as_u16(), read.text()), (200, "late".to_owned()));
    assert_eq!(late.await.unwrap().status, 200);
    let first = cluster.writer(2, "leader-b", 34, "first").put(path, "first").await;
    assert_eq!(first.status, 200, "{}", first.text());
    let answers: Answers =
        [("late", Told::Applied), ("first", Told::Applied)].map(|(w, t)| (w.to_owned(), t)).into();
    history::check(&history::journal(&cluster.s3().journal), &answers).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_move_from_replica_to_replica_on_postgres() {
    let mut cluster = Cluster::start(Wish { store: Kind::Postgres, ..Wish::default() }).await;
    let mut old = cluster.pg(0, "leader-a", 33).await.unwrap();
    old.simple("CREATE TABLE t (n int); INSERT INTO t VALUES (1)").await.good();
    old.simple("BEGIN; UPDATE t SET n = 2").await.good();
    let mut another = cluster.pg(2, "leader-a", 33).await.unwrap();
    assert_eq!(another.value("SELECT n FROM t").await, "1");

    let begun = Instant::now();
    let mut next = cluster.insist_pg(1, "leader-b", 34).await;
    assert!(begun.elapsed() < QUICK, "it waited {:?}", begun.elapsed());
    // The locks of the transaction are gone, and what it did.
    next.simple("UPDATE t SET n = n + 10").await.good();
    assert_eq!(next.value("SELECT n FROM t").await, "11");
    for session in [&mut old, &mut another] {
        let told = session.farewell().await;
        assert_eq!(told.code(), "PF001", "{told:?}");
    }
    for replica in 0..3 {
        // It may read.
        let mut stale = cluster.pg(replica, "leader-a", 33).await.unwrap();
        assert_eq!(stale.value("SELECT n FROM t").await, "11");
        let told = stale.simple("UPDATE t SET n = 0").await;
        assert!(["PF001", "PF009"].contains(&told.code()), "at r{}: {told:?}", replica + 1);
    }
    let mut third = cluster.pg(2, "leader-b", 34).await.unwrap();
    assert_eq!(third.value("SELECT n FROM t").await, "11");
    // Each bears the name of its replica at the server.
    let names = "SELECT application_name FROM pg_stat_activity WHERE usename = 'app'";
    let names = cluster.postgres().ask(names).await.join("\n");
    assert!(names.contains("[palisade:r2#") && names.contains("[palisade:r3#"), "{names}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_move_from_replica_to_replica_on_redis() {
    let mut cluster = Cluster::start(Wish { store: Kind::Redis, ..Wish::default() }).await;
    let key = "jobs:x:log";
    let mut old = cluster.redis(0, "leader-a", 33, key).await.unwrap();
    assert_eq!(old.say(&format!("RPUSH {key} first")).await, ":1");
    let mut queued = cluster.redis(0, "leader-a", 33, key).await.unwrap();
    assert_eq!(queued.pipe(&["MULTI", &format!("RPUSH {key} queued")]).await, ["OK", "QUEUED"]);
    let mut waits = cluster.redis(2, "leader-a", 33, key).await.unwrap();
    waits.tell("BLPOP jobs:x:queue 0").await;
    cluster.redis_server().has_client("cmd=blpop").await;

    let begun = Instant::now();
    let mut next = cluster.insist_redis(1, "leader-b", 34, key).await;
    assert!(begun.elapsed() < QUICK, "it waited {:?}", begun.elapsed());
    let pushed = next.pipe(&[&format!("RPUSH {key} next"), "RPUSH jobs:x:queue 1"]).await;
    assert_eq!(pushed, [":2", ":1"]);
    for session in [&mut old, &mut queued, &mut waits] {
        let told = session.farewell().await;
        assert!(told.starts_with("-FENCED"), "{told}");
    }
    for replica in 0..3 {
        let told = cluster.redis(replica, "leader-a", 33, key).await.err().unwrap();
        assert!(told.starts_with("-FENCED"), "at r{}: {told}", replica + 1);
    }
    assert_eq!(next.pipe(&["LLEN jobs:x:queue", &format!("LLEN {key}")]).await, [":1", ":2"]);
    let sessions = cluster.redis_server().sessions().await.join("\n");
    assert!(sessions.contains("|palisade:r2#"), "{sessions}");
    eventually("no older session is left", async || {
        !cluster.redis_server().sessions().await.join("\n").contains("|palisade:r1#")
    })
    .await;
}
