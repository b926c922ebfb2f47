//! What is done with the connections of each kind of listener.

use std::sync::{Arc, OnceLock};

use tokio::net::TcpStream;

use crate::net::listen::{Connection, Handler, Prelude};
use crate::net::tls::Alpn;
use crate::protocol::http::{Front, Service, serve_connection};
use crate::protocol::{postgres, redis};

/// What serves a listener, to be waited for at the end.
pub(super) enum Served {
    Http(Arc<HttpHandler>),
    Postgres(Arc<PostgresHandler>),
    Redis(Arc<RedisHandler>),
}

impl Served {
    /// Resolves when nothing goes on for a client that is gone.
    pub(super) async fn finished(&self) {
        match self {
            Self::Http(handler) => handler.finished().await,
            Self::Postgres(handler) => handler.0.finished().await,
            Self::Redis(handler) => handler.0.finished().await,
        }
    }
}

/// Serves PostgreSQL.
pub(super) struct PostgresHandler(pub(super) Arc<postgres::Front>);

impl Handler for PostgresHandler {
    async fn prelude(&self, stream: &mut TcpStream) -> std::io::Result<Prelude> {
        self.0.prelude(stream).await
    }

    async fn serve(self: Arc<Self>, connection: Connection) {
        postgres::serve_connection(Arc::clone(&self.0), connection).await;
    }
}

/// Serves Redis.
pub(super) struct RedisHandler(pub(super) Arc<redis::Front>);

impl Handler for RedisHandler {
    async fn serve(self: Arc<Self>, connection: Connection) {
        redis::serve_connection(Arc::clone(&self.0), connection).await;
    }
}

/// Serves HTTP and S3: what a worker has of a listener is made when its first connection comes.
pub(super) struct HttpHandler {
    front: Arc<Front>,
    services: Box<[OnceLock<Arc<Service>>]>,
}

impl HttpHandler {
    pub(super) fn new(front: Arc<Front>, workers: usize) -> Self {
        Self { front, services: (0..workers).map(|_| OnceLock::new()).collect() }
    }

    /// Resolves when no write goes on for a client that has hung up.
    pub(super) async fn finished(&self) {
        for service in self.services.iter().filter_map(OnceLock::get) {
            service.detached().close();
            service.detached().wait().await;
        }
    }
}

impl Handler for HttpHandler {
    async fn serve(self: Arc<Self>, connection: Connection) {
        let Connection { stream, peer, alpn, drain, worker, .. } = connection;
        let service = self.services[worker].get_or_init(|| Service::new(Arc::clone(&self.front)));
        let is_http2 = alpn == Some(Alpn::Http2);
        serve_connection(stream, peer, is_http2, Arc::clone(service), drain.requested()).await;
    }
}
