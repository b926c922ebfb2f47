//! The server behind everything.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::pgbench::Way;
use crate::peers::free_address;

const DEADLINE: Duration = Duration::from_secs(60);
const SETUP: &str = "CREATE ROLE app LOGIN PASSWORD 'app-secret'; \
                     CREATE ROLE control LOGIN PASSWORD 'control-secret'; \
                     GRANT pg_signal_backend, pg_read_all_stats TO control";
/// Without fsync: what the disk costs is not what is compared.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
max_connections = 1300
shared_buffers = 256MB
max_wal_size = 2GB
fsync = off
synchronous_commit = off
autovacuum = off
log_min_messages = error
";

/// A running server with a database `app`. Dropped, it is ended, by its pid.
pub struct Server {
    pub port: u16,
    /// Where proxies put their files: its owner can read what is there.
    pub dir: PathBuf,
    pub certs: PathBuf,
    child: Child,
}

impl Server {
    pub fn start(dir: &Path, certs: &Path) -> Self {
        let dir = dir.join("postgres");
        fs::create_dir(&dir).expect("a folder");
        own(&dir);
        for parent in [dir.parent(), certs.parent()].into_iter().flatten() {
            fs::set_permissions(parent, fs::Permissions::from_mode(0o711)).expect("a mode");
        }
        let data = dir.join("data");
        let mut initdb = as_owner("initdb");
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N", "-D"]);
        must(initdb.arg(&data));
        let hba = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), hba).expect("it is written");
        let conf = data.join("postgresql.conf");
        let text = fs::read_to_string(&conf).expect("it is there") + SETTINGS;
        fs::write(conf, text).expect("it is written");
        let port = free_address().port();
        let log = fs::File::create(dir.join("log")).expect("a log");
        let child = as_owner("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-c")
            .arg(format!("port={port}"))
            .arg("-c")
            .arg(format!("unix_socket_directories={}", data.display()))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres starts");
        let server = Self { port, dir, certs: certs.to_owned(), child };
        let deadline = Instant::now() + DEADLINE;
        let is_ready = || {
            let file = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            file.lines().nth(7).is_some_and(|line| line.trim() == "ready")
        };
        while !is_ready() {
            assert!(Instant::now() < deadline, "postgres does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        for sql in [SETUP, "CREATE DATABASE app OWNER app"] {
            let mut psql = Command::new(binary("psql").expect("psql is there"));
            psql.args(["-X", "-q", "-U", "postgres", "-d", "postgres", "-c", sql, "-h"]);
            must(psql.arg(&data).arg("-p").arg(port.to_string()));
        }
        server
    }

    /// Without a proxy.
    pub fn way(&self) -> Way {
        let port = self.port.to_string();
        Way::new(&[
            ("PGHOST", "127.0.0.1"),
            ("PGPORT", &port),
            ("PGUSER", "app"),
            ("PGPASSWORD", "app-secret"),
            ("PGDATABASE", "app"),
            ("PGSSLMODE", "disable"),
        ])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};
        // At once, with all its sessions, and its shared memory taken away.
        let _ = kill_process(Pid::from_child(&self.child), Signal::QUIT);
        let _ = self.child.wait();
    }
}

/// A program of the newest server that is installed.
pub fn binary(program: &str) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter_map(|entry| {
        let version = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let path = entry.path().join("bin").join(program);
        path.exists().then_some((version, path))
    });
    newest.max().map(|(_, path)| path).or_else(|| crate::peers::find(program))
}

/// A program that does not want to be root.
pub fn as_owner(program: &str) -> Command {
    let path = binary(program).unwrap_or_else(|| panic!("{program} is there"));
    if !rustix::process::geteuid().is_root() {
        return Command::new(path);
    }
    let (uid, gid) = owner();
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
    command.arg("--").arg(path).current_dir("/");
    command
}

/// Gives a file or a folder to that user.
pub fn own(path: &Path) {
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = owner();
        chown(path, Some(uid), Some(gid)).expect("it is ours");
    }
}

fn owner() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("it is there");
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map_while(|id| id.parse::<u32>().ok());
        Some((ids.next()?, ids.next()?))
    };
    of("postgres").or_else(|| of("nobody")).expect("there is a user for the server")
}

fn must(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
}
