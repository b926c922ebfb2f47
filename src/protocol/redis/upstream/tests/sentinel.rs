//! Following the primary that Sentinels name.

use std::time::Duration;

use super::super::sentinel::Said;
use super::super::settings::{Sentinel as Service, Upstream};
use super::super::{ChangeKind, OpenError, session_suffix};
use super::failover::{looked, next};
use super::rig::{Client, connector, control, is_waiting, password, soon, until, watched};
use crate::protocol::redis::testing::{Sentinel, Server};

#[tokio::test]
async fn a_failover_that_loses_nothing() {
    let primary = Server::start();
    let replica = primary.replica();
    let sentinel = Sentinel::start(&primary);
    sentinel.knows_replicas(1).await;
    let connector = connector(watched(&primary, "r1", &[&sentinel]));
    let left = Client::of_replica(&connector).await;
    let said = Said { endpoint: super::rig::tcp(replica.port()), view: 0 };
    let name = format!("app{}", session_suffix("r1"));
    let (beside, is_primary) = connector.open_on(&said, name.as_bytes()).await.expect("yes");
    assert!(!is_primary);
    let control = control(&connector);
    let mut changes = control.changes();
    assert_eq!(soon("swept", control.swept()).await, 2);
    assert!(!primary.has_client(left.id).await && !replica.has_client(beside.client_id).await);
    let mut known = control.primary();
    soon("known", known.wait_for(Option::is_some)).await.expect("it is published");
    let client = Client::open(&connector).await;
    assert_eq!(known.borrow().as_ref(), Some(&client.server));
    primary.ask(&["SET", "k", "v"]).await;
    looked().await;

    sentinel.fail_over().await;
    let change = next(&mut changes, ChangeKind::OtherPrimary).await;
    assert_eq!(change.from, client.server);
    assert_eq!(change.to.endpoint, super::rig::tcp(replica.port()));
    looked().await;
    let more = changes.try_recv();
    assert!(more.is_err(), "nothing is lost: {more:?}");
    soon("published", known.wait_for(|it| it.as_ref() == Some(&change.to))).await.expect("yes");
    soon("superseded", control.kill(&client.server, client.id)).await;
    let new = Client::open(&connector).await;
    assert_eq!(new.server, change.to);
    soon("killed", control.kill(&new.server, new.id)).await;
    assert!(!replica.has_client(new.id).await);
}

#[tokio::test]
async fn a_failover_to_a_replica_that_lacks_the_last_writes() {
    let mut primary = Server::start();
    let replica = primary.replica();
    let sentinel = Sentinel::start(&primary);
    sentinel.knows_replicas(1).await;
    let connector = connector(watched(&primary, "r1", &[&sentinel]));
    let control = control(&connector);
    let mut changes = control.changes();
    soon("swept", control.swept()).await;
    let client = Client::open(&connector).await;
    // It comes back, and is not let in.
    primary.ask(&["ACL", "SETUSER", "default", "-psync", "-sync"]).await;
    primary.ask(&["CLIENT", "KILL", "TYPE", "replica"]).await;
    for _ in 0..10 {
        primary.ask(&["SET", "k", "only here"]).await;
    }
    looked().await;
    primary.crash();
    let mut kill = Box::pin(control.kill(&client.server, client.id));
    assert!(is_waiting(&mut kill).await, "nobody has said that it is gone");
    let change = next(&mut changes, ChangeKind::OtherPrimary).await;
    assert_eq!(change.to.endpoint, super::rig::tcp(replica.port()));
    soon("superseded", kill).await;
    let change = next(&mut changes, ChangeKind::DataLost).await;
    let each = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\nonly here\r\n".len() as u64;
    assert!(change.lost_bytes.is_some_and(|bytes| bytes >= 10 * each), "{change:?}");
    assert_eq!(change.from, client.server);
}

/// A Sentinel that is dead is passed over; one with a password is given it.
#[tokio::test]
async fn sentinels_in_turn() {
    let primary = Server::start();
    let mut dead = Sentinel::start(&primary);
    let alive = Sentinel::start_with(&primary, "requirepass guarded");
    let upstream = watched(&primary, "r1", &[&dead, &alive]);
    let service = |name: &str, text: &str| {
        let password = password(text);
        Some(Service { service: name.to_owned(), user: None, password })
    };
    dead.crash();
    let with = |sentinel| connector(Upstream { sentinel, ..upstream.clone() });
    let client = Client::open(&with(service(Sentinel::SERVICE, "guarded"))).await;
    assert_eq!(client.server.endpoint, super::rig::tcp(primary.port()));
    for (sentinel, expected) in [
        (service("another", "guarded"), "`service`"),
        (service(Sentinel::SERVICE, "wrong"), "`password_file`"),
    ] {
        let error = with(sentinel).open(b"x").await.expect_err("it is not told");
        assert!(matches!(error, OpenError::Sentinel { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.to_string().contains("guarded") && !error.to_string().contains("wrong\""));
    }
}

/// The control connection stays, and goes on to kill.
#[tokio::test]
async fn without_any_sentinel_clients_are_killed_where_they_are() {
    let primary = Server::start();
    let mut sentinel = Sentinel::start(&primary);
    let connector = connector(watched(&primary, "r1", &[&sentinel]));
    let control = control(&connector);
    soon("swept", control.swept()).await;
    let clients = [Client::open(&connector).await, Client::open(&connector).await];
    sentinel.crash();
    soon("killed", control.kill(&clients[0].server, clients[0].id)).await;
    assert!(!primary.has_client(clients[0].id).await);
    let list = primary.clients().await;
    let own = list.lines().find(|line| line.contains("name=palisade-control|r1 "));
    let own = own.and_then(|line| line.strip_prefix("id=")?.split(' ').next()).expect("it is");
    primary.ask(&["CLIENT", "KILL", "ID", own]).await;
    soon("killed", control.kill(&clients[1].server, clients[1].id)).await;
    assert!(!primary.has_client(clients[1].id).await);
    until("it is known still", async || control.primary().borrow().is_some()).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// One that has missed a failover is passed over, unless there is no other.
#[tokio::test]
async fn a_sentinel_that_lags_behind_is_not_believed() {
    let mut primary = Server::start();
    let replica = primary.replica();
    let lagging = Sentinel::start(&primary);
    let mut knowing = Sentinel::start(&primary);
    let connector = connector(watched(&primary, "r1", &[&lagging, &knowing]));
    for sentinel in [&lagging, &knowing] {
        sentinel.knows_replicas(1).await;
    }
    assert_eq!(Client::open(&connector).await.server.endpoint, super::rig::tcp(primary.port()));
    knowing.fail_over().await;
    let is_followed = async || {
        let opened = connector.open(b"x").await;
        opened.is_ok_and(|it| it.server.endpoint == super::rig::tcp(replica.port()))
    };
    until("it is followed", is_followed).await;

    primary.crash();
    let old = primary.port().to_string();
    for command in [
        &["SENTINEL", "REMOVE", "main"][..],
        &["SENTINEL", "MONITOR", "main", "127.0.0.1", &old, "1"],
    ] {
        lagging.ask(command).await.expect("it does");
    }
    looked().await;
    assert!(is_followed().await, "the old primary was taken for the new one");
    knowing.crash();
    looked().await;
    let error = connector.open(b"x").await.expect_err("nobody knows");
    assert!(error.to_string().contains("of before a failover"), "{error}");
}
