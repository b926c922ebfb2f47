//! TLS, users and passwords.

use zeroize::Zeroizing;

use super::super::facts::RIGHTS;
use super::super::{Login, Redis};
use super::rig::{DURABLE, Feed, Server, TTL, begun, done, ledger, settings, swap};
use crate::ledger::redis::Settings;
use crate::ledger::replicated::store::{Event, Store};
use crate::net::authority::Authority;
use crate::net::connect::ClientTls;
use crate::net::identity::Source;

fn login(user: Option<&str>, password: &str) -> Login {
    let password = Some(Zeroizing::new(password.to_owned()));
    Login { user: user.map(str::to_owned), password }
}

async fn refusal(settings: Settings) -> String {
    let ledger = ledger(settings);
    let why = Store::begin(&*ledger, "r1", TTL, "x").await.expect_err("it is not let in");
    why.to_string()
}

#[tokio::test]
async fn by_tls_with_a_certificate_as_a_user_with_just_the_rights_that_are_needed() {
    let day = std::time::Duration::from_secs(86_400);
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str| dir.path().join(name);
    let authority = Authority::new("site", 1000 * day).expect("an authority");
    authority.save(dir.path(), false).expect("a folder");
    let issued = authority.issue_server(&["127.0.0.1".into()], 90 * day);
    issued.expect("a certificate").save(dir.path(), "server", true).expect("a folder");
    let issued = authority.issue_client(Source::Cn, "palisade", 90 * day);
    issued.expect("a certificate").save(dir.path(), "client", true).expect("a folder");
    let path = |name: &str| file(name).display().to_string();
    let (certificate, key, ca) = (path("server.pem"), path("server.key"), path("ca.pem"));
    let mut args = DURABLE.to_vec();
    args.extend(["--tls-port", "PORT", "--tls-cert-file", &certificate, "--tls-key-file", &key]);
    args.extend(["--tls-ca-cert-file", &ca]);
    let server = Server::start(&args);
    let mut user = vec!["ACL", "SETUSER", "ledger", "on", ">pass word", "~palisade:v1:{test}:*"];
    user.extend(RIGHTS.split_whitespace());
    server.ask(&user);

    let tls = ClientTls {
        ca: Some(file("ca.pem")),
        certificate: Some((file("client.pem"), file("client.key"))),
        server_name: None,
    };
    let fit = Settings {
        tls: Some(tls.clone()),
        login: login(Some("ledger"), "pass word"),
        database: 3,
        ..settings(&server)
    };
    let (ledger, session) = begun(fit.clone(), "r1").await;
    let (mut feed, _) = Feed::follow(&ledger).await;
    done(swap(&ledger, &session, "a", 0, "x").await);
    assert!(matches!(feed.news().await, Event::Row { .. }));
    assert_eq!(Store::list(&*ledger, None, 9).await.expect("it is listed").len(), 1);
    assert_eq!(Store::sessions(&*ledger).await.expect("they are listed").len(), 1);
    Store::keep(&*ledger, &session, "y").await.expect("it is kept");
    Store::confirm(&*ledger).await.expect("it is confirmed");
    Store::end(&*ledger, &session).await.expect("it ends");

    let without =
        Settings { tls: Some(ClientTls { certificate: None, ..tls.clone() }), ..fit.clone() };
    refusal(without).await;
    let stranger = Settings { tls: Some(ClientTls { ca: None, ..tls.clone() }), ..fit.clone() };
    assert!(refusal(stranger).await.contains("certificate"));
    let why = refusal(Settings { login: login(Some("ledger"), "wrong"), ..fit.clone() }).await;
    assert!(why.contains("`password_file`") && !why.contains("wrong;"), "{why}");
    let missing = ClientTls { ca: Some(file("none.pem")), ..tls };
    let why = Redis::new(Settings { tls: Some(missing), ..fit.clone() }).err().expect("no file");
    assert!(why.to_string().contains("none.pem"), "{why}");

    // Each right is needed.
    for right in ["config|get", "eval", "evalsha", "xadd", "zremrangebyrank", "info", "role"] {
        server.ask(&["ACL", "SETUSER", "ledger", &format!("-{right}")]);
        server.ask(&["SCRIPT", "FLUSH"]);
        let why = refusal(fit.clone()).await;
        let mend = if right.starts_with("config") {
            "ACL SETUSER ledger +config|get".to_owned()
        } else {
            format!("ACL SETUSER ledger ~palisade:v1:{{test}}:* {RIGHTS}")
        };
        assert!(why.contains(&mend), "{right}: {why}");
        server.ask(&["ACL", "SETUSER", "ledger", &format!("+{right}")]);
    }
    begun(fit.clone(), "r1").await;
    let elsewhere = refusal(Settings { namespace: "other".into(), ..fit }).await;
    assert!(elsewhere.contains("ACL SETUSER ledger ~palisade:v1:{other}:*"), "{elsewhere}");
}

#[tokio::test]
async fn a_password_that_lacks_or_is_too_much_is_told() {
    let open = Server::durable();
    let why = refusal(Settings { login: login(None, "hidden"), ..settings(&open) }).await;
    assert!(why.contains("requirepass") && !why.contains("hidden"), "{why}");
    let why = refusal(Settings { database: 99, ..settings(&open) }).await;
    assert!(why.contains("`database`"), "{why}");
    open.ask(&["ACL", "SETUSER", "other", "on", ">secret"]);
    open.ask(&["CONFIG", "SET", "requirepass", "hidden"]);
    let why = refusal(settings(&open)).await;
    assert!(why.contains("NOAUTH") && why.contains("`password_file`"), "{why}");
    let why = refusal(Settings { login: login(None, "false"), ..settings(&open) }).await;
    assert!(why.contains("WRONGPASS"), "{why}");
    begun(Settings { login: login(None, "hidden"), ..settings(&open) }, "r1").await;
    assert!(!format!("{:?}", login(None, "hidden")).contains("hidden"));
}
