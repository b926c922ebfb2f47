//! What becomes of the server: restarts, demotions, promotions, and what is lost by them.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::super::{Change, ChangeKind, Control};
use super::rig::{Client, connector, control, soon, until, upstream};
use crate::protocol::redis::testing::Server;

/// The next change, which is of that kind.
pub(super) async fn next(changes: &mut broadcast::Receiver<Change>, kind: ChangeKind) -> Change {
    let change = soon("a change", changes.recv()).await.expect("it is told");
    assert_eq!(change.kind, kind, "{change:?}");
    change
}

/// Started, with its primary known and looked at.
async fn watching(server: &Server) -> (Arc<Control>, broadcast::Receiver<Change>) {
    let control = control(&connector(upstream(server, "watch")));
    let changes = control.changes();
    let mut primary = control.primary();
    soon("known", primary.wait_for(Option::is_some)).await.expect("it is published");
    looked().await;
    (control, changes)
}

/// Longer than from one look to the next.
pub(super) async fn looked() {
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
}

#[tokio::test]
async fn a_restart_without_persistence_loses_all() {
    let mut server = Server::start();
    let _replica = server.replica();
    server.ask(&["SET", "k", "v"]).await;
    let (control, mut changes) = watching(&server).await;
    server.restart();
    let change = next(&mut changes, ChangeKind::Restarted).await;
    assert_eq!(change.from.endpoint, change.to.endpoint);
    let change = next(&mut changes, ChangeKind::DataLost).await;
    assert!(change.expected_offset > 0);
    assert_eq!((change.found_offset, change.lost_bytes), (None, None));
    until("it is published", async || control.primary().borrow().as_ref() == Some(&change.to))
        .await;
}

#[tokio::test]
async fn a_restart_from_a_log_cannot_be_judged() {
    let mut server = Server::start_with(&["--appendonly", "yes"]);
    let _replica = server.replica();
    server.ask(&["SET", "k", "v"]).await;
    let (_control, mut changes) = watching(&server).await;
    server.restart();
    next(&mut changes, ChangeKind::Restarted).await;
    next(&mut changes, ChangeKind::HistoryUnknown).await;
}

/// Once nothing is saved for a replica any more.
async fn save(server: &Server) {
    until("it has a replica", async || server.info("replication").await.contains("state=online"))
        .await;
    until("nothing is saved", async || {
        server.info("persistence").await.contains("rdb_bgsave_in_progress:0")
    })
    .await;
    server.ask(&["SAVE"]).await;
}

#[tokio::test]
async fn a_restart_from_a_snapshot_is_compared() {
    let mut server = Server::start();
    let _replica = server.replica();
    server.ask(&["SET", "k", "v"]).await;
    save(&server).await;
    let (_control, mut changes) = watching(&server).await;
    server.restart();
    next(&mut changes, ChangeKind::Restarted).await;
    looked().await;
    assert!(changes.try_recv().is_err(), "nothing is lost");

    save(&server).await;
    for _ in 0..10 {
        server.ask(&["SET", "k", "after the snapshot"]).await;
    }
    looked().await;
    server.restart();
    next(&mut changes, ChangeKind::Restarted).await;
    let change = next(&mut changes, ChangeKind::DataLost).await;
    assert!(change.lost_bytes.is_some_and(|bytes| bytes >= 180), "{change:?}");
}

#[tokio::test]
async fn a_demotion_is_told_and_nobody_is_the_primary() {
    let (server, other) = (Server::start(), Server::start());
    let (control, mut changes) = watching(&server).await;
    let client = Client::open(&connector(upstream(&server, "client"))).await;
    let port = other.port().to_string();
    server.ask(&["REPLICAOF", "127.0.0.1", &port]).await;
    next(&mut changes, ChangeKind::Demoted).await;
    let mut primary = control.primary();
    soon("none", primary.wait_for(Option::is_none)).await.expect("it is published");
    // Clients can be killed there all the same.
    soon("killed", control.kill(&client.server, client.id)).await;
    assert!(!server.has_client(client.id).await);
    server.ask(&["REPLICAOF", "NO", "ONE"]).await;
    soon("one", primary.wait_for(Option::is_some)).await.expect("it is published");
}
