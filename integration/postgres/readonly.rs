//! The ways out of a session that may only read: each is tried, in both protocols, and has to
//! leave everything as it was.

use crate::rig::postgres::{Front, Wire, bind, describe, execute, extended, parse, query, tagged};

/// What the leader has left there. `app` owns it, so nothing but the session's own state keeps a
/// reader from writing.
const SETUP: &[&str] = &[
    "CREATE TABLE t (n int)",
    "INSERT INTO t VALUES (1)",
    "CREATE SEQUENCE s",
    "CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (2) RETURNING n'",
    "CREATE FUNCTION gets_out() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM \
     set_config('transaction_read_only', 'off', true); SET default_transaction_read_only = off; \
     SET transaction_read_only = off; INSERT INTO t VALUES (3); RETURN 1; END $$",
    "CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN \
     SET default_transaction_read_only = off; COMMIT; INSERT INTO t VALUES (4); COMMIT; END $$",
    "CREATE VIEW reads_by_writing AS SELECT writes()",
    "CREATE VIEW gets_out_by_reading AS SELECT gets_out()",
    "CREATE SCHEMA evil",
    "CREATE FUNCTION evil.abs(int) RETURNS int LANGUAGE sql AS 'SELECT public.gets_out()'",
    "CREATE FUNCTION evil.plus(int, int) RETURNS int LANGUAGE sql AS 'SELECT public.gets_out()'",
    "CREATE OPERATOR evil.+ (leftarg = int, rightarg = int, function = evil.plus)",
    "BEGIN; INSERT INTO t VALUES (5); PREPARE TRANSACTION 'left'",
    "ALTER ROLE app SET default_transaction_read_only = off",
];

/// Each line is a session: its statements are sent one after another. The last one must fail
/// or leave nothing, and so must what is tried behind it.
const WAYS: &[&[&str]] = &[
    &["INSERT INTO t VALUES (9)"],
    &["UPDATE t SET n = 9"],
    &["DELETE FROM t"],
    &["TRUNCATE t"],
    &["MERGE INTO t USING (SELECT 1) x ON false WHEN NOT MATCHED THEN INSERT VALUES (9)"],
    &["BEGIN READ WRITE"],
    &["BEGIN", "INSERT INTO t VALUES (9)", "COMMIT"],
    &["BEGIN", "SET TRANSACTION READ WRITE"],
    &["BEGIN", "SET LOCAL transaction_read_only = off"],
    &["BEGIN", "SET LOCAL default_transaction_read_only = off", "COMMIT"],
    &["BEGIN ISOLATION LEVEL SERIALIZABLE, READ WRITE"],
    &["START TRANSACTION READ WRITE"],
    &["START TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE"],
    &["BEGIN", "SELECT 1", "COMMIT AND CHAIN", "SET transaction_read_only = off"],
    &["SET transaction_read_only = off"],
    &["SET default_transaction_read_only = off"],
    &["SET default_transaction_read_only TO DEFAULT"],
    &["SET SESSION default_transaction_read_only = 'off'"],
    &["set\n/* x */ SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"],
    &["RESET default_transaction_read_only"],
    &["RESET ALL"],
    &["DISCARD ALL"],
    &["SELECT set_config('default_transaction_read_only', 'off', false)"],
    &["SELECT set_config('default_transaction' || '_read_only', 'off', false)"],
    &[
        "SELECT pg_catalog.set_config(name, 'off', false) FROM pg_settings WHERE name LIKE 'default%only'",
    ],
    &["UPDATE pg_settings SET setting = 'off' WHERE name = 'default_transaction_read_only'"],
    &["SELECT 1; INSERT INTO t VALUES (9)"],
    &["SELECT 1; SET default_transaction_read_only = off; INSERT INTO t VALUES (9)"],
    &["COMMIT; BEGIN READ WRITE; INSERT INTO t VALUES (9); COMMIT"],
    &["DO $$ BEGIN INSERT INTO t VALUES (9); END $$"],
    &[
        "DO $$ BEGIN SET default_transaction_read_only = off; COMMIT; INSERT INTO t VALUES (9); END $$",
    ],
    &["CALL commits()"],
    &["SELECT writes()"],
    &["SELECT gets_out()"],
    &["SELECT * FROM writes()"],
    &["SELECT n FROM t WHERE n = gets_out()"],
    &["SELECT * FROM reads_by_writing"],
    &["SELECT * FROM gets_out_by_reading"],
    &["EXPLAIN ANALYZE INSERT INTO t VALUES (9)"],
    &["EXPLAIN (ANALYZE) DELETE FROM t"],
    &["WITH x AS (INSERT INTO t VALUES (9) RETURNING n) SELECT * FROM x"],
    &["WITH x AS (SELECT 1), y AS (DELETE FROM t RETURNING n) SELECT * FROM x"],
    &["SELECT * INTO made FROM t"],
    &["CREATE TABLE made AS SELECT * FROM t"],
    &["CREATE TEMP TABLE made (n int)"],
    &["COPY t FROM STDIN"],
    &["COPY t TO PROGRAM 'cat > /dev/null'"],
    &["COPY t TO '/tmp/palisade-readonly'"],
    &["COPY (DELETE FROM t RETURNING n) TO STDOUT"],
    &["COPY (SELECT gets_out()) TO STDOUT"],
    &["PREPARE p AS INSERT INTO t VALUES (9)", "EXECUTE p"],
    &["PREPARE p AS SELECT gets_out()", "EXECUTE p"],
    &["DECLARE c CURSOR WITH HOLD FOR SELECT gets_out()"],
    &["SELECT nextval('s')"],
    &["SELECT setval('s', 100)"],
    &["SELECT pg_advisory_lock(1)"],
    &["SELECT pg_try_advisory_lock(1)"],
    &["SELECT * FROM t FOR UPDATE"],
    &["SELECT * FROM t FOR KEY SHARE"],
    &["LOCK TABLE t IN ACCESS EXCLUSIVE MODE"],
    &["NOTIFY news"],
    &["SELECT pg_notify('news', 'x')"],
    &["SELECT lo_create(77)"],
    &["SELECT lo_from_bytea(77, 'x')"],
    &["PREPARE TRANSACTION 'another'"],
    &["COMMIT PREPARED 'left'"],
    &["ROLLBACK PREPARED 'left'"],
    &["SELECT pg_terminate_backend(pid) FROM pg_stat_activity"],
    &["SELECT pg_cancel_backend(pid) FROM pg_stat_activity"],
    &["VACUUM t"],
    &["ANALYZE t"],
    &["CHECKPOINT"],
    &["REFRESH MATERIALIZED VIEW m"],
    &["CREATE EXTENSION dblink"],
    &["ALTER SYSTEM SET work_mem = '1MB'"],
    &["ALTER ROLE app SET work_mem = '1MB'"],
    &["GRANT SELECT ON t TO reader"],
    &["COMMENT ON TABLE t IS 'x'"],
    &["SECURITY LABEL ON TABLE t IS 'x'"],
    &["REINDEX TABLE t"],
    &["SET ROLE app"],
    &["SET SESSION AUTHORIZATION DEFAULT"],
    &["SET standard_conforming_strings = off"],
    &["SET search_path = evil, pg_catalog", "SELECT abs(1)"],
    &["SELECT 1 OPERATOR(evil.+) 1"],
    &["SELECT evil.abs(1)"],
    &["SELECT query_to_xml('INSERT INTO t VALUES (9)', true, true, '')"],
    &["SELECT pg_read_file('/etc/hostname')"],
    &["SELECT pg_logical_emit_message(true, 'x', 'y')"],
    &["SELECT pg_create_restore_point('x')"],
    &["SELECT txid_current()"],
    &["; INSERT INTO t VALUES (9)"],
    &["/* SELECT */ INSERT INTO t VALUES (9)"],
    &["SELECT 1 /* /* nested */ ; */ ; DELETE FROM t"],
    &["SELECT $$;$$; DELETE FROM t"],
    &["SELECT '\\'; DELETE FROM t; --'; DELETE FROM t"],
    &["SELECT E'\\''; DELETE FROM t; --'"],
    &["SELECT U&'\\0027'; DELETE FROM t; --'"],
];

/// What leads nowhere: the value that is reset to is the start's, which is read-only.
const LET_THROUGH: [&str; 3] = ["RESET ALL", "DISCARD ALL", "SET ROLE app"];

async fn front() -> Front {
    let front = Front::start().await;
    let mut leader = front.leader("leader-a", 33).await;
    for sql in SETUP {
        leader.simple(sql).await.good();
    }
    front
}

/// Everything that a reader must not be able to change.
async fn state(front: &Front) -> Vec<String> {
    let mut state = Vec::new();
    for sql in [
        "SELECT n FROM t ORDER BY n",
        "SELECT last_value, is_called FROM s",
        "SELECT gid FROM pg_prepared_xacts",
        "SELECT count(*) FROM pg_class WHERE relname = 'made'",
        "SELECT count(*) FROM pg_largeobject_metadata",
        "SELECT relacl, obj_description(oid, 'pg_class') FROM pg_class WHERE relname = 't'",
        "SELECT setconfig FROM pg_db_role_setting",
        "SELECT count(*) FROM pg_extension WHERE extname = 'dblink'",
    ] {
        state.push(front.server.ask(sql).await.join(","));
    }
    state
}

/// That whatever the session has become, it cannot write now either.
async fn cannot_write(session: &mut Wire, tried: &str) {
    session.simple("ROLLBACK").await;
    let answer = session.simple("INSERT INTO t VALUES (99)").await;
    let is_over = answer.status.is_none();
    assert!(is_over || !answer.code().is_empty(), "it writes after {tried}: {answer:?}");
}

async fn reader(front: &Front) -> Wire {
    front.session("reader", "app", &[]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_leads_out() {
    let front = front().await;
    let before = state(&front).await;
    let mut let_through = Vec::new();
    for way in WAYS {
        for is_simple in [true, false] {
            let mut session = reader(&front).await;
            let mut codes = Vec::new();
            for sql in *way {
                let answer = match is_simple {
                    true => session.simple(sql).await,
                    false => session.extended(sql, &[]).await,
                };
                if answer.is_copying {
                    let_through.push(format!("{sql:?}: it takes COPY data"));
                    break;
                }
                codes.push(answer.code().to_owned());
                if answer.status.is_none() {
                    break;
                }
            }
            cannot_write(&mut session, way[0]).await;
            if codes.iter().all(String::is_empty) && !LET_THROUGH.contains(&way[0]) {
                let_through.push(format!("{way:?}, simple: {is_simple}"));
            }
            let after = state(&front).await;
            assert_eq!(after, before, "{way:?}, simple: {is_simple}: {codes:?}");
        }
    }
    assert!(let_through.is_empty(), "not refused:\n{}", let_through.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_does_not_lead_out_either() {
    let front = front().await;
    let before = state(&front).await;
    for way in [
        ("options", "-c default_transaction_read_only=off"),
        ("options", "-c default_transaction_read_only=on -c default_transaction_read_only=off"),
        ("options", "--default-transaction-read-only=off"),
        ("options", "-c Default_Transaction_Read_Only=off"),
        ("options", "-c transaction_read_only=off"),
        ("default_transaction_read_only", "off"),
        ("DEFAULT_TRANSACTION_READ_ONLY", "off"),
        ("transaction_read_only", "off"),
        ("options", "-c search_path=evil,pg_catalog"),
        ("search_path", "evil,pg_catalog,public"),
        ("options", "-c standard_conforming_strings=off"),
        ("session_preload_libraries", "x"),
        ("options", "-c role=postgres"),
        ("replication", "database"),
        ("replication", "true"),
    ] {
        // It may be refused at once.
        let Ok(mut session) = front.session("reader", "app", &[way]).await else { continue };
        for sql in ["SELECT abs(-1)", "SELECT 1 + 1", "SELECT '\\'; DELETE FROM t; --'"] {
            let answer = session.simple(sql).await;
            if answer.status.is_none() {
                break;
            }
        }
        cannot_write(&mut session, way.1).await;
        assert_eq!(state(&front).await, before, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_no_statements_do_not_lead_out() {
    let front = front().await;
    let before = state(&front).await;
    let oid = front.server.ask("SELECT 'writes'::regproc::oid").await[0].parse::<u32>().unwrap();
    let mut call = oid.to_be_bytes().to_vec();
    call.extend([0, 0, 0, 0, 0, 0]);
    let long = format!("SELECT 1 -- {}\n; DELETE FROM t", "x".repeat(100_000));
    let pipeline = [
        extended("SELECT 1", &[]),
        extended("INSERT INTO t VALUES (9)", &[]),
        tagged(b'S', &[]),
        extended("INSERT INTO t VALUES (9)", &[]),
        tagged(b'S', &[]),
    ];
    // A read is parsed, and a write is bound under its name.
    let renamed = [
        parse("s", "SELECT 1"),
        parse("w", "INSERT INTO t VALUES (9)"),
        bind("", "w", &[]),
        execute("", 0),
        tagged(b'S', &[]),
        bind("", "w", &[]),
        describe(b'P', ""),
        execute("", 0),
        tagged(b'S', &[]),
    ];
    let unsynced = [
        query("BEGIN"),
        extended("SET TRANSACTION READ WRITE", &[]),
        extended("INSERT INTO t VALUES (9)", &[]),
        extended("COMMIT", &[]),
        tagged(b'S', &[]),
    ];
    let behind_each_other =
        [query("SET default_transaction_read_only = off"), query("INSERT INTO t VALUES (9)")];
    let ways: &[(&str, Vec<u8>)] = &[
        ("a function call", tagged(b'F', &call)),
        ("a long statement", query(&long)),
        ("a long one, extended", [extended(&long, &[]), tagged(b'S', &[])].concat()),
        ("a pipeline", pipeline.concat()),
        ("a statement under another name", renamed.concat()),
        ("a transaction in one go", unsynced.concat()),
        ("two messages at once", behind_each_other.concat()),
        ("COPY data", [tagged(b'd', b"9\n"), tagged(b'c', &[]), query("SELECT 1")].concat()),
        ("two texts in one", query("SELECT 1\0DELETE FROM t")),
        ("no text that is UTF-8", tagged(b'Q', b"SELECT '\xff'; DELETE FROM t\0")),
    ];
    for (name, bytes) in ways {
        let mut session = reader(&front).await;
        session.send(bytes).await;
        session.send(&query("SELECT 'the end'")).await;
        loop {
            let answer = session.answer().await;
            let is_end = answer.errors.is_empty()
                && answer.tags == ["SELECT 1"]
                && answer.rows().iter().any(|row| row == &["the end"]);
            if answer.status.is_none() || is_end {
                break;
            }
        }
        assert_eq!(state(&front).await, before, "{name}");
        let mut again = reader(&front).await;
        cannot_write(&mut again, name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_let_through() {
    let front = front().await;
    let mut session = reader(&front).await;
    for sql in [
        "SELECT n, n + 1, upper('x'), now(), count(*) OVER () FROM t WHERE n IN (1, 2) ORDER BY 1",
        "SELECT a.n FROM t a JOIN t b USING (n) GROUP BY a.n HAVING count(*) > 0",
        "WITH x AS (SELECT * FROM t) SELECT max(n) FROM x",
        "SELECT coalesce(sum(n), 0)::text || 'x' FROM t",
        "VALUES (1), (2)",
        "EXPLAIN SELECT * FROM t",
        "SHOW server_version",
        "SHOW transaction_read_only",
        "SELECT current_user, current_database()",
        "SELECT relname FROM pg_catalog.pg_class WHERE relname = 't'",
        "COPY t TO STDOUT",
        "COPY (SELECT * FROM t) TO STDOUT",
        "BEGIN",
        "SELECT 1",
        "COMMIT",
        "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
        "SELECT n FROM t",
        "ROLLBACK",
        "SELECT 1; SELECT 2",
    ] {
        let answer = session.simple(sql).await;
        assert!(answer.errors.is_empty() && answer.status.is_some(), "{sql}: {answer:?}");
        if !sql.contains("; ") {
            let answer = session.extended(sql, &[]).await;
            assert!(answer.errors.is_empty() && answer.status.is_some(), "{sql}: {answer:?}");
        }
        session.simple("ROLLBACK").await;
    }
    assert_eq!(session.extended("SELECT n FROM t WHERE n = $1", &["1"]).await.value(), "1");
    assert_eq!(session.value("SHOW transaction_read_only").await, "on");
}
