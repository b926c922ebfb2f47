//! What counts as a read, or as free, is run on a real server and must change nothing there.

use super::rig::{Server, ask, quiet, text};
use super::rows::{Row, rows};
use redis::Connection;

/// They may fail: without a cluster, without the settings or the state that they need.
const MAY_FAIL: &[&str] = &["CLUSTER ", "OBJECT FREQ", "CLIENT CACHING"];

/// All that such a command must leave alone.
fn state(observer: &mut Connection) -> Vec<String> {
    let lines: &[&[&str]] = &[
        &["DEBUG", "DIGEST"],
        &["FUNCTION", "LIST", "WITHCODE"],
        &["CONFIG", "GET", "*"],
        &["ACL", "LIST"],
        &["PUBSUB", "CHANNELS"],
        &["MODULE", "LIST"],
    ];
    let mut state: Vec<String> = lines
        .iter()
        .map(|args| format!("{:?}", ask(observer, args).expect("it answers")))
        .collect();
    state.push(changes(observer).to_string());
    state.push(info(observer, "stats", "expired_keys"));
    state
}

/// Every change to data counts, also one that leaves it as it was.
fn changes(observer: &mut Connection) -> u64 {
    info(observer, "persistence", "rdb_changes_since_last_save").parse().expect("a number")
}

fn info(observer: &mut Connection, section: &str, name: &str) -> String {
    let info = text(&ask(observer, &["INFO", section]).expect("it answers"));
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.expect(name).to_owned()
}

fn only_reads(row: &Row) -> bool {
    let is_script = row.counts_as == "script" && row.args[0].ends_with("_RO");
    ["free", "read"].contains(&row.counts_as.as_str()) || is_script
}

#[test]
fn what_reads_or_is_free_changes_nothing() {
    let server = Server::shared();
    let _alone = quiet();
    server.reset();
    let version = server.version();
    let mut observer = server.connect(2);
    let (mut run, mut wrong) = (0, Vec::new());
    for row in rows().iter().filter(|row| only_reads(row) && row.is_in(version)) {
        let before = state(&mut observer);
        let answer = ask(&mut server.connect(3), &row.args);
        let after = state(&mut observer);
        if before != after {
            wrong.push(format!("it changed something: {}\n{before:?}\n{after:?}", row.line));
        }
        let may_fail = MAY_FAIL.iter().any(|start| row.line.starts_with(start));
        if let (Err(error), false) = (answer, may_fail) {
            wrong.push(format!("not taken: {}: {error}", row.line));
        }
        run += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(run > 150, "{run}");
}

/// The document says why it is no read: so it must write.
#[test]
fn pfcount_writes() {
    let server = Server::shared();
    let _alone = quiet();
    server.reset();
    let mut connection = server.connect(2);
    let before = changes(&mut connection);
    ask(&mut connection, &["PFCOUNT", "hll"]).expect("it works");
    assert!(changes(&mut connection) > before);
}

/// What is told of data that was written really writes: the lines would be worth nothing otherwise.
#[test]
fn what_writes_keys_changes_something() {
    let server = Server::shared();
    let _alone = quiet();
    let version = server.version();
    // They need what a line cannot give, or have no effect that the server counts.
    const ODD: &[&str] = &[
        "BITFIELD string GET",
        "GETEX string",
        "PFCOUNT hll hll2",
        "RESTORE ",
        "FUNCTION LOAD",
        "FUNCTION RESTORE",
        "PUBLISH",
        "SPUBLISH",
    ];
    let mut wrong = Vec::new();
    let writes = |row: &&Row| {
        ["write", "read and write"].contains(&row.counts_as.as_str())
            && row.is_in(version)
            && !ODD.iter().any(|start| row.line.starts_with(start))
    };
    let mut tried = 0;
    for row in rows().iter().filter(writes) {
        server.reset();
        let mut connection = server.connect(2);
        let before = changes(&mut connection);
        let functions = |connection: &mut Connection| ask(connection, &["FUNCTION", "DUMP"]);
        let had = functions(&mut connection);
        let answer = ask(&mut connection, &row.args);
        tried += 1;
        if changes(&mut connection) == before && functions(&mut connection) == had {
            wrong.push(format!("{}: {answer:?}", row.line));
        }
    }
    assert!(tried > 100, "{tried}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
