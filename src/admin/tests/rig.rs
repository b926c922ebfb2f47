//! A listener on a free port, with a gate and a ledger of its own.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::admin::{Caller, ListenerInfo, OPERATOR_HEADER, Readiness, Server, State};
use crate::audit::{Audit, Target};
use crate::fence::{Holder, Mark, Resource, Token, TokenRules};
use crate::gate::{Admission, Bid, Gate, Settings};
use crate::ledger::Ledger;
use crate::ledger::embedded::Embedded;
use crate::net::identity::{Identity, Peer, Source};
use crate::rules::{CommitPoint, Covers, Globs, HolderKind, Pattern, Reads, Rule, Template, Who};
use crate::telemetry;

pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) audit: Audit,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) readiness: Readiness,
    pub(crate) server: Server,
    gate: Arc<Gate>,
    serving: JoinHandle<()>,
    folder: TempDir,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .into_iter()
            .find(|(there, _)| there.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.body);
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub(crate) fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.body);
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// There is one recorder in a process.
fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| telemetry::install_metrics().expect("the only recorder")).clone()
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::over(|ledger| Arc::new(ledger)).await
    }

    /// With something around its ledger.
    pub(crate) async fn over(wrap: impl FnOnce(Embedded) -> Arc<dyn Ledger>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let metrics = metrics();
        let ledger = Embedded::open(&folder.path().join("ledger"), Default::default());
        let ledger = wrap(ledger.expect("a ledger"));
        let path = folder.path().join("audit.jsonl");
        let target = Target::File { path, rotate_bytes: u64::MAX, keep: 1 };
        let audit = Audit::open(target).expect("an audit log");
        let gate = Arc::new(Gate::new(
            Arc::clone(&ledger),
            Settings { settle_timeout_max: Duration::from_secs(5), ..Settings::default() },
            audit.clone(),
            Handle::current(),
        ));
        let guarantee = "<b>kept</b>".into();
        let readiness =
            Readiness::new([ListenerInfo { name: "s3".into(), speaks: "s3", guarantee }]);
        let server = Server::new(State {
            gate: Arc::clone(&gate),
            ledger: Arc::clone(&ledger),
            metrics,
            readiness: readiness.clone(),
            audit: audit.clone(),
            operators: Globs::new(["ops/*"]).expect("a glob"),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let serving = tokio::spawn({
            let server = server.clone();
            async move { _ = server.serve(listener).await }
        });
        Self { address, audit, ledger, readiness, server, gate, serving, folder }
    }

    /// Admits a write of `leader-TOKEN`.
    pub(crate) async fn admit(&self, resource: &str, token: u64) -> Admission {
        let name = format!("leader-{token}");
        let bid = Bid {
            resource: Resource::new(resource).expect("a name"),
            rule: Arc::new(rule()),
            claim: Mark { token: Token::new(0, token), holder: Holder::new(&*name) },
            peer: peer(&name),
            wait: Duration::from_secs(5),
        };
        self.gate.admit(&bid).await.expect("admitted")
    }

    /// A write from its beginning to its end.
    pub(crate) async fn write(&self, resource: &str, token: u64) {
        let admission = self.admit(resource, token).await;
        admission.commit().expect("not cut");
        admission.settle();
    }

    /// The one line of the audit log of this kind.
    pub(crate) fn audited(&self, event: &str) -> Value {
        assert!(self.audit.flush(Duration::from_secs(5)));
        let text = std::fs::read_to_string(self.folder.path().join("audit.jsonl")).expect("a log");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let mut found: Vec<_> = lines.filter(|line| line["event"] == event).collect();
        assert_eq!(found.len(), 1, "{event} in {text}");
        found.remove(0)
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &self.address.to_string(), &[], "").await
    }

    pub(crate) async fn try_get(&self, target: &str) -> Option<Answer> {
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        exchange(stream, "GET", target, "localhost", &[], "").await
    }

    pub(crate) async fn post(&self, operation: &str, body: Value) -> Answer {
        let headers = [("content-type", "application/json"), (OPERATOR_HEADER, "test")];
        let target = match operation {
            "confirm" => "/api/ledger/confirm".to_owned(),
            _ => format!("/api/resources/{operation}"),
        };
        let host = self.address.to_string();
        self.send("POST", &target, &host, &headers, &body.to_string()).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        host: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        exchange(stream, method, target, host, headers, body).await.expect("an answer")
    }

    /// Over a connection whose caller was made out before, as after a TLS handshake.
    pub(crate) async fn send_as(
        &self,
        caller: Caller,
        method: &str,
        target: &str,
        host: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let server = self.server.clone();
        let (answer, ()) = tokio::join!(
            exchange(ours, method, target, host, headers, body),
            server.serve_connection(theirs, caller)
        );
        answer.expect("an answer")
    }
}

/// `None` when the connection is closed without an answer.
async fn exchange<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    mut stream: S,
    method: &str,
    target: &str,
    host: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Answer> {
    let mut request =
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    let mut answer = Vec::new();
    // A connection that is refused may be reset while the request is still on its way.
    let _ = stream.write_all(request.as_bytes()).await;
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

pub(crate) fn peer(name: &str) -> Peer {
    Peer {
        identity: Arc::new(Identity {
            name: name.into(),
            source: Source::Cn,
            serial: "01".into(),
            fingerprint: "ab".into(),
            not_after: SystemTime::now() + Duration::from_secs(3_600),
        }),
        address: ([127, 0, 0, 1], 1).into(),
    }
}

fn rule() -> Rule {
    let everybody = || Globs::new(["**"]).expect("a glob");
    let pattern = Pattern::parse("/orders/**").expect("a pattern");
    Rule {
        name: "orders".into(),
        resource: Template::parse("orders", &pattern).expect("a template"),
        covers: Covers::Paths(pattern),
        who: Who { read: everybody(), write: everybody(), raise: everybody(), ..Who::default() },
        reads: Reads::Open,
        tokens: TokenRules::default(),
        holder: HolderKind::Identity,
        commit_point: CommitPoint::LastByte,
        settle_timeout: Duration::from_secs(5),
        takeover_timeout: Duration::from_secs(5),
        sessions: crate::rules::Sessions::default(),
    }
}
