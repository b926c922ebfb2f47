//! Logging in, in every way that a server can ask for it.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::super::login::LoginError;
use super::super::settings::{Login, Password, Upstream};
use super::super::wire::ServerError;
use super::rig::{
    Session, connector, held, password, session, soon, until, upstream, with_socket, with_tls,
};
use crate::net::connect::ClientTls;
use crate::protocol::postgres::testing::Server;

/// Logs in twice, so that the second time the keys are known, and runs a statement.
async fn check(upstream: Upstream, role: &str) {
    let connector = connector(Upstream { login: held(&[role]), ..upstream });
    for _ in 0..2 {
        let mut session = session(&connector, role, "a name").await;
        let row = &session.run("SELECT current_user, current_setting('application_name')").await[0];
        assert_eq!(row, &[Some(role.to_owned()), Some("a name".to_owned())]);
    }
}

async fn failure(upstream: Upstream, role: &str, login: Login) -> LoginError {
    let connector = connector(Upstream { login, ..upstream });
    soon("a refusal", connector.log_in(role, "postgres", &[])).await.expect_err("no session")
}

#[tokio::test]
async fn scram() {
    check(upstream(&[Server::shared()]), "app").await;
}

#[tokio::test]
async fn scram_bound_to_the_certificate() {
    let server = Server::shared();
    check(with_tls(server), "app").await;
    // It is offered, and so it was taken: a wrong hash is refused by the server.
    let connector = connector(with_tls(server));
    let mut session = session(&connector, "app", "").await;
    let text = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(session.one(text).await, "t");
}

#[tokio::test]
async fn clear_text_only_where_nobody_listens() {
    let server = Server::shared();
    check(with_tls(server), "plain_user").await;
    let error = failure(upstream(&[server]), "plain_user", held(&["plain_user"])).await;
    assert!(error.to_string().contains("scram-sha-256"), "{error}");
}

#[tokio::test]
async fn the_other_ways_in() {
    let server = Server::shared();
    check(with_socket(server), "app").await;
    check(upstream(&[server]), "trusted").await;
    let certificate =
        Some((server.certificate("cert_user.pem"), server.certificate("cert_user.key")));
    let ca = Some(server.certificate("ca.pem"));
    let tls = Some(ClientTls { ca, certificate, server_name: None });
    check(Upstream { tls, ..upstream(&[server]) }, "cert_user").await;
}

#[tokio::test]
async fn md5_is_refused_with_the_mend() {
    let error = failure(upstream(&[Server::shared()]), "md5_user", held(&["md5_user"])).await;
    assert!(error.to_string().contains("password_encryption = 'scram-sha-256'"), "{error}");
}

#[tokio::test]
async fn what_the_server_says_comes_through_and_the_password_does_not() {
    let server = Server::shared();
    let wrong = Password(Some(Zeroizing::new("wrong-secret".into())));
    let login = Login::Held { roles: [("app".to_owned(), wrong)].into() };
    for upstream in [upstream(&[server]), with_tls(server)] {
        let error = failure(upstream, "app", login.clone()).await;
        assert!(!format!("{error} {error:?}").contains("wrong-secret"));
        let LoginError::Refused { body, host: 0 } = &error else { panic!("{error}") };
        let said = ServerError::read(body);
        assert_eq!(said.code, "28P01");
        assert_eq!(said.message, "password authentication failed for user \"app\"");
    }
}

#[tokio::test]
async fn failures_that_we_name_ourselves() {
    let server = Server::shared();
    let error = failure(upstream(&[server]), "nobody", held(&["app"])).await;
    assert!(error.to_string().contains("no login for role nobody"), "{error}");
    let login = Login::Held { roles: [("app".to_owned(), Password(None))].into() };
    let error = failure(upstream(&[server]), "app", login).await;
    assert!(error.to_string().contains("none is configured"), "{error}");
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = closed.local_addr().expect("an address").port();
    drop(closed);
    let mut nobody = upstream(&[server]);
    nobody.endpoints =
        vec![super::super::settings::Endpoint::Tcp { host: "127.0.0.1".into(), port }];
    let error = failure(nobody, "app", held(&["app"])).await;
    assert!(matches!(error, LoginError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_server_of_another_name_or_authority_is_not_spoken_with() {
    let server = Server::shared();
    let ca = Some(server.certificate("ca.pem"));
    let name = Some("db.example.org".to_owned());
    for tls in [ClientTls { ca, server_name: name, certificate: None }, ClientTls::default()] {
        let error =
            failure(Upstream { tls: Some(tls), ..upstream(&[server]) }, "app", held(&["app"]));
        let error = error.await;
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn many_logins_at_once() {
    let connector = connector(upstream(&[Server::shared()]));
    let logins: Vec<_> = (0..20)
        .map(|_| {
            let connector = Arc::clone(&connector);
            tokio::spawn(async move { session(&connector, "app", "").await.pid })
        })
        .collect();
    for login in logins {
        assert!(soon("a login", login).await.expect("it ends") > 0);
    }
}

#[tokio::test]
async fn what_a_login_brings() {
    let connector = connector(upstream(&[Server::shared()]));
    let parameters = [("options".to_owned(), "-c default_transaction_read_only=on".to_owned())];
    let backend = connector.log_in("app", "postgres", &parameters).await.expect("a session");
    let value = |name: &str| {
        let found = backend.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(value("default_transaction_read_only"), Some("on"));
    assert_eq!(value("in_hot_standby"), Some("off"));
    assert!(value("server_version").is_some());
    assert!(backend.rest.is_empty());
    let shown = format!("{backend:?}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn a_cancel_reaches_the_backend() {
    for upstream in [upstream(&[Server::shared()]), with_tls(Server::shared())] {
        let connector = connector(upstream);
        let backend = connector.log_in("app", "postgres", &[]).await.expect("a session");
        let secret = backend.secret.clone();
        let mut session = Session::new(backend);
        let (pid, host) = (session.pid, session.host);
        let client = Server::shared().client("postgres").await;
        let cancelling = async {
            until("it sleeps", async || {
                let text = "SELECT state = 'active' FROM pg_stat_activity WHERE pid::int8 = $1";
                let row = client.query_opt(text, &[&i64::from(pid)]).await.expect("it answers");
                row.is_some_and(|row| row.get(0))
            })
            .await;
            connector.cancel(host, pid, &secret).await.expect("it is passed on");
        };
        let (slept, ()) = tokio::join!(session.wire.query("SELECT pg_sleep(60)"), cancelling);
        assert!(slept.expect_err("it is cancelled").to_string().contains("57014"));
    }
}

#[tokio::test]
async fn the_control_role_has_a_password_of_its_own() {
    let mut upstream = upstream(&[Server::shared()]);
    upstream.login = Login::PassThrough;
    upstream.replica = "own".into();
    upstream.control_role = "app".into();
    upstream.control_password = password("app");
    let control = super::rig::control(&connector(upstream));
    soon("swept", control.swept()).await;
}
