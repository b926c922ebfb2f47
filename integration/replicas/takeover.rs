//! A leader on one replica, the next one on another.

use crate::rig::cluster::{Cluster, Shared, Wish};

#[tokio::test(flavor = "multi_thread")]
async fn embedded_for_now() {
    let mut cluster = Cluster::start(Wish { ledger: Shared::Nothing, ..Wish::default() }).await;
    let path = "/fenced/x/a";
    let put = cluster.client(0, "leader-a").token(33).put(path, "a").await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(cluster.seal(1, "leader-b", 34, path).await.status, 200);
    println!("{}", cluster.replicas[2].metrics().await.len());
    drop(cluster.s3());
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_for_now() {
    let mut cluster = Cluster::prepare(Wish::default()).await;
    let leader = cluster.etcd().leader().await;
    println!("{leader} {}", cluster.etcd().ctl(&["member", "list"]));
    let other = (leader + 1) % 3;
    cluster.etcd().members[leader].kill();
    let next = cluster.etcd().leader().await;
    assert_ne!(next, leader);
    cluster.etcd().members[leader].launch();
    cluster.etcd().ready().await;
    println!("{other}");
}
