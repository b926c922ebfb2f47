//! The front ends: what reads a client's bytes. A further one is compared with hyper's by
//! [`super::connection::differ`].

use std::pin::Pin;
use std::sync::Arc;

use tokio::io::DuplexStream;

use crate::net::identity::Peer;
use crate::protocol::http::{Service, serve_connection};

/// HTTP/1.1 as it is served.
pub fn http1(
    io: DuplexStream,
    peer: Peer,
    service: Arc<Service>,
) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(serve_connection(io, peer, false, service, std::future::pending()))
}

/// HTTP/2 as it is served.
pub fn http2(
    io: DuplexStream,
    peer: Peer,
    service: Arc<Service>,
) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(serve_connection(io, peer, true, service, std::future::pending()))
}
