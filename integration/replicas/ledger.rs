//! The ledger out of reach: of all replicas, of one, of a minority; and its nodes killed and frozen.

use std::time::{Duration, Instant};

use crate::history;
use crate::rig::cluster::{Cluster, NODES, REPLICAS, Wish};
use crate::rig::within;
use crate::siege::{metric, refused};

/// How long anything of this may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(40);

async fn is(cluster: &Cluster, replica: usize, condition: &str) -> bool {
    let series = format!("palisade_ledger_condition{{condition=\"{condition}\"}}");
    metric(&cluster.replicas[replica].metrics().await, &series) == 1.0
}

/// Serving, out of reach, suspended, and serving again.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_out_of_reach_stops_takeovers_first_and_writes_later() {
    let cluster = Cluster::start(Wish::default()).await;
    let path = "/fenced/x/state";
    let a = cluster.client(0, "leader-a").token(33);
    assert_eq!(a.put(path, "before").await.status, 200);
    assert!(is(&cluster, 0, "serving").await, "{}", cluster.replicas[0].metrics().await);

    cluster.net.split(&REPLICAS, &NODES);
    let cut = Instant::now();
    // The holder goes on; nobody else takes over, for now.
    let held = a.put(path, "held").await;
    assert_eq!(held.status, 200, "{}", held.text());
    // Whether it is raised when the ledger is back nobody can tell: so it is another resource.
    let seal = cluster.seal(1, "leader-b", 34, "/fenced/y/state").await;
    assert_eq!(seal.status, 503, "{}", seal.text());
    assert!(!seal.header("retry-after").is_empty());
    let (mut served, mut was_out) = (cut, false);
    within(PATIENCE, "writes are refused", async || {
        let put = a.put(path, "held").await;
        match put.status.as_u16() {
            200 => served = Instant::now(),
            503 => {}
            status => panic!("{status}: {}", put.text()),
        }
        if !was_out && is(&cluster, 0, "out_of_reach").await {
            was_out = true;
            // It serves its holder, and so it is ready.
            let ready = cluster.replicas[0].readiness().await.unwrap();
            assert!(!was_out || ready.status == 200 || served < cut, "{}", ready.text());
        }
        put.status == 503
    })
    .await;
    assert!(was_out, "it has never said that the ledger is out of reach");
    assert!(served > cut, "the holder was not served");
    within(PATIENCE, "it says so", async || is(&cluster, 0, "suspended").await).await;
    let refusal = a.put(path, "refused").await;
    assert_eq!(refusal.status, 503, "{}", refusal.text());
    assert!(!refusal.header("retry-after").is_empty());
    let ready = cluster.replicas[0].readiness().await.unwrap();
    assert_eq!(ready.status, 503, "{}", ready.text());
    let read = cluster.client(0, "reader").get(path).await;
    assert_eq!((read.status.as_u16(), read.text()), (200, "held".to_owned()));

    cluster.net.heal();
    within(PATIENCE, "it serves again", async || is(&cluster, 0, "serving").await).await;
    within(PATIENCE, "the holder writes", async || a.put(path, "after").await.status == 200).await;
    let ready = cluster.replicas[0].readiness().await.unwrap();
    assert_eq!(ready.status, 200, "{}", ready.text());
    assert_eq!(cluster.insist(1, "leader-b", 34, path).await.status, 200);
    assert_eq!(refused(&a.put(path, "late").await), (412, "stale"));
}

/// It goes on for as long as its session does, and by then it has cut what it had.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_cut_off_from_the_ledger_alone_is_waited_for_and_writes_no_more() {
    let mut cluster = Cluster::start(Wish::default()).await;
    let path = "/fenced/x/state";
    let a = cluster.writer(0, "leader-a", 33, "before");
    assert_eq!(a.put(path, "before").await.status, 200);
    let body = vec![b'a'; 1 << 20];
    let late = cluster.writer(0, "leader-a", 33, "late");
    let mut upload = late.begin(http::Method::PUT, path, body.len());
    upload.send(body[..1 << 19].to_vec()).await;
    cluster.one_is(0, "streaming", path).await;
    cluster.cut_from_ledger("r1");
    // It reaches the store all the time, and so do its writers it.
    let mut writes = 0;
    let storming = async {
        loop {
            let write = format!("storm-{writes}");
            let put = cluster.writer(0, "leader-a", 33, &write).put(path, write).await;
            writes += 1;
            if put.status != 200 {
                return put;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (stopped, seal) = tokio::join!(
        tokio::time::timeout(PATIENCE, storming),
        cluster.insist(1, "leader-b", 34, path)
    );
    let stopped = stopped.expect("it stops by itself");
    assert_eq!(stopped.status, 503, "{}", stopped.text());
    assert_eq!(seal.status, 200, "{}", seal.text());
    // What streamed was cut, and did not keep anybody waiting.
    let told = upload.early().await.unwrap();
    assert!([412, 503].contains(&told.status.as_u16()), "{}", told.text());
    let first = cluster.writer(1, "leader-b", 34, "first").put(path, "first").await;
    assert_eq!(first.status, 200, "{}", first.text());
    cluster.back_to_ledger("r1");
    within(PATIENCE, "it knows that others lead", async || {
        let stale = cluster.writer(0, "leader-a", 33, "stale").put(path, "stale").await;
        assert_ne!(stale.status, 200);
        stale.status == 412
    })
    .await;
    let history = history::journal(&cluster.s3().journal);
    assert_eq!(history.last().unwrap().write, "first");
    history::check(&history, &history::Answers::new()).unwrap();
}

/// Where only relays fail, nothing can be cut off with a node.
#[tokio::test(flavor = "multi_thread")]
async fn the_minority_is_overtaken_by_the_majority() {
    let mut cluster = Cluster::start(Wish::default()).await;
    if !cluster.net.is_namespaced() {
        return;
    }
    let path = "/fenced/x/state";
    let leader = cluster.etcd().leader().await;
    let a = cluster.client(0, "leader-a").token(33);
    assert_eq!(a.put(path, "before").await.status, 200);
    // The leader of etcd, too, is in the minority.
    let nodes: Vec<_> = NODES.into_iter().filter(|node| *node != NODES[leader]).collect();
    cluster.net.split(&["r1", NODES[leader]], &nodes);
    cluster.net.split(&[NODES[leader]], &["r2", "r3"]);
    let seal = cluster.insist(1, "leader-b", 34, path).await;
    assert_eq!(seal.status, 200, "{}", seal.text());
    let put = cluster.client(2, "leader-b").token(34).put(path, "majority").await;
    assert_eq!(put.status, 200, "{}", put.text());
    let refusal = a.put(path, "minority").await;
    assert_eq!(refusal.status, 503, "{}", refusal.text());
    assert_eq!(cluster.client(0, "reader").get(path).await.text(), "majority");
    cluster.net.heal();
    within(PATIENCE, "it is well again", async || a.put(path, "late").await.status == 412).await;
    assert_eq!(cluster.client(0, "reader").get(path).await.text(), "majority");
}

#[tokio::test(flavor = "multi_thread")]
async fn takeovers_go_on_when_the_leader_of_etcd_is_killed_or_frozen() {
    let mut cluster = Cluster::start(Wish::default()).await;
    let path = "/fenced/x/state";
    let mut token = 33;
    assert_eq!(cluster.insist(0, "leader-a", token, path).await.status, 200);
    for is_killed in [true, false] {
        let leader = cluster.etcd().leader().await;
        let member = &mut cluster.etcd().members[leader];
        match is_killed {
            true => member.kill(),
            false => member.freeze(),
        }
        for replica in 0..3 {
            token += 1;
            let seal = cluster.insist(replica, "leader-b", token, path).await;
            assert_eq!(seal.status, 200, "{}", seal.text());
            within(PATIENCE, "it writes", async || {
                let put = cluster.client(replica, "leader-b").token(token).put(path, "b").await;
                assert!([200, 503].contains(&put.status.as_u16()), "{}", put.text());
                put.status == 200
            })
            .await;
        }
        let member = &mut cluster.etcd().members[leader];
        match is_killed {
            true => member.launch(),
            false => member.thaw(),
        }
        cluster.etcd().ready().await;
    }
    let row = cluster.etcd().ctl(&["get", "/palisade/v1/rig/row/fenced/x", "--print-value-only"]);
    assert!(row.contains(&format!("\"mark\":\"{token}\"")), "{row}");
}
