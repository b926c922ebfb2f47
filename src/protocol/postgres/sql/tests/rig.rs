//! A real PostgreSQL, and the smallest client that sees all that it says.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::protocol::postgres::testing::programs::path;

/// For any answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// PostgreSQL does not run as root.
const NOBODY: u32 = 65_534;

/// Runs `$@`; stops it and removes the folder `$0` when this process is gone, however it ended.
const KEEPER: &str = r#"trap : HUP INT TERM; "$@" & server=$!; read -r _; kill -QUIT $server; wait $server; rm -rf "$0""#;

const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "fsync=off",
    "autovacuum=off",
    "wal_level=logical",
    "max_replication_slots=4",
    "max_prepared_transactions=4",
    "shared_buffers=8MB",
    "max_connections=20",
];

/// What the rows of docs/postgres-statements.md speak of.
const OBJECTS: &str = r"
CREATE TABLE items (id int PRIMARY KEY, name text);
INSERT INTO items VALUES (1, 'a'), (2, 'b');
CREATE SEQUENCE counter;
CREATE FUNCTION double(x int) RETURNS int LANGUAGE plpgsql AS 'begin return 2 * x; end';
CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS 'begin insert into items values (7); return 1; end';
CREATE PROCEDURE proc() LANGUAGE plpgsql AS 'begin null; end';
CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = int, PROCEDURE = int4pl);
CREATE VIEW totals AS SELECT name, double(id) AS doubled FROM items;
CREATE MATERIALIZED VIEW totals_m AS SELECT * FROM totals;
CREATE ROLE reader;
GRANT SELECT ON items TO reader;
SELECT lo_from_bytea(4711, 'hello');
";

/// The server of this process.
pub(super) struct Server {
    dir: PathBuf,
    _keeper: Child,
}

impl Server {
    pub(super) fn shared() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    fn start() -> Self {
        let dir =
            tempfile::Builder::new().prefix("palisade-sql-").tempdir().expect("a folder").keep();
        std::os::unix::fs::chown(&dir, user(), user()).expect("the user of the server owns it");
        let data = dir.join("data");
        let init = program("initdb")
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data)
            .output()
            .expect("PostgreSQL 15 is installed");
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        let mut keeper = Command::new("sh");
        as_user(&mut keeper).args(["-c", KEEPER]).arg(&dir).arg(path("postgres"));
        keeper.arg("-D").arg(&data).arg("-k").arg(&dir);
        keeper.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        let log = std::fs::File::create(dir.join("log")).expect("a file");
        let keeper = keeper.stdin(Stdio::piped()).stderr(log).spawn().expect("there is a shell");
        let server = Self { dir, _keeper: keeper };
        let mut session = server.session("postgres", "");
        session.must("CREATE DATABASE rig");
        server.session("rig", "").must(OBJECTS);
        server
    }

    /// Waits for the server.
    fn session(&self, database: &str, options: &str) -> Session {
        let socket = self.dir.join(".s.PGSQL.5432");
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Session::open(&socket, database, options) {
                Some(session) => return session,
                None => assert!(
                    Instant::now() < deadline,
                    "{:?}",
                    std::fs::read_to_string(self.dir.join("log"))
                ),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn writer(&self) -> Session {
        self.session("rig", "")
    }

    /// Held to reading as Palisade does.
    pub(super) fn reader(&self) -> Session {
        self.session("rig", "-c default_transaction_read_only=on")
    }
}

fn user() -> Option<u32> {
    let own = std::fs::metadata("/proc/self").expect("this is Linux");
    (std::os::unix::fs::MetadataExt::uid(&own) == 0).then_some(NOBODY)
}

fn as_user(command: &mut Command) -> &mut Command {
    if let Some(id) = user() {
        command.uid(id).gid(id);
    }
    command.current_dir("/")
}

fn program(name: &str) -> Command {
    let mut command = Command::new(path(name));
    as_user(&mut command);
    command
}

/// Held by a test that must be alone with the server.
pub(super) fn quiet() -> MutexGuard<'static, ()> {
    static QUIET: Mutex<()> = Mutex::new(());
    QUIET.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A session, spoken to by simple queries.
pub(super) struct Session {
    stream: UnixStream,
}

/// All that came up to ReadyForQuery.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// SQLSTATE and message.
    pub error: Option<(String, String)>,
    /// The columns of each row, NULL as an empty one.
    pub rows: Vec<Vec<String>>,
    /// Channels of which a notification came.
    pub notified: Vec<String>,
    /// How many statements have completed.
    pub completed: usize,
}

impl Session {
    fn open(socket: &Path, database: &str, options: &str) -> Option<Self> {
        let stream = UnixStream::connect(socket).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut session = Self { stream };
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        for text in ["user", "postgres", "database", database, "options", options] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
        body.push(0);
        session.send(None, &body);
        session.reply().error.is_none().then_some(session)
    }

    fn send(&mut self, tag: Option<u8>, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
        let message: Vec<u8> = tag.into_iter().chain(length).chain(body.iter().copied()).collect();
        self.stream.write_all(&message).expect("the server reads");
    }

    pub(super) fn ask(&mut self, text: &str) -> Reply {
        self.send(Some(b'Q'), &[text.as_bytes(), b"\0"].concat());
        self.reply()
    }

    /// The rows of a text that has to work.
    pub(super) fn must(&mut self, text: &str) -> Vec<Vec<String>> {
        let reply = self.ask(text);
        assert_eq!(reply.error, None, "{text}");
        reply.rows
    }

    fn reply(&mut self) -> Reply {
        let mut reply = Reply::default();
        loop {
            let mut head = [0; 5];
            if self.stream.read_exact(&mut head).is_err() {
                reply.error.get_or_insert(("08006".into(), "the server has gone".into()));
                return reply;
            }
            let length = u32::from_be_bytes(head[1..].try_into().expect("four bytes")) as usize - 4;
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).expect("whole messages");
            match head[0] {
                b'Z' => return reply,
                b'C' => reply.completed += 1,
                b'E' => reply.error = Some((field(&body, b'C'), field(&body, b'M'))),
                b'A' => reply.notified.push(text(&body[4..])),
                b'D' => reply.rows.push(columns(&body)),
                // The server wants COPY data: CopyFail.
                b'G' => self.send(Some(b'f'), b"no\0"),
                _ => {}
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn field(body: &[u8], name: u8) -> String {
    body.split(|byte| *byte == 0)
        .find(|field| field.first() == Some(&name))
        .map(|field| text(&field[1..]))
        .unwrap_or_default()
}

fn columns(body: &[u8]) -> Vec<String> {
    let mut rest = &body[2..];
    let mut columns = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        columns.push(String::from_utf8_lossy(&after[..length]).into_owned());
        rest = &after[length..];
    }
    columns
}
