//! Sockets: bound at once with an error that helps, and set so that dead peers are noticed.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::TcpStream;

/// Connections that the kernel holds for us until they are accepted.
pub const BACKLOG: i32 = 1024;
/// A connection that is silent for so long is asked whether it is still there.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// How long it is waited between such questions.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How many questions may stay without an answer.
pub const KEEPALIVE_PROBES: u32 = 4;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}{}", hint(*.address, .error))]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub error: io::Error,
}

/// Binds an address and listens.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for the kernel to forget old connections.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(TcpListener::from(socket))
    };
    listen().map_err(|error| BindError { address, error })
}

/// Sends small answers at once, and finds out when the other side is gone.
pub(in crate::net) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

fn hint(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "; another process listens there: stop it (`ss -ltnp 'sport = :{port}'` shows it), \
             or choose another port"
        ),
        ErrorKind::PermissionDenied => {
            "; ports below 1024 need the capability CAP_NET_BIND_SERVICE: grant it, or choose a \
             port above"
                .to_owned()
        }
        ErrorKind::AddrNotAvailable => {
            "; this machine has no such address: choose one that `ip address` shows, or 0.0.0.0 \
             or [::] for all of them"
                .to_owned()
        }
        _ => String::new(),
    }
}
