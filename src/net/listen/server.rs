//! A listener from its binding to its shutdown.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::accept::accept;
use super::meters::Meters;
use super::slots::Slots;
use super::workers::Workers;
use super::{BindError, Handler, Limits, socket};
use crate::net::metrics::CONNECTIONS_OPEN;
use crate::net::tls::{POLL_INTERVAL, TlsStore};

/// How long connections that were cut may take to be gone.
const CUT_TIMEOUT: Duration = Duration::from_secs(5);

/// Sockets that are bound and listen, and are not served yet.
#[derive(Debug)]
pub struct Listener {
    name: Arc<str>,
    sockets: Vec<(SocketAddr, TcpListener)>,
}

/// A listener that is served. Dropping it stops the accepting, but not its connections:
/// [`Server::shutdown`] does.
pub struct Server {
    local_addrs: Vec<SocketAddr>,
    tls: Arc<TlsStore>,
    slots: Arc<Slots>,
    drain: CancellationToken,
    cut: CancellationToken,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// How the connections of a server ended at its shutdown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Closed {
    /// By themselves, in time.
    pub drained: usize,
    /// Cut, because they took too long.
    pub cut: usize,
}

/// What the connections of a server have in common.
pub(super) struct Shared<H> {
    pub(super) listener: Arc<str>,
    pub(super) tls: Arc<TlsStore>,
    pub(super) limits: Limits,
    pub(super) slots: Arc<Slots>,
    pub(super) meters: Meters,
    pub(super) handler: Arc<H>,
    /// End gracefully.
    pub(super) drain: CancellationToken,
    /// End now.
    pub(super) cut: CancellationToken,
}

impl Listener {
    /// Binds every address, so that what is wrong with one shows before anything is served.
    ///
    /// # Errors
    /// The first address that cannot be bound.
    pub fn bind(name: Arc<str>, addresses: &[SocketAddr]) -> Result<Self, BindError> {
        let bind = |address: &SocketAddr| {
            let socket = socket::bind(*address)?;
            let local =
                socket.local_addr().map_err(|error| BindError { address: *address, error })?;
            Ok((local, socket))
        };
        let sockets = addresses.iter().map(bind).collect::<Result<_, _>>()?;
        Ok(Self { name, sockets })
    }

    /// Where it listens, with the ports that were taken for port 0.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|(address, _)| *address).collect()
    }

    /// Serves it. Accepting and following the TLS files happen on the runtime that this is
    /// called in, the connections live on the workers.
    ///
    /// # Errors
    /// The runtime cannot take a socket.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn serve<H: Handler>(
        self,
        tls: Arc<TlsStore>,
        limits: Limits,
        workers: &Workers,
        handler: Arc<H>,
    ) -> std::io::Result<Server> {
        let open = gauge!(CONNECTIONS_OPEN, "listener" => self.name.to_string());
        let shared = Arc::new(Shared {
            listener: self.name.clone(),
            tls: tls.clone(),
            limits,
            slots: Slots::new(limits.connections_max, limits.connections_per_identity_max, open),
            meters: Meters::new(&self.name),
            handler,
            drain: CancellationToken::new(),
            cut: CancellationToken::new(),
        });
        let mut server = Server {
            local_addrs: self.local_addrs(),
            tls: tls.clone(),
            slots: shared.slots.clone(),
            drain: shared.drain.clone(),
            cut: shared.cut.clone(),
            stop: CancellationToken::new(),
            tasks: Vec::new(),
        };
        let sockets = self.sockets.into_iter();
        let sockets = sockets.map(|(_, socket)| tokio::net::TcpListener::from_std(socket));
        for socket in sockets.collect::<Result<Vec<_>, _>>()? {
            let accepting = accept(socket, workers.clone(), shared.clone(), server.stop.clone());
            server.tasks.push(tokio::spawn(accepting));
        }
        let stop = server.stop.clone();
        server.tasks.push(tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tls.follow(POLL_INTERVAL) => {}
            }
        }));
        Ok(server)
    }
}

impl Server {
    /// Where it listens.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// Its TLS files, for reloading them on SIGHUP.
    pub fn tls(&self) -> &Arc<TlsStore> {
        &self.tls
    }

    /// Connections open now, handshakes included.
    pub fn open(&self) -> usize {
        self.slots.open()
    }

    /// Stops accepting, asks every connection to drain, and cuts after `within` what is left.
    pub async fn shutdown(mut self, within: Duration) -> Closed {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            // Its panic was printed; there is nothing left of it to stop.
            let _ = task.await;
        }
        let open = self.slots.open();
        self.drain.cancel();
        let drained = timeout(within, self.slots.empty()).await.is_ok();
        let left = if drained { 0 } else { self.slots.open() };
        self.cut.cancel();
        if timeout(CUT_TIMEOUT, self.slots.empty()).await.is_err() {
            tracing::error!(left = self.slots.open(), "connections did not end when cut");
        }
        Closed { drained: open.saturating_sub(left), cut: left }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Server");
        shown.field("local_addrs", &self.local_addrs).field("open", &self.open());
        shown.finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
