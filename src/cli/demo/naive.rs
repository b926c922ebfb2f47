//! The fence that does not hold: it compares the token on arrival, and then forwards.
//!
//! For the demo and the tests only. It does what most hand-made fences do, and does that
//! right: the highest token seen is remembered, anything below it is refused. What it lacks is
//! everything between the check and the store.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::client::TOKEN;

/// Connections at once; more have to wait.
const CONNECTIONS_MAX: usize = 256;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A compare-and-forward proxy that runs until this is dropped.
#[derive(Debug)]
pub(super) struct Naive {
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Naive {
    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Naive {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Starts one in front of a store.
///
/// # Errors
/// When the address cannot be taken.
pub(super) async fn serve(upstream: SocketAddr, listen: SocketAddr) -> anyhow::Result<Naive> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listening on {listen} to compare and forward"))?;
    let address = listener.local_addr()?;
    let accepting = tokio::spawn(accept(listener, upstream)).abort_handle();
    Ok(Naive { address, accepting })
}

async fn accept(listener: TcpListener, upstream: SocketAddr) {
    let highest = Arc::new(AtomicU64::new(0));
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&highest), upstream));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, highest: Arc<AtomicU64>, upstream: SocketAddr) {
    let _ = stream.set_nodelay(true);
    let handler = hyper::service::service_fn(move |request: Request<Incoming>| {
        let highest = Arc::clone(&highest);
        async move {
            match check(&highest, request.headers()) {
                Err(status) => Ok(refused(status)),
                Ok(()) => forward(upstream, request).await,
            }
        }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), handler)
        .await;
}

/// The whole fence: a token below the highest one seen is stale, any other becomes the highest.
fn check(highest: &AtomicU64, headers: &HeaderMap) -> Result<(), StatusCode> {
    let token = headers.get(TOKEN).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let Some(token) = token else { return Err(StatusCode::FORBIDDEN) };
    let before = highest.fetch_max(token, Ordering::SeqCst);
    if token < before { Err(StatusCode::PRECONDITION_FAILED) } else { Ok(()) }
}

fn refused(status: StatusCode) -> Response<BoxBody<Bytes, hyper::Error>> {
    let mut response = Response::new(Full::default().map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response
}

async fn forward(
    upstream: SocketAddr,
    request: Request<Incoming>,
) -> anyhow::Result<Response<BoxBody<Bytes, hyper::Error>>> {
    let stream = TcpStream::connect(upstream).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?.map(BodyExt::boxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_compares_on_arrival() {
        let highest = AtomicU64::new(0);
        let arrive = |token: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(TOKEN, token.parse().unwrap());
            check(&highest, &headers)
        };
        assert_eq!(arrive("33"), Ok(()));
        assert_eq!(arrive("34"), Ok(()));
        assert_eq!(arrive("33"), Err(StatusCode::PRECONDITION_FAILED));
        assert_eq!(arrive("34"), Ok(()));
        assert_eq!(arrive("x"), Err(StatusCode::FORBIDDEN));
        assert_eq!(check(&highest, &HeaderMap::new()), Err(StatusCode::FORBIDDEN));
    }
}
