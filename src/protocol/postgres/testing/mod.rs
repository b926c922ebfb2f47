//! For the tests of this layer: real PostgreSQL servers, each in a folder of its own.
//!
//! A server is a child of a shell that stops it and removes its folder when the test process
//! goes away, however it does. What runs as root starts servers as another user, because
//! PostgreSQL refuses to run as root.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

mod cluster;
pub(in crate::protocol::postgres) mod programs;

use programs::{Program, User};

/// Long enough for anything that is going to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Ends and cleans up when its standard input ends; `$0` is the folder. A server that does not
/// stop, because a test has left one of its processes frozen, is killed with all of them.
const GUARD: &str = r#"
exec >>"$0/log" 2>&1
"$@" </dev/null &
read -r _
file="$0/data/postmaster.pid"
pid=$(head -n 1 "$file") && kill -INT "$pid"
for look in $(seq 200); do
    [ -e "$file" ] || break
    [ "$look" = 100 ] && kill -QUIT "$pid"
    sleep 0.05
done
rm -rf -- "$0"
"#;

/// Who may log in how. The user decides, so that one server does for all tests.
const HBA: &str = "\
local all all trust
host replication all 127.0.0.1/32 trust
hostssl all cert_user 127.0.0.1/32 cert
host all cert_user 127.0.0.1/32 reject
host all plain_user 127.0.0.1/32 password
host all md5_user 127.0.0.1/32 md5
host all trusted 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
";

/// Roles: all passwords are `secret-of-NAME`. `control` may end and see sessions, `weak` may not.
const ROLES: &str = "\
SET password_encryption = 'scram-sha-256';
CREATE ROLE app LOGIN PASSWORD 'secret-of-app';
CREATE ROLE other LOGIN PASSWORD 'secret-of-other';
CREATE ROLE cert_user LOGIN;
CREATE ROLE plain_user LOGIN PASSWORD 'secret-of-plain_user';
CREATE ROLE trusted LOGIN;
CREATE ROLE control LOGIN PASSWORD 'secret-of-control';
CREATE ROLE weak LOGIN PASSWORD 'secret-of-weak';
GRANT pg_signal_backend, pg_read_all_stats TO control;
SET password_encryption = 'md5';
CREATE ROLE md5_user LOGIN PASSWORD 'secret-of-md5_user';
GRANT CREATE ON SCHEMA public TO app, other;
";

const SETTINGS: &str = "\
fsync = off
full_page_writes = off
wal_level = replica
hot_standby = on
max_wal_senders = 4
max_prepared_transactions = 10
max_connections = 60
shared_buffers = 8MB
autovacuum = off
log_line_prefix = '%m [%p] %q%u@%d/%a '
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
ssl_ca_file = 'ca.pem'
ssl = on
";

/// A running server.
pub(in crate::protocol::postgres) struct Server {
    dir: PathBuf,
    port: u16,
    user: Option<User>,
    guard: Child,
    stdin: Option<ChildStdin>,
}

impl Server {
    /// A new server, with an empty database `postgres` and the roles above.
    pub(in crate::protocol::postgres) fn start() -> Self {
        Self::start_with(|to| {
            copy(&template().dir.join("data"), &to.join("data"));
        })
    }

    /// A standby of this one, which streams.
    pub(in crate::protocol::postgres) fn standby(&self) -> Self {
        Self::start_with(|to| {
            let source = format!("host=127.0.0.1 port={} user=postgres", self.port);
            let data = to.join("data");
            let mut backup = Program::named("pg_basebackup");
            backup.args([
                "--checkpoint=fast",
                "--no-sync",
                "-R",
                "-X",
                "stream",
                "-d",
                &source,
                "-D",
            ]);
            backup.arg(&data).run();
        })
    }

    /// One for all tests that do it no harm. It ends with the process.
    pub(in crate::protocol::postgres) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start_with(fill: impl Fn(&Path)) -> Self {
        for _ in 0..5 {
            let dir = programs::folder();
            fill(&dir);
            let port = free_port();
            let mut server = Self::spawn(dir, port);
            // Another test may have taken the port meanwhile.
            if server.is_ready() {
                return server;
            }
        }
        panic!("PostgreSQL does not start");
    }

    fn spawn(dir: PathBuf, port: u16) -> Self {
        let user = User::of_servers();
        programs::own(&dir, user);
        let mut shell = Command::new("sh");
        shell.args(["-c", GUARD]).arg(&dir).arg(programs::path("postgres"));
        shell.arg("-D").arg(dir.join("data")).arg("-k").arg(&dir);
        shell.args(["-c", "listen_addresses=127.0.0.1", "-p", &port.to_string()]);
        programs::run_as(&mut shell, user);
        let mut guard = shell.stdin(Stdio::piped()).spawn().expect("there is a shell");
        let stdin = guard.stdin.take();
        Self { dir, port, user, guard, stdin }
    }

    fn is_ready(&mut self) -> bool {
        let until = Instant::now() + PATIENCE;
        let file = self.dir.join("data/postmaster.pid");
        while Instant::now() < until {
            let status = std::fs::read_to_string(&file).unwrap_or_default();
            if status.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return true;
            }
            let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            if log.contains("FATAL") && !log.contains("starting up") {
                eprintln!("{log}");
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Its TCP port on 127.0.0.1.
    pub(in crate::protocol::postgres) fn port(&self) -> u16 {
        self.port
    }

    /// Its Unix socket. Everybody may be anybody there.
    pub(in crate::protocol::postgres) fn socket(&self) -> PathBuf {
        self.dir.join(format!(".s.PGSQL.{}", self.port))
    }

    /// A file of the certificate authority that its certificate is from: `ca.pem`,
    /// `cert_user.pem`, `cert_user.key`.
    pub(in crate::protocol::postgres) fn certificate(&self, file: &str) -> PathBuf {
        template().dir.join(file)
    }

    /// Stops it at once, as a crash would, and starts it again on the same port.
    pub(in crate::protocol::postgres) fn restart(&mut self) {
        self.control(&["restart", "-m", "immediate", "-w"]);
    }

    /// Stops it at once; [`Server::restart`] would start it again.
    pub(in crate::protocol::postgres) fn crash(&mut self) {
        self.control(&["stop", "-m", "immediate", "-w"]);
    }

    /// The process that lets sessions in.
    pub(in crate::protocol::postgres) fn pid(&self) -> u32 {
        let file = std::fs::read_to_string(self.dir.join("data/postmaster.pid"));
        let file = file.expect("it runs");
        file.lines().next().and_then(|line| line.trim().parse().ok()).expect("a process")
    }

    /// Makes a standby the primary.
    pub(in crate::protocol::postgres) fn promote(&self) {
        self.control(&["promote", "-w"]);
    }

    fn control(&self, args: &[&str]) {
        let mut control = Program::named("pg_ctl");
        control.as_user(self.user).args(args).arg("-D").arg(self.dir.join("data"));
        control.arg("-l").arg(self.dir.join("log")).run();
    }

    /// A client of the tests' own, by the Unix socket.
    pub(in crate::protocol::postgres) async fn client(&self, role: &str) -> tokio_postgres::Client {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.dir).port(self.port).user(role).dbname("postgres");
        let (client, connection) =
            config.connect(tokio_postgres::NoTls).await.expect("the server lets everybody in");
        tokio::spawn(connection);
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.guard.wait();
    }
}

/// What all servers of this process begin as.
struct Template {
    dir: PathBuf,
    /// Removes the folder when the process ends.
    _guard: Option<ChildStdin>,
}

fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(cluster::template)
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(done.is_ok_and(|status| status.success()), "cp fails");
}
