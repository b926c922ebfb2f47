//! TLS with certificates on both sides, users and passwords.

use std::path::Path;

use zeroize::Zeroizing;

use super::super::Settings;
use super::super::testing::{Cluster, Options, ServerFiles};
use super::*;
use crate::net::authority::{Authority, CERTIFICATE_FILE};
use crate::net::connect::ClientTls;
use crate::net::identity::Source;

const DAY: Duration = Duration::from_secs(86_400);

/// Certificates of one authority: of the server, and of the clients `ann` and `root`.
fn issue(folder: &Path) -> ServerFiles {
    let authority = Authority::new("etcd", 100 * DAY).unwrap();
    authority.save(folder, false).unwrap();
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    authority.issue_server(&names, 90 * DAY).unwrap().save(folder, "server", true).unwrap();
    for user in ["ann", "root"] {
        let issued = authority.issue_client(Source::Cn, user, 90 * DAY).unwrap();
        issued.save(folder, user, true).unwrap();
    }
    ServerFiles {
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
        client_ca: folder.join(CERTIFICATE_FILE),
    }
}

fn client(folder: &Path, user: &str) -> ClientTls {
    ClientTls {
        ca: Some(folder.join(CERTIFICATE_FILE)),
        certificate: Some((folder.join(format!("{user}.pem")), folder.join(format!("{user}.key")))),
        server_name: None,
    }
}

fn store(settings: Settings) -> Arc<Etcd> {
    Arc::new(Etcd::new(settings).unwrap())
}

async fn refusal(settings: Settings) -> String {
    match Etcd::new(settings) {
        Ok(store) => store.begin("r1", TTL, "").await.unwrap_err().0,
        Err(error) => error.0,
    }
}

/// Makes a change and sees it on the feed.
async fn works(store: &Arc<Etcd>) {
    let session = store.begin("r1", TTL, "").await.unwrap();
    let mut feed = Feed::of(store, None);
    feed.batch().await;
    let version = put(store, &session, "a", "x").await;
    assert_eq!(feed.batch().await.1, version);
    assert_eq!(store.sessions().await.unwrap().len(), 1);
    store.end(&session).await.unwrap();
}

#[tokio::test]
async fn certificates_on_both_sides() {
    let (folder, foreign) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tls = Some(issue(folder.path()));
    issue(foreign.path());
    let etcd = Cluster::start(1, Options { tls, arguments: vec![] }).await;
    let settings = |tls| Settings { tls, ..etcd.settings("tls") };
    let good = client(folder.path(), "ann");
    works(&store(settings(Some(good.clone())))).await;
    let named = ClientTls { server_name: Some("localhost".to_owned()), ..good.clone() };
    works(&store(settings(Some(named)))).await;

    let check = async |tls: ClientTls, part: &str| {
        let why = refusal(settings(Some(tls))).await;
        assert!(why.contains(part), "{why}");
    };
    let untrusted = ClientTls { ca: client(foreign.path(), "ann").ca, ..good.clone() };
    check(untrusted, "authority that is not trusted").await;
    let stranger = client(foreign.path(), "ann").certificate;
    check(ClientTls { certificate: stranger, ..good.clone() }, "client certificate").await;
    check(ClientTls { certificate: None, ..good.clone() }, "client certificate").await;
    let elsewhere = Some("elsewhere".to_owned());
    check(ClientTls { server_name: elsewhere, ..good.clone() }, "does not bear the name").await;
    check(ClientTls { ca: Some("missing.pem".into()), ..good.clone() }, "missing.pem").await;
    let why = refusal(settings(None)).await;
    assert!(why.contains("TLS is spoken by both sides"), "{why}");
}

#[tokio::test]
async fn tls_where_none_is_spoken() {
    let folder = tempfile::tempdir().unwrap();
    issue(folder.path());
    let etcd = super::super::testing::shared().await;
    let tls = Some(client(folder.path(), "ann"));
    let why = refusal(Settings { tls, ..etcd.settings("no-tls") }).await;
    assert!(why.contains("TLS is spoken by both sides"), "{why}");
}

/// A user with the rights to one namespace, and authentication switched on.
fn enable(etcd: &Cluster, tls: Option<&ClientTls>) {
    let prefix = "/palisade/v1/users/";
    for arguments in [
        &["user", "add", "root:secret-of-root"][..],
        &["user", "grant-role", "root", "root"],
        &["role", "add", "palisade"],
        &["role", "grant-permission", "palisade", "--prefix=true", "readwrite", prefix],
        &["user", "add", "ann:secret-of-ann"],
        &["user", "grant-role", "ann", "palisade"],
        &["user", "add", "bob:secret-of-bob"],
        &["auth", "enable"],
    ] {
        etcd.etcdctl_with(0, tls, arguments);
    }
}

fn login(user: &str, password: &str) -> Option<(String, Zeroizing<String>)> {
    Some((user.to_owned(), Zeroizing::new(password.to_owned())))
}

#[tokio::test]
async fn users_and_passwords() {
    let arguments = ["--auth-token-ttl=1", "--bcrypt-cost=4"].map(str::to_owned).to_vec();
    let etcd = Cluster::start(1, Options { arguments, tls: None }).await;
    let settings = |login| Settings { login, ..etcd.settings("users") };
    // A password that nobody asks for yet does no harm.
    let ann = store(settings(login("ann", "secret-of-ann")));
    works(&ann).await;
    enable(&etcd, None);
    works(&ann).await;
    let session = ann.begin("r1", TTL, "").await.unwrap();
    let mut feed = Feed::of(&ann, None);
    feed.batch().await;
    // The token is valid for one second after it was used last.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let mut again = Feed::of(&ann, None);
    again.batch().await;
    let version = put(&ann, &session, "b", "x").await;
    assert_eq!(feed.batch().await.1, version);
    assert_eq!(again.batch().await.1, version);
    // Rights that are changed make all tokens old.
    let root = "--user=root:secret-of-root";
    etcd.etcdctl(0, &[root, "role", "add", "other"]);
    put(&ann, &session, "b", "y").await;

    let check = async |settings: Settings, part: &str| {
        let why = refusal(settings).await;
        assert!(why.contains(part) && !why.contains("secret"), "{why}");
    };
    let wrong = "password of the user ann is wrong";
    check(settings(login("ann", "secret-of-bob")), wrong).await;
    check(settings(login("eve", "secret-of-bob")), "no such user").await;
    check(settings(None), "wants a user and a password").await;
    let granting = "grant-permission ROLE --prefix=true readwrite /palisade/v1/users/";
    check(settings(login("bob", "secret-of-bob")), granting).await;
    let foreign =
        Settings { namespace: "foreign".into(), ..settings(login("ann", "secret-of-ann")) };
    check(foreign.clone(), "user ann has no right").await;
    let (sender, _events) = mpsc::channel(4);
    let ended = store(foreign).follow(None, &sender).await;
    assert!(ended.0.contains("user ann has no right"), "{ended}");
    let text = format!("{:?}", settings(login("ann", "secret-of-ann")));
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn users_by_their_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Some(issue(folder.path()));
    let arguments = vec!["--bcrypt-cost=4".to_owned()];
    let etcd = Cluster::start(1, Options { tls, arguments }).await;
    enable(&etcd, Some(&client(folder.path(), "root")));
    let settings = |user: &str| {
        let tls = Some(client(folder.path(), user));
        Settings { tls, ..etcd.settings("users") }
    };
    works(&store(settings("ann"))).await;
    let foreign = Settings { namespace: "foreign".into(), ..settings("ann") };
    let why = refusal(foreign).await;
    assert!(why.contains("(of the certificate) has no right"), "{why}");
}
