//! What dead replicas have left is killed, and nobody else's.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{join, join_all};
use redis::Value;
use tokio::time::timeout;

use super::super::sentinel::Said;
use super::super::settings::Upstream;
use super::super::{Connector, Control, session_suffix};
use super::rig::{Client, connector, is_waiting, password, soon, until, upstream, watched};
use crate::fence::SessionId;
use crate::gate::Remains as _;
use crate::protocol::redis::testing::{Sentinel, Server};

fn control(connector: &Arc<Connector>) -> Arc<Control> {
    Control::start_among_replicas(connector.clone(), &tokio::runtime::Handle::current())
}

async fn owned(connector: &Connector, owner: &str) -> Client {
    Client::named(connector, &format!("app{}", session_suffix(owner))).await
}

#[tokio::test]
async fn those_up_to_the_number_are_killed_and_no_others() {
    let server = Server::shared();
    let connector = connector(upstream(server, "num"));
    let waiting = owned(&connector, "num#42").await;
    let id = waiting.id;
    let blocked = waiting.begin(&["BLPOP", "dead-queue", "0"]);
    until("it waits", async || server.clients().await.contains("cmd=blpop")).await;
    let older =
        join_all((0..3).map(|number| owned(&connector, ["num#0", "num#7", "num#41"][number])));
    let older = older.await;
    let mut others = Vec::new();
    for owner in ["num#43", "num", "num#420", "xnum#42", "num#x#42", "other#42"] {
        others.push((owner, owned(&connector, owner).await));
    }
    let control = control(&connector);
    assert!(control.is_swept(), "there is nothing to sweep");
    let dead = SessionId::new("num", 42);
    soon("ended", join(control.end(&dead), control.end(&SessionId::new("num", 3)))).await;
    assert!(!server.has_client(id).await);
    for client in &older {
        assert!(!server.has_client(client.id).await);
    }
    for (owner, client) in &others {
        assert!(server.has_client(client.id).await, "{owner}");
    }
    server.ask(&["RPUSH", "dead-queue", "x"]).await;
    assert_eq!(server.ask(&["LLEN", "dead-queue"]).await, Value::Int(1), "it has popped");
    assert!(soon("its end", blocked).await.expect("it ends").is_err());
    // Told at once, and nothing is killed again: it could have sent nothing.
    let late = owned(&connector, "num#42").await;
    assert!(control.end(&dead).now_or_never().is_some());
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(server.has_client(late.id).await);
    soon("ended", control.end(&SessionId::new("num", 43))).await;
    assert!(!server.has_client(late.id).await && !server.has_client(others[0].1.id).await);
    assert!(server.has_client(others[1].1.id).await);
}

#[tokio::test]
async fn a_frozen_server_is_waited_for_and_goes_on_when_nobody_asks_any_more() {
    let server = Server::start();
    let connector = connector(upstream(&server, "frozen"));
    let control = control(&connector);
    let mut primary = control.primary();
    soon("known", primary.wait_for(Option::is_some)).await.expect("it is published");
    let left = owned(&connector, "r1#1").await;
    server.freeze();
    let dead = SessionId::new("r1", 1);
    let early = timeout(Duration::from_millis(150), control.end(&dead)).await;
    server.thaw();
    assert!(early.is_err(), "it said that a frozen server has done it");
    until("it is gone", async || !server.has_client(left.id).await).await;
    soon("ended", control.end(&dead)).await;
}

#[tokio::test]
async fn a_restart_of_the_server_is_gone_through() {
    let mut server = Server::start();
    let connector = connector(upstream(&server, "restart"));
    let control = control(&connector);
    let left = owned(&connector, "r1#1").await;
    server.crash();
    let (dead, more) = (SessionId::new("r1", 1), SessionId::new("r1", 2));
    let mut ending = control.end(&dead);
    assert!(is_waiting(&mut ending).await, "nobody has told that it is gone");
    server.restart();
    soon("gone", ending).await;
    let left = (left, owned(&connector, "r1#2").await);
    assert!(control.is_clean(&left.1.server) && !control.is_clean(&left.0.server));
    soon("ended", control.end(&more)).await;
    assert!(!server.has_client(left.1.id).await);
}

#[tokio::test]
async fn rights_that_are_missing_kill_nobody_until_they_are_there() {
    let server = Server::start();
    let rule = ["on", ">secret", "~*", "+@all", "-client|kill", "-client|list"];
    server.ask(&[&["ACL", "SETUSER", "weak"], &rule[..]].concat()).await;
    let user = Some("weak".to_owned());
    let weak = Upstream { user, password: password("secret"), ..upstream(&server, "weak") };
    let connector = connector(weak);
    let control = control(&connector);
    let left = owned(&connector, "r1#1").await;
    let dead = SessionId::new("r1", 1);
    let mut ending = control.end(&dead);
    for right in ["+client|list", "+client|kill"] {
        assert!(is_waiting(&mut ending).await, "{right}");
        assert!(server.has_client(left.id).await, "{right}");
        server.ask(&["ACL", "SETUSER", "weak", right]).await;
    }
    soon("ended", ending).await;
    assert!(!server.has_client(left.id).await);
}

/// The servers beside the primary are swept, and a new primary is swept again before it is used.
#[tokio::test]
async fn after_a_failover_the_new_primary_is_swept() {
    let primary = Server::start();
    let replica = primary.replica();
    let sentinel = Sentinel::start(&primary);
    sentinel.knows_replicas(1).await;
    let connector = connector(watched(&primary, "r2", &[&sentinel]));
    let control = control(&connector);
    let mut known = control.primary();
    soon("known", known.wait_for(Option::is_some)).await.expect("it is published");
    let left = owned(&connector, "r1#1").await;
    let said = Said { endpoint: super::rig::tcp(replica.port()), view: 0 };
    let name = format!("app{}", session_suffix("r1#1"));
    let beside = connector.open_on(&said, name.as_bytes()).await.expect("a connection").0;
    soon("ended", control.end(&SessionId::new("r1", 1))).await;
    assert!(!primary.has_client(left.id).await && !replica.has_client(beside.client_id).await);
    assert!(control.is_clean(&left.server) && !control.is_clean(&beside.server));

    sentinel.fail_over().await;
    let is_there = |it: &Option<Arc<_>>| it.as_ref() == Some(&beside.server);
    soon("followed", known.wait_for(is_there)).await.expect("it is published");
    soon("swept", control.clean(&beside.server)).await;
}
