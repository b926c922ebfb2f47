//! Upstreams of the tests' servers, and sessions on them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use zeroize::Zeroizing;

use super::super::connect::Connector;
use super::super::control::Control;
use super::super::login::Backend;
use super::super::settings::{Endpoint, Login, Password, TargetSessionAttrs, Upstream};
use super::super::wire::{Row, Wire};
use crate::net::connect::ClientTls;
use crate::protocol::postgres::testing::Server;

/// Long enough for anything that is going to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const REPLICA: &str = "test-replica";

/// By TCP without TLS, as `app` and `other`.
pub(super) fn upstream(servers: &[&Server]) -> Upstream {
    let tcp = |server: &&Server| Endpoint::Tcp { host: "127.0.0.1".into(), port: server.port() };
    Upstream {
        name: "test".into(),
        endpoints: servers.iter().map(tcp).collect(),
        target: TargetSessionAttrs::Any,
        tls: None,
        connect_timeout: PATIENCE,
        login_timeout: PATIENCE,
        login: held(&["app", "other"]),
        control_role: "control".into(),
        control_password: password("control"),
        control_database: "postgres".into(),
        replica: REPLICA.into(),
        check_interval: Duration::from_millis(50),
    }
}

/// By TLS.
pub(super) fn with_tls(server: &Server) -> Upstream {
    let ca = Some(server.certificate("ca.pem"));
    Upstream { tls: Some(ClientTls { ca, ..ClientTls::default() }), ..upstream(&[server]) }
}

/// By the Unix socket.
pub(super) fn with_socket(server: &Server) -> Upstream {
    Upstream { endpoints: vec![Endpoint::Unix(server.socket())], ..upstream(&[server]) }
}

pub(super) fn held(roles: &[&str]) -> Login {
    Login::Held { roles: roles.iter().map(|role| ((*role).to_owned(), password(role))).collect() }
}

pub(super) fn password(role: &str) -> Password {
    Password(Some(Zeroizing::new(format!("secret-of-{role}"))))
}

pub(super) fn connector(upstream: Upstream) -> Arc<Connector> {
    Arc::new(Connector::new(Arc::new(upstream)).expect("its files are there"))
}

pub(super) fn control(connector: &Arc<Connector>) -> Arc<Control> {
    Control::start(connector.clone(), &tokio::runtime::Handle::current())
}

/// A session that bears this name.
pub(super) async fn session(connector: &Connector, role: &str, name: &str) -> Session {
    let parameters = [("application_name".to_owned(), name.to_owned())];
    let backend = connector.log_in(role, "postgres", &parameters).await.expect("a session");
    Session::new(backend)
}

/// A session that statements are run on.
pub(super) struct Session {
    pub(super) pid: u32,
    pub(super) host: usize,
    pub(super) wire: Wire,
}

impl Session {
    pub(super) fn new(backend: Backend) -> Self {
        Self { pid: backend.pid, host: backend.host, wire: Wire::new(backend.stream) }
    }

    pub(super) async fn run(&mut self, text: &str) -> Vec<Row> {
        self.wire.query(text).await.unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    pub(super) async fn one(&mut self, text: &str) -> String {
        self.run(text).await[0][0].clone().expect("not NULL")
    }

    /// Sends a statement and does not wait.
    pub(super) async fn begin(&mut self, text: &str) {
        let mut message = Vec::new();
        crate::protocol::postgres::codec::message::write::query(&mut message, text);
        self.wire.send(&message).await.expect("it is sent");
    }
}

/// Whether a process is in the server's list.
pub(super) async fn is_listed(client: &tokio_postgres::Client, pid: u32) -> bool {
    let text = "SELECT count(*) FROM pg_stat_activity WHERE pid::int8 = $1";
    client.query_one(text, &[&i64::from(pid)]).await.expect("it answers").get::<_, i64>(0) > 0
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
