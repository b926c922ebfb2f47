//! Takes the connections of a TLS listener.

use std::sync::{Arc, OnceLock};

use tokio_util::task::TaskTracker;

use super::server::{Front, Service, serve_connection};
use crate::net::listen::{Connection, Handler};
use crate::net::tls::Alpn;

/// What a listener's connections are handed to: one [`Service`] for each worker, made when
/// its first connection comes, on its own runtime.
pub struct Server {
    front: Arc<Front>,
    services: Vec<OnceLock<Arc<Service>>>,
}

impl Server {
    /// For that many workers.
    pub fn new(front: Arc<Front>, workers: usize) -> Arc<Self> {
        Arc::new(Self { front, services: (0..workers).map(|_| OnceLock::new()).collect() })
    }

    /// Waits until no write goes on whose client has hung up. Only after all connections
    /// have ended.
    pub async fn settled(&self) {
        for tracker in self.services.iter().filter_map(OnceLock::get).map(|one| one.detached()) {
            TaskTracker::close(tracker);
            tracker.wait().await;
        }
    }
}

impl Handler for Server {
    async fn serve(self: Arc<Self>, connection: Connection) {
        let Connection { stream, peer, alpn, drain, worker, .. } = connection;
        let Some(slot) = self.services.get(worker) else { return };
        let service = slot.get_or_init(|| Service::new(Arc::clone(&self.front)));
        let is_http2 = alpn == Some(Alpn::Http2);
        let service = Arc::clone(service);
        serve_connection(stream, peer, is_http2, service, async move { drain.requested().await })
            .await;
    }
}
