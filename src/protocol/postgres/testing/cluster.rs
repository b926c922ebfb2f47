//! The folder that servers begin as: made once for each test process.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::programs::{self, Program, User};
use super::{HBA, ROLES, SETTINGS, Template};
use crate::net::authority::{Authority, CERTIFICATE_FILE};
use crate::net::identity::Source;

const DAY: Duration = Duration::from_secs(86_400);

/// Removes the folder `$0` when its standard input ends.
const GUARD: &str = r#"read -r _; rm -rf -- "$0""#;

pub(super) fn template() -> Template {
    let dir = programs::folder();
    let mut guard = Command::new("sh");
    let guard = guard.args(["-c", GUARD]).arg(&dir).stdin(Stdio::piped()).spawn();
    let guard = guard.expect("there is a shell").stdin;
    let user = User::of_servers();
    programs::own(&dir, user);
    let data = dir.join("data");
    let mut initdb = Program::named("initdb");
    initdb.as_user(user).args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8"]);
    initdb.args(["--locale=C", "--wal-segsize=1", "-D"]).arg(&data).run();
    fs::write(data.join("pg_hba.conf"), HBA).expect("a file");
    let mut settings = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf"));
    let settings = settings.as_mut().expect("it has settings");
    settings.write_all(SETTINGS.as_bytes()).expect("a file");

    let authority = Authority::new("site", 1000 * DAY).expect("an authority");
    authority.save(&dir, false).expect("a folder");
    let server = authority.issue_server(&["localhost".into(), "127.0.0.1".into()], 90 * DAY);
    server.expect("a certificate").save(&data, "server", true).expect("a folder");
    let client = authority.issue_client(Source::Cn, "cert_user", 90 * DAY);
    client.expect("a certificate").save(&dir, "cert_user", true).expect("a folder");
    fs::copy(dir.join(CERTIFICATE_FILE), data.join("ca.pem")).expect("a file");
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(data.join("server.key"), mode).expect("a file");
    programs::own(&data, user);
    roles(&data, user);
    // Other users look for certificates here.
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("a folder");
    Template { dir, _guard: guard }
}

/// Without a server: in single-user mode.
fn roles(data: &std::path::Path, user: Option<User>) {
    let mut postgres = Command::new(programs::path("postgres"));
    postgres.args(["--single", "-j", "-D"]).arg(data).arg("postgres");
    programs::run_as(&mut postgres, user);
    let mut child = postgres
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("there is a PostgreSQL");
    let statements = ROLES.replace(";\n", ";\n\n");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    stdin.write_all(statements.as_bytes()).expect("it listens");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("ERROR"), "{said}");
}
