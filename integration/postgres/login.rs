//! Who logs in at the server, and how Palisade gets there.

use std::process::Command;

use crate::rig::postgres::{Choice, Front, Way, binary};
use crate::rig::run;

fn psql(front: &Front, way: &Way, sql: &str) -> (bool, String) {
    let mut command = Command::new(binary("psql"));
    way.tell(&mut command);
    command.args(["-X", "-A", "-t", "-v", "VERBOSITY=verbose", "-c", sql]);
    let (status, said) = run(command, front.dir());
    (status.success(), said.trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_log_in_themselves_where_they_are_passed_through() {
    let front = Front::with(Choice { is_passed_through: true, ..Choice::default() }).await;
    let way = |token: &str| front.way("leader-a", "app", &format!("-c palisade.token={token}"));
    let with = |token: &str| way(token).with("password", "app-secret");
    let made = psql(&front, &with("33"), "CREATE TABLE t AS SELECT 1 AS n");
    assert!(made.0, "{made:?}");
    assert_eq!(psql(&front, &with("33"), "SELECT n FROM t"), (true, "1".to_owned()));
    let name =
        "SELECT current_user, application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    assert_eq!(psql(&front, &with("33"), name), (true, "app|psql [palisade:rig]".to_owned()));
    // A wrong password, and none: the server's own word.
    let wrong = psql(&front, &way("33").with("password", "wrong"), "SELECT 1");
    assert!(!wrong.0 && wrong.1.contains("password authentication failed"), "{wrong:?}");
    let none = psql(&front, &way("33"), "SELECT 1");
    assert!(!none.0 && none.1.contains("password"), "{none:?}");
    // What cannot work says why.
    let bound = psql(&front, &with("33").with("channel_binding", "require"), "SELECT 1");
    assert!(!bound.0, "{bound:?}");

    // It is fenced like any other.
    let wait = "BEGIN; INSERT INTO t VALUES (2); SELECT pg_sleep(30); COMMIT";
    let mut command = Command::new(binary("psql"));
    with("33").tell(&mut command);
    command.args(["-X", "-c", wait]);
    let mut old = crate::rig::Process::start(&mut command, "old", front.dir());
    let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    crate::rig::eventually("it sleeps", async || front.server.ask(sleeps).await == ["1"]).await;
    let b = front.way("leader-b", "app", "-c palisade.token=34").with("password", "app-secret");
    assert_eq!(psql(&front, &b, "SELECT sum(n) FROM t"), (true, "1".to_owned()));
    old.wait(std::time::Duration::from_secs(20));
    assert!(old.everything().contains("is stale"), "{}", old.everything());
    let stale = psql(&front, &with("33"), "INSERT INTO t VALUES (3)");
    assert!(!stale.0 && (stale.1.contains("PF001") || stale.1.contains("PF009")), "{stale:?}");
    assert_eq!(front.server.ask("SELECT sum(n) FROM t").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_reached_by_its_socket_too() {
    let front = Front::with(Choice { is_by_socket: true, ..Choice::default() }).await;
    let mut session = front.leader("leader-a", 33).await;
    assert_eq!(session.value("SELECT inet_server_port() IS NULL").await, "t");
    session.simple("CREATE TABLE t (n int)").await.good();
    session.simple("BEGIN; INSERT INTO t VALUES (1)").await.good();
    let mut next = front.leader("leader-b", 34).await;
    assert_eq!(session.farewell().await.code(), "PF001");
    assert_eq!(next.value("SELECT count(*) FROM t").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rule_says_which_role_it_is() {
    let edits = vec![(
        "resource = \"pg/{database}\"\n",
        "resource = \"pg/{database}\"\nrole = \"reader\"\n".into(),
    )];
    let front = Front::with(Choice { edits, ..Choice::default() }).await;
    // Whatever the client calls itself.
    for user in ["app", "reader", "postgres", "nobody"] {
        let mut session =
            front.session("leader-a", user, &[("palisade.token", "33")]).await.unwrap();
        assert_eq!(session.value("SELECT current_user").await, "reader");
    }
    // A role that Palisade does not hold is nobody's.
    let front = Front::start().await;
    for user in ["postgres", "control", "nobody"] {
        let refused = front.session("leader-a", user, &[("palisade.token", "33")]).await;
        let told = refused.err().unwrap_or_else(|| panic!("{user} was let in"));
        assert_eq!(told.severity(), "FATAL", "{told:?}");
    }
}
