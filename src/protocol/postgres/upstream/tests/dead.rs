//! What dead replicas have left is ended, and nobody else's.

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::time::timeout;

use super::super::control::{Control, NAMELESS_PATIENCE, session_suffix};
use super::super::settings::{Login, Upstream};
use super::control::{Frozen, harmless};
use super::rig::{
    Session, connector, held, is_listed, password, session, soon, until, upstream, with_socket,
};
use crate::fence::SessionId;
use crate::gate::Remains as _;
use crate::protocol::postgres::testing::Server;

fn control(upstream: Upstream) -> std::sync::Arc<Control> {
    Control::start_among_replicas(connector(upstream), &tokio::runtime::Handle::current())
}

/// A session of a role that nobody but these tests sweeps, with that owner's name.
async fn owned(server: &Server, owner: &str) -> Session {
    let name = format!("app{}", session_suffix(owner));
    session(&connector(upstream(&[server])), "other", &name).await
}

#[tokio::test]
async fn those_up_to_the_number_are_ended_and_no_others() {
    let server = Server::shared();
    let client = server.client("postgres").await;
    let mut running = owned(server, "num#42").await;
    running.begin("SELECT pg_sleep(600)").await;
    let mut idle = owned(server, "num#7").await;
    idle.run("BEGIN; SELECT pg_advisory_xact_lock(42)").await;
    let mut others = Vec::new();
    for owner in ["num#43", "num", "num#420", "xnum#42", "num#x#42", "other#42"] {
        others.push((owner, owned(server, owner).await));
    }
    let control = control(harmless(server, "num"));
    assert!(control.is_swept() && control.is_host_swept(0), "there is nothing to sweep");
    let dead = SessionId::new("num", 42);
    soon("ended", control.end(&dead)).await;
    assert!(!is_listed(&client, running.pid).await && !is_listed(&client, idle.pid).await);
    let text = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42";
    assert_eq!(client.query_one(text, &[]).await.expect("it answers").get::<_, i64>(0), 0);
    for (owner, session) in &others {
        assert!(is_listed(&client, session.pid).await, "{owner}");
    }
    // Told at once, and nothing is ended again: it could have sent nothing.
    let late = owned(server, "num#42").await;
    assert!(control.end(&dead).now_or_never().is_some());
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(is_listed(&client, late.pid).await);
    soon("ended", control.end(&SessionId::new("num", 43))).await;
    assert!(!is_listed(&client, late.pid).await && !is_listed(&client, others[0].1.pid).await);
    assert!(is_listed(&client, others[1].1.pid).await);
}

#[tokio::test]
async fn one_that_cannot_be_ended_keeps_nobody_from_the_others_and_is_never_given_up() {
    let server = Server::shared();
    let (stuck, other) = (owned(server, "stuck#1").await, owned(server, "prompt#5").await);
    let frozen = Frozen::freeze(stuck.pid);
    let control = control(harmless(server, "waits"));
    let [dead, prompt] = [SessionId::new("stuck", 1), SessionId::new("prompt", 5)];
    let early = timeout(Duration::from_millis(200), control.end(&dead)).await;
    let both = futures_util::future::join(control.end(&prompt), control.end(&prompt));
    let done = timeout(super::rig::PATIENCE, both).await;
    let still = timeout(Duration::from_millis(100), control.end(&dead)).await;
    drop(frozen);
    assert!(early.is_err() && done.is_ok() && still.is_err());
    let client = server.client("postgres").await;
    assert!(!is_listed(&client, other.pid).await);
    // Nobody asks any more.
    until("it is gone", async || !is_listed(&client, stuck.pid).await).await;
    soon("ended", control.end(&dead)).await;
}

#[tokio::test]
async fn a_restart_of_the_server_and_a_lost_connection_are_gone_through() {
    let mut server = Server::start();
    let control = control(harmless(&server, "restart"));
    let mut left = owned(&server, "r1#1").await;
    left.begin("SELECT pg_sleep(600)").await;
    server.crash();
    let dead = SessionId::new("r1", 1);
    let mut ending = control.end(&dead);
    assert!(timeout(Duration::from_millis(200), &mut ending).await.is_err(), "nobody has told");
    server.restart();
    soon("gone", ending).await;
    let left = owned(&server, "r1#2").await;
    let client = server.client("postgres").await;
    let frozen = Frozen::freeze(left.pid);
    let dead = SessionId::new("r1", 2);
    let mut ending = control.end(&dead);
    let early = timeout(Duration::from_millis(100), &mut ending).await;
    let text = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE application_name LIKE '%[palisade-control:restart]'";
    assert!(client.query_one(text, &[]).await.expect("it answers").get::<_, bool>(0));
    let still = timeout(Duration::from_millis(200), &mut ending).await;
    drop(frozen);
    assert!(early.is_err() && still.is_err(), "it said that a frozen process is gone");
    soon("gone", ending).await;
    assert!(!is_listed(&client, left.pid).await);
}

#[tokio::test]
async fn rights_that_are_missing_end_nobody_until_they_are_there() {
    let server = Server::start();
    let weak = Upstream {
        control_role: "weak".into(),
        control_password: password("weak"),
        ..harmless(&server, "rights")
    };
    let control = control(weak);
    let left = owned(&server, "r1#1").await;
    let client = server.client("postgres").await;
    let dead = SessionId::new("r1", 1);
    let mut ending = control.end(&dead);
    for right in ["pg_read_all_stats", "pg_signal_backend"] {
        assert!(timeout(Duration::from_millis(300), &mut ending).await.is_err(), "{right}");
        assert!(is_listed(&client, left.pid).await, "{right}");
        client.batch_execute(&format!("GRANT {right} TO weak")).await.expect("it does");
    }
    soon("ended", ending).await;
    assert!(!is_listed(&client, left.pid).await);
}

/// A client renames its session, and its Palisade dies before it puts the name back.
#[tokio::test]
async fn a_name_that_was_taken_away_just_before_saves_nobody() {
    let server = Server::start();
    let client = server.client("postgres").await;
    let own = || upstream(&[&server]);
    let mut hidden = owned(&server, "r1#1").await;
    hidden.run("SET application_name = 'mine'").await;
    hidden.begin("SELECT pg_sleep(600)").await;
    // One of a living replica, which puts it back in time; and what is none of ours.
    let mut living = owned(&server, "r2#2").await;
    living.run("SET application_name = 'mine, too'").await;
    let stranger = connector(Upstream { login: held(&["weak"]), ..own() });
    let stranger = session(&stranger, "weak", "psql").await;

    let passing = control(Upstream { login: Login::PassThrough, ..with_socket(&server) });
    let dead = SessionId::new("r1", 1);
    soon("ended", passing.end(&dead)).await;
    assert!(is_listed(&client, hidden.pid).await, "its roles are not Palisade's own");

    let control = control(own());
    let began = Instant::now();
    let mut ending = control.end(&dead);
    assert!(timeout(Duration::from_millis(200), &mut ending).await.is_err());
    living.run(&format!("SET application_name = 'mine{}'", session_suffix("r2#2"))).await;
    soon("ended", ending).await;
    assert!(began.elapsed() >= NAMELESS_PATIENCE, "{:?}", began.elapsed());
    assert!(!is_listed(&client, hidden.pid).await);
    for spared in [&living, &stranger] {
        assert!(is_listed(&client, spared.pid).await);
    }
    // Once nobody is without a name, nobody waits.
    let began = Instant::now();
    soon("ended", control.end(&SessionId::new("r3", 1))).await;
    assert!(began.elapsed() < NAMELESS_PATIENCE / 2, "{:?}", began.elapsed());
}

/// What could not be reached is passed over, and may not be used before it is swept, too.
#[tokio::test]
async fn a_server_out_of_reach_owes_it() {
    let (near, far) = (Server::start(), Server::start());
    let left = [owned(&near, "r1#1").await, owned(&far, "r1#1").await];
    let clients = [near.client("postgres").await, far.client("postgres").await];
    // It takes no connections, and what runs there goes on.
    let frozen = Frozen::freeze(far.pid());
    let short = Duration::from_millis(300);
    let servers = upstream(&[&near, &far]);
    let control = control(Upstream { connect_timeout: short, login_timeout: short, ..servers });
    let dead = SessionId::new("r1", 1);
    let ended = timeout(super::rig::PATIENCE, control.end(&dead)).await;
    let is_used = [0, 1].map(|host| control.is_host_swept(host));
    drop(frozen);
    assert!(ended.is_ok());
    assert!(!is_listed(&clients[0], left[0].pid).await);
    assert_eq!(is_used, [true, false]);
    until("it is swept", async || control.is_host_swept(1)).await;
    assert!(!is_listed(&clients[1], left[1].pid).await);
}
