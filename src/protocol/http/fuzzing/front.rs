//! The front ends: what reads a client's bytes. Ours is compared with hyper's by
//! [`super::connection::differ`].

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;

use crate::net::identity::Peer;
use crate::protocol::http::client_body::ClientBody;
use crate::protocol::http::headers::Origin;
use crate::protocol::http::session::Session;
use crate::protocol::http::{Service, serve_connection};

/// HTTP/1.1 as it is served.
pub fn http1(
    io: DuplexStream,
    peer: Peer,
    service: Arc<Service>,
) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(serve_connection(io, peer, false, service, std::future::pending()))
}

/// HTTP/1.1 as hyper reads it: the oracle.
pub fn hyper_http1(
    io: DuplexStream,
    peer: Peer,
    service: Arc<Service>,
) -> Pin<Box<dyn Future<Output = ()>>> {
    let origin = Origin::new(peer.address);
    let session = Arc::new(Session { service, peer, origin, is_http2: false });
    let serve = service_fn(move |request: Request<Incoming>| {
        let session = Arc::clone(&session);
        async move { Ok::<_, Infallible>(session.answer(request.map(ClientBody::hyper_http1)).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(io), serve);
    Box::pin(async move { drop(connection.await) })
}

/// HTTP/2 as it is served.
pub fn http2(
    io: DuplexStream,
    peer: Peer,
    service: Arc<Service>,
) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(serve_connection(io, peer, true, service, std::future::pending()))
}
