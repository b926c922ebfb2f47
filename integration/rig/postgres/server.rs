//! A PostgreSQL of its own for each test, copied from a template that is made once.

use std::fs::Permissions;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::wire::Wire;
use crate::rig::net::Node;
use crate::rig::process::{Process, run};
use crate::rig::{free_address, unique};

/// The database of the tests; it belongs to the role `app`.
pub const DATABASE: &str = "app";

/// What every cluster has. The passwords are the names of the roles with `-secret` behind them.
const SETUP: &str = "
CREATE ROLE app LOGIN PASSWORD 'app-secret';
CREATE ROLE reader LOGIN PASSWORD 'reader-secret';
CREATE ROLE control LOGIN PASSWORD 'control-secret';
GRANT pg_signal_backend, pg_read_all_stats TO control;
CREATE DATABASE app OWNER app;
";

const HBA: &str = "
local all all trust
local replication all trust
host all all 127.0.0.1/32 scram-sha-256
";
/// Small, because many run at once; without fsync, because only `kill` is tried.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
shared_buffers = 16MB
max_connections = 200
max_prepared_transactions = 100
max_wal_size = 256MB
fsync = off
log_min_messages = warning
log_line_prefix = '%m [%p] %a '
";

const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// A running server. It ends, at once, when this is dropped.
#[derive(Debug)]
pub struct Server {
    pub port: u16,
    process: Process,
    data: PathBuf,
    dir: PathBuf,
    node: Option<Node>,
}

impl Server {
    /// A new one in a folder below that one.
    pub fn start(dir: &Path) -> Self {
        Self::with(dir, "")
    }

    /// The same with more lines for `postgresql.conf`.
    pub fn with(dir: &Path, settings: &str) -> Self {
        Self::on(None, dir, settings)
    }

    /// The same on a machine of its own, which everybody reaches.
    pub fn on(node: Option<&Node>, dir: &Path, settings: &str) -> Self {
        reachable(dir);
        let data = dir.join(format!("postgres-{}", unique()));
        must(Command::new("cp").args(["-a", "--reflink=auto"]).arg(template()).arg(&data), dir);
        append(&data.join("postgresql.conf"), settings);
        if node.is_some() {
            append(&data.join("postgresql.conf"), "listen_addresses = '*'\n");
            append(&data.join("pg_hba.conf"), "host all all all scram-sha-256\n");
        }
        Self::launch(dir, data, node)
    }

    /// A standby that streams from this one.
    pub fn standby(&self) -> Self {
        let data = self.dir.join(format!("standby-{}", unique()));
        let mut command = as_owner(&binary("pg_basebackup"));
        command.arg("-R").args(["-c", "fast", "-X", "stream", "-U", "postgres"]);
        command.arg("-h").arg(&self.data).arg("-p").arg(self.port.to_string());
        owned(&data);
        must(command.arg("-D").arg(&data), &self.dir);
        Self::launch(&self.dir, data, self.node.as_ref())
    }

    fn launch(dir: &Path, data: PathBuf, node: Option<&Node>) -> Self {
        let port = free_address().port();
        let process = Self::process_of(dir, &data, port, node);
        let mut server = Self { port, process, data, dir: dir.to_owned(), node: node.cloned() };
        server.ready();
        server
    }

    fn process_of(dir: &Path, data: &Path, port: u16, node: Option<&Node>) -> Process {
        let mut command = as_owner(&binary("postgres"));
        command.arg("-D").arg(data).arg("-c").arg(format!("port={port}"));
        command.arg("-c").arg(format!("unix_socket_directories={}", data.display()));
        let mut command = node.map(|node| node.command(&command)).unwrap_or(command);
        Process::start(&mut command, "postgres", dir)
    }

    /// Waits until it takes sessions: the last line of its pid file says so.
    fn ready(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let file = std::fs::read_to_string(self.data.join("postmaster.pid"));
            if file.is_ok_and(|text| text.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
            {
                return;
            }
            let is_up = self.process.is_running() && Instant::now() < deadline;
            assert!(is_up, "postgres does not start: {}", self.process.everything());
            std::thread::sleep(POLL);
        }
    }

    /// A session of that role, around everything.
    pub async fn session(&self, role: &str) -> Wire {
        self.session_with(&[("user", role), ("database", DATABASE)]).await
    }

    /// A session with those parameters.
    pub async fn session_with(&self, parameters: &[(&str, &str)]) -> Wire {
        let stream = tokio::net::UnixStream::connect(self.socket()).await.unwrap();
        Wire::open(Box::new(stream), parameters).await.unwrap()
    }

    /// What the superuser is answered: the columns of a row with `|` between them.
    pub async fn ask(&self, sql: &str) -> Vec<String> {
        let mut session = self.session("postgres").await;
        session.simple(sql).await.rows().iter().map(|row| row.join("|")).collect()
    }

    /// The folder with its socket.
    pub fn socket_folder(&self) -> &Path {
        &self.data
    }

    /// The socket itself.
    pub fn socket(&self) -> PathBuf {
        self.data.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Makes a standby the primary.
    pub async fn promote(&self) {
        assert_eq!(self.ask("SELECT pg_promote(true, 60)").await, ["t"]);
    }

    /// Ends it at once, with all its sessions.
    pub fn stop(&mut self) {
        self.process.quit();
        self.process.wait(DEADLINE);
    }

    /// Starts it again after its end, at the same port.
    pub fn start_again(&mut self) {
        self.process = Self::process_of(&self.dir, &self.data, self.port, self.node.as_ref());
        self.ready();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only its own way out takes its shared memory away.
        if self.process.is_running() {
            self.process.thaw();
            self.process.quit();
            let deadline = Instant::now() + Duration::from_secs(20);
            while self.process.is_running() && Instant::now() < deadline {
                std::thread::sleep(POLL);
            }
        }
    }
}

/// A program of the newest server that is installed.
pub fn binary(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter_map(|entry| {
        let version = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let path = entry.path().join("bin").join(program);
        path.exists().then_some((version, path))
    });
    let found = newest.max().map(|(_, path)| path).or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.exists())
    });
    found.unwrap_or_else(|| panic!("no {program}: `integration/run` installs PostgreSQL"))
}

/// A cluster that has never run since it was made, made if it is not there yet.
fn template() -> &'static Path {
    static TEMPLATE_PATH: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE_PATH.get_or_init(|| {
        let binary = binary("initdb");
        let version = binary.ancestors().nth(2).and_then(Path::file_name).unwrap();
        // Another setup has another name.
        let mut hasher = std::hash::DefaultHasher::new();
        [SETUP, HBA, SETTINGS].hash(&mut hasher);
        let name = format!("postgres-{}-{:016x}", version.display(), hasher.finish());
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if kept.exists() {
            return kept;
        }
        let dir = tempfile::tempdir().unwrap();
        reachable(dir.path());
        let data = dir.path().join("home").join("data");
        owned(data.parent().unwrap());
        let mut command = as_owner(&binary);
        command.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]);
        must(command.arg("--wal-segsize=1").arg("-D").arg(&data), dir.path());
        std::fs::write(data.join("pg_hba.conf"), HBA).unwrap();
        append(&data.join("postgresql.conf"), SETTINGS);
        let mut server = Server::launch(dir.path(), data.clone(), None);
        let port = server.port.to_string();
        for statement in SETUP.split_inclusive(';').filter(|text| !text.trim().is_empty()) {
            let mut psql = Command::new("psql");
            psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres"]);
            must(psql.arg("-h").arg(&data).args(["-p", &port, "-c", statement]), dir.path());
        }
        // Its own way to end, so that no copy has to recover.
        server.process.interrupt();
        server.process.wait(DEADLINE);
        let making = kept.with_extension(format!("{}", std::process::id()));
        must(Command::new("cp").arg("-a").arg(&data).arg(&making), dir.path());
        // Another process may have been faster.
        if std::fs::rename(&making, &kept).is_err() {
            std::fs::remove_dir_all(&making).unwrap();
        }
        kept
    })
}

/// The server does not run as root.
fn as_owner(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let (uid, gid) = owner();
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
    command.arg("--").arg(program);
    // It may not be allowed to be where it was called.
    command.current_dir("/");
    command
}

/// Whom it runs as instead.
fn owner() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map_while(|id| id.parse::<u32>().ok());
        Some((ids.next()?, ids.next()?))
    };
    of("postgres").or_else(|| of("nobody")).expect("there is a user for the server")
}

/// A new folder that belongs to the server's user.
fn owned(path: &Path) {
    std::fs::create_dir(path).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = owner();
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// The server's user has to get through the folder of a test.
fn reachable(dir: &Path) {
    std::fs::set_permissions(dir, Permissions::from_mode(0o711)).unwrap();
}

fn append(path: &Path, text: &str) {
    let before = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, before + text).unwrap();
}

fn must(command: &mut Command, dir: &Path) {
    let mut taken = Command::new(command.get_program());
    taken.args(command.get_args());
    if let Some(at) = command.get_current_dir() {
        taken.current_dir(at);
    }
    let (status, said) = run(taken, dir);
    assert!(status.success(), "{command:?}: {said}");
}
