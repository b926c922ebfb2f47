//! Upstreams of the tests' servers, and clients on them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use zeroize::Zeroizing;

use super::super::settings::{Endpoint, Password, Sentinel as Service, Upstream};
use super::super::wire::{Batch, Wire, WireError};
use super::super::{Connector, Control, Opened, ServerId, session_suffix};
use crate::net::connect::ClientTls;
use crate::protocol::redis::testing::{PATIENCE, Sentinel, Server};

/// By TCP without TLS, as the default user, without a password.
pub(super) fn upstream(server: &Server, replica: &str) -> Upstream {
    Upstream {
        name: "test".into(),
        endpoints: vec![tcp(server.port())],
        sentinel: None,
        tls: None,
        connect_timeout: PATIENCE,
        login_timeout: PATIENCE,
        user: None,
        password: Password(None),
        replica: replica.into(),
        check_interval: Duration::from_millis(50),
    }
}

/// By what these Sentinels say.
pub(super) fn watched(server: &Server, replica: &str, sentinels: &[&Sentinel]) -> Upstream {
    let service = Sentinel::SERVICE.to_owned();
    let sentinel = Some(Service { service, user: None, password: Password(None) });
    let endpoints = sentinels.iter().map(|sentinel| tcp(sentinel.port())).collect();
    Upstream { endpoints, sentinel, ..upstream(server, replica) }
}

/// By TLS, with a certificate of ours.
pub(super) fn with_tls(server: &Server) -> Upstream {
    let file = Server::certificate;
    let certificate = Some((file("client.pem"), file("client.key")));
    let tls = ClientTls { ca: Some(file("ca.pem")), certificate, server_name: None };
    Upstream { tls: Some(tls), ..upstream(server, "tls") }
}

pub(super) fn tcp(port: u16) -> Endpoint {
    Endpoint::Tcp { host: "127.0.0.1".into(), port }
}

pub(super) fn password(text: &str) -> Password {
    Password(Some(Zeroizing::new(text.to_owned())))
}

pub(super) fn connector(upstream: Upstream) -> Arc<Connector> {
    Arc::new(Connector::new(Arc::new(upstream)).expect("its files are there"))
}

pub(super) fn control(connector: &Arc<Connector>) -> Arc<Control> {
    Control::start(connector.clone(), &tokio::runtime::Handle::current())
}

/// A client's connection.
pub(super) struct Client {
    pub(super) server: Arc<ServerId>,
    pub(super) id: u64,
    pub(super) wire: Wire,
}

impl Client {
    /// With a name that no sweep ends.
    pub(super) async fn open(connector: &Connector) -> Self {
        Self::named(connector, "app|palisade:nobody").await
    }

    /// With the name of a session of this replica.
    pub(super) async fn of_replica(connector: &Connector) -> Self {
        let name = format!("app{}", session_suffix(&connector.upstream().replica));
        Self::named(connector, &name).await
    }

    pub(super) async fn named(connector: &Connector, name: &str) -> Self {
        Self::new(connector.open(name.as_bytes()).await.expect("it lets us in"))
    }

    pub(super) fn new(opened: Opened) -> Self {
        assert_eq!(opened.rest, b"");
        Self { server: opened.server, id: opened.client_id, wire: Wire::new(opened.stream) }
    }

    pub(super) async fn ask(&mut self, command: &[&str]) -> Result<redis::Value, WireError> {
        let mut batch = Batch::new();
        batch.push(&command.iter().map(|it| it.as_bytes()).collect::<Vec<_>>());
        let mut answers = self.wire.ask(&batch, 1 << 20, PATIENCE).await?;
        Ok(answers.pop().expect("one answer"))
    }

    /// Sends a command and goes on, until this one's connection is dropped.
    pub(super) fn begin(
        self,
        command: &'static [&'static str],
    ) -> tokio::task::JoinHandle<Result<redis::Value, WireError>> {
        let mut client = self;
        tokio::spawn(async move { client.ask(command).await })
    }
}

/// Waits until that is so.
pub(super) async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("it never is so: {what}"));
}

/// The future's result, which must not take for ever.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("it takes too long: {what}"))
}

/// Whether a future is not ready for a while.
pub(super) async fn is_waiting<F: Future + Unpin>(future: &mut F) -> bool {
    timeout(Duration::from_millis(150), future).await.is_err()
}
