//! Logging in, in every way that a server can be reached.

use redis::Value;

use super::super::settings::{Endpoint, Upstream};
use super::super::wire::Batch;
use super::super::{OpenError, ServerId};
use super::rig::{Client, connector, password, soon, upstream, with_tls};
use crate::net::connect::ClientTls;
use crate::protocol::redis::testing::{PATIENCE, Server};

/// Logs in, and is who it should be.
async fn check(upstream: Upstream, user: &str) -> ServerId {
    let connector = connector(upstream);
    let mut client = Client::named(&connector, "app|palisade:r1").await;
    let name = client.ask(&["CLIENT", "GETNAME"]).await.expect("it answers");
    assert_eq!(name, Value::BulkString(b"app|palisade:r1".to_vec()));
    let id = client.ask(&["CLIENT", "ID"]).await.expect("it answers");
    assert_eq!(id, Value::Int(client.id.cast_signed()));
    let who = client.ask(&["ACL", "WHOAMI"]).await.expect("it answers");
    assert_eq!(who, Value::BulkString(user.as_bytes().to_vec()));

    // As after RESET.
    let (login, answers) = connector.login_again(b"other");
    client.ask(&["RESET"]).await.expect("it answers");
    let batch = Batch::of_bytes(login, answers);
    let answered = client.wire.ask(&batch, 1024, PATIENCE).await.expect("it answers");
    assert_eq!(answered, vec![Value::Okay; answers]);
    let name = client.ask(&["CLIENT", "GETNAME"]).await.expect("it answers");
    assert_eq!(name, Value::BulkString(b"other".to_vec()));
    (*client.server).clone()
}

async fn failure(upstream: Upstream) -> OpenError {
    let connector = connector(upstream);
    let error = soon("a refusal", connector.open(b"app")).await.expect_err("no connection");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    error
}

#[tokio::test]
async fn by_tcp_by_a_socket_and_by_tls() {
    let server = Server::shared();
    let by_tcp = check(upstream(server, "r"), "default").await;
    assert_eq!(by_tcp.host.to_string(), format!("127.0.0.1:{}", server.port()));
    assert!(server.info("server").await.contains(&*by_tcp.run_id));
    let endpoints = vec![Endpoint::Unix(server.socket())];
    let by_socket = check(Upstream { endpoints, ..upstream(server, "r") }, "default").await;
    assert_eq!(by_socket, by_tcp);
    check(with_tls(&Server::start_tls()), "default").await;
}

#[tokio::test]
async fn tls_is_verified_on_both_sides() {
    let server = Server::start_tls();
    let with = |change: fn(&mut ClientTls)| {
        let mut upstream = with_tls(&server);
        change(upstream.tls.as_mut().expect("it has"));
        upstream
    };
    for upstream in [
        with(|tls| tls.certificate = None),
        with(|tls| tls.ca = None),
        with(|tls| tls.server_name = Some("elsewhere.example".to_owned())),
        Upstream { tls: None, ..with_tls(&server) },
    ] {
        let error = failure(upstream).await;
        assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    }
}

#[tokio::test]
async fn passwords_and_users() {
    let server = Server::start_with(&["--requirepass", "secret"]);
    let rule = ["ACL", "SETUSER", "palisade", "on", ">secret-too", "~*", "&*", "+@all"];
    server.ask(&rule).await;
    server.ask(&["ACL", "SETUSER", "weak", "on", ">secret-too", "+client", "+ping"]).await;
    let with = |user: Option<&str>, text: &str| Upstream {
        user: user.map(str::to_owned),
        password: password(text),
        ..upstream(&server, "r")
    };
    check(with(None, "secret"), "default").await;
    check(with(Some("palisade"), "secret-too"), "palisade").await;

    let login = async |upstream: Upstream, expected: &str| {
        let OpenError::Login(why) = failure(upstream).await else { panic!("not of the login") };
        assert!(why.contains(expected), "{why}");
        assert!(why.contains("upstream test"), "{why}");
    };
    let mend = "`user` and `password_file` of [upstreams.test.redis]";
    login(with(None, "secret-wrong"), mend).await;
    login(with(Some("nobody"), "secret"), mend).await;
    login(upstream(&server, "r"), "`password_file`").await;
    login(with(Some("weak"), "secret-too"), "ACL SETUSER weak +client +info").await;
    let open = Upstream { password: password("secret"), ..upstream(Server::shared(), "r") };
    login(open, "leave out `password_file`").await;
}

#[tokio::test]
async fn servers_that_are_not_to_be_used() {
    let cluster = Server::start_with(&["--cluster-enabled", "yes"]);
    let error = failure(upstream(&cluster, "r")).await;
    assert!(matches!(error, OpenError::Cluster { .. }) && !error.is_retryable(), "{error}");
    assert!(error.to_string().contains("each shard an upstream"), "{error}");

    let primary = Server::start();
    let replica = primary.replica();
    let error = failure(upstream(&replica, "r")).await;
    assert!(matches!(error, OpenError::NotPrimary { .. }) && error.is_retryable(), "{error}");

    let full = Server::start_with(&["--maxclients", "1"]);
    let connector = connector(upstream(&full, "r"));
    let _first = loop {
        // The one that looked whether it is there may be there still.
        if let Ok(opened) = connector.open(b"app").await {
            break opened;
        }
    };
    let error = connector.open(b"app").await.expect_err("it is full");
    // The server closes before it has read what we say, so that its word may be lost.
    let is_unread = matches!(error, OpenError::Unreachable { .. });
    assert!(matches!(error, OpenError::Full { .. }) || is_unread, "{error}");
    assert!(error.is_retryable());

    let sentinel = crate::protocol::redis::testing::Sentinel::start(&primary);
    let endpoints = vec![super::rig::tcp(sentinel.port())];
    let error = failure(Upstream { endpoints, ..upstream(&primary, "r") }).await;
    assert!(error.to_string().contains("`sentinel` table"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_gone_or_silent() {
    let mut server = Server::start();
    let limit = std::time::Duration::from_millis(200);
    let hurried = Upstream { login_timeout: limit, ..upstream(&server, "r") };
    server.freeze();
    let error = failure(hurried).await;
    server.thaw();
    assert_eq!(error.to_string(), "login_timeout (200 ms) of upstream test is over");
    server.crash();
    let error = failure(upstream(&server, "r")).await;
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
}
