//! For the tests of this layer: real Redis servers and Sentinels, each in a folder of its own.
//!
//! ```ignore
//! let server = Server::start();                          // no password; TCP and a Unix socket
//! let guarded = Server::start_with(&["--requirepass", "secret"]); // any setting of redis.conf
//! let tls = Server::start_tls();                         // asks for a client certificate
//! let replica = server.replica();                        // in step when this returns
//! let sentinel = Sentinel::start(&server);               // calls it `main`, quorum 1
//! server.ask(&["SET", "k", "v"]).await;                  // as `default`, by the Unix socket
//! server.restart();                                      // SIGKILL; the same port and folder
//! ```
//!
//! A server is a child of a shell that kills it and removes its folder when the test process goes
//! away, however it does. Nothing is persisted unless the settings say so.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

mod certificates;
mod sentinel;
mod tests;

pub(in crate::protocol::redis) use sentinel::Sentinel;

/// Long enough for anything that is going to happen.
pub(in crate::protocol::redis) const PATIENCE: Duration = Duration::from_secs(20);

/// Kills the server when its own standard input ends, and cleans up; `$0` is the folder.
const GUARD: &str = r#"
exec >>"$0/log" 2>&1
"$@" </dev/null &
echo $! >"$0/pid.new" && mv "$0/pid.new" "$0/pid"
read -r _
kill -KILL $!
wait
[ -e "$0/keep" ] || rm -rf -- "$0"
"#;

/// A running server.
pub(in crate::protocol::redis) struct Server {
    process: Process,
    password: Option<String>,
}

impl Server {
    /// One that lets everybody in.
    pub(in crate::protocol::redis) fn start() -> Self {
        Self::start_with(&[])
    }

    /// One for all tests that do it no harm. It ends with the process.
    pub(in crate::protocol::redis) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// With these settings, such as `--requirepass secret`.
    pub(in crate::protocol::redis) fn start_with(settings: &[&str]) -> Self {
        let password = settings.iter().position(|it| *it == "--requirepass");
        let password = password.map(|at| settings[at + 1].to_owned());
        let process = Process::start(|dir, port| {
            let mut args = vec!["--port".to_owned(), port.to_string()];
            args.extend(common(dir));
            args.extend(settings.iter().map(|it| (*it).to_owned()));
            args
        });
        Self::ready(process, password)
    }

    /// One that speaks TLS only by TCP, and asks for a certificate of [`Server::certificate`].
    pub(in crate::protocol::redis) fn start_tls() -> Self {
        let process = Process::start(|dir, port| {
            let file = |name: &str| certificates::file(name).display().to_string();
            let mut args = vec!["--tls-port".to_owned(), port.to_string()];
            args.extend(["--port", "0", "--tls-auth-clients", "yes"].map(str::to_owned));
            args.extend(["--tls-cert-file".to_owned(), file("server.pem")]);
            args.extend(["--tls-key-file".to_owned(), file("server.key")]);
            args.extend(["--tls-ca-cert-file".to_owned(), file("ca.pem")]);
            args.extend(common(dir));
            args
        });
        Self::ready(process, None)
    }

    /// A replica of this one, in step with it.
    pub(in crate::protocol::redis) fn replica(&self) -> Self {
        let port = self.port().to_string();
        let mut settings = vec!["--replicaof", "127.0.0.1", port.as_str()];
        if let Some(password) = &self.password {
            settings.extend(["--masterauth", password, "--requirepass", password]);
        }
        let replica = Self::start_with(&settings);
        let until = Instant::now() + PATIENCE;
        let online = format!("port={},state=online", replica.port());
        let is_up = |info: String| info.contains("master_link_status:up");
        while !is_up(replica.info_now("replication"))
            || !self.info_now("replication").contains(&online)
        {
            assert!(Instant::now() < until, "the replica does not follow");
            std::thread::sleep(Duration::from_millis(10));
        }
        // A restart begins with nothing all the same.
        let _ = std::fs::remove_file(self.process.dir.join("dump.rdb"));
        replica
    }

    fn ready(process: Process, password: Option<String>) -> Self {
        let server = Self { process, password };
        let until = Instant::now() + PATIENCE;
        while server.try_now(&["PING"]).is_err() {
            assert!(Instant::now() < until, "Redis does not start: {}", server.process.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// Its TCP port on 127.0.0.1.
    pub(in crate::protocol::redis) fn port(&self) -> u16 {
        self.process.port
    }

    /// Its Unix socket.
    pub(in crate::protocol::redis) fn socket(&self) -> PathBuf {
        self.process.dir.join("socket")
    }

    /// A file of the site that its certificate is from: `ca.pem`, `client.pem`, `client.key`.
    pub(in crate::protocol::redis) fn certificate(file: &str) -> PathBuf {
        certificates::file(file)
    }

    /// A connection of the tests' own, as `default`, by the Unix socket.
    pub(in crate::protocol::redis) async fn client(&self) -> redis::aio::MultiplexedConnection {
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let client = redis::Client::open(self.url()).expect("it is a URL");
        let client = client.get_multiplexed_async_connection_with_config(&config).await;
        client.expect("the server lets everybody in")
    }

    /// What it answers to one command.
    pub(in crate::protocol::redis) async fn ask(&self, command: &[&str]) -> redis::Value {
        let mut client = self.client().await;
        let (name, args) = command.split_first().expect("a command");
        let answer = redis::cmd(name).arg(args).query_async(&mut client).await;
        answer.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// A section of INFO.
    pub(in crate::protocol::redis) async fn info(&self, section: &str) -> String {
        let answer = self.ask(&["INFO", section]).await;
        redis::from_redis_value(answer).expect("INFO is a text")
    }

    /// Every client that it lists.
    pub(in crate::protocol::redis) async fn clients(&self) -> String {
        let answer = self.ask(&["CLIENT", "LIST"]).await;
        redis::from_redis_value(answer).expect("a list is a text")
    }

    /// Whether a client of that id is there.
    pub(in crate::protocol::redis) async fn has_client(&self, id: u64) -> bool {
        let list = self.clients().await;
        list.lines().any(|line| line.starts_with(&format!("id={id} ")))
    }

    /// Kills it; [`Server::restart`] starts it again.
    pub(in crate::protocol::redis) fn crash(&mut self) {
        self.process.crash();
    }

    /// Kills it if it runs, and starts it again on the same port.
    pub(in crate::protocol::redis) fn restart(&mut self) {
        self.process.crash();
        self.process.spawn();
        let until = Instant::now() + PATIENCE;
        while self.try_now(&["PING"]).is_err() {
            assert!(Instant::now() < until, "Redis does not start again");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// It does nothing until [`Server::thaw`].
    pub(in crate::protocol::redis) fn freeze(&self) {
        self.process.signal(Signal::STOP);
    }

    /// See [`Server::freeze`].
    pub(in crate::protocol::redis) fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }

    fn url(&self) -> String {
        let password = self.password.as_ref().map(|it| format!("?pass={it}")).unwrap_or_default();
        format!("redis+unix://{}{password}", self.socket().display())
    }

    fn info_now(&self, section: &str) -> String {
        let answer = self.try_now(&["INFO", section]).expect("it answers");
        redis::from_redis_value(answer).expect("INFO is a text")
    }

    /// Blocking, where no runtime is.
    fn try_now(&self, command: &[&str]) -> redis::RedisResult<redis::Value> {
        let (name, args) = command.split_first().expect("a command");
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        redis::cmd(name).arg(args).query(&mut connection)
    }
}

/// What all servers are told.
fn common(dir: &Path) -> Vec<String> {
    let socket = dir.join("socket").display().to_string();
    let dir = dir.display().to_string();
    let args = ["--bind", "127.0.0.1", "--unixsocket", &socket, "--dir", &dir, "--save", ""];
    let more = ["--appendonly", "no", "--enable-debug-command", "yes"];
    // Otherwise replicas are waited for, and are sent nothing for up to a second after that.
    let sync = ["--repl-diskless-sync", "no"];
    args.into_iter().chain(more).chain(sync).map(str::to_owned).collect()
}

/// A process of `redis-server`.
struct Process {
    dir: PathBuf,
    port: u16,
    args: Vec<String>,
    guard: Option<(Child, ChildStdin)>,
}

impl Process {
    /// On a free port, with the arguments that are made for a folder and a port.
    fn start(args: impl Fn(&Path, u16) -> Vec<String>) -> Self {
        for _ in 0..5 {
            let dir = tempfile::Builder::new().prefix("palisade-redis-").tempdir();
            let dir = dir.expect("a folder").keep();
            let port = free_port();
            let args = args(&dir, port);
            let mut process = Self { dir, port, args, guard: None };
            process.spawn();
            if process.listens() {
                return process;
            }
            // Another test may have taken the port meanwhile.
        }
        panic!("redis-server does not start");
    }

    fn spawn(&mut self) {
        let _ = std::fs::remove_file(self.dir.join("keep"));
        let _ = std::fs::remove_file(self.dir.join("pid"));
        let mut shell = Command::new("sh");
        shell.args(["-c", GUARD]).arg(&self.dir).arg("redis-server").args(&self.args);
        let mut guard = shell.stdin(Stdio::piped()).spawn().expect("there is a shell");
        let stdin = guard.stdin.take().expect("it is a pipe");
        self.guard = Some((guard, stdin));
    }

    fn listens(&self) -> bool {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let log = self.log();
            if log.contains("Ready to accept connections") || log.contains("Sentinel ID is") {
                return true;
            }
            if log.contains("Failed listening") || log.contains("FATAL CONFIG") {
                eprintln!("{log}");
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Killed, with its folder left.
    fn crash(&mut self) {
        std::fs::write(self.dir.join("keep"), "").expect("a file");
        self.end();
    }

    fn end(&mut self) {
        if let Some((mut guard, stdin)) = self.guard.take() {
            drop(stdin);
            let _ = guard.wait();
        } else if !self.dir.join("keep").exists() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }

    fn signal(&self, signal: Signal) {
        let until = Instant::now() + PATIENCE;
        let pid = loop {
            // The server may be ready before its shell has written it.
            if let Ok(pid) = std::fs::read_to_string(self.dir.join("pid")) {
                break pid;
            }
            assert!(Instant::now() < until, "it was not started");
            std::thread::sleep(Duration::from_millis(1));
        };
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("it is there");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.dir.join("keep"));
        self.end();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}
