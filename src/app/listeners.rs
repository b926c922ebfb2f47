//! How each kind of listener is started.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::serve::{HttpHandler, PostgresHandler, RedisHandler, Served};
use super::{Running, StartError};
use crate::admin;
use crate::net::listen::{self, BindError};
use crate::net::tls::{Alpn, ServerTls, TlsStore};
use crate::protocol::{http, postgres, redis};

impl Running {
    pub(super) async fn start_admin(
        &mut self,
        settings: &admin::Settings,
        state: admin::State,
    ) -> Result<(), StartError> {
        let server = admin::Server::new(state);
        let Some(tls) = &settings.tls else {
            let bind = |error| BindError { address: settings.listen, error };
            let listener = tokio::net::TcpListener::bind(settings.listen).await.map_err(bind)?;
            self.admin_address = listener.local_addr()?;
            self.tasks.push(tokio::spawn(async move {
                let Err(error) = server.serve(listener).await;
                tracing::error!(%error, "the admin listener has ended");
            }));
            return Ok(());
        };
        let name: Arc<str> = "admin".into();
        let tls = TlsStore::open(Arc::clone(&name), tls.clone(), &[Alpn::Http1])
            .map_err(|error| StartError::Tls { listener: Arc::clone(&name), error })?;
        let bound = listen::Listener::bind(name, &[settings.listen])?;
        self.admin_address = bound.local_addrs()[0];
        let limits = listen::Limits {
            connections_max: admin::CONNECTIONS_MAX,
            connections_per_identity_max: admin::CONNECTIONS_MAX,
            handshake_timeout: admin::READ_TIMEOUT,
        };
        self.admin_server = Some(bound.serve(tls, limits, &self.workers, Arc::new(server))?);
        Ok(())
    }

    pub(super) fn start_http(
        &mut self,
        listener: http::Listener,
        instance: &str,
    ) -> Result<(), StartError> {
        let (gate, audit) = (Arc::clone(&self.gate), self.audit.clone());
        let workers = self.workers.count();
        let limits = listen::Limits {
            connections_max: listener.limits.connections_max,
            connections_per_identity_max: listener.limits.connections_per_identity_max,
            handshake_timeout: listener.limits.handshake_timeout,
        };
        let (name, tls) = (Arc::clone(&listener.name), listener.tls.clone());
        let bound = Bound::new(name, tls, &[Alpn::Http2, Alpn::Http1], &listener.addresses)?;
        let front = http::Front::new(listener, gate, audit, instance)
            .map_err(|error| StartError::Connector { listener: bound.name.clone(), error })?;
        let handler = Arc::new(HttpHandler::new(front, workers));
        self.serve(bound, limits, Arc::clone(&handler), Served::Http(handler))
    }

    pub(super) fn start_postgres(
        &mut self,
        listener: postgres::Listener,
    ) -> Result<(), StartError> {
        let (gate, audit) = (Arc::clone(&self.gate), self.audit.clone());
        let limits = listen::Limits {
            connections_max: listener.limits.connections_max,
            connections_per_identity_max: listener.limits.connections_per_identity_max,
            handshake_timeout: listener.limits.handshake_timeout,
        };
        let (name, tls) = (Arc::clone(&listener.name), listener.tls.clone());
        let bound = Bound::new(name, tls, &[Alpn::Postgres], &listener.addresses)?;
        let servers = match self.servers.get(&listener.upstream.name) {
            Some(servers) => servers.clone(),
            None => {
                let upstream = Arc::clone(&listener.upstream);
                let name = Arc::clone(&upstream.name);
                let servers = postgres::Servers::new(upstream, &gate, &Handle::current()).map_err(
                    |error| StartError::Connector { listener: bound.name.clone(), error },
                )?;
                self.servers.entry(name).or_insert(servers).clone()
            }
        };
        let front = postgres::Front::new(listener, servers, gate, audit, Handle::current());
        let handler = Arc::new(PostgresHandler(front));
        self.serve(bound, limits, Arc::clone(&handler), Served::Postgres(handler))
    }

    pub(super) fn start_redis(&mut self, listener: redis::Listener) -> Result<(), StartError> {
        let (gate, audit) = (Arc::clone(&self.gate), self.audit.clone());
        let limits = listen::Limits {
            connections_max: listener.limits.connections_max,
            connections_per_identity_max: listener.limits.connections_per_identity_max,
            handshake_timeout: listener.limits.handshake_timeout,
        };
        let (name, tls) = (Arc::clone(&listener.name), listener.tls.clone());
        // Clients of Redis know no ALPN.
        let bound = Bound::new(name, tls, &[], &listener.addresses)?;
        let servers = match self.redis_servers.get(&listener.upstream.name) {
            Some(servers) => servers.clone(),
            None => {
                let upstream = Arc::clone(&listener.upstream);
                let name = Arc::clone(&upstream.name);
                let servers =
                    redis::Servers::new(upstream, &gate, audit.clone(), &Handle::current())
                        .map_err(|error| StartError::Connector {
                            listener: bound.name.clone(),
                            error,
                        })?;
                self.redis_servers.entry(name).or_insert(servers).clone()
            }
        };
        let front = redis::Front::new(listener, servers, gate, audit, Handle::current());
        let handler = Arc::new(RedisHandler(front));
        self.serve(bound, limits, Arc::clone(&handler), Served::Redis(handler))
    }

    fn serve(
        &mut self,
        bound: Bound,
        limits: listen::Limits,
        handler: Arc<impl listen::Handler>,
        served: Served,
    ) -> Result<(), StartError> {
        let Bound { name, tls, listener } = bound;
        let server = listener.serve(tls, limits, &self.workers, handler)?;
        self.readiness.listener_up(&name, server.local_addrs());
        for address in server.local_addrs() {
            tracing::info!(listener = %name, %address, "serving");
        }
        self.listeners.push((name, server, served));
        Ok(())
    }
}

/// A listener that can be served.
struct Bound {
    name: Arc<str>,
    tls: Arc<TlsStore>,
    listener: listen::Listener,
}

impl Bound {
    fn new(
        name: Arc<str>,
        tls: ServerTls,
        alpn: &[Alpn],
        addresses: &[SocketAddr],
    ) -> Result<Self, StartError> {
        let tls = TlsStore::open(Arc::clone(&name), tls, alpn)
            .map_err(|error| StartError::Tls { listener: Arc::clone(&name), error })?;
        let listener = listen::Listener::bind(Arc::clone(&name), addresses)?;
        Ok(Self { name, tls, listener })
    }
}
