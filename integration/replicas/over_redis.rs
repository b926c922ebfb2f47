//! The same with the ledger in Redis.

use std::time::{Duration, Instant};

use crate::rig::cluster::{Cluster, Kind, LEDGER, REPLICAS, Shared, TTL_MS, Wish};
use crate::rig::within;
use crate::siege::refused;

const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn leaders_move_and_a_ledger_out_of_reach_is_survived() {
    let cluster = Cluster::start(Wish { ledger: Shared::Redis, ..Wish::default() }).await;
    let path = "/fenced/x/state";
    let a = cluster.client(0, "leader-a").token(33);
    assert_eq!(a.put(path, "first").await.status, 200);
    let begun = Instant::now();
    assert_eq!(cluster.insist(1, "leader-b", 34, path).await.status, 200);
    assert!(begun.elapsed() < Duration::from_millis(TTL_MS - 1_500), "{:?}", begun.elapsed());
    assert_eq!(refused(&a.put(path, "stale").await), (412, "stale"));
    let b = cluster.client(2, "leader-b").token(34);
    assert_eq!(b.put(path, "second").await.status, 200);

    cluster.net.split(&REPLICAS, &[LEDGER]);
    // Elsewhere: whether it is raised when the ledger is back nobody can tell.
    let seal = cluster.seal(0, "leader-a", 35, "/fenced/y/state").await;
    assert_eq!(seal.status, 503, "{}", seal.text());
    within(PATIENCE, "writes are refused", async || b.put(path, "held").await.status == 503).await;
    assert_eq!(cluster.client(2, "reader").get(path).await.status, 200);
    cluster.net.heal();
    within(PATIENCE, "they are not any more", async || b.put(path, "after").await.status == 200)
        .await;
    assert_eq!(cluster.insist(0, "leader-a", 35, path).await.status, 200);
    assert_eq!(refused(&b.put(path, "late").await), (412, "stale"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_replica_has_left_is_ended() {
    let wish = Wish { store: Kind::Redis, ledger: Shared::Redis, ..Wish::default() };
    let mut cluster = Cluster::start(wish).await;
    let key = "jobs:x:log";
    let mut old = cluster.redis(0, "leader-a", 33, key).await.unwrap();
    assert_eq!(old.say(&format!("RPUSH {key} first")).await, ":1");
    let mut waits = cluster.redis(0, "leader-a", 33, key).await.unwrap();
    waits.tell("BLPOP jobs:x:queue 0").await;
    cluster.redis_server().has_client("cmd=blpop").await;
    // The server does not learn that it is gone.
    cluster.net.part("r1", "store");
    cluster.replicas[0].kill();
    let killed = Instant::now();
    let mut next = cluster.insist_redis(1, "leader-b", 34, key).await;
    assert!(killed.elapsed() >= Duration::from_millis(TTL_MS / 2), "{:?}", killed.elapsed());
    assert_eq!(next.say("RPUSH jobs:x:queue 1").await, ":1");
    assert_eq!(next.say("LLEN jobs:x:queue").await, ":1");
}
