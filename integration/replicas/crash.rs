//! A replica killed with writes on their way: the next leader, on another one, waits for what is
//! needed, and no longer where the store can be asked.

use std::time::{Duration, Instant};

use crate::history;
use crate::rig::cluster::{Cluster, Kind, SETTLE_MS, STORE, TTL_MS, Wish};
use crate::rig::eventually;
use crate::rig::postgres::query;
use crate::rig::redis::words;

/// How long a session lives on at least when its replica was killed: three keepalives fit into the
/// time in which it admits.
const OUTLIVES: Duration = Duration::from_millis(TTL_MS / 2);
/// How long it lives on at most, with some time for a slow machine.
const OVER_AFTER: Duration = Duration::from_millis(TTL_MS + 6_000);

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_replica_has_sent_to_s3_is_given_its_time() {
    let mut cluster = Cluster::start(Wish::default()).await;
    let path = "/fenced/x/state";
    assert_eq!(cluster.client(0, "leader-a").token(33).put(path, "before").await.status, 200);
    let a = cluster.writer(0, "leader-a", 33, "late").with("x-amz-meta-delay-ms", 1_000);
    let late = tokio::spawn(async move { a.try_send(http::Method::PUT, path, "late").await });
    cluster.one_is(0, "sent", path).await;
    cluster.replicas[0].kill();
    let killed = Instant::now();
    assert!(late.await.unwrap().is_err(), "nobody is there to answer");

    // Until its session is over nobody can know that it will not go on; and what it has sent may
    // still be applied for so long after that.
    let gone = async {
        let operator = cluster.replicas[1].operator();
        while operator.get("/api/replicas").await.text().contains("\"r1#") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Instant::now()
    };
    let sealed = async {
        let seal = cluster.insist(1, "leader-b", 34, path).await;
        (seal, Instant::now())
    };
    let (gone, (seal, opened)) = tokio::join!(gone, sealed);
    assert_eq!(seal.status, 200, "{}", seal.text());
    assert!(gone - killed >= OUTLIVES, "its session was over after {:?}", gone - killed);
    assert!(gone - killed < OVER_AFTER, "its session was over after {:?}", gone - killed);
    let settled = opened.saturating_duration_since(gone);
    assert!(settled >= Duration::from_millis(SETTLE_MS - 250), "it waited only {settled:?} more");
    assert!(settled < Duration::from_millis(SETTLE_MS + 5_000), "it waited {settled:?} more");
    assert_eq!(seal.json()["takeover"]["leftovers"], true, "{}", seal.text());
    eventually("it is on record", async || {
        let audit = cluster.replicas[1].audit();
        let takeover = audit.iter().find(|line| line["event"] == "takeover");
        takeover.is_some_and(|line| line["detail"]["leftovers"] == true)
    })
    .await;

    let first = cluster.writer(2, "leader-b", 34, "first").put(path, "first").await;
    assert_eq!(first.status, 200, "{}", first.text());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(cluster.client(2, "reader").get(path).await.text(), "first");
    let history = history::journal(&cluster.s3().journal);
    assert_eq!(history.last().unwrap().write, "first");
    // What it left is settled once: the next takeover waits for nobody.
    let begun = Instant::now();
    assert_eq!(cluster.insist(2, "leader-a", 35, path).await.status, 200);
    assert!(begun.elapsed() < OUTLIVES, "it waited {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_replica_has_left_in_postgres_is_ended_there() {
    let mut cluster = Cluster::start(Wish { store: Kind::Postgres, ..Wish::default() }).await;
    let mut old = cluster.pg(0, "leader-a", 33).await.unwrap();
    old.simple("CREATE TABLE t (n int); INSERT INTO t VALUES (1)").await.good();
    // The server does not learn that the replica is gone, and is busy for longer than anybody waits.
    cluster.net.lose("r1", STORE);
    cluster.net.lose(STORE, "r1");
    cluster.net.heal();
    old.send(&query("UPDATE t SET n = 2; SELECT pg_sleep(60)")).await;
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' \
                AND usename = 'app' AND state = 'active'";
    eventually("it runs", async || cluster.postgres().ask(busy).await == ["1"]).await;
    cluster.net.part("r1", STORE);
    cluster.replicas[0].kill();
    let killed = Instant::now();
    let mut next = cluster.insist_pg(1, "leader-b", 34).await;
    let took = killed.elapsed();
    assert!(took >= OUTLIVES, "it waited only {took:?}");
    assert!(took < OVER_AFTER, "it waited {took:?}");
    assert_eq!(next.value("SELECT n FROM t").await, "1");
    assert_eq!(cluster.postgres().ask(busy).await, ["0"]);
    next.simple("UPDATE t SET n = 3").await.good();
    cluster.net.heal();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(next.value("SELECT n FROM t").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_replica_has_sent_to_redis_does_not_land_later() {
    let mut cluster = Cluster::start(Wish { store: Kind::Redis, ..Wish::default() }).await;
    let key = "jobs:x:log";
    let mut old = cluster.redis(0, "leader-a", 33, key).await.unwrap();
    assert_eq!(old.say(&format!("RPUSH {key} first")).await, ":1");
    let mut queued = cluster.redis(0, "leader-a", 33, key).await.unwrap();
    assert_eq!(queued.pipe(&["MULTI", &format!("RPUSH {key} queued")]).await, ["OK", "QUEUED"]);
    // On its way, for longer than anybody waits; nor does the server learn that it is gone.
    cluster.net.lose("r1", STORE);
    old.send(&words(&format!("RPUSH {key} late"))).await;
    queued.tell("EXEC").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.replicas[0].kill();
    let killed = Instant::now();
    let mut next = cluster.insist_redis(1, "leader-b", 34, key).await;
    let took = killed.elapsed();
    assert!(took >= OUTLIVES, "it waited only {took:?}");
    assert!(took < OVER_AFTER, "it waited {took:?}");
    assert_eq!(next.say(&format!("LRANGE {key} 0 -1")).await, "[first]");
    assert_eq!(next.say(&format!("RPUSH {key} next")).await, ":2");
    cluster.net.heal();
    // Longer than it takes until the network has tried again.
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    assert_eq!(next.say(&format!("LRANGE {key} 0 -1")).await, "[first, next]");
}
