//! Listening: from a TCP connection to an authenticated client, handed to a [`Handler`].
//!
//! ```text
//! Listener::bind ── accept ──> the least loaded worker ── prelude, TLS, identity ──> Handler::serve
//! ```
//!
//! There is one thread, with a runtime of its own, for each worker, and a connection stays on
//! the worker that got it: in the measurements that the project began with this cost 15 %
//! less for a small request than one runtime over all cores. Which protocol is spoken on a
//! connection is the handler's affair.
//!
//! Who is let in is looked at for as long as a connection is open: [`Server`] cuts it when its
//! certificate ends, or when new TLS files do not trust it any more. A cut drops the future
//! that [`Handler::serve`] returned, so that no handler can forget to look. What has to
//! outlive the client's connection, such as a write that is on its way to the store, belongs
//! into a task of its own.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::identity::Peer;
use super::tls::{Alpn, ServerStream};

mod accept;
mod attend;
mod greet;
mod meters;
mod server;
mod slots;
mod socket;
#[cfg(test)]
mod tests;
mod workers;

pub use attend::{CLOCK_CHECK_INTERVAL, EXPIRY_DRAIN_MAX};
pub use server::{Closed, Listener, Server};
pub(in crate::net) use socket::tune;
pub use socket::{BACKLOG, BindError, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES};
pub use workers::{QUEUE_MAX, Workers};

/// The bounds of a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Connections at once, handshakes included.
    pub connections_max: usize,
    /// Connections at once of one identity.
    pub connections_per_identity_max: usize,
    /// How long the prelude and the TLS handshake may take together.
    pub handshake_timeout: Duration,
}

/// A connection whose client is authenticated.
#[derive(Debug)]
pub struct Connection {
    /// The decrypted bytes. An end of file without TLS's own goodbye is an error of kind
    /// `UnexpectedEof`: what was cut off is not what was sent. Boxed, because it is large and
    /// every future that it passes through would keep room for it.
    pub stream: Box<ServerStream>,
    /// Who the client is.
    pub peer: Peer,
    /// The address that it connected to.
    pub local: SocketAddr,
    /// What client and server agreed to speak; `None` if the client did not ask.
    pub alpn: Option<Alpn>,
    /// Tells when to end gracefully.
    pub drain: Drain,
    /// Which worker this is, from 0 up to [`Workers::count`]: for what is kept per worker.
    pub worker: usize,
}

/// Tells a connection that it should end: finish what runs, take nothing new, close.
///
/// It comes at shutdown, and shortly before the client's certificate ends.
#[derive(Clone, Debug)]
pub struct Drain(CancellationToken);

impl Drain {
    /// Resolves when the connection should end.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }

    /// Whether it should end.
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// What comes after what was said in plain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Prelude {
    /// Nothing: the client wanted no more than could be had in plain.
    Done,
    /// TLS.
    Tls,
    /// TLS, and the client has to say by ALPN what it speaks: nothing else has told it yet, so
    /// it could have been led here while it believes that it speaks to another service.
    TlsWithAlpn,
}

/// What is done with connections.
pub trait Handler: Send + Sync + 'static {
    /// What is said in plain before TLS begins, for protocols that ask for TLS first, within
    /// the handshake's time. By default nothing. It must not read further than its last byte.
    ///
    /// # Errors
    /// Ends the connection.
    fn prelude(&self, stream: &mut TcpStream) -> impl Future<Output = io::Result<Prelude>> {
        let _ = stream;
        std::future::ready(Ok(Prelude::Tls))
    }

    /// Serves a connection to its end. Runs on one worker; spawns more there with
    /// `tokio::task::spawn_local`. It is dropped when the connection is cut.
    fn serve(self: Arc<Self>, connection: Connection) -> impl Future<Output = ()> + 'static;
}
