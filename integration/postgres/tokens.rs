//! How a token comes, and how each refusal looks.

use std::process::Command;

use crate::rig::postgres::{
    Choice, Front, Told, Way, Wire, binary, connect_directly, extended, tagged,
};
use crate::rig::{python, run};

/// The rule's readers, to be edited away: without them a stale session is refused, not read-only.
pub const READERS: &str =
    "resource = \"pg/{database}\"\nread = [\"leader-*\", \"follower\", \"reader\"]";

async fn without_readers() -> Front {
    let edits = vec![(READERS, "resource = \"pg/{database}\"".to_owned())];
    Front::with(Choice { edits, ..Choice::default() }).await
}

async fn shown(session: &mut Wire) -> [String; 3] {
    let mut all = [const { String::new() }; 3];
    for (name, value) in ["token", "resource", "mark"].iter().zip(&mut all) {
        let sql = format!("SHOW palisade.{name}");
        *value = session.value(&sql).await;
        assert_eq!(session.extended(&sql, &[]).await.value(), *value);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_with_the_start_or_later() {
    let front = Front::start().await;
    let ways = [
        ("palisade.token", "33"),
        ("options", "-c palisade.token=34"),
        ("options", "-cpalisade.token=35 -c work_mem=5MB"),
        ("options", "--palisade.token=36"),
    ];
    for (index, way) in ways.iter().enumerate() {
        let mut session = front.session("leader-a", "app", &[*way]).await.unwrap();
        let token = (33 + index).to_string();
        assert_eq!(shown(&mut session).await, [&token, "pg/app", &token], "{way:?}");
        session.simple("CREATE TABLE IF NOT EXISTS t (n int)").await.good();
        session.simple("INSERT INTO t VALUES (1)").await.good();
        // The server has never heard of it.
        let known = "SELECT current_setting('pali' || 'sade.token', true) IS NULL";
        assert_eq!(session.value(known).await, "t");
    }
    let mut session = front.leader("leader-a", 36).await;
    let raised = [
        "SET palisade.token = '37'",
        "set session palisade.token to '38';",
        "SET palisade.token = 39",
        " /* a comment */ SET palisade.token TO '40' -- and another",
    ];
    for (index, sql) in raised.iter().enumerate() {
        let answer = session.simple(sql).await;
        assert_eq!(answer.good().tags, ["SET"], "{sql}");
        assert_eq!(shown(&mut session).await[0], (37 + index).to_string(), "{sql}");
    }
    let answer = session.extended("SET palisade.token = '41'", &[]).await;
    assert_eq!(answer.good().tags, ["SET"]);
    assert_eq!(shown(&mut session).await, ["41", "pg/app", "41"]);
    session.simple("INSERT INTO t VALUES (1)").await.good();
    assert_eq!(front.server.ask("SELECT count(*) FROM t").await, ["5"]);
    // TLS at once is as good.
    let stream = connect_directly(&front.door("leader-a"), front.address).await.unwrap();
    let parameters = [("user", "app"), ("database", "app"), ("palisade.token", "41")];
    let mut direct = Wire::open(stream, &parameters).await.unwrap();
    assert_eq!(direct.value("SHOW palisade.mark").await, "41");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_a_token_reads_and_takes_one_later() {
    let front = Front::start().await;
    front.leader("leader-a", 33).await.simple("CREATE TABLE t (n int)").await.good();
    let mut session = front.session("leader-a", "app", &[]).await.unwrap();
    assert_eq!(session.value("SELECT count(*) FROM t").await, "0");
    assert_eq!(session.simple("INSERT INTO t VALUES (1)").await.code(), "PF009");
    assert_eq!(shown(&mut session).await, ["", "pg/app", "33"]);
    let mut reader = front.session("reader", "reader", &[]).await.unwrap();
    assert_eq!(reader.value("SELECT 1").await, "1");
    assert_eq!(reader.simple("CREATE TABLE x (n int)").await.code(), "PF009");
    assert_eq!(front.server.ask("SELECT count(*) FROM t").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_names_its_resource_where_the_rule_lets_it() {
    let front = Front::start().await;
    let named = |token, name| [("palisade.token", token), ("palisade.resource", name)];
    let mut one = front.session("leader-a", "app", &named("33", "one")).await.unwrap();
    let mut two = front.session("leader-b", "app", &named("7", "two")).await.unwrap();
    assert_eq!(shown(&mut one).await, ["33", "pg/app/one", "33"]);
    assert_eq!(shown(&mut two).await, ["7", "pg/app/two", "7"]);
    // A takeover of one leaves the other alone.
    let options = [("options", "-c palisade.token=34 -c palisade.resource=one")];
    let mut next = front.session("leader-b", "app", &options).await.unwrap();
    assert_eq!(one.farewell().await.code(), "PF001");
    assert_eq!(two.value("SELECT 1").await, "1");
    assert_eq!(shown(&mut next).await, ["34", "pg/app/one", "34"]);
    for name in ["", "a/b"] {
        let refused = front.session("leader-a", "app", &named("40", name)).await;
        let told = refused.err().unwrap_or_else(|| panic!("{name:?} was taken"));
        assert_eq!(told.severity(), "FATAL", "{told:?}");
    }
}

/// What a start is refused with.
async fn refused(front: &Front, who: &str, more: &[(&str, &str)]) -> Told {
    let told = front.session(who, "app", more).await.err();
    let told = told.unwrap_or_else(|| panic!("{who} was let in with {more:?}"));
    assert_eq!(told.severity(), "FATAL", "{told:?}");
    for text in [told.message(), told.hint()] {
        assert!(!text.is_empty(), "{told:?}");
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_own_code() {
    let front = without_readers().await;
    front.leader("leader-a", 33).await.simple("CREATE TABLE t (n int)").await.good();
    let token = |token| [("palisade.token", token)];
    let twice = [("palisade.token", "33"), ("options", "-c palisade.token=33")];
    let twice_in_one = [("options", "-c palisade.token=33 -c palisade.token=34")];
    type Parameters<'a> = &'a [(&'a str, &'a str)];
    let cases: &[(&str, Parameters<'_>, &str)] = &[
        ("leader-b", &token("33"), "PF002"),
        ("leader-b", &token("2000000"), "PF003"),
        ("leader-b", &token("9223372036854775808"), "PF003"),
        ("leader-a", &[], "PF004"),
        ("leader-a", &token(""), "PF005"),
        ("leader-a", &token("x"), "PF005"),
        ("leader-a", &token("-33"), "PF005"),
        ("leader-a", &token("3 3"), "PF005"),
        ("leader-a", &token("1.2.3"), "PF005"),
        ("leader-a", &twice, "PF005"),
        ("leader-a", &twice_in_one, "PF005"),
        ("follower", &token("34"), "PF006"),
        ("reader", &token("33"), "PF006"),
        ("stranger", &token("33"), "PF006"),
        ("leader-a", &token("32"), "PF001"),
    ];
    for (who, more, code) in cases {
        let told = refused(&front, who, more).await;
        assert_eq!(told.code(), *code, "{who} {more:?}: {told:?}");
    }
    // The mark stands where it stood, and the holder goes on.
    let mut session = front.leader("leader-a", 33).await;
    assert_eq!(shown(&mut session).await, ["33", "pg/app", "33"]);
    session.simple("INSERT INTO t VALUES (1)").await.good();
    let stale = refused(&front, "leader-b", &token("7")).await;
    for part in ["pg/app", "7", "33", "leader-a"] {
        assert!(stale.detail().contains(part), "{part} is not in {stale:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_session_may_read_where_the_rule_says_so() {
    let front = Front::start().await;
    front.leader("leader-b", 34).await.simple("CREATE TABLE t (n int)").await.good();
    let mut stale = front.leader("leader-a", 33).await;
    assert_eq!(stale.value("SELECT count(*) FROM t").await, "0");
    let told = stale.simple("INSERT INTO t VALUES (1)").await;
    assert!(["PF001", "PF009"].contains(&told.code()), "{told:?}");
    assert_eq!(front.server.ask("SELECT count(*) FROM t").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_is_said_of_the_settings_is_refused() {
    let front = Front::start().await;
    let mut session = front.leader("leader-a", 33).await;
    let not_understood = [
        "SET LOCAL palisade.token = '34'",
        "RESET palisade.token",
        "SET palisade.token TO DEFAULT",
        "SELECT set_config('palisade.token', '34', false)",
        "SET palisade.token = '34'; SELECT 1",
        "SELECT 1; SHOW palisade.token",
        "SET palisade.mark = '34'",
        "SET palisade.resource = 'another'",
        "SHOW palisade.nothing",
    ];
    for sql in not_understood {
        let simple = session.simple(sql).await;
        assert_eq!((simple.code(), simple.status), ("PF010", Some('I')), "{sql}: {simple:?}");
        let told = session.extended(sql, &[]).await;
        assert_eq!((told.code(), told.status), ("PF010", Some('I')), "{sql}: {told:?}");
        assert!(!told.error().hint().is_empty(), "{told:?}");
    }
    // Another spelling of the same name: understood or refused, but never the server's.
    for sql in ["SET \"palisade.token\" = '33'", "SET \"palisade\".token = '33'"] {
        let answer = session.simple(sql).await;
        assert!(["", "PF010"].contains(&answer.code()), "{answer:?}");
        let known = "SELECT current_setting('pali' || 'sade.token', true) IS NULL";
        assert_eq!(session.value(known).await, "t", "the server has heard {sql}");
    }
    for (sql, code) in [
        ("SET palisade.token = 'x'", "PF005"),
        ("SET palisade.token = ''", "PF005"),
        ("SET palisade.token = '9000000'", "PF003"),
        ("SET palisade.token = '32'", "PF001"),
    ] {
        let told = session.simple(sql).await;
        assert_eq!(told.code(), code, "{sql}: {told:?}");
        if told.status.is_none() {
            session = front.leader("leader-a", 33).await;
        }
    }
    assert_eq!(shown(&mut session).await, ["33", "pg/app", "33"]);
    // Ordinary statements in which the word stands are none of ours.
    session
        .simple("CREATE TABLE palisade (token int); INSERT INTO palisade VALUES (1)")
        .await
        .good();
    assert_eq!(session.value("SELECT 'palisade' || token FROM palisade").await, "palisade1");
    assert_eq!(session.extended("SELECT p.token FROM palisade p", &[]).await.value(), "1");
    assert_eq!(session.value("SELECT palisade.token FROM palisade").await, "1");
    // In a pipeline an error of ours skips what is behind it, as the server's would.
    let batch = [
        extended("INSERT INTO palisade VALUES (2)", &[]),
        extended("RESET palisade.token", &[]),
        extended("INSERT INTO palisade VALUES (3)", &[]),
        tagged(b'S', &[]),
    ];
    session.send(&batch.concat()).await;
    let told = session.answer().await;
    assert_eq!(told.code(), "PF010", "{told:?}");
    if told.status.is_some() {
        assert_eq!(session.value("SELECT count(*) FROM palisade").await, "1");
    }
    assert_eq!(front.server.ask("SELECT count(*) FROM palisade").await, ["1"]);
}

fn psql(front: &Front, way: &Way, arguments: &[&str]) -> String {
    let mut command = Command::new(binary("psql"));
    way.tell(&mut command);
    command.arg("-X").args(arguments);
    run(command, front.dir()).1
}

/// How often a stale start was refused so far.
fn stale_refusals(front: &Front) -> usize {
    front.audit().iter().filter(|line| line.to_string().contains("\"stale\"")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_what_is_wrong_and_no_client_tries_again() {
    let front = without_readers().await;
    let mut leader = front.leader("leader-b", 34).await;
    leader.simple("CREATE TABLE t (n int)").await.good();
    let stale = front.way("leader-a", "app", "-c palisade.token=33");
    // Two hosts, so that libpq could go on to the next.
    let port = front.address.port();
    let two =
        stale.clone().with("host", "localhost,localhost").with("port", format!("{port},{port}"));
    let said = psql(&front, &two, &["-c", "SELECT 1"]);
    for part in ["FATAL", "DETAIL", "HINT", "pg/app", "33", "34", "leader-b"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    crate::rig::eventually("it is in the audit log", async || stale_refusals(&front) > 0).await;
    assert_eq!(stale_refusals(&front), 1, "psql tried again");

    let drivers = [
        "import os, psycopg\ntry:\n psycopg.connect(os.environ['DSN'])\n\
         except psycopg.OperationalError as e:\n print('told', e)",
        "import os, asyncio, asyncpg\ntry:\n asyncio.run(asyncpg.connect(os.environ['DSN']))\n\
         except asyncpg.PostgresError as e:\n print('told', e.sqlstate, e, e.detail, e.hint)",
    ];
    for (index, driver) in drivers.iter().enumerate() {
        let mut command = python("python3");
        stale.tell(&mut command);
        command.args(["-c", driver]);
        let (_, said) = run(command, front.dir());
        for part in ["told", "pg/app", "leader-b"] {
            assert!(said.contains(part), "{part} is not in {said}");
        }
        let expected = index + 2;
        let name = format!("{expected} refusals");
        crate::rig::eventually(&name, async || stale_refusals(&front) >= expected).await;
        assert_eq!(stale_refusals(&front), expected, "driver {index} tried again");
    }

    // A session that is cut: the driver has the SQLSTATE, the detail and the hint.
    let cut = "import os, psycopg, sys\n\
        conn = psycopg.connect(os.environ['DSN'], autocommit=True)\n\
        print('in', flush=True)\n\
        try:\n\
        \x20while True:\n\
        \x20 conn.execute('SELECT pg_sleep(0.05)')\n\
        except psycopg.Error as e:\n\
        \x20print('told', e.sqlstate, e.diag.severity_nonlocalized, e.diag.message_detail, e.diag.message_hint)";
    let mut command = python("python3");
    front.way("leader-b", "app", "-c palisade.token=34").tell(&mut command);
    command.args(["-c", cut]);
    let mut running = crate::rig::Process::start(&mut command, "cut", front.dir());
    assert_eq!(running.first_line(), "in");
    let _next = front.leader("leader-a", 35).await;
    running.wait(std::time::Duration::from_secs(20));
    let said = running.everything();
    for part in ["told PF001 FATAL", "pg/app", "leader-a"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}
