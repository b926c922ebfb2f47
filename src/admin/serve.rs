//! Routes, bounds, connections.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::{ServiceBuilder, ServiceExt as _};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use super::guard::{self, Caller};
use super::{
    BODY_BYTES_MAX, CONNECTIONS_MAX, HEADER_BYTES_MAX, HEADER_TIMEOUT, OPERATION_TIMEOUT,
    OPERATIONS_MAX, READ_TIMEOUT, READS_MAX, State, dashboard, health, problem, replicas,
    resources,
};
use crate::net::listen::{Connection, Handler};

/// After an error of `accept`, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Added to the handlers' own limit, so that theirs, which says more, comes first.
const GRACE: Duration = Duration::from_secs(5);

/// Room for seals and resets.
#[derive(Clone, Debug)]
pub(super) struct Operations(pub(super) Arc<Semaphore>);

/// The admin listener. Cheap to clone; all clones share their bounds.
#[derive(Clone)]
pub struct Server {
    router: Router,
    connections: Arc<Semaphore>,
}

impl Server {
    /// A server of this state.
    pub fn new(state: State) -> Self {
        let operations = Operations(Arc::new(Semaphore::new(OPERATIONS_MAX)));
        let within = |limit| TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limit);
        let reads = Router::new()
            .route("/", get(dashboard::page))
            .route("/dashboard.css", get(dashboard::style))
            .route("/dashboard.js", get(dashboard::script))
            .route("/api/overview", get(dashboard::overview))
            .route("/api/replicas", get(replicas::list))
            .route("/api/resources", get(resources::list))
            .route("/api/resources/show", get(resources::show))
            .route("/livez", get(health::livez))
            .route("/metrics", get(health::metrics))
            .route("/readyz", get(health::readyz))
            .layer(
                ServiceBuilder::new()
                    .layer(within(READ_TIMEOUT))
                    .layer(GlobalConcurrencyLimitLayer::new(READS_MAX)),
            );
        let router = Router::new()
            .route("/api/ledger/confirm", post(replicas::confirm))
            .route("/api/resources/reset", post(resources::reset))
            .route("/api/resources/seal", post(resources::seal))
            .layer(Extension(operations))
            .layer(within(OPERATION_TIMEOUT + GRACE))
            .merge(reads)
            .with_state(state)
            // From the inside out.
            .layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX))
            .layer(middleware::from_fn(guard::host))
            .layer(CatchPanicLayer::new())
            .layer(middleware::map_response(problem::complete))
            .layer(middleware::map_response(dashboard::harden));
        Self { router, connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }

    /// Serves plain HTTP to whoever reaches the listener, which has to be on loopback.
    /// Runs until it is dropped, and its connections with it.
    ///
    /// # Errors
    /// When the listener is not on loopback.
    pub async fn serve(&self, listener: TcpListener) -> io::Result<Infallible> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{address} is not on loopback; give the admin listener TLS"),
            ));
        }
        let mut connections = JoinSet::new();
        loop {
            match listener.accept().await {
                Ok((stream, address)) => {
                    let (server, caller) = (self.clone(), Caller::Loopback(address));
                    connections.spawn(async move { server.serve_connection(stream, caller).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin listener cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }

    /// Serves one accepted connection to its end. One too many is closed.
    pub async fn serve_connection<S>(&self, stream: S, caller: Caller)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.serve_until(stream, caller, std::future::pending()).await;
    }

    /// As [`Server::serve_connection`]; once `drain` resolves, the answer under way is the last.
    async fn serve_until<S>(&self, stream: S, caller: Caller, drain: impl Future<Output = ()>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Ok(_permit) = self.connections.try_acquire() else {
            tracing::warn!(limit = CONNECTIONS_MAX, "too many connections to the admin listener");
            return;
        };
        let router = self.router.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(caller.clone());
            router.clone().oneshot(request)
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection, drain);
        let outcome = tokio::select! {
            outcome = &mut connection => outcome,
            () = &mut drain => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection to the admin listener ended early");
        }
    }
}

/// With TLS, the connections come from a listener that has authenticated them.
impl Handler for Server {
    async fn serve(self: Arc<Self>, connection: Connection) {
        let Connection { stream, peer, drain, .. } = connection;
        self.serve_until(stream, Caller::Certificate(peer), drain.requested()).await;
    }
}
