//! The rig itself, on the server alone: what fails here is no fault of Palisade's.

use crate::rig::postgres::{Server, copy_data, query, tagged};

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_the_rig_speaks_the_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let mut session = server.session("app").await;
    assert_eq!(session.simple("SELECT 1; SELECT 'x', NULL").await.tags, ["SELECT 1", "SELECT 1"]);
    session.simple("CREATE TABLE t (n int)").await.good();
    assert_eq!(session.extended("INSERT INTO t VALUES ($1)", &["7"]).await.tags, ["INSERT 0 1"]);
    assert_eq!(session.extended("SELECT n + $1 FROM t", &["1"]).await.value(), "8");
    assert_eq!(session.copy_in("COPY t FROM STDIN", "1\n2\n").await.tags, ["COPY 2"]);
    assert_eq!(session.simple("COPY t TO STDOUT").await.copied, b"7\n1\n2\n");
    assert_eq!(session.simple("SELECT 1/0").await.code(), "22012");
    session.send(&query("COPY t FROM STDIN")).await;
    assert!(session.answer().await.is_copying);
    session.send(&copy_data("8\n")).await;
    session.send(&tagged(b'f', b"no more\0")).await;
    assert_eq!(session.answer().await.code(), "57014");
    assert_eq!(server.ask("SELECT count(*), sum(n) FROM t").await, ["3|10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_follows_and_is_promoted() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let standby = server.standby();
    assert_eq!(standby.ask("SELECT pg_is_in_recovery()").await, ["t"]);
    standby.promote().await;
    assert_eq!(standby.ask("SELECT pg_is_in_recovery()").await, ["f"]);
    assert_eq!(server.ask("SELECT pg_is_in_recovery()").await, ["f"]);
}
