//! The clients that people have, unchanged: each prints the same through Palisade as on the
//! server itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rig::postgres::{Front, Way, binary};
use crate::rig::{python, run};

const TOKEN: &str = "-c palisade.token=33";

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/clients").join(name)
}

/// Runs a command in the environment of a way, and returns what it printed.
fn told(front: &Front, way: &Way, mut command: Command) -> String {
    way.tell(&mut command);
    let shown = format!("{command:?}");
    let (status, said) = run(command, front.dir());
    assert!(status.success(), "{shown}: {status}: {said}");
    // psycopg grumbles with addresses in it.
    let lines = said.lines().filter(|line| !line.starts_with("error ignored"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The same both ways.
async fn same(front: &mut Front, make: impl Fn(&Way) -> Command) -> String {
    let (direct, through) = (front.direct("app"), front.way("leader-a", "app", TOKEN));
    let expected = told(front, &direct, make(&direct));
    front.run().await;
    let got = told(front, &through, make(&through));
    assert!(expected == got, "on the server itself:\n{expected}\nthrough Palisade:\n{got}");
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn psql() {
    let mut front = Front::prepared();
    let said = same(&mut front, |_| {
        let mut command = Command::new(binary("psql"));
        command.arg("-X").arg("-e").arg("-f").arg(script("check_psql.sql"));
        command
    })
    .await;
    assert!(said.contains("noticed") && said.contains("COPY 5"), "{said}");
}

async fn by_python(name: &str) {
    let mut front = Front::prepared();
    let said = same(&mut front, |_| {
        let mut command = python("python3");
        command.arg(script(name));
        command
    })
    .await;
    assert!(said.contains("\ndone"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg() {
    by_python("check_psycopg.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncpg() {
    by_python("check_asyncpg.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jdbc() {
    let jar = Path::new("/usr/share/java/postgresql.jar");
    let is_there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    // A runtime alone does not take a program that is not compiled yet.
    if !(is_there("javac") && jar.exists()) {
        eprintln!("SKIPPED: no JDK, or no libpostgresql-jdbc-java");
        return;
    }
    let mut front = Front::prepared();
    let said = same(&mut front, |way| {
        let mut command = Command::new("java");
        command.args(["-XX:TieredStopAtLevel=1", "-cp"]).arg(jar).arg(script("CheckJdbc.java"));
        // It wants the key in another format.
        let uri = way.uri().replace("%2Ekey", "%2Epk8");
        let (user, rest) = uri.trim_start_matches("postgresql://").split_once('@').unwrap();
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        command.env("URL", format!("jdbc:postgresql://{rest}&user={user}&password={password}"));
        command
    })
    .await;
    assert!(said.contains("\ndone"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn node_postgres() {
    let node = std::env::var_os("PALISADE_NODE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/node"), PathBuf::from);
    if !node.join("node_modules/pg").exists() {
        eprintln!("SKIPPED: no node-postgres in {}", node.display());
        return;
    }
    let mut front = Front::prepared();
    let door = front.door("leader-a");
    let said = same(&mut front, |way| {
        let mut command = Command::new("node");
        command.arg(script("check_node_pg.js")).env("NODE_PATH", node.join("node_modules"));
        if way.uri().contains("sslcert") {
            command.env("CA", &door.ca).env("CERT", &door.chain).env("KEY", &door.key);
        }
        command
    })
    .await;
    assert!(said.contains("\ndone"), "{said}");
}
