//! Which servers a ledger may be kept on, and what the others have to be told.

use super::super::facts::Facts;
use super::rig::{Server, TTL, ledger, resource, settings};
use crate::ledger::redis::Settings;
use crate::ledger::replicated::store::Store;

/// Begins a session; what is told of the server, or why it does not begin.
async fn judged(settings: Settings) -> Result<(String, Option<String>), String> {
    let ledger = ledger(settings);
    Store::begin(&*ledger, "r1", TTL, "x").await.map_err(|why| why.to_string())?;
    let about = Store::about(&*ledger);
    Ok((about.what, about.loses))
}

#[tokio::test]
async fn persistence_is_read_and_judged() {
    let server = Server::durable();
    let accepting = Settings { accept_loss: true, ..settings(&server) };
    let set = |pairs: &[(&str, &str)]| {
        for (name, value) in pairs {
            server.ask(&["CONFIG", "SET", name, value]);
        }
    };
    let (what, loses) = judged(settings(&server)).await.expect("it is fit");
    assert!(what.starts_with("Redis ") && what.ends_with(", appendonly yes, appendfsync always"));
    assert_eq!(loses, None);

    let refused: [(&[(&str, &str)], &str); 4] = [
        (&[("appendfsync", "everysec")], "CONFIG SET appendfsync always;"),
        (&[("appendfsync", "no")], "CONFIG SET appendfsync always;"),
        (
            &[("appendfsync", "always"), ("no-appendfsync-on-rewrite", "yes")],
            "CONFIG SET no-appendfsync-on-rewrite no;",
        ),
        (
            &[("no-appendfsync-on-rewrite", "no"), ("appendonly", "no")],
            "CONFIG SET appendonly yes, and CONFIG SET appendfsync always;",
        ),
    ];
    for (pairs, mend) in refused {
        set(pairs);
        let why = judged(settings(&server)).await.expect_err("it is not fit");
        assert!(why.contains(mend) && why.contains("accept_loss = true"), "{why}");
        let (_, loses) = judged(accepting.clone()).await.expect("the risk is taken");
        assert!(loses.is_some_and(|it| it.contains("crash of Redis loses")), "{pairs:?}");
    }
    // The memory of a server is no disk, but that of its replicas may do.
    let replica = server.replica();
    let quorum = Settings { wait_replicas: 1, ..settings(&server) };
    let (what, loses) = judged(quorum.clone()).await.expect("it is fit");
    assert!(what.ends_with("appendonly no, acknowledged by 1 of 1 replicas"), "{what}");
    assert_eq!(loses, None);
    let another = server.replica();
    let (_, loses) = judged(quorum.clone()).await.expect("it is fit");
    assert!(loses.is_some_and(|it| it.contains("2 replicas that is not among the 1")));
    let why = judged(Settings { wait_replicas: 3, ..quorum }).await.expect_err("there are 2");
    assert!(why.contains("2 of the 3 replicas") && why.contains("wait_replicas"), "{why}");
    let why = judged(settings(&another)).await.expect_err("it is a replica");
    let primary = format!("a replica of 127.0.0.1:{}", server.port());
    assert!(why.contains(&primary) && why.contains("Sentinels"), "{why}");
    drop((replica, another));

    set(&[("maxmemory-policy", "allkeys-lru")]);
    for settings in [settings(&server), accepting] {
        let why = judged(settings).await.expect_err("keys could vanish");
        assert!(why.contains("CONFIG SET maxmemory-policy noeviction"), "{why}");
    }
}

#[tokio::test]
async fn what_is_set_while_it_runs_is_noticed_with_the_next_connection() {
    let server = Server::durable();
    let ledger = ledger(settings(&server));
    Store::begin(&*ledger, "r1", TTL, "x").await.expect("it begins");
    server.ask(&["CONFIG", "SET", "appendfsync", "no"]);
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    let why = Store::read(&*ledger, &resource("a")).await.expect_err("it is judged again");
    assert!(why.to_string().contains("appendfsync always"), "{why}");
}

#[tokio::test]
async fn a_cluster_is_refused() {
    let server = Server::start(&["--cluster-enabled", "yes", "--appendonly", "yes"]);
    let why = judged(settings(&server)).await.expect_err("it is a cluster");
    assert!(why.contains("Redis Cluster") && why.contains("Sentinels"), "{why}");
}

#[tokio::test]
async fn several_servers_without_sentinels_are_refused() {
    let server = Server::durable();
    let mut two = settings(&server);
    two.endpoints.push(two.endpoints[0].clone());
    let why = judged(two).await.expect_err("which is it");
    assert!(why.contains("`sentinel` table"), "{why}");
}

#[test]
fn an_old_server_is_refused() {
    let server = Server::durable();
    let settings = settings(&server);
    let check = |version: &str, is_fit: bool| {
        let info = format!(
            "redis_version:{version}\r\nredis_mode:standalone\r\nmaxmemory_policy:noeviction\r\n"
        );
        let role = "master".to_owned();
        let fsync = Some(Ok("always".to_owned()));
        let facts = Facts { role, info, fsync, rewrite: None };
        let judged = facts.judge("here", &settings);
        assert_eq!(judged.is_ok(), is_fit, "{version}: {judged:?}");
    };
    check("6.2.0", true);
    check("7.0.15", true);
    check("10.0.1", true);
    check("6.0.16", false);
    check("5.0", false);
    check("", false);
}
