//! A real Redis, with something of each kind in it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use redis::{Connection, ErrorKind, RedisResult, Value};

/// For the server to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `$@`; stops it and removes the folder `$0` when this process is gone, however it ended.
const KEEPER: &str = r#"trap : HUP INT TERM; "$@" & server=$!; read -r _; kill -TERM $server; wait $server; rm -rf "$0""#;

/// What the rows speak of.
const DATA: &[&str] = &[
    "SET string abc",
    "SET other abd",
    "SET number 7",
    "SET fleeting x EX 1000",
    "RPUSH list a b c",
    "RPUSH list2 d",
    "SADD set a b c",
    "SADD set2 b",
    "ZADD zset 1 a 2 b",
    "ZADD zset2 3 b",
    "HSET hash a 1 b 2",
    "XADD stream 1-1 a 1",
    "XADD stream2 1-1 a 1",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group reader STREAMS stream >",
    "XADD stream 2-1 b 2",
    "XGROUP CREATE stream STREAMS 0",
    "XGROUP CREATE stream2 STREAMS 0",
    "GEOADD geo 13.36 38.11 a 15.08 37.50 b",
    "PFADD hll a b c",
    "PFADD hll2 c d",
    "SET w_a 3",
    "SET o_a x",
];

const FUNCTION: &str = "#!lua name=library
redis.register_function{function_name='reader', flags={'no-writes'},
callback=function(keys, args) if keys[1] then return redis.call('GET', keys[1]) end end}";

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
        let dir = tempfile::Builder::new().prefix("palisade-redis-").tempdir();
        let dir = dir.expect("a folder").keep();
        let log = std::fs::File::create(dir.join("log")).expect("a file");
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER]).arg(&dir).args(["redis-server", "--port", "0"]);
        keeper.arg("--unixsocket").arg(dir.join("socket")).arg("--dir").arg(&dir);
        keeper.args(["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]);
        let keeper = keeper.stdin(Stdio::piped()).stdout(log).spawn().expect("there is a shell");
        let server = Self { dir, _keeper: keeper };
        let deadline = Instant::now() + PATIENCE;
        while server.client(2).get_connection().is_err() {
            let log = std::fs::read_to_string(server.dir.join("log"));
            assert!(Instant::now() < deadline, "redis-server has not started: {log:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        server.reset();
        server
    }

    fn client(&self, protocol: u8) -> redis::Client {
        let socket = self.dir.join("socket");
        redis::Client::open(format!("unix://{}?protocol=resp{protocol}", socket.display()))
            .expect("an address")
    }

    /// A connection of its own.
    pub(super) fn connect(&self, protocol: u8) -> Connection {
        self.client(protocol).get_connection().expect("the server lets it in")
    }

    /// Puts everything back.
    pub(super) fn reset(&self) {
        let mut connection = self.connect(2);
        ask(&mut connection, &["FLUSHALL"]).expect("it works");
        for line in DATA {
            let args: Vec<&str> = line.split(' ').collect();
            ask(&mut connection, &args).expect(line);
        }
        ask(&mut connection, &["FUNCTION", "LOAD", "REPLACE", FUNCTION]).expect("it works");
        ask(&mut connection, &["SCRIPT", "LOAD", "return 1"]).expect("it works");
    }

    pub(super) fn version(&self) -> (u32, u32) {
        let info = text(&ask(&mut self.connect(2), &["INFO", "server"]).expect("it answers"));
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        let mut parts =
            version.expect("it has one").split('.').map(|part| part.parse().expect("a number"));
        (parts.next().expect("major"), parts.next().expect("minor"))
    }
}

/// Held by a test that must be alone with the server.
pub(super) fn quiet() -> MutexGuard<'static, ()> {
    static QUIET: Mutex<()> = Mutex::new(());
    QUIET.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the server answers.
pub(super) fn ask(connection: &mut Connection, args: &[impl AsRef<str>]) -> RedisResult<Value> {
    let mut command = redis::Cmd::new();
    for arg in args {
        command.arg(arg.as_ref());
    }
    let answer = command.query::<Value>(connection);
    if let Err(error) = &answer {
        assert_ne!(error.kind(), ErrorKind::Io, "{error}: the server has gone");
    }
    answer
}

pub(super) fn text(value: &Value) -> String {
    redis::from_redis_value(value.clone()).unwrap_or_else(|_| format!("{value:?}"))
}
