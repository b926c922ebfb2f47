//! A listener for PostgreSQL: what its sessions share, and a connection from its first byte.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::cancel::Cancels;
use super::codec::message::write::Severity;
use super::codec::startup::{self, First};
use super::farewell::FAREWELL_TIMEOUT;
use super::metrics::Metrics;
use super::name::SessionName;
use super::refusal::{Denial, Problem};
use super::upstream::{Connector, Control, Upstream};
use super::{Listener, opening};
use crate::audit::Audit;
use crate::fence::SessionId;
use crate::gate::{Admission, Gate, Remains};
use crate::net::connect::ConnectorError;
use crate::net::listen::{Connection, Prelude};
use crate::net::tls::ServerStream;
use crate::telemetry::RateLimit;

/// How often a client may ask for encryption that is not there before it asks for TLS.
const WISHES_MAX: usize = 2;
/// The first byte of TLS: a handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

/// Sessions of a listener that are ended at once. When a thousand idle ones are overtaken, the
/// server would otherwise be so busy with ending their processes that the new leader waits for its
/// own. Nothing of theirs is admitted meanwhile.
pub const ENDINGS_MAX: usize = 32;

/// The servers behind listeners: one for each upstream, as each sweeps its servers once, at its
/// beginning.
#[derive(Clone)]
pub struct Servers {
    connector: Arc<Connector>,
    control: Arc<Control>,
}

impl Servers {
    /// With Palisade's own connections to them, on `runtime`. Blocks: reads files. Where the gate's
    /// ledger is shared, nothing is swept at the start: what the dead have left is ended when
    /// somebody waits for it.
    ///
    /// # Errors
    /// TLS to the servers cannot be set up.
    pub fn new(
        upstream: Arc<Upstream>,
        gate: &Gate,
        runtime: &Handle,
    ) -> Result<Self, ConnectorError> {
        let connector = Arc::new(Connector::new(upstream)?);
        let control = match gate.session() {
            Some(_) => Control::start_among_replicas(Arc::clone(&connector), runtime),
            None => Control::start(Arc::clone(&connector), runtime),
        };
        Ok(Self { connector, control })
    }
}

/// A listener with everything that its sessions use.
pub struct Front {
    pub(super) listener: Listener,
    pub(super) gate: Arc<Gate>,
    pub(super) audit: Audit,
    pub(super) connector: Arc<Connector>,
    pub(super) control: Arc<Control>,
    pub(super) cancels: Arc<Cancels>,
    pub(super) metrics: Metrics,
    /// Lines of the log, by reason.
    pub(super) lines: RateLimit<&'static str>,
    /// Sessions that are being ended.
    pub(super) endings: Semaphore,
    /// With a shared ledger: the session with it that this process had when it began. Its number is
    /// below all that come later, so it stands for one while there is none.
    first: Option<SessionId>,
    runtime: Handle,
    /// What goes on when its session has ended.
    reaping: TaskTracker,
}

impl Front {
    /// A listener in front of those servers.
    pub fn new(
        listener: Listener,
        servers: Servers,
        gate: Arc<Gate>,
        audit: Audit,
        runtime: Handle,
    ) -> Arc<Self> {
        let Servers { connector, control } = servers;
        for rule in listener.rules.iter() {
            gate.settles_through(&rule.name, Arc::clone(&control) as Arc<dyn Remains>);
        }
        let first = gate.session();
        let metrics = Metrics::new(&listener.name, &listener.rules);
        let (swept, sweeping) = (metrics.swept.clone(), Arc::clone(&control));
        let name = Arc::clone(&listener.name);
        runtime.spawn(async move {
            let ended = sweeping.swept().await;
            swept.set(1.0);
            if ended > 0 {
                tracing::warn!(listener = %name, ended, "sessions of an earlier process were ended");
            }
        });
        Arc::new(Self {
            listener,
            gate,
            audit,
            connector,
            control,
            cancels: Arc::default(),
            metrics,
            lines: RateLimit::new(1, Duration::from_secs(1)),
            endings: Semaphore::new(ENDINGS_MAX),
            first,
            runtime,
            reaping: TaskTracker::new(),
        })
    }

    /// What a session that begins now is known by at the server: with a shared ledger this
    /// process's session with that, which may be another one each time. It is read before the
    /// login, and numbers rise: so what is admitted on it later is admitted under this number or
    /// a larger one, and whoever ends what a dead session has left finds it.
    pub(super) fn session_name(&self) -> SessionName {
        match self.gate.session().or_else(|| self.first.clone()) {
            Some(session) => SessionName::new(&session.to_string()),
            None => SessionName::new(&self.listener.upstream.replica),
        }
    }

    /// Resolves when the server has confirmed the end of every backend that was to be ended.
    pub async fn finished(&self) {
        self.reaping.close();
        self.reaping.wait().await;
    }

    /// Has the server end a backend, and settles what it was admitted for once it has.
    pub(super) fn reap(self: &Arc<Self>, host: usize, pid: u32, admission: Admission) {
        let front = Arc::clone(self);
        self.metrics.reaping.increment(1.0);
        let reaping = async move {
            front.control.terminate(host, pid).await;
            admission.settle();
            front.metrics.reaping.decrement(1.0);
            front.metrics.reaped.increment(1);
        };
        self.reaping.spawn_on(reaping, &self.runtime);
    }

    /// Asks the server to cancel what a backend runs. Whether it has is not told.
    pub(super) fn cancel_soon(self: &Arc<Self>, host: usize, pid: u32, secret: &[u8]) {
        let (front, secret) = (Arc::clone(self), Box::<[u8]>::from(secret));
        self.runtime.spawn(async move { front.cancel(host, pid, &secret).await });
    }

    async fn cancel(&self, host: usize, pid: u32, secret: &[u8]) {
        let sent = self.connector.cancel(host, pid, secret).await;
        self.metrics.cancelled(if sent.is_ok() { "sent" } else { "failed" });
    }

    /// What a client says in plain before TLS.
    ///
    /// # Errors
    /// The connection's, or that what it said is not the protocol.
    pub async fn prelude(self: &Arc<Self>, stream: &mut TcpStream) -> io::Result<Prelude> {
        for _ in 0..=WISHES_MAX {
            let mut byte = [0];
            if stream.peek(&mut byte).await? == 0 {
                return Ok(Prelude::Done);
            }
            if byte[0] == TLS_HANDSHAKE {
                return Ok(Prelude::TlsWithAlpn);
            }
            match first(stream).await? {
                Ok(First::Ssl) => {
                    stream.write_all(b"S").await?;
                    return Ok(Prelude::Tls);
                }
                // Declined; what comes next is another wish, or nothing.
                Ok(First::Gss) => stream.write_all(b"N").await?,
                Ok(First::Cancel { pid, secret }) => {
                    self.cancel_by_key(pid, &secret, None).await;
                    return Ok(Prelude::Done);
                }
                Ok(First::Startup(_)) => {
                    return refuse_in_plain(stream, Denial::NoTls).await;
                }
                Err(what) => {
                    let mend = "speak PostgreSQL's protocol 3 to this port";
                    return refuse_in_plain(stream, Denial::Protocol { what, mend }).await;
                }
            }
        }
        Err(io::Error::other("it asks again and again for encryption that is not there"))
    }

    /// A CancelRequest. Nothing is ever answered to it, but that the connection ends tells that
    /// the server has it.
    async fn cancel_by_key(&self, pid: u32, secret: &[u8], identity: Option<&str>) {
        match self.cancels.find(pid, secret, identity) {
            Some(target) => self.cancel(target.host, target.pid, &target.secret).await,
            None => {
                self.metrics.cancelled("unknown_key");
                tracing::debug!(listener = %self.listener.name, "a CancelRequest with no such key");
            }
        }
    }
}

/// Serves a connection whose client is authenticated, to its end.
pub async fn serve_connection(front: Arc<Front>, connection: Connection) {
    let Connection { mut stream, peer, drain, .. } = connection;
    let limits = front.listener.limits;
    let asked = tokio::time::timeout(limits.startup_timeout, first(&mut stream)).await;
    let malformed = |what: String, mend: &'static str| Denial::Protocol { what, mend };
    let denial = match asked {
        Ok(Ok(Ok(First::Startup(startup)))) => {
            return Box::pin(opening::open(front, stream, peer, startup, drain)).await;
        }
        Ok(Ok(Ok(First::Cancel { pid, secret }))) => {
            front.cancel_by_key(pid, &secret, Some(&peer.identity.name)).await;
            // Who waits for the end is to see a good one.
            let _ = tokio::time::timeout(FAREWELL_TIMEOUT, stream.shutdown()).await;
            return;
        }
        Ok(Ok(Ok(First::Ssl | First::Gss))) => {
            malformed("encryption was asked for within TLS".to_owned(), "ask once")
        }
        Ok(Ok(Err(what))) => malformed(what, "speak PostgreSQL's protocol 3 to this port"),
        Ok(Err(_)) => return, // It has hung up.
        Err(_) => malformed(
            "no start-up packet came in time".to_owned(),
            "send it at once, or raise startup_timeout",
        ),
    };
    let problem = Problem::from(denial);
    front.tell_refused(&peer, &problem);
    farewell(stream, &problem).await;
}

/// Tells a client why it gets no session.
pub(super) async fn farewell(mut stream: Box<ServerStream>, problem: &Problem) {
    let telling = async {
        stream.write_all(&problem.error(Severity::Fatal)).await?;
        stream.shutdown().await
    };
    // Whoever does not read it does not learn why.
    let _ = tokio::time::timeout(FAREWELL_TIMEOUT, telling).await;
}

async fn refuse_in_plain(stream: &mut TcpStream, denial: Denial) -> io::Result<Prelude> {
    stream.write_all(&Problem::from(denial).error(Severity::Fatal)).await?;
    stream.shutdown().await?;
    Ok(Prelude::Done)
}

/// Reads a first packet, and not a byte more.
async fn first<S>(stream: &mut S) -> io::Result<Result<First, String>>
where
    S: tokio::io::AsyncRead + Unpin,
{
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let len = match startup::len(&length) {
        Ok(Some(len)) => len,
        Ok(None) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await?;
    Ok(startup::first(&body).map_err(|error| error.to_string()))
}
