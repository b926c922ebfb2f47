//! The rig itself, on the server alone: what fails here is no fault of Palisade's.

use crate::rig::Certs;
use crate::rig::eventually;
use crate::rig::redis::{Sentinel, Server, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_the_rig_speaks_the_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), Setup::default());
    let mut one = server.session().await;
    assert_eq!(one.say("SET a 1").await, "OK");
    assert_eq!(one.pipe(&["INCR a", "GET a", "GET none", "LPOP a"]).await[..3], [":2", "2", "nil"]);
    assert!(one.say("LPOP a").await.starts_with("-WRONGTYPE"));
    assert_eq!(
        one.call(&["EVAL", "return {1, {'x', false}}", "0"]).await.to_string(),
        "[:1, [x, nil]]"
    );
    let hello = one.call(&["HELLO", "3"]).await;
    assert_eq!(hello.under("proto").unwrap().to_string(), ":3");
    assert_eq!(one.say("HSET h f v").await, ":1");
    assert_eq!(one.say("HGETALL h").await, "{f: v}");
    one.tell("SUBSCRIBE c").await;
    assert_eq!(one.next().await.unwrap().to_string(), ">[subscribe, c, :1]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_promotes_the_replica() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), Setup::default());
    let replica = server.replica().await;
    let sentinel = Sentinel::start(dir.path(), server.port);
    sentinel.knows_replica().await;
    assert_eq!(server.ask("SET a 1").await, "OK");
    server.kill();
    eventually("the replica is promoted", async || replica.ask("SET a 2").await == "OK").await;
    let at = format!("[127.0.0.1, {}]", replica.port);
    let asked = "SENTINEL GET-MASTER-ADDR-BY-NAME store";
    eventually("the Sentinel says so", async || sentinel.ask(asked).await == at).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_has_a_port_for_tls() {
    let dir = tempfile::tempdir().unwrap();
    let certs = Certs::issue(dir.path());
    let server = Server::start(dir.path(), Setup { tls: Some(&certs), ..Setup::default() });
    assert!(server.tls_port > 0 && server.ask("PING").await == "PONG");
}
