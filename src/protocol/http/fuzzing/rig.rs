//! Palisade in this process between a client made of bytes and a store that records.
//!
//! Nothing is waited for by the clock: whatever can happen has happened when the runtime has
//! nothing left to do for a number of turns. So a run takes a fraction of a millisecond, and
//! the same bytes do the same again.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream, ReadBuf};

use super::origin::{Record, Seen};
use crate::audit::Audit;
use crate::fence::{Action, Claim, Token, TokenRules};
use crate::gate::{self, Bid, Gate};
use crate::ledger::Ledger;
use crate::ledger::embedded::{self, Embedded};
use crate::net::connect::{ClientTls, Endpoint, Upstream, Version};
use crate::net::identity::{Identity, Peer, Source};
use crate::net::tls::ServerTls;
use crate::protocol::http::s3::{AwsChunked, Credentials, Mode, Settings};
use crate::protocol::http::{Flavor, Front, Limits, Listener, Service, TOKEN_HEADER, Unmatched};
use crate::rules::{
    CommitPoint, Covers, Globs, HolderKind, Pattern, Reads, Rule, Rules, Template, Who,
};

/// The mark of every resource under a rule; no other token is ever believed.
pub const TOKEN: &str = "7";
/// The client.
pub const LEADER: &str = "leader";
/// The number of the service that speaks any HTTP.
pub const HTTP: usize = 0;
/// The number of the one that keeps the clients' signatures.
pub const PASSED_THROUGH: usize = 3;
/// Turns of the runtime without any byte moving, after which none will. Each polls everything
/// that is ready, and the sockets.
const QUIET_TURNS: u32 = 24;
/// What can only be a hang.
const PATIENCE: Duration = Duration::from_secs(20);
/// Room for what is under way between client and server, in bytes.
const PIPE_BYTES: usize = 1 << 18;

/// Serves one connection: what is under test.
pub type Serve = fn(DuplexStream, Peer, Arc<Service>) -> Serving;

/// What a run shall be.
#[derive(Clone, Debug)]
pub struct Script<'b> {
    /// HTTP; S3 re-signed, re-signed and decoded, passed through.
    pub service: usize,
    /// What the client sends.
    pub bytes: &'b [u8],
    /// In pieces of that size; 0 is in one.
    pub piece_bytes: usize,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Every byte that the client got.
    pub answers: Vec<u8>,
    /// What the store saw.
    pub seen: Vec<Seen>,
    /// What it saw that was no request.
    pub faults: Vec<String>,
}

/// See the module.
pub struct Rig {
    runtime: tokio::runtime::Runtime,
    services: Vec<Arc<Service>>,
    /// The fences.
    pub gate: Arc<Gate>,
    /// Where their marks are.
    pub ledger: Arc<dyn Ledger>,
    /// What the store sees and says.
    pub record: Record,
    _folder: TempDir,
}

impl Rig {
    /// A rig of its own, with its ledger in a temporary directory.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let folder = tempfile::tempdir().expect("a temporary directory");
        let record = Record::default();
        let (services, gate, ledger) = runtime.block_on(async {
            let store = record.serve().await;
            let path = folder.path().join("ledger");
            let ledger = Embedded::open(&path, embedded::Settings::default()).expect("a ledger");
            let handle = tokio::runtime::Handle::current();
            let settings = gate::Settings::default();
            let ledger: Arc<dyn Ledger> = Arc::new(ledger);
            let gate = Gate::new(Arc::clone(&ledger), settings, Audit::disabled(), handle);
            let gate = Arc::new(gate);
            let rules = rules();
            for rule in rules.iter() {
                seal(&gate, rule).await;
            }
            let service = |flavor| {
                let listener = listener(flavor, store.port(), rules.clone());
                let front = Front::new(listener, Arc::clone(&gate), Audit::disabled(), "fuzz");
                Service::new(front.expect("no certificates are named"))
            };
            (flavors().into_iter().map(service).collect(), gate, ledger)
        });
        Self { runtime, services, gate, ledger, record, _folder: folder }
    }

    /// What is shared by the connections of a service.
    pub fn front(&self, service: usize) -> Arc<Front> {
        Arc::clone(&self.services[service % self.services.len()].front)
    }

    /// Plays a script on a connection of its own.
    ///
    /// # Panics
    /// When it never ends.
    pub fn play(&self, serve: Serve, script: &Script<'_>) -> Exchange {
        self.runtime.block_on(async {
            self.record.lock().seen.clear();
            let service = Arc::clone(&self.services[script.service % self.services.len()]);
            let (client, server) = tokio::io::duplex(PIPE_BYTES);
            let mut served = Some(serve(server, peer(), Arc::clone(&service)));
            let mut client = Client { stream: client, got: Vec::new() };
            client.say(script.bytes, script.piece_bytes, &mut served).await;
            self.settle(&mut served, &mut client).await;
            let _ = client.stream.shutdown().await;
            self.settle(&mut served, &mut client).await;
            // As a worker does with a connection that it cuts off.
            drop(served);
            self.record.hang_up();
            self.settle(&mut None, &mut client).await;
            let begun = Instant::now();
            while !service.detached().is_empty() {
                assert!(begun.elapsed() < PATIENCE, "a write never settles: {script:?}");
                tokio::task::yield_now().await;
            }
            let mut state = self.record.lock();
            let (seen, faults) =
                (std::mem::take(&mut state.seen), std::mem::take(&mut state.faults));
            Exchange { answers: client.got, seen, faults }
        })
    }

    /// What comes back from another kind of server, which may have to wait for the ledger's
    /// thread.
    pub fn converse(
        &self,
        serve: impl FnOnce(DuplexStream) -> Serving,
        bytes: &[u8],
        piece_bytes: usize,
    ) -> Vec<u8> {
        self.runtime.block_on(async {
            let (client, server) = tokio::io::duplex(PIPE_BYTES);
            let mut served = Some(serve(server));
            let mut client = Client { stream: client, got: Vec::new() };
            client.say(bytes, piece_bytes, &mut served).await;
            loop {
                let before = client.got.len();
                self.settle(&mut served, &mut client).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
                self.settle(&mut served, &mut client).await;
                if client.got.len() == before {
                    break;
                }
            }
            client.got
        })
    }

    /// Lets everything happen that can.
    async fn settle(&self, served: &mut Option<Serving>, client: &mut Client) {
        let begun = Instant::now();
        let (mut before, mut quiet) = (None, 0);
        while quiet < QUIET_TURNS {
            turn(served).await;
            client.take();
            let now = Some((self.record.lock().moved, client.got.len(), served.is_some()));
            quiet = if now == before { quiet + 1 } else { 0 };
            before = now;
            assert!(begun.elapsed() < PATIENCE, "it never comes to rest");
        }
    }
}

/// A connection being served.
pub type Serving = Pin<Box<dyn Future<Output = ()>>>;

/// One turn of everything.
async fn turn(served: &mut Option<Serving>) {
    let ended = std::future::poll_fn(|cx| {
        Poll::Ready(served.as_mut().is_some_and(|served| served.as_mut().poll(cx).is_ready()))
    });
    if ended.await {
        *served = None;
    }
    tokio::task::yield_now().await;
}

struct Client {
    stream: DuplexStream,
    got: Vec<u8>,
}

impl Client {
    /// Sends bytes in pieces of that size; 0 is in one.
    async fn say(&mut self, bytes: &[u8], piece_bytes: usize, served: &mut Option<Serving>) {
        let size = if piece_bytes == 0 { bytes.len().max(1) } else { piece_bytes };
        for piece in bytes.chunks(size) {
            // It may have hung up, and then it reads no more.
            let _ = self.stream.write_all(piece).await;
            turn(served).await;
            self.take();
        }
    }

    /// Takes what is there.
    fn take(&mut self) {
        let mut space = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            let mut cx = Context::from_waker(Waker::noop());
            match Pin::new(&mut self.stream).poll_read(&mut cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.got.extend_from_slice(buffer.filled());
                }
                _ => return,
            }
        }
    }
}

fn peer() -> Peer {
    let identity = Identity {
        name: LEADER.into(),
        source: Source::Cn,
        serial: "01".into(),
        fingerprint: "ff".into(),
        not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000),
    };
    Peer { identity: Arc::new(identity), address: ([127, 0, 0, 1], 1).into() }
}

fn globs(texts: &[&str]) -> Globs {
    Globs::new(texts.iter().copied()).expect("globs")
}

/// `/data/` is fenced as a whole; nothing else is there. Resources are few, so that no run has
/// to wait for the ledger, which has a thread of its own.
fn rules() -> Rules {
    let rule = |name: &str, pattern: &str, commit_point| {
        let pattern = Pattern::parse(pattern).expect("a pattern");
        let all = || globs(&["**"]);
        Arc::new(Rule {
            name: name.into(),
            resource: Template::parse(name, &pattern).expect("a template"),
            covers: Covers::Paths(pattern),
            who: Who { read: all(), write: all(), raise: all(), ..Who::default() },
            reads: Reads::Open,
            tokens: TokenRules { max_jump: 0, ..TokenRules::default() },
            holder: HolderKind::Identity,
            commit_point,
            settle_timeout: PATIENCE,
            takeover_timeout: PATIENCE,
            sessions: crate::rules::Sessions::default(),
        })
    };
    Rules::new(vec![
        rule("data", "/data/**", CommitPoint::LastByte),
        rule("head", "/head/**", CommitPoint::Head),
    ])
}

async fn seal(gate: &Gate, rule: &Arc<Rule>) {
    let resource = crate::fence::Resource::new(&rule.name).expect("a name");
    let counter: u64 = TOKEN.parse().expect("a number");
    let open = Rule {
        sessions: rule.sessions.clone(),
        tokens: TokenRules::default(),
        covers: rule.covers.clone(),
        who: rule.who.clone(),
        resource: rule.resource.clone(),
        name: Arc::clone(&rule.name),
        ..**rule
    };
    let bid = Bid {
        resource,
        claim: Claim { token: Token::new(0, counter), holder: rule.holder(&peer().identity) },
        peer: peer(),
        wait: PATIENCE,
        rule: Arc::new(open),
    };
    debug_assert!(rule.who.may(LEADER, Action::Raise));
    gate.seal(&bid).await.expect("the first leader is let in");
}

/// By the number of the service.
fn flavors() -> Vec<Flavor> {
    let s3 = |mode, aws_chunked| {
        Flavor::S3(Settings { domains: vec!["s".to_owned()], mode, aws_chunked })
    };
    let re_sign = || Mode::ReSign {
        credentials: Arc::new(Credentials {
            access_key_id: "id".to_owned(),
            secret_access_key: "secret".to_owned().into(),
        }),
        region: "here".into(),
    };
    vec![
        Flavor::Http,
        s3(re_sign(), AwsChunked::Forward),
        s3(re_sign(), AwsChunked::Decode),
        s3(Mode::PassThrough, AwsChunked::Forward),
    ]
}

fn listener(flavor: Flavor, port: u16, rules: Rules) -> Listener {
    let tls = ServerTls {
        certificate: "".into(),
        key: "".into(),
        client_ca: "".into(),
        crls: Vec::new(),
        identity: vec![Source::Cn],
    };
    let upstream = Upstream {
        name: "store".into(),
        endpoints: vec![Endpoint { tls: false, host: "127.0.0.1".into(), port }],
        version: Version::Http1,
        tls: ClientTls::default(),
        connections_max: 8,
        connect_timeout: PATIENCE,
        response_timeout: PATIENCE,
        idle_timeout: PATIENCE,
    };
    Listener {
        name: "main".into(),
        addresses: Vec::new(),
        tls,
        flavor,
        upstream: Arc::new(upstream),
        token_header: TOKEN_HEADER,
        prefix: "/.palisade".into(),
        rules,
        unmatched: Unmatched::default(),
        limits: Limits::default(),
    }
}
