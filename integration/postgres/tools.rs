//! pgbench, pg_dump and pg_restore, unchanged.

use std::process::Command;

use crate::rig::postgres::{Front, Way, binary};
use crate::rig::run;

const TOKEN: &str = "-c palisade.token=33";

fn tool(front: &Front, way: &Way, program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(binary(program));
    way.tell(&mut command);
    command.args(arguments);
    let (status, said) = run(command, front.dir());
    assert!(status.success(), "{program} {arguments:?}: {status}: {said}");
    said
}

/// A dump without its key, of which each has its own, so that nobody can hide commands in one.
fn unkeyed(dump: String) -> String {
    let lines = dump.lines().filter(|line| !line.contains("restrict "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbench() {
    let front = Front::start().await;
    let way = front.way("leader-a", "app", TOKEN);
    tool(&front, &way, "pgbench", &["-i", "-s", "1", "-q"]);
    let accounts = "SELECT count(*) FROM pgbench_accounts";
    assert_eq!(front.server.ask(accounts).await, ["100000"]);
    for protocol in ["simple", "extended", "prepared"] {
        let said = tool(&front, &way, "pgbench", &["-n", "-c4", "-j2", "-t40", "-M", protocol]);
        assert!(said.contains("number of transactions actually processed: 160/160"), "{said}");
    }
    let said = tool(&front, &way, "pgbench", &["-n", "-C", "-S", "-c2", "-t10"]);
    assert!(said.contains("number of transactions actually processed: 20/20"), "{said}");
    // Pipelines, with several Syncs too.
    let script = front.dir().join("pipeline.sql");
    let text = "\\startpipeline\nSELECT 1;\nINSERT INTO pgbench_history (tid) VALUES (1);\n\
                SELECT 2;\n\\endpipeline\n";
    std::fs::write(&script, text).unwrap();
    let script = script.display().to_string();
    let arguments = ["-n", "-c2", "-t20", "-M", "extended", "-f", &script];
    tool(&front, &way, "pgbench", &arguments);
    let sums = "SELECT sum(abalance) = (SELECT sum(delta) FROM pgbench_history) FROM \
                pgbench_accounts";
    assert_eq!(front.server.ask(sums).await, ["t"]);
    let history = "SELECT count(*) FROM pgbench_history";
    assert_eq!(front.server.ask(history).await, [(3 * 160 + 40).to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_dump_and_pg_restore() {
    let mut front = Front::prepared();
    let (direct, through) = (front.direct("app"), front.way("leader-a", "app", TOKEN));
    tool(&front, &direct, "pgbench", &["-i", "-s", "1", "-q", "--foreign-keys"]);
    let more = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE odd (m mood, b bytea); \
                INSERT INTO odd VALUES ('ok', '\\x00ff'); CREATE VIEW v AS SELECT * FROM odd; \
                SELECT lo_from_bytea(0, '\\xdeadbeef'); CREATE SEQUENCE s START 7;";
    tool(&front, &direct, "psql", &["-X", "-c", more]);
    front.server.ask("CREATE DATABASE copy OWNER app").await;

    let expected = unkeyed(tool(&front, &direct, "pg_dump", &[]));
    front.run().await;
    let got = unkeyed(tool(&front, &through, "pg_dump", &[]));
    assert!(expected == got, "another dump: {} and {} bytes", expected.len(), got.len());
    // With several sessions that share a snapshot.
    let dump = front.dir().join("dump").display().to_string();
    tool(&front, &through, "pg_dump", &["-Fd", "-j2", "-f", &dump]);
    let copy = through.with("dbname", "copy");
    tool(&front, &copy, "pg_restore", &["-j2", "-d", "copy", &dump]);
    let copied = front.direct("app").with("dbname", "copy");
    let restored = unkeyed(tool(&front, &copied, "pg_dump", &[]));
    assert!(expected == restored, "not the same: {restored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_needs_no_token() {
    // What pg_dump does is all reading; so a reader may do it, with no lock that it must not have.
    let mut front = Front::prepared();
    let direct = front.direct("app");
    tool(&front, &direct, "psql", &["-X", "-c", "CREATE TABLE t AS SELECT 1 AS n"]);
    let expected = unkeyed(tool(&front, &direct, "pg_dump", &["-t", "t"]));
    front.run().await;
    let reader = front.way("reader", "app", "");
    let mut command = Command::new(binary("pg_dump"));
    reader.tell(&mut command);
    command.args(["-t", "t"]);
    let (status, said) = run(command, front.dir());
    // It may be refused, as what is not proven to be a read; it must not print half of a dump.
    assert!(unkeyed(said.clone()) == expected || !status.success(), "{status}: {said}");
}
