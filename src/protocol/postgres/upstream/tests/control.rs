//! Ending sessions, and knowing that they have ended.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::super::control::mend::{self, Deed};
use super::super::control::orders::Order;
use super::super::control::{Control, session_suffix, statements};
use super::super::settings::{Login, Upstream};
use super::super::wire::{QueryError, ServerError, Wire};
use super::rig::{
    REPLICA, Session, connector, control, held, is_listed, session, soon, until, upstream,
    with_socket,
};
use crate::protocol::postgres::testing::Server;

/// Other tests' sweeps leave these alone.
const NAME: &str = "app [palisade:another]";

/// On a shared server: nobody else logs in as `other` without such a name.
pub(super) fn harmless(server: &Server, replica: &str) -> Upstream {
    Upstream { login: held(&["other", "weak"]), replica: replica.into(), ..upstream(&[server]) }
}

#[tokio::test]
async fn what_runs_is_ended() {
    let server = Server::shared();
    let connector = connector(harmless(server, "runs"));
    let control = control(&connector);
    let mut session = session(&connector, "other", NAME).await;
    let client = server.client("postgres").await;
    session.begin("SELECT pg_sleep(600)").await;
    soon("ended", control.terminate(0, session.pid)).await;
    assert!(!is_listed(&client, session.pid).await);
    let error = loop {
        let message = session.wire.message().await.expect("it says why");
        if message.tag == b'E' {
            break ServerError::read(&message.body);
        }
    };
    assert_eq!(error.code, "57P01");
}

#[tokio::test]
async fn what_is_idle_in_a_transaction_is_ended_and_its_locks_are_gone() {
    let server = Server::shared();
    let connector = connector(harmless(server, "idle"));
    let control = control(&connector);
    let client = server.client("postgres").await;
    let text = "CREATE TABLE idle (n int); GRANT ALL ON idle TO other; INSERT INTO idle VALUES (1)";
    client.batch_execute(text).await.expect("it does");
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let mut session = session(&connector, "other", NAME).await;
        session
            .run("BEGIN; LOCK TABLE idle IN ROW EXCLUSIVE MODE; INSERT INTO idle VALUES (2)")
            .await;
        session.run("SELECT pg_advisory_lock(7, pg_backend_pid())").await;
        sessions.push(session);
    }
    let ends = sessions.iter().map(|session| control.terminate(0, session.pid));
    soon("ended", futures_util::future::join_all(ends)).await;
    // At once: not a lock may be left.
    let text = "BEGIN; LOCK TABLE idle IN ACCESS EXCLUSIVE MODE NOWAIT; COMMIT";
    client.batch_execute(text).await.expect("nobody holds it");
    let text = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7";
    assert_eq!(client.query_one(text, &[]).await.expect("it answers").get::<_, i64>(0), 0);
    let text = "SELECT count(*) FROM idle";
    assert_eq!(client.query_one(text, &[]).await.expect("it answers").get::<_, i64>(0), 1);
}

#[tokio::test]
async fn one_that_is_gone_already_is_gone() {
    let connector = connector(harmless(Server::shared(), "gone"));
    let control = control(&connector);
    let session = session(&connector, "other", NAME).await;
    let pid = session.pid;
    drop(session);
    soon("gone", control.terminate(0, pid)).await;
    soon("gone", control.terminate(0, pid)).await;
}

#[tokio::test]
async fn the_loss_of_the_control_connection_loses_nothing() {
    let server = Server::shared();
    let connector = connector(harmless(server, "loss"));
    let control = control(&connector);
    soon("swept", control.swept()).await;
    let client = server.client("postgres").await;
    for _ in 0..3 {
        let mut session = session(&connector, "other", NAME).await;
        session.begin("SELECT pg_sleep(600)").await;
        let text = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE application_name LIKE '%[palisade-control:loss]'";
        assert!(client.query_one(text, &[]).await.expect("it answers").get::<_, bool>(0));
        soon("ended", control.terminate(0, session.pid)).await;
        assert!(!is_listed(&client, session.pid).await);
    }
}

#[tokio::test]
async fn a_frozen_backend_is_waited_for() {
    let server = Server::shared();
    let connector = connector(harmless(server, "frozen"));
    let control = control(&connector);
    let session = session(&connector, "other", NAME).await;
    let client = server.client("postgres").await;
    let frozen = Frozen::freeze(session.pid);
    let mut ending = std::pin::pin!(control.terminate(0, session.pid));
    let early = tokio::time::timeout(Duration::from_millis(150), &mut ending).await;
    assert!(early.is_err(), "it said that a frozen process is gone");
    // Nor does the loss of the connection that looks.
    let text = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE application_name LIKE '%[palisade-control:frozen]'";
    assert!(client.query_one(text, &[]).await.expect("it answers").get::<_, bool>(0));
    let early = tokio::time::timeout(Duration::from_millis(150), &mut ending).await;
    drop(frozen);
    assert!(early.is_err(), "it said that a frozen process is gone");
    soon("ended", ending).await;
}

#[tokio::test]
async fn another_backend_of_the_same_pid_is_left_alone() {
    let connector = connector(harmless(Server::shared(), "reused"));
    let client = Server::shared().client("postgres").await;
    let session = session(&connector, "other", NAME).await;
    let mut wire = session_of_control(Server::shared()).await;
    let mut ask = async |began_us| {
        let order = Order { pid: session.pid, began_us, server_began_us: None };
        let rows = wire.query(&statements::terminate(&[(7, order)])).await.expect("it answers");
        statements::remaining(&rows).expect("it is understood")
    };
    assert_eq!(ask(Some(1)).await, []);
    assert!(is_listed(&client, session.pid).await);
    let [(7, began_us @ Some(_))] = ask(None).await[..] else { panic!("it is there") };
    until("it is gone", async || !is_listed(&client, session.pid).await).await;
    assert_eq!(ask(began_us).await, []);
}

#[tokio::test]
async fn the_order_stays_when_nobody_waits() {
    let server = Server::shared();
    let connector = connector(harmless(server, "nobody"));
    let control = control(&connector);
    let session = session(&connector, "other", NAME).await;
    let waiting = tokio::time::timeout(Duration::ZERO, control.terminate(0, session.pid));
    let _ = waiting.await;
    let client = server.client("postgres").await;
    until("it is gone", async || !is_listed(&client, session.pid).await).await;
}

#[tokio::test]
async fn a_restart_of_the_server_ends_all() {
    let mut server = Server::start();
    let connector = connector(harmless(&server, "restart"));
    let control = control(&connector);
    soon("swept", control.swept()).await;
    let mut session = session(&connector, "other", NAME).await;
    session.begin("SELECT pg_sleep(600)").await;
    server.crash();
    let ending = tokio::spawn({
        let (control, pid) = (control.clone(), session.pid);
        async move { control.terminate(0, pid).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!ending.is_finished(), "nothing has told that it is gone");
    server.restart();
    soon("gone", ending).await.expect("it returns");
    assert_eq!(*control.primary().borrow(), Some(0));
}

#[tokio::test]
async fn what_an_earlier_process_has_left_is_swept() {
    let server = Server::start();
    let connector = connector(upstream(&[&server]));
    let named = format!("psql{}", session_suffix(REPLICA));
    let mut ours = session(&connector, "app", &named).await;
    ours.begin("SELECT pg_sleep(600)").await;
    let bare = session(&connector, "other", "psql").await;
    let anothers = session(&connector, "app", NAME).await;
    let mut own = upstream(&[&server]);
    own.login = held(&["weak"]);
    let stranger = session(&super::rig::connector(own), "weak", "psql").await;
    let client = server.client("postgres").await;

    let frozen = Frozen::freeze(ours.pid);
    let control = control(&connector);
    until("the sweep has begun", async || !is_listed(&client, bare.pid).await).await;
    // Not a reason to go on sweeping.
    let late = session(&connector, "app", &named).await;
    let early = tokio::time::timeout(Duration::from_millis(150), control.swept()).await;
    assert!(early.is_err() && !control.is_swept() && !control.is_host_swept(0));
    drop(frozen);
    assert_eq!(soon("swept", control.swept()).await, 2);
    assert!(is_listed(&client, late.pid).await);
    assert!(control.is_swept() && control.is_host_swept(0));
    for (session, is_left) in [(&ours, false), (&bare, false), (&anothers, true), (&stranger, true)]
    {
        assert_eq!(is_listed(&client, session.pid).await, is_left);
    }
    // Its own connection was not swept, nor are new sessions.
    let named = session(&connector, "app", &named).await;
    soon("gone", control.terminate(0, bare.pid)).await;
    assert!(is_listed(&client, named.pid).await);
}

#[tokio::test]
async fn in_pass_through_only_the_name_tells() {
    let server = Server::shared();
    let holding = connector(upstream(&[server]));
    let bare = session(&holding, "app", "psql").await;
    let ours = session(&holding, "app", &format!("psql{}", session_suffix("passing"))).await;
    let passing =
        Upstream { login: Login::PassThrough, replica: "passing".into(), ..with_socket(server) };
    let control = control(&connector(passing));
    assert_eq!(soon("swept", control.swept()).await, 1);
    let client = server.client("postgres").await;
    assert!(is_listed(&client, bare.pid).await);
    assert!(!is_listed(&client, ours.pid).await);
}

/// One that must not be ended does not keep the others from it.
#[tokio::test]
async fn a_superuser_hides_nobody() {
    let server = Server::shared();
    let holding = connector(Upstream { login: held(&["postgres", "app"]), ..with_socket(server) });
    let control = control(&connector(harmless(server, "super")));
    let untouchable = session(&holding, "postgres", NAME).await;
    let mut still = std::pin::pin!(control.terminate(0, untouchable.pid));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut still).await;
    assert!(early.is_err());
    let other = session(&holding, "app", NAME).await;
    soon("ended", control.terminate(0, other.pid)).await;
    let client = server.client("postgres").await;
    assert!(is_listed(&client, untouchable.pid).await);
    drop(untouchable);
    soon("it has ended by itself", still).await;
}

/// A process that does nothing until this is dropped.
pub(super) struct Frozen(Pid);

impl Frozen {
    pub(super) fn freeze(pid: u32) -> Self {
        let pid = Pid::from_raw(pid.cast_signed()).expect("a process");
        kill_process(pid, Signal::STOP).expect("it is there");
        Self(pid)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}

async fn session_of_control(server: &Server) -> Wire {
    let connector = connector(Upstream { login: held(&["control"]), ..upstream(&[server]) });
    Session::new(connector.log_in("control", "postgres", &[]).await.expect("a session")).wire
}

fn terminate_one(pid: u32) -> String {
    format!("SELECT pg_terminate_backend({pid})")
}

/// A role without rights says which it needs, ends nothing, and goes on once it has them.
#[tokio::test]
async fn rights_that_are_missing_are_named() {
    let server = Server::shared();
    let mut weak = harmless(server, "weak");
    weak.control_role = "weak".into();
    weak.control_password = super::rig::password("weak");
    let connector = connector(weak);
    let control: std::sync::Arc<Control> = control(&connector);
    soon("swept", control.swept()).await;
    let session: Session = session(&connector, "other", NAME).await;
    let mut ending = std::pin::pin!(control.terminate(0, session.pid));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut ending).await;
    assert!(early.is_err());
    let client = server.client("postgres").await;
    assert!(is_listed(&client, session.pid).await);
    let mut refused = self::session(&connector, "weak", NAME).await;
    let error = refused.wire.query(&terminate_one(session.pid)).await.expect_err("it may not");
    let QueryError::Refused(error) = error else { panic!("{error}") };
    let mend = mend::mend(Deed::Terminate, &error, "weak");
    assert_eq!(mend, "type: GRANT pg_signal_backend TO \"weak\";");
    let text = "GRANT pg_signal_backend TO weak";
    client.batch_execute(text).await.expect("it does");
    soon("ended", ending).await;
    assert!(!is_listed(&client, session.pid).await);
}
