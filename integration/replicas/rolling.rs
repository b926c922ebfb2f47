//! Restarts of all replicas under load, more and fewer of them, and how they are listed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::history::{self, Answers, Told};
use crate::rig::cluster::{Cluster, TTL_MS, Wish};
use crate::rig::{Client, within};

const PATIENCE: Duration = Duration::from_secs(40);
/// Nobody waits for a session to end.
const QUICK: Duration = Duration::from_millis(TTL_MS - 1_500);

/// Writes again and again, each write until it is there. `None`: somebody was told what may not be
/// tried again.
async fn writer(client: Client, name: String, stop: Arc<AtomicBool>) -> Result<Answers, String> {
    let mut answers = Answers::new();
    for number in 0.. {
        let mut tried = 0;
        loop {
            let write = format!("{name}-{number}-{tried}");
            tried += 1;
            let path = format!("/fenced/x/{name}");
            let one = client.clone().with("x-amz-meta-write", &write);
            let reply = one.try_send(http::Method::PUT, &path, write.clone()).await;
            let told = Told::by(&reply);
            if let Ok(reply) = &reply
                && told == Told::NotApplied
                && (reply.status != 503 || reply.header("retry-after").is_empty())
            {
                return Err(format!("{write}: {}: {}", reply.status, reply.text()));
            }
            answers.insert(write, told);
            if told == Told::Applied {
                break;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(answers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_loses_nothing() {
    let mut cluster = Cluster::start(Wish::default()).await;
    let addresses: Vec<_> = cluster.replicas.iter().map(|replica| replica.address).collect();
    assert_eq!(cluster.insist(0, "leader-a", 33, "/fenced/x/0").await.status, 200);
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..4 {
        let client = cluster.client(0, "leader-a").balanced(&addresses).token(33);
        let client = client.with("x-amz-meta-token", 33);
        writers.spawn(writer(client, format!("w{number}"), Arc::clone(&stop)));
    }
    for replica in &mut cluster.replicas {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut ending = replica.terminate();
        let limit = Duration::from_secs(40);
        within(limit, "it ends", async || !ending.is_running()).await;
        assert!(ending.wait(Duration::ZERO).success(), "{}", ending.everything());
        replica.run().await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    let mut answers = Answers::new();
    while let Some(told) = writers.join_next().await {
        answers.extend(told.unwrap().unwrap());
    }
    let applied = answers.values().filter(|told| **told == Told::Applied).count();
    assert!(applied > 50, "few writes: {answers:?}");
    history::check(&history::journal(&cluster.s3().journal), &answers).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn from_one_replica_to_three_and_back() {
    let mut cluster = Cluster::prepare(Wish::default()).await;
    let path = "/fenced/x/state";
    cluster.replicas[0].run().await;
    let a = cluster.client(0, "leader-a").token(33);
    assert_eq!(a.put(path, "alone").await.status, 200);
    cluster.replicas[1].run().await;
    cluster.replicas[2].run().await;
    let listed = |cluster: &Cluster, replica: usize| {
        let (is_good, said) = cluster.replicas[replica].ask(&["replicas"]);
        assert!(is_good, "{said}");
        ["r1", "r2", "r3"].map(|name| said.contains(&format!("{name}#")))
    };
    within(PATIENCE, "all are listed", async || listed(&cluster, 1) == [true; 3]).await;
    // Nobody who comes or goes as it should keeps anybody waiting.
    for (token, replica) in [(34, 1), (35, 2), (36, 0)] {
        let begun = Instant::now();
        let seal = cluster.insist(replica, "leader-b", token, path).await;
        assert_eq!(seal.status, 200, "{}", seal.text());
        assert!(begun.elapsed() < QUICK, "it waited {:?}", begun.elapsed());
        let put = cluster.client(replica, "leader-b").token(token).put(path, "b").await;
        assert_eq!(put.status, 200, "{}", put.text());
    }
    cluster.replicas[0].end();
    cluster.replicas[2].end();
    let begun = Instant::now();
    let seal = cluster.insist(1, "leader-a", 37, path).await;
    assert_eq!(seal.status, 200, "{}", seal.text());
    assert!(begun.elapsed() < QUICK, "it waited {:?}", begun.elapsed());
    within(PATIENCE, "one is listed", async || listed(&cluster, 1) == [false, true, false]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_listed_until_its_session_is_over() {
    let mut cluster = Cluster::start(Wish::default()).await;
    let put = cluster.client(2, "leader-a").token(33).put("/fenced/x/a", "a").await;
    assert_eq!(put.status, 200, "{}", put.text());
    let replicas = async |cluster: &Cluster| {
        let reply = cluster.replicas[0].operator().get("/api/replicas").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.text()
    };
    let text = replicas(&cluster).await;
    assert!(["r1#", "r2#", "r3#"].iter().all(|name| text.contains(name)), "{text}");
    let dead = text.split('"').find(|part| part.starts_with("r3#")).unwrap().to_owned();
    cluster.replicas[2].kill();
    within(PATIENCE, "it is gone", async || !replicas(&cluster).await.contains(&dead)).await;
    // It comes back as somebody else.
    cluster.replicas[2].run().await;
    let (is_good, said) = cluster.replicas[0].ask(&["replicas"]);
    assert!(is_good && said.contains("r3#") && !said.contains(&format!("{dead} ")), "{said}");
}
