//! Real Redis servers and Sentinels, each in a folder of its own, and ledgers on them.
//!
//! A server is a child of a shell that kills it and removes its folder when the test process goes
//! away, however it does.

use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::{Endpoint, Login, Redis, Sentinel as Service, Settings};
use crate::fence::{Resource, SessionId};
use crate::ledger::Unavailable;
use crate::ledger::replicated::store::{Event, Store, Swap, Swapped};

/// Long enough for anything that is going to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

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

/// What makes a server fit for a ledger.
pub(super) const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// A process of redis-server.
pub(super) struct Server {
    dir: PathBuf,
    port: u16,
    args: Vec<String>,
    guard: Option<(Child, ChildStdin)>,
}

impl Server {
    /// One that keeps what it answers.
    pub(super) fn durable() -> Self {
        Self::start(&DURABLE)
    }

    /// With these settings, on a free port.
    pub(super) fn start(settings: &[&str]) -> Self {
        let is_tls = settings.contains(&"--tls-port");
        Self::launch(|dir, port| {
            let socket = dir.join("socket").display().to_string();
            let mut args =
                vec!["redis-server".to_owned(), "--dir".into(), dir.display().to_string()];
            args.extend(["--save", "", "--unixsocket", &socket].map(str::to_owned));
            args.extend(["--repl-diskless-sync", "no", "--bind", "127.0.0.1"].map(str::to_owned));
            // Several clients of one test are many for a check each second.
            args.extend(["--hz", "50", "--repl-ping-replica-period", "1"].map(str::to_owned));
            let port = port.to_string();
            match is_tls {
                true => args.extend(["--port", "0"].map(str::to_owned)),
                false => args.extend(["--port".to_owned(), port.clone()]),
            }
            args.extend(settings.iter().map(|it| it.replace("PORT", &port)));
            args
        })
    }

    fn launch(args: impl Fn(&std::path::Path, u16) -> Vec<String>) -> Self {
        for _ in 0..5 {
            let dir = tempfile::Builder::new().prefix("palisade-ledger-").tempdir();
            let dir = dir.expect("a folder").keep();
            let port = free_port();
            let mut server = Self { args: args(&dir, port), dir, port, guard: None };
            server.spawn();
            if server.is_up() {
                return server;
            }
            // Another test may have taken the port meanwhile.
        }
        panic!("redis-server does not start");
    }

    fn spawn(&mut self) {
        for file in ["keep", "pid", "log"] {
            let _ = std::fs::remove_file(self.dir.join(file));
        }
        let is_there = Command::new(&self.args[0]).arg("--version").stdout(Stdio::null()).status();
        assert!(is_there.is_ok(), "no redis-server: install it (Debian: redis-server)");
        let mut shell = Command::new("sh");
        shell.args(["-c", GUARD]).arg(&self.dir).args(&self.args);
        let mut guard = shell.stdin(Stdio::piped()).spawn().expect("there is a shell");
        let stdin = guard.stdin.take().expect("it is a pipe");
        self.guard = Some((guard, stdin));
    }

    fn is_up(&self) -> bool {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            if log.contains("Failed listening") || log.contains("FATAL CONFIG") {
                eprintln!("{log}");
                return false;
            }
            if log.contains("Ready to accept connections") || log.contains("Sentinel ID is") {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// A replica of this one, in step with it.
    pub(super) fn replica(&self) -> Self {
        let port = self.port.to_string();
        let replica = Self::start(&["--replicaof", "127.0.0.1", &port]);
        let online = format!("port={},state=online", replica.port);
        until("the replica follows", || self.text(&["INFO", "replication"]).contains(&online));
        until("the replica is in step", || {
            replica.text(&["INFO", "replication"]).contains("master_link_status:up")
        });
        replica
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What it answers to one command, as `default`, by the Unix socket.
    pub(super) fn ask(&self, command: &[&str]) -> Value {
        let url = format!("redis+unix://{}", self.dir.join("socket").display());
        let client = redis::Client::open(url).expect("it is a URL");
        let mut connection = client.get_connection().expect("it lets everybody in");
        let (name, args) = command.split_first().expect("a command");
        let answer = redis::cmd(name).arg(args).query(&mut connection);
        answer.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// An answer that is a text.
    pub(super) fn text(&self, command: &[&str]) -> String {
        redis::from_redis_value(self.ask(command)).expect("a text")
    }

    /// Kills it and starts it again, on the same port and folder.
    pub(super) fn restart(&mut self) {
        self.crash();
        self.spawn();
        assert!(self.is_up(), "it does not start again");
    }

    /// Kills it.
    pub(super) fn crash(&mut self) {
        std::fs::write(self.dir.join("keep"), "").expect("a file");
        self.end();
    }

    /// It does nothing until [`Server::thaw`].
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        until("it has a process", || self.dir.join("pid").exists());
        let pid = std::fs::read_to_string(self.dir.join("pid")).expect("it is there");
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("it is there");
    }

    fn end(&mut self) {
        if let Some((mut guard, stdin)) = self.guard.take() {
            drop(stdin);
            let _ = guard.wait();
        } else if !self.dir.join("keep").exists() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.dir.join("keep"));
        self.end();
    }
}

/// A Sentinel that calls the server `main`, and finds it down after 300 ms.
pub(super) fn sentinel(primary: &Server) -> Server {
    let sentinel = Server::launch(|dir, port| {
        let file = dir.join("sentinel.conf");
        let primary = primary.port;
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 3000\n",
            dir.display()
        );
        std::fs::write(&file, text).expect("a file");
        vec!["redis-server".to_owned(), file.display().to_string(), "--sentinel".to_owned()]
    });
    until("the Sentinel knows the replica", || {
        let answer = sentinel.ask_by_tcp(&["SENTINEL", "REPLICAS", "main"]);
        let replicas: Vec<Value> = redis::from_redis_value(answer).unwrap_or_default();
        let is_known = |it: &Value| format!("{it:?}").contains("master-link-status");
        replicas.iter().any(|it| is_known(it) && !format!("{it:?}").contains("disconnected"))
    });
    sentinel
}

impl Server {
    fn ask_by_tcp(&self, command: &[&str]) -> Value {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port));
        let mut connection = client.expect("a URL").get_connection().expect("it answers");
        let (name, args) = command.split_first().expect("a command");
        redis::cmd(name).arg(args).query(&mut connection).expect("an answer")
    }

    /// Of a Sentinel: promotes the replica, and returns when it says so. The old primary is made
    /// its replica at once: a Sentinel takes ten seconds to come to that.
    pub(super) fn fail_over(&self, from: &Server, to: &Server) {
        self.ask_by_tcp(&["SENTINEL", "FAILOVER", "main"]);
        self.names(to);
        from.ask(&["REPLICAOF", "127.0.0.1", &to.port.to_string()]);
    }

    /// Of a Sentinel: waits until it names that one.
    pub(super) fn names(&self, primary: &Server) {
        until("it names the other", || {
            let answer = self.ask_by_tcp(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]);
            let address: Vec<String> = redis::from_redis_value(answer).expect("an address");
            address[1] == primary.port.to_string()
                && primary.text(&["INFO", "replication"]).contains("role:master")
        });
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Waits until that is so.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it never is so: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// For a ledger on that server.
pub(super) fn settings(server: &Server) -> Settings {
    Settings {
        endpoints: vec![Endpoint { host: "127.0.0.1".into(), port: server.port }],
        sentinel: None,
        tls: None,
        login: Login::default(),
        database: 0,
        namespace: "test".into(),
        wait_replicas: 0,
        wait_timeout: Duration::from_millis(300),
        accept_loss: false,
        timeout: Duration::from_secs(5),
    }
}

/// For a ledger on the server that this Sentinel names, acknowledged by that many replicas.
pub(super) fn watched(sentinel: &Server, wait_replicas: u32) -> Settings {
    let service = Service { service: "main".to_owned(), login: Login::default() };
    Settings { sentinel: Some(service), wait_replicas, ..settings(sentinel) }
}

pub(super) fn ledger(settings: Settings) -> Arc<Redis> {
    Arc::new(Redis::new(settings).expect("its files are there"))
}

pub(super) const TTL: Duration = Duration::from_secs(30);

/// A ledger with a session.
pub(super) async fn begun(settings: Settings, replica: &str) -> (Arc<Redis>, SessionId) {
    let ledger = ledger(settings);
    let session = Store::begin(&*ledger, replica, TTL, "x").await.expect("it begins");
    (ledger, session)
}

pub(super) fn resource(name: &str) -> Resource {
    Resource::new(name).expect("a name")
}

pub(super) fn change(name: &str, expected: u64, text: &str) -> Swap {
    Swap { resource: resource(name), expected, text: text.as_bytes().to_vec() }
}

/// One swap.
pub(super) async fn swap(
    ledger: &Redis,
    session: &SessionId,
    name: &str,
    expected: u64,
    text: &str,
) -> Swapped {
    let mut answers = Store::swap(ledger, session, &[change(name, expected, text)]).await;
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

/// The version that a swap has made.
pub(super) fn done(swapped: Swapped) -> u64 {
    let Swapped::Done(version) = swapped else { panic!("{swapped:?}") };
    version
}

/// What a feed tells.
pub(super) struct Feed {
    events: mpsc::Receiver<Event>,
    task: JoinHandle<Unavailable>,
}

impl Feed {
    /// Returns when it has told where it begins.
    pub(super) async fn follow(ledger: &Arc<Redis>) -> (Self, u64) {
        let mut feed = Self::resume(ledger, None);
        match feed.next().await {
            Event::Position(at) => (feed, at),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn resume(ledger: &Arc<Redis>, from: Option<u64>) -> Self {
        let (sender, events) = mpsc::channel(64);
        let ledger = ledger.clone();
        let task = tokio::spawn(async move { Store::follow(&*ledger, from, &sender).await });
        Self { events, task }
    }

    /// The next event that is not said of a session that goes on.
    pub(super) async fn next(&mut self) -> Event {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("an event");
        match event {
            Some(event) => event,
            None => panic!("the feed breaks off: {}", (&mut self.task).await.expect("no panic")),
        }
    }

    /// The next event that is no position.
    pub(super) async fn news(&mut self) -> Event {
        loop {
            let event = self.next().await;
            if !matches!(event, Event::Position(_)) {
                return event;
            }
        }
    }

    /// Why it breaks off, and what it has told until then.
    pub(super) async fn end(mut self) -> (Vec<Event>, Unavailable) {
        let mut events = Vec::new();
        while let Some(event) = self.events.recv().await {
            events.push(event);
        }
        (events, (&mut self.task).await.expect("no panic"))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}
