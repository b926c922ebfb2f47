//! The rig itself.

use super::{Sentinel, Server};

#[tokio::test]
async fn servers_replicas_and_sentinels_run_and_end() {
    let mut server = Server::start_with(&["--requirepass", "secret"]);
    let replica = server.replica();
    let sentinel = Sentinel::start(&server);
    sentinel.knows_replicas(1).await;
    server.ask(&["SET", "k", "v"]).await;
    assert!(replica.info("replication").await.contains("role:slave"));
    let before = server.info("server").await;
    server.restart();
    assert_ne!(before, server.info("server").await);
    assert_eq!(server.ask(&["GET", "k"]).await, redis::Value::Nil, "nothing is persisted");
    let dir = server.process.dir.clone();
    assert!(dir.exists());
    drop(server);
    assert!(!dir.exists());
    Server::start_tls().ask(&["PING"]).await;
}
