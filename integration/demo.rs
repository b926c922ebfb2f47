//! `palisade demo`, as a newcomer runs it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::rig::postgres::{DATABASE, Server};
use crate::rig::{Process, eventually, palisade, run};

#[test]
fn the_demo_tells_its_story_and_ends_well() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = palisade();
    command.args(["demo", "--once"]).arg("--dir").arg(dir.path().join("demo"));
    let (status, said) = run(command, dir.path());
    assert!(status.success(), "{said}");
    assert_eq!(counts(&said, "without a fence"), [7, 4, 3], "{said}");
    assert_eq!(counts(&said, "compare and forward"), [7, 4, 3], "{said}");
    assert_eq!(counts(&said, "Palisade"), [6, 6, 0], "{said}");
    assert!(!said.contains('\u{1b}'), "NO_COLOR is heeded");
    assert!(!said.contains("demo-secret-key"), "{said}");
}

#[test]
fn a_folder_that_is_not_empty_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "").unwrap();
    let mut command = palisade();
    command.args(["demo", "--once"]).arg("--dir").arg(dir.path());
    let logs = tempfile::tempdir().unwrap();
    let (status, said) = run(command, logs.path());
    assert!(!status.success() && said.contains("is not empty"), "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// The counts of a way in the table at the end: accepted, in the store, lost.
fn counts(said: &str, way: &str) -> [u32; 3] {
    let table = said.split_once("way to the store").unwrap().1;
    let row = table.lines().find(|line| line.trim_start().starts_with(way));
    let row = row.unwrap_or_else(|| panic!("no row for {way}: {said}"));
    let numbers: Vec<_> = row.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers[..3].try_into().unwrap()
}

/// The demo on that PostgreSQL.
fn on(server: &Server, account: &str, rest: &str) -> Command {
    let mut command = palisade();
    for name in ["PGUSER", "PGPASSWORD", "PGHOST", "PGPORT", "PGDATABASE"] {
        command.env_remove(name);
    }
    let url = format!("postgres://{account}@127.0.0.1:{}/{DATABASE}{rest}", server.port);
    command.args(["demo", "--postgres", &url]);
    command
}

/// What the demo leaves behind.
async fn schemas(server: &Server) -> Vec<String> {
    server.ask("SELECT nspname FROM pg_namespace WHERE nspname ~ 'palisade'").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_is_told_on_a_postgres_and_nothing_else_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    server.ask("GRANT CREATE ON DATABASE app TO reader").await;
    // Whoever else works there under the same role goes on.
    let mut bystander = server.session("reader").await;
    bystander.simple("BEGIN").await;
    let mut by_socket = palisade();
    let folder = server.socket_folder().display();
    let url = format!("postgres:///{DATABASE}?host={folder}&port={}&user=reader", server.port);
    by_socket.args(["demo", "--postgres", &url]);
    for mut command in [on(&server, "reader:reader-secret", ""), by_socket] {
        command.arg("--once");
        let (status, said) = run(command, dir.path());
        assert!(status.success(), "{said}");
        assert_eq!(counts(&said, "without a fence"), [7, 4, 3], "{said}");
        assert_eq!(counts(&said, "compare and forward"), [7, 4, 3], "{said}");
        assert_eq!(counts(&said, "Palisade"), [6, 6, 0], "{said}");
        assert!(said.contains("A's session is gone at the server"), "{said}");
        assert!(said.contains("FATAL PF001"), "{said}");
        assert!(!said.contains("reader-secret"), "{said}");
        assert_eq!(schemas(&server).await, [""; 0], "everything is removed");
    }
    assert_eq!(bystander.simple("SELECT 1").await.rows(), [["1"]]);
    let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader'";
    eventually("only the bystander is left", async || server.ask(left).await == ["1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_story_cannot_have_is_told_with_the_mend() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let check = |command: Command, why: &str| {
        let mut command = command;
        command.arg("--once");
        let (status, said) = run(command, dir.path());
        assert!(!status.success() && said.contains(why), "{why}: {said}");
        assert!(!said.contains("-secret"), "{said}");
    };
    check(
        on(&server, "reader:reader-secret", ""),
        "GRANT CREATE ON DATABASE \"app\" TO \"reader\"",
    );
    check(on(&server, "app:wrong-secret", ""), "password authentication failed");
    check(on(&server, "app", ""), "asks for a password");
    check(on(&server, "app:app-secret", "?sslmode=verify-full"), "without TLS");
    server.ask("ALTER ROLE app SET default_transaction_read_only = on").await;
    check(on(&server, "app:app-secret", ""), "no standby");
    server.ask("ALTER ROLE app RESET ALL").await;
    // Somebody has a schema of that name already.
    server.ask("CREATE SCHEMA palisade_demo").await;
    server.ask("CREATE TABLE palisade_demo.mine (id int)").await;
    check(on(&server, "app:app-secret", ""), "has a schema palisade_demo already");
    assert_eq!(server.ask("SELECT count(*) FROM palisade_demo.mine").await, ["0"]);
}

/// The commands that are printed, without their comments.
fn commands(said: &str) -> Vec<String> {
    let said = said.split_once("Try:").unwrap().1.replace("\\\n", "");
    let indented = said.lines().filter_map(|line| line.strip_prefix("  "));
    indented.filter(|line| line.starts_with("psql")).map(str::to_owned).collect()
}

fn shell(command: &str, dir: &Path) -> (bool, String) {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env("PGPASSWORD", "app-secret");
    let (status, said) = run(shell, dir);
    (status.success(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_that_it_prints_do_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let files = dir.path().join("it's \"mine\"");
    let mut command = on(&server, "app:app-secret", "");
    command.arg("--dir").arg(&files);
    let mut demo = Process::start(&mut command, "demo", dir.path());
    eventually("it prints commands", async || demo.everything().contains("Ctrl-C ends")).await;
    let commands = commands(&demo.everything());
    let [write, stale, read, marks, open, next] = &commands[..] else { panic!("{commands:#?}") };
    let good = |command: &str, told: &str| {
        let (is_fine, said) = shell(command, dir.path());
        assert!(is_fine && said.contains(told), "{command}: {said}");
    };
    good(write, "UPDATE 1");
    let (is_fine, said) = shell(&format!("{stale} -v VERBOSITY=verbose"), dir.path());
    assert!(!is_fine && said.contains("PF001"), "{stale}: {said}");
    good(read, "mine");
    good(marks, "34");
    good(&format!("{open} -c 'SHOW palisade.token'"), "34");
    good(next, "mine");
    let (is_fine, said) = shell(write, dir.path());
    assert!(!is_fine, "there is a newer leader: {said}");
    demo.interrupt();
    let status = demo.wait(Duration::from_secs(20));
    assert!(status.success(), "{}", demo.everything());
    assert_eq!(schemas(&server).await, [""; 0], "everything is removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_in_the_middle_it_removes_what_it_made() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let mut command = on(&server, "app:app-secret", "");
    let mut demo = Process::start(&mut command, "demo", dir.path());
    // The takeover that comes next takes a while.
    eventually("A is frozen", async || demo.output().contains("A begins to write order 4")).await;
    demo.terminate();
    let status = demo.wait(Duration::from_secs(20));
    let said = demo.everything();
    assert!(!status.success() && said.contains("in the middle of the story"), "{said}");
    assert_eq!(schemas(&server).await, [""; 0], "everything is removed");
}
