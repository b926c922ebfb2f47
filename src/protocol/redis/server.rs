//! A listener for Redis: what its connections share, and a connection from its beginning.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::commands::{Commands, ServerCommand, What};
use super::farewell::farewell;
use super::metrics::Metrics;
use super::name::SessionName;
use super::orphans::{Orphan, Orphans};
use super::refusal::{Denial, Problem};
use super::session::Session;
use super::upstream::{Connector, Control, OpenError, ServerId, Upstream};
use super::{Listener, changes};
use crate::audit::Audit;
use crate::fence::SessionId;
use crate::gate::{Admission, Gate, Remains};
use crate::net::connect::ConnectorError;
use crate::net::listen::Connection;
use crate::telemetry::RateLimit;

/// How often a command is told to wait no more that the server may not have come to yet.
const UNBLOCK_TRIES_MAX: usize = 50;
const UNBLOCK_PAUSE: Duration = Duration::from_millis(20);

/// Connections of a listener that are ended at once: when a thousand idle ones are overtaken, the
/// new leader would otherwise wait for its own answer until all of them were told. Nothing of theirs
/// is admitted meanwhile.
pub const ENDINGS_MAX: usize = 32;

/// The server behind listeners: one for each upstream, as each is swept once, at the beginning.
#[derive(Clone)]
pub struct Servers {
    connector: Arc<Connector>,
    control: Arc<Control>,
    commands: Arc<ArcSwap<Commands>>,
}

impl Servers {
    /// With Palisade's own connections to it, on `runtime`. Blocks: reads files. Where the gate's
    /// ledger is shared, nothing is swept at the start: what the dead have left is ended when
    /// somebody waits for it.
    ///
    /// # Errors
    /// TLS to the server cannot be set up.
    pub fn new(
        upstream: Arc<Upstream>,
        gate: &Gate,
        audit: Audit,
        runtime: &Handle,
    ) -> Result<Self, ConnectorError> {
        let connector = Arc::new(Connector::new(Arc::clone(&upstream))?);
        let control = match gate.session() {
            Some(_) => Control::start_among_replicas(Arc::clone(&connector), runtime),
            None => Control::start(Arc::clone(&connector), runtime),
        };
        let commands = Arc::new(ArcSwap::new(Commands::shipped()));
        runtime.spawn(learn(Arc::clone(&control), Arc::clone(&commands), upstream.name.clone()));
        runtime.spawn(changes::tell(Arc::clone(&control), upstream, audit));
        Ok(Self { connector, control, commands })
    }
}

/// A listener with everything that its connections use.
pub struct Front {
    pub(super) listener: Listener,
    pub(super) gate: Arc<Gate>,
    pub(super) audit: Audit,
    pub(super) connector: Arc<Connector>,
    pub(super) control: Arc<Control>,
    pub(super) metrics: Metrics,
    /// Lines of the log, by reason.
    pub(super) lines: RateLimit<&'static str>,
    /// What goes on for clients that are gone.
    pub(super) orphans: Arc<Orphans>,
    /// Connections that are being ended.
    pub(super) endings: Semaphore,
    commands: Arc<ArcSwap<Commands>>,
    /// With a shared ledger: the session with it that this process had when it began. Its number is
    /// below all that come later, so it stands for one while there is none.
    first: Option<SessionId>,
    runtime: Handle,
    /// What goes on when its connection has ended.
    reaping: TaskTracker,
}

impl Front {
    /// A listener in front of that server.
    pub fn new(
        listener: Listener,
        servers: Servers,
        gate: Arc<Gate>,
        audit: Audit,
        runtime: Handle,
    ) -> Arc<Self> {
        let Servers { connector, control, commands } = servers;
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
                tracing::warn!(listener = %name, ended, "clients of an earlier process were killed");
            }
        });
        Arc::new(Self {
            listener,
            gate,
            audit,
            connector,
            control,
            metrics,
            lines: RateLimit::new(1, Duration::from_secs(1)),
            orphans: Arc::default(),
            endings: Semaphore::new(ENDINGS_MAX),
            commands,
            first,
            runtime,
            reaping: TaskTracker::new(),
        })
    }

    /// What a connection that begins now is known by at the server: with a shared ledger this
    /// process's session with that, which may be another one each time. It is read before the
    /// login, and numbers rise: so what is admitted on it later is admitted under this number or
    /// a larger one, and whoever ends what a dead session has left finds it.
    fn session_name(&self) -> SessionName {
        match self.gate.session().or_else(|| self.first.clone()) {
            Some(session) => SessionName::new(&session.to_string()),
            None => SessionName::new(&self.listener.upstream.replica),
        }
    }

    /// Resolves when the server has confirmed the end of every client that was to be killed.
    pub async fn finished(&self) {
        self.reaping.close();
        self.reaping.wait().await;
    }

    /// What is known of commands now.
    pub(super) fn commands(&self) -> Arc<Commands> {
        self.commands.load_full()
    }

    /// Has the server kill a client, and settles what it was admitted for once it has.
    pub(super) fn reap(
        self: &Arc<Self>,
        server: &Arc<ServerId>,
        client_id: u64,
        (admissions, orphans): (Vec<Admission>, Vec<Orphan>),
    ) {
        let (front, server) = (Arc::clone(self), Arc::clone(server));
        self.metrics.killing.increment(1.0);
        let reaping = async move {
            front.control.kill(&server, client_id).await;
            for admission in admissions {
                admission.settle();
            }
            drop(orphans);
            front.metrics.killing.decrement(1.0);
            front.metrics.killed.increment(1);
        };
        self.reaping.spawn_on(reaping, &self.runtime);
    }

    /// Has a command that waits for somebody else end. Whether it has is seen by its answer.
    pub(super) fn unblock_soon(self: &Arc<Self>, server: &Arc<ServerId>, client_id: u64) {
        let (control, server) = (Arc::clone(&self.control), Arc::clone(server));
        self.runtime.spawn(async move {
            // It may not have got there yet, or have been answered.
            for _ in 0..UNBLOCK_TRIES_MAX {
                if control.unblock(&server, client_id).await {
                    return;
                }
                tokio::time::sleep(UNBLOCK_PAUSE).await;
            }
        });
    }
}

/// Serves a connection whose client is authenticated, to its end.
pub async fn serve_connection(front: Arc<Front>, connection: Connection) {
    let Connection { stream, peer, drain, .. } = connection;
    let begun = Instant::now();
    let name = front.session_name();
    match front.connector.open(&name.full()).await {
        Ok(opened) => {
            front.metrics.connect.record(begun.elapsed());
            let session = Session::new(front, peer, stream, opened, name);
            Box::pin(session.run(drain)).await;
        }
        Err(error) => {
            let problem = Problem::from(denied(&error));
            front.tell_refused(&peer, &problem);
            farewell(stream, &problem).await;
        }
    }
}

/// Why there is no connection to the server.
fn denied(error: &OpenError) -> Denial {
    match error.is_retryable() {
        true => Denial::Unavailable(error.to_string()),
        false => Denial::Login(error.to_string()),
    }
}

/// Text that stands nowhere else in what the server sends.
pub(super) fn nonce() -> [u8; 32] {
    let mut random = [0; 16];
    // Nothing depends on that nobody can guess it: messages have another form.
    let _ = aws_lc_rs::rand::fill(&mut random);
    let mut text = [0; 32];
    for (byte, digits) in random.iter().zip(text.chunks_exact_mut(2)) {
        let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
        digits.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

/// Checks the table of commands against the server's own, each time that it is read.
async fn learn(control: Arc<Control>, commands: Arc<ArcSwap<Commands>>, upstream: Arc<str>) {
    let mut tables = control.command_table();
    drop(control);
    loop {
        let table = tables.borrow_and_update().clone();
        if let Some(table) = table {
            match ServerCommand::parse(&table) {
                Ok(server) => {
                    let (checked, differences) = Commands::checked(&server);
                    let (new, others): (Vec<_>, Vec<_>) = differences
                        .into_iter()
                        .partition(|difference| matches!(difference.what, What::New));
                    for difference in &others {
                        tracing::warn!(%upstream, %difference, "the server has a command otherwise");
                    }
                    if !new.is_empty() {
                        let new = new.len();
                        tracing::info!(%upstream, new, "commands are known only to the server");
                    }
                    commands.store(checked);
                }
                Err(error) => {
                    tracing::warn!(%upstream, error, "the server's list of commands cannot be read");
                }
            }
        }
        if tables.changed().await.is_err() {
            return;
        }
    }
}

/// How long a first token waits for what an earlier process has left to be gone.
pub(super) async fn swept(front: &Front, wait: Duration) -> Result<(), Denial> {
    if front.control.is_swept() || timeout(wait, front.control.swept()).await.is_ok() {
        return Ok(());
    }
    let what = "clients that an earlier process left there have not been ended yet";
    Err(Denial::Unavailable(what.to_owned()))
}

/// The same for what dead replicas may have left on a server that has become the primary since
/// they were told to have ended.
pub(super) async fn clean(front: &Front, server: &ServerId, wait: Duration) -> Result<(), Denial> {
    if front.control.is_clean(server) || timeout(wait, front.control.clean(server)).await.is_ok() {
        return Ok(());
    }
    let what = "clients that a dead replica may have left there have not been ended yet";
    Err(Denial::Unavailable(what.to_owned()))
}
