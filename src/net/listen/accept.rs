//! Taking connections from the kernel and giving them to workers.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::task::spawn_local;
use tokio_util::sync::CancellationToken;

use super::Handler;
use super::attend::{Held, begin};
use super::meters::Refused;
use super::server::Shared;
use super::workers::Workers;

/// How long accepting pauses when the process has no file descriptor or memory left.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until told to stop, then closes the socket.
pub(super) async fn accept<H: Handler>(
    listener: TcpListener,
    workers: Workers,
    shared: Arc<Shared<H>>,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = next(&listener) => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let Some(slot) = shared.slots.take() else {
                    let detail = format!(
                        "{} connections are open already, which is `connections_max`",
                        shared.limits.connections_max
                    );
                    shared.meters.refused(Refused::Full, address, &detail);
                    continue;
                };
                let shared = shared.clone();
                let placed = workers.place(Box::new(move |worker, load| {
                    let held = Held { slot, _load: load };
                    spawn_local(begin(shared, stream, address, worker, held));
                }));
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    placed = placed => if !placed { return },
                }
            }
            Err(error) if concerns_one(&error) => {}
            Err(error) => {
                shared.meters.accept_errors.increment(1);
                if let Some(suppressed) = shared.meters.accept_quiet.pass(Instant::now()) {
                    let listener = &*shared.listener;
                    tracing::error!(
                        listener, %error, suppressed,
                        "cannot accept connections: raise the limit of open files \
                         (`ulimit -n`), or lower `connections_max`"
                    );
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }
}

/// As a plain socket, because its worker registers it with a runtime of its own.
async fn next(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, address) = listener.accept().await?;
    Ok((stream.into_std()?, address))
}

/// Whether the error is about the connection that was to be accepted, and not about us.
fn concerns_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
