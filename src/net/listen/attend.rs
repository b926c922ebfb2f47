//! The life of a connection: greeted, served, and watched for reasons to end it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::greet::{Greeted, greet};
use super::meters::{Cut, Refused};
use super::server::Shared;
use super::slots::Slot;
use super::workers::Load;
use super::{Connection, Drain, Handler, socket};
use crate::net::identity::Peer;
use crate::net::tls::Loaded;

/// How long before its certificate ends a connection is asked to drain, at most; it is a
/// tenth of what the certificate had left when it came, if that is less. A client that
/// renews in time has moved to a new connection by then, and no request of its is cut.
pub const EXPIRY_DRAIN_MAX: Duration = Duration::from_secs(30);

/// How often the clock is looked at while a certificate is far from its end, because clocks
/// are set now and then, and timers do not hear of it.
pub const CLOCK_CHECK_INTERVAL: Duration = Duration::from_secs(600);

/// What a connection holds on to until it has ended.
pub(super) struct Held {
    pub(super) slot: Slot,
    pub(super) _load: Load,
}

/// Greets a connection and has it served, on this worker.
pub(super) async fn begin<H: Handler>(
    shared: Arc<Shared<H>>,
    stream: std::net::TcpStream,
    address: SocketAddr,
    worker: usize,
    mut held: Held,
) {
    let Some((stream, local)) = adopt(stream) else { return };
    // Taken before the handshake: a change while it runs shows in it afterwards.
    let mut trust = shared.tls.subscribe();
    let loaded = trust.borrow_and_update().clone();
    let order = &shared.tls.settings().identity;
    let greeting = greet(&*shared.handler, stream, address, &loaded, order);
    let greeted = tokio::select! {
        biased;
        // Nothing that has begun is lost with it.
        () = shared.drain.cancelled() => return,
        () = held.slot.evicted() => {
            let detail = "it was the oldest without a certificate, and `connections_max` is reached";
            return shared.meters.refused(Refused::Evicted, address, detail);
        }
        greeted = timeout(shared.limits.handshake_timeout, Box::pin(greeting)) => greeted,
    };
    let Greeted { stream, peer, alpn, chain } = match greeted {
        Ok(Ok(Some(greeted))) => greeted,
        Ok(Ok(None)) => return,
        Ok(Err((why, detail))) => return shared.meters.refused(why, address, &detail),
        Err(_) => {
            let detail = format!("no handshake within {:?}", shared.limits.handshake_timeout);
            return shared.meters.refused(Refused::HandshakeTimeout, address, &detail);
        }
    };
    if !held.slot.identify(&peer.identity.name) {
        let detail = format!(
            "{} has {} connections already, which is `connections_per_identity_max`",
            peer.identity.name, shared.limits.connections_per_identity_max
        );
        return shared.meters.refused(Refused::IdentityFull, address, &detail);
    }
    shared.meters.served.increment(1);
    let drain = shared.drain.child_token();
    let watched = Watched { peer: peer.clone(), chain, trust, digest: loaded.trust, drain };
    let drain = Drain(watched.drain.clone());
    let connection = Connection { stream, peer, local, alpn, drain, worker };
    // Tasks of their own: the watcher sleeps while the other works, and this one's memory,
    // sized for a handshake, is given back.
    let serving = spawn_local(shared.handler.clone().serve(connection));
    spawn_local(attend(shared, watched, serving, held));
}

fn adopt(stream: std::net::TcpStream) -> Option<(TcpStream, SocketAddr)> {
    // What fails here is a connection that is gone already.
    let stream = TcpStream::from_std(stream).ok()?;
    socket::tune(&stream).ok()?;
    let local = stream.local_addr().ok()?;
    Some((stream, local))
}

/// What is looked at while a connection is open.
struct Watched {
    peer: Peer,
    chain: Box<[CertificateDer<'static>]>,
    trust: watch::Receiver<Arc<Loaded>>,
    /// Of the authorities and lists that the chain was held against last.
    digest: [u8; 32],
    drain: CancellationToken,
}

async fn attend<H: Handler>(
    shared: Arc<Shared<H>>,
    mut watched: Watched,
    mut serving: JoinHandle<()>,
    _held: Held,
) {
    let (cut, detail) = tokio::select! {
        ended = &mut serving => {
            if ended.is_err_and(|error| error.is_panic()) {
                let listener = &*shared.listener;
                tracing::error!(listener, "a connection ended by a panic: report this bug");
            }
            return;
        }
        () = shared.cut.cancelled() => (Cut::Shutdown, "shutting down".to_owned()),
        reason = watched.reason() => reason,
    };
    let Peer { identity, address } = &watched.peer;
    shared.meters.cut(cut, *address, &identity.name, &detail);
    serving.abort();
    // Until it is gone: it may be in the middle of something that must not be cut in two.
    let _ = serving.await;
}

impl Watched {
    /// Resolves with a reason why the client may not stay.
    async fn reason(&mut self) -> (Cut, String) {
        let not_after = self.peer.identity.not_after;
        let left = remaining(not_after);
        let drain_at = not_after - (left / 10).min(EXPIRY_DRAIN_MAX);
        loop {
            if remaining(not_after).is_zero() {
                return (Cut::Expired, "the client's certificate has expired".to_owned());
            }
            let next = match remaining(drain_at) {
                Duration::ZERO => {
                    self.drain.cancel();
                    remaining(not_after)
                }
                soon => soon,
            };
            tokio::select! {
                () = sleep(next.min(CLOCK_CHECK_INTERVAL)) => {}
                changed = self.trust.changed() => {
                    // The sender is in `Shared`, which whoever polls this holds.
                    if changed.is_ok() && let Err(error) = self.recheck() {
                        return (Cut::Untrusted, error.to_string());
                    }
                }
            }
        }
    }

    fn recheck(&mut self) -> Result<(), rustls::Error> {
        let loaded = self.trust.borrow_and_update().clone();
        if loaded.trust != self.digest {
            loaded.still_trusted(&self.chain, SystemTime::now())?;
            self.digest = loaded.trust;
        }
        Ok(())
    }
}

fn remaining(until: SystemTime) -> Duration {
    until.duration_since(SystemTime::now()).unwrap_or_default()
}
