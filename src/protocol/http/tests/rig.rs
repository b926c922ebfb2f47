//! Palisade in this process, between a raw client and an origin that records.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::origin::{Record, Seen, origin};
use crate::audit::Audit;
use crate::fence::TokenRules;
use crate::gate::{Gate, Settings};
use crate::ledger::Ledger;
use crate::ledger::embedded::{self, Embedded};
use crate::net::connect::{ClientTls, Endpoint, Upstream, Version};
use crate::net::identity::{Identity, Peer, Source};
use crate::net::tls::ServerTls;
use crate::protocol::http::{
    Flavor, Front, Limits, Listener, Service, TOKEN_HEADER, Unmatched, serve_connection,
};
use crate::rules::{
    CommitPoint, Covers, Globs, HolderKind, Pattern, Reads, Rule, Rules, Template, Who,
};

/// The longest that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long it waits for a takeover.
pub const SEAL_WAIT: Duration = Duration::from_secs(5);

pub struct Rig {
    pub record: Arc<Record>,
    pub gate: Arc<Gate>,
    pub service: Arc<Service>,
    pub audit: Audit,
    pub ledger: Arc<Embedded>,
    _folder: tempfile::TempDir,
}

pub struct Options {
    pub limits: Limits,
    pub version: Version,
    pub endpoints: Option<Vec<SocketAddr>>,
    pub response_timeout: Duration,
    pub settle_timeout: Duration,
    pub connections_max: usize,
    pub flavor: Flavor,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            version: Version::Http1,
            endpoints: None,
            response_timeout: Duration::from_millis(400),
            settle_timeout: Duration::from_millis(500),
            connections_max: 8,
            flavor: Flavor::Http,
        }
    }
}

fn rule(
    name: &str,
    pattern: &str,
    resource: &str,
    commit_point: CommitPoint,
    reads: Reads,
    settle_timeout: Duration,
) -> Arc<Rule> {
    let pattern = Pattern::parse(pattern).unwrap();
    let globs = |texts: &[&str]| Globs::new(texts.iter().copied()).unwrap();
    Arc::new(Rule {
        name: name.into(),
        resource: Template::parse(resource, &pattern).unwrap(),
        covers: Covers::Paths(pattern),
        who: Who {
            read: globs(&["leader-*", "reader"]),
            write: globs(&["leader-*", "worker"]),
            raise: globs(&["leader-*"]),
            ..Who::default()
        },
        reads,
        tokens: TokenRules::default(),
        holder: HolderKind::Identity,
        commit_point,
        settle_timeout,
        takeover_timeout: PATIENCE,
        sessions: crate::rules::Sessions::default(),
    })
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let record = Arc::new(Record::default());
        let addresses = match options.endpoints {
            Some(addresses) => addresses,
            None => vec![origin(Arc::clone(&record), options.version).await],
        };
        let endpoint = |address: &SocketAddr| Endpoint {
            tls: false,
            host: address.ip().to_string().into(),
            port: address.port(),
        };
        let upstream = Upstream {
            name: "store".into(),
            endpoints: addresses.iter().map(endpoint).collect(),
            version: options.version,
            tls: ClientTls::default(),
            connections_max: options.connections_max,
            connect_timeout: Duration::from_millis(500),
            response_timeout: options.response_timeout,
            idle_timeout: Duration::from_secs(30),
        };
        let settle = options.settle_timeout;
        let rules = Rules::new(vec![
            rule(
                "data",
                "/data/{shard}/**",
                "data/{shard}",
                CommitPoint::LastByte,
                Reads::Open,
                settle,
            ),
            rule("head", "/head/**", "head", CommitPoint::Head, Reads::Open, settle),
            rule("sealed", "/sealed/**", "sealed", CommitPoint::LastByte, Reads::Token, settle),
        ]);
        let tls = ServerTls {
            certificate: "".into(),
            key: "".into(),
            client_ca: "".into(),
            crls: Vec::new(),
            identity: vec![Source::Cn],
        };
        let unmatched = Unmatched {
            read: Globs::new(["leader-*"]).unwrap(),
            write: Globs::new(["free"]).unwrap(),
        };
        let listener = Listener {
            name: "main".into(),
            addresses: Vec::new(),
            tls,
            flavor: options.flavor,
            upstream: Arc::new(upstream),
            token_header: TOKEN_HEADER,
            prefix: "/.palisade".into(),
            rules,
            unmatched,
            limits: options.limits,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let ledger = Arc::new(Embedded::open(&path, embedded::Settings::default()).unwrap());
        let runtime = tokio::runtime::Handle::current();
        let settings = Settings::default();
        let shared: Arc<dyn Ledger> = Arc::clone(&ledger) as _;
        let gate = Arc::new(Gate::new(shared, settings, Audit::disabled(), runtime));
        let target = crate::audit::Target::File {
            path: folder.path().join("audit"),
            rotate_bytes: 1 << 20,
            keep: 1,
        };
        let audit = Audit::open(target).unwrap();
        let front = Front::new(listener, Arc::clone(&gate), audit.clone(), "test").unwrap();
        Self { record, gate, service: Service::new(front), audit, ledger, _folder: folder }
    }

    /// A client of that identity.
    pub fn peer(identity: &str) -> Peer {
        let identity = Identity {
            name: identity.into(),
            source: Source::Cn,
            serial: "01".into(),
            fingerprint: "ff".into(),
            not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000),
        };
        Peer { identity: Arc::new(identity), address: ([127, 0, 0, 1], 1).into() }
    }

    /// A connection of that identity.
    pub async fn connect(&self, identity: &str, is_http2: bool) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, address) = listener.accept().await.unwrap();
        let peer = Peer { address, ..Self::peer(identity) };
        let service = Arc::clone(&self.service);
        tokio::spawn(serve_connection(server, peer, is_http2, service, std::future::pending()));
        client
    }

    /// Sends these bytes on a connection of their own and returns what comes back.
    pub async fn ask(&self, identity: &str, request: &str) -> Answer {
        let mut client = self.connect(identity, false).await;
        client.write_all(request.as_bytes()).await.unwrap();
        read_answer(&mut client).await
    }

    /// A whole PUT with a token.
    pub async fn put(&self, identity: &str, path: &str, token: u64, body: &str) -> Answer {
        let len = body.len();
        self.ask(
            identity,
            &format!("PUT {path} HTTP/1.1\r\nHost: s\r\nFencing-Token: {token}\r\nContent-Length: {len}\r\n\r\n{body}"),
        )
        .await
    }

    /// What the audit log says of requests: event, reason, resource, outcome.
    pub async fn audited(&self, count: usize) -> Vec<[String; 4]> {
        until(|| self.audit.recent().len() >= count).await;
        let text = |text: Option<&str>| text.unwrap_or("").to_owned();
        let line = |entry: crate::audit::Entry| {
            let event = entry.event;
            [
                event.event.to_owned(),
                text(event.reason),
                text(event.resource.as_deref()),
                text(event.outcome),
            ]
        };
        self.audit.recent().into_iter().map(line).collect()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.record.seen.lock().unwrap().clone()
    }

    /// Waits until the origin has recorded that many requests.
    pub async fn wait_seen(&self, count: usize) -> Vec<Seen> {
        until(|| self.seen().len() >= count).await;
        self.seen()
    }

    /// Waits until that many bytes of bodies have arrived at the origin.
    pub async fn wait_arrived(&self, bytes: usize) {
        until(|| *self.record.arrived.lock().unwrap() >= bytes).await;
    }

    /// What the gate says of a resource: streaming, sent, unknown.
    pub async fn in_flight(&self, resource: &str) -> (u32, u32, u32) {
        let resource = crate::fence::Resource::new(resource).unwrap();
        let status = self.gate.status(&resource).await.unwrap();
        (status.streaming, status.sent, status.unknown)
    }

    pub async fn wait_in_flight(&self, resource: &str, expected: (u32, u32, u32)) {
        for _ in 0..500 {
            if self.in_flight(resource).await == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.in_flight(resource).await, expected);
    }
}

pub async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come about");
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// A member of the problem document or of the evidence.
    pub fn member(&self, name: &str) -> String {
        let document: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        match &document[name] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// Reads one answer; status 0 when the connection ends without one.
pub async fn read_answer(client: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let nothing = Answer { status: 0, head: String::new(), body: String::new() };
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
            let answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
            let len = answer.header("content-length").and_then(|len| len.parse::<usize>().ok());
            let whole = match len {
                Some(len) => body.len() >= len || status == 304,
                None => body.ends_with("0\r\n\r\n") || status == 100 || status == 204,
            };
            if whole {
                return answer;
            }
        }
        match timeout(PATIENCE, client.read(&mut buffer)).await.expect("an answer in time") {
            Ok(0) | Err(_) => return nothing,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
