//! A replica that is frozen for longer than its session, with bytes on their way to the store, and
//! thaws when others lead: the row of the contract that is only partly kept for HTTP, and kept
//! where the store can be asked to end connections.

use std::time::Duration;

use crate::history::{self, Answers, Told};
use crate::rig::cluster::{Cluster, Kind, STORE, Wish};
use crate::rig::redis::words;
use crate::rig::within;
use crate::siege::refused;

/// How long anything of this may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long the kernel may wait before it sends again what was not acknowledged.
const RETRANSMISSION: Duration = Duration::from_secs(130);

/// What is in the kernel, or on its way, is out of reach of everybody: no store that speaks HTTP
/// can be asked to forget it. So Palisade waits `settle_timeout`, says that it did, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_kernel_may_still_land_over_http() {
    let mut cluster = Cluster::start(Wish::default()).await;
    let path = "/fenced/x/state";
    assert_eq!(cluster.client(0, "leader-a").token(33).put(path, "before").await.status, 200);
    // The last bytes are sent and do not arrive, and their sender is frozen.
    cluster.net.lose("r1", STORE);
    let a = cluster.writer(0, "leader-a", 33, "late");
    let late = tokio::spawn(async move { a.try_send(http::Method::PUT, path, "late").await });
    cluster.one_is(0, "sent", path).await;
    cluster.replicas[0].process().freeze();

    let seal = cluster.insist(1, "leader-b", 34, path).await;
    assert_eq!(seal.status, 200, "{}", seal.text());
    // It says of itself that something older may still land.
    assert_eq!(seal.json()["takeover"]["leftovers"], true, "{}", seal.text());
    let first = cluster.writer(1, "leader-b", 34, "first").put(path, "first").await;
    assert_eq!(first.status, 200, "{}", first.text());

    // The kernel sends them again, whatever its process does: the longer they were lost, the later.
    // (Thawed before that, Palisade finds that it was frozen, and resets the connection.)
    cluster.net.heal();
    let journal = cluster.s3().journal.clone();
    within(RETRANSMISSION, "the late bytes land", async || {
        history::journal(&journal).iter().any(|write| write.write == "late")
    })
    .await;
    cluster.replicas[0].process().thaw();
    let late = Told::by(&late.await.unwrap());
    assert_ne!(late, Told::NotApplied, "its writer is never told that it is not there");
    let answers: Answers =
        [("late", late), ("first", Told::Applied)].map(|(w, t)| (w.to_owned(), t)).into();
    let verdict = history::check(&history::journal(&journal), &answers).unwrap_err();
    assert_eq!(verdict, "/fenced/x: late with token 33 was applied after first with token 34");
    // What it has not sent yet it does not send: it has found that it was frozen.
    let stale = cluster.client(0, "leader-a").token(33).put(path, "stale").await;
    assert!([412, 503].contains(&stale.status.as_u16()), "{}", stale.text());
}

/// Half of an upload is there when it is frozen: the last byte is held back until the fence says
/// go, and when it thaws the fence says no.
#[tokio::test(flavor = "multi_thread")]
async fn what_had_not_been_sent_yet_is_not_sent_after_the_thaw() {
    let mut cluster = Cluster::start(Wish::default()).await;
    let path = "/fenced/x/state";
    let body = vec![b'a'; 1 << 20];
    let a = cluster.writer(0, "leader-a", 33, "stale");
    let mut upload = a.begin(http::Method::PUT, path, body.len());
    upload.send(body[..1 << 19].to_vec()).await;
    cluster.one_is(0, "streaming", path).await;
    cluster.replicas[0].process().freeze();
    // It is whole when the replica wakes up.
    upload.send(body[1 << 19..].to_vec()).await;
    let first = async || cluster.writer(1, "leader-b", 34, "first").put(path, "first").await;
    within(PATIENCE, "the next leader writes", async || first().await.status == 200).await;
    cluster.replicas[0].process().thaw();
    let told = upload.early().await.unwrap();
    let (status, reason) = refused(&told);
    assert!([(412, "stale")].contains(&(status, reason)) || status == 503, "{}", told.text());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let history = history::journal(&cluster.s3().journal);
    assert!(history.iter().all(|write| write.write == "first"), "{history:?}");
    // It is well again by itself.
    within(PATIENCE, "the replica serves", async || {
        let put = cluster.client(0, "leader-b").token(34).put(path, "again").await;
        put.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lands_later_in_postgres() {
    let mut cluster = Cluster::start(Wish { store: Kind::Postgres, ..Wish::default() }).await;
    let mut old = cluster.pg(0, "leader-a", 33).await.unwrap();
    old.simple("CREATE TABLE t (n int); INSERT INTO t VALUES (1)").await.good();
    let mut open = cluster.pg(0, "leader-a", 33).await.unwrap();
    open.simple("BEGIN; UPDATE t SET n = 2").await.good();
    // Statement and COMMIT are sent and do not arrive, and their sender is frozen.
    cluster.net.lose("r1", STORE);
    old.send(&crate::rig::postgres::query("INSERT INTO t VALUES (5)")).await;
    open.send(&crate::rig::postgres::query("COMMIT")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.replicas[0].process().freeze();
    let mut next = cluster.insist_pg(1, "leader-b", 34).await;
    assert_eq!(next.value("SELECT sum(n) FROM t").await, "1");
    next.simple("UPDATE t SET n = n + 10").await.good();
    cluster.net.heal();
    cluster.replicas[0].process().thaw();
    for session in [&mut old, &mut open] {
        let told = session.farewell().await;
        assert_ne!(told.code(), "", "{told:?}");
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(next.value("SELECT sum(n) FROM t").await, "11");
    // It is well again by itself.
    let mut again = cluster.insist_pg(0, "leader-b", 34).await;
    assert_eq!(again.value("SELECT sum(n) FROM t").await, "11");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lands_later_in_redis() {
    let mut cluster = Cluster::start(Wish { store: Kind::Redis, ..Wish::default() }).await;
    let key = "jobs:x:log";
    let mut old = cluster.redis(0, "leader-a", 33, key).await.unwrap();
    assert_eq!(old.say(&format!("RPUSH {key} first")).await, ":1");
    let mut waits = cluster.redis(0, "leader-a", 33, key).await.unwrap();
    waits.tell("BLPOP jobs:x:queue 0").await;
    cluster.redis_server().has_client("cmd=blpop").await;
    cluster.net.lose("r1", STORE);
    old.send(&words(&format!("RPUSH {key} late"))).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.replicas[0].process().freeze();
    let mut next = cluster.insist_redis(1, "leader-b", 34, key).await;
    // A pop that waits in the server is ended there, too.
    let pushed = next.pipe(&["RPUSH jobs:x:queue 1", &format!("RPUSH {key} next")]).await;
    assert_eq!(pushed, [":1", ":2"]);
    cluster.net.heal();
    cluster.replicas[0].process().thaw();
    for session in [&mut old, &mut waits] {
        session.farewell().await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(next.say(&format!("LRANGE {key} 0 -1")).await, "[first, next]");
    assert_eq!(next.say("LLEN jobs:x:queue").await, ":1");
    let mut again = cluster.insist_redis(0, "leader-b", 34, key).await;
    assert_eq!(again.say("LLEN jobs:x:queue").await, ":1");
}
