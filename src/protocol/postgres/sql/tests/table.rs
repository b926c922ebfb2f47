//! Every row of the tables in docs/postgres-statements.md, held against the reader and run on a
//! real server in a read-only session.

use super::rig::{Reply, Server, Session};
use crate::protocol::postgres::sql::{Own, Verdict, own, verdict};

const DOCUMENT: &str = include_str!("../../../../../docs/postgres-statements.md");

/// read_only_sql_transaction.
const READ_ONLY: &str = "25006";

/// A row: `| statement | counts as | stopped by | why |`.
struct Row {
    statement: String,
    counts_as: String,
    stopped_by: String,
}

fn rows() -> Vec<Row> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `")).map(|line| {
        let (statement, rest) = line[3..].split_once("` |").expect("a statement in backquotes");
        let cells: Vec<&str> = rest.split('|').map(str::trim).collect();
        let [counts_as, stopped_by, _why, ""] = cells.as_slice() else {
            panic!("four cells: {line}")
        };
        Row {
            statement: statement.into(),
            counts_as: (*counts_as).into(),
            stopped_by: (*stopped_by).into(),
        }
    });
    let rows: Vec<Row> = rows.collect();
    assert!(rows.len() > 250, "{}", rows.len());
    rows
}

#[test]
fn each_row_is_judged_as_it_says() {
    let mut wrong = Vec::new();
    for Row { statement, counts_as, .. } in rows() {
        let judged = match (own(&statement), verdict(&statement)) {
            (Own::Set { .. } | Own::Show(_), _) => "own",
            (Own::Refused(_), _) => "refused",
            (Own::Not, Verdict::Read) => "read",
            (Own::Not, Verdict::Begin) => "begin",
            (Own::Not, Verdict::End) => "end",
            (Own::Not, Verdict::Write(_)) => "write",
        };
        if judged != counts_as {
            wrong.push(format!(
                "{judged}, not {counts_as}: {statement} ({:?})",
                verdict(&statement)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_server_stops_what_the_rows_say() {
    let server = Server::shared();
    let _alone = super::rig::quiet();
    let mut wrong = Vec::new();
    for Row { statement, counts_as, stopped_by } in rows() {
        if ["own", "refused"].contains(&counts_as.as_str())
            || counts_as != "write" && stopped_by == "-"
        {
            continue;
        }
        prepare(server);
        let (_session, reply) = run(server, &statement);
        let stopped = reply.error.as_ref().is_some_and(|(code, _)| code == READ_ONLY);
        let right = match stopped_by.as_str() {
            "both" => stopped,
            "Palisade" => !stopped,
            "server" => reply.error.is_some(),
            _ => false,
        };
        if !right {
            wrong.push(format!("not by {stopped_by}: {statement} {:?}", reply.error));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_counts_as_a_read_is_taken_and_changes_nothing() {
    let server = Server::shared();
    let _alone = super::rig::quiet();
    let mut wrong = Vec::new();
    prepare(server);
    let mut observer = server.reader();
    observer.must("LISTEN news");
    for Row { statement, counts_as, stopped_by } in rows() {
        if !["read", "begin", "end"].contains(&counts_as.as_str()) || stopped_by == "server" {
            continue;
        }
        let before = state(&mut observer);
        let (mut session, reply) = run(server, &statement);
        if reply.error.is_some() {
            wrong.push(format!("not taken: {statement} {:?}", reply.error));
        }
        let held = |session: &mut Session| {
            let held =
                session.ask("SHOW transaction_read_only; SHOW default_transaction_read_only").rows;
            held.iter().all(|row| row == &["on"])
        };
        let during = state(&mut observer);
        let kept = held(&mut session);
        session.ask("COMMIT");
        let after = state(&mut observer);
        if !kept || !held(&mut session) {
            wrong.push(format!("no longer held to reading after {statement}"));
        }
        if before != during || before != after {
            wrong.push(format!(
                "it changed something: {statement}\n{before:?}\n{during:?}\n{after:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What other rows may have taken away: where COMMIT PREPARED finds something, a large object.
fn prepare(server: &Server) {
    let mut writer = server.writer();
    writer.must("SELECT lo_unlink(oid) FROM pg_largeobject_metadata");
    writer.must("SELECT lo_from_bytea(4711, 'hello')");
    if writer.must("SELECT 1 FROM pg_prepared_xacts").is_empty() {
        writer.must("BEGIN; CREATE TABLE IF NOT EXISTS left_behind (); PREPARE TRANSACTION 'gid'");
    }
}

/// Runs a row in a session of its own, which has a prepared statement, and a cursor and a savepoint
/// where the statement belongs into a transaction.
fn run(server: &Server, statement: &str) -> (Session, Reply) {
    const INSIDE: &[&str] = &[
        "SAVEPOINT",
        "ROLLBACK TO",
        "RELEASE",
        "DECLARE",
        "FETCH",
        "MOVE",
        "CLOSE",
        "LOCK",
        "COMMIT",
        "END",
        "ROLLBACK",
        "ABORT",
        "SET LOCAL",
        "SET CONSTRAINTS",
        "PREPARE TRANSACTION",
    ];
    const ALONE: &[&str] = &["COMMIT PREPARED", "ROLLBACK PREPARED"];
    let starts = |with: &[&str]| with.iter().any(|start| statement.starts_with(start));
    let mut session = server.reader();
    session.must("PREPARE p AS SELECT 1; PREPARE p1 (int) AS SELECT $1");
    session.must("SET statement_timeout = '10s'");
    if starts(&["SET TRANSACTION", "SELECT pg_export"]) {
        session.must("BEGIN ISOLATION LEVEL SERIALIZABLE");
    } else if starts(INSIDE) && !starts(ALONE) {
        session.must("BEGIN");
        session.must("DECLARE c SCROLL CURSOR FOR SELECT generate_series(1, 9)");
        session.must("SAVEPOINT s");
    }
    let reply = session.ask(statement);
    (session, reply)
}

/// All that a read must leave alone, as one session sees it: what is in the database, which locks
/// and slots there are, the next transaction number, what the listeners were told.
fn state(observer: &mut Session) -> (Vec<Vec<String>>, Vec<String>) {
    const STATE: &str = "
        SELECT 'transactions', pg_snapshot_xmax(pg_current_snapshot())::text
        UNION ALL SELECT 'items', string_agg(ctid || ' ' || xmin || ' ' || xmax || ' ' || i::text, ',' ORDER BY id) FROM items i
        UNION ALL SELECT 'sequence', last_value || ' ' || log_cnt || ' ' || is_called FROM counter
        UNION ALL SELECT 'objects', string_agg(loid || ' ' || pageno || ' ' || encode(data, 'hex'), ',' ORDER BY loid, pageno) FROM pg_largeobject
        UNION ALL SELECT 'object owners', count(*)::text FROM pg_largeobject_metadata
        UNION ALL SELECT 'relations', count(*)::text FROM pg_class
        UNION ALL SELECT 'advisory locks', count(*)::text FROM pg_locks WHERE locktype = 'advisory'
        UNION ALL SELECT 'slots', count(*)::text FROM pg_replication_slots
        UNION ALL SELECT 'origins', count(*)::text FROM pg_replication_origin
        UNION ALL SELECT 'prepared', count(*)::text FROM pg_prepared_xacts
        UNION ALL SELECT 'notices waiting', pg_notification_queue_usage()::text
        UNION ALL SELECT 'configuration', string_agg(name || '=' || setting, ',' ORDER BY seqno) FROM pg_file_settings
        UNION ALL SELECT 'settings of roles', count(*)::text FROM pg_db_role_setting
        UNION ALL SELECT 'loaded', pg_conf_load_time()::text
        UNION ALL SELECT 'statistics since', max(stats_reset)::text FROM pg_stat_database";
    let reply = observer.ask(STATE);
    assert_eq!(reply.error, None);
    (reply.rows, reply.notified)
}
