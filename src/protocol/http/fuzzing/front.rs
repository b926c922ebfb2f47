//! The front ends: what reads a client's bytes. hyper's HTTP/1.1 is not what is served, but what
//! it is compared with: see [`super::connection::differ`].

use std::convert::Infallible;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::DuplexStream;

use super::rig::Serving;
use crate::net::identity::Peer;
use crate::protocol::http::client_body::ClientBody;
use crate::protocol::http::headers::Origin;
use crate::protocol::http::session::Session;
use crate::protocol::http::{Service, serve_connection};

/// HTTP/1.1 as it is served.
pub fn http1(io: DuplexStream, peer: Peer, service: Arc<Service>) -> Serving {
    Box::pin(serve_connection(io, peer, false, service, std::future::pending()))
}

/// HTTP/2 as it is served.
pub fn http2(io: DuplexStream, peer: Peer, service: Arc<Service>) -> Serving {
    Box::pin(serve_connection(io, peer, true, service, std::future::pending()))
}

/// HTTP/1.1 as hyper reads it.
pub fn hyper_http1(io: DuplexStream, peer: Peer, service: Arc<Service>) -> Serving {
    let limits = service.front.listener.limits;
    let origin = Origin::new(peer.address);
    let session = Arc::new(Session { service, peer, origin, is_http2: false });
    let serve = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let session = Arc::clone(&session);
        let waits = request.headers().contains_key(http::header::EXPECT);
        let request = request.map(|incoming| ClientBody::oracle(incoming, waits));
        async move { Ok::<_, Infallible>(session.answer(request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header_bytes_max)
        .serve_connection(TokioIo::new(io), serve);
    Box::pin(async move { drop(connection.await) })
}
