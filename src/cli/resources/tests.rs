//! The commands as typed, against a real listener.

use clap::Parser;

use super::*;
use crate::admin::tests::rig::Rig;
use crate::net::authority::{Authority, CERTIFICATE_FILE};
use crate::net::identity::Source;
use crate::net::listen::{Limits, Listener, Workers};
use crate::net::tls::{ServerTls, TlsStore};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

/// What a command prints, where `typed` is what a person answers; nobody is there without it.
async fn command(admin: &str, words: &[&str], typed: Option<&str>) -> anyhow::Result<String> {
    let words = [&["resources", "--admin", admin], words].concat();
    let line = Line::try_parse_from(words).context("the command line")?;
    let mut terminal = Terminal {
        input: &mut typed.unwrap_or_default().as_bytes(),
        is_interactive: typed.is_some(),
        prompt: &mut io::sink(),
    };
    let mut output = Vec::new();
    execute(line.args, &mut terminal, &mut output).await?;
    Ok(String::from_utf8(output)?)
}

async fn rig() -> (Rig, String) {
    let rig = Rig::start().await;
    for (name, token) in [("orders/1", 41), ("orders/1", 42), ("it's ünusual & more", 7)] {
        rig.write(name, token).await;
    }
    let admin = format!("http://{}", rig.address);
    (rig, admin)
}

#[tokio::test]
async fn list_is_a_table_or_json_and_tells_of_more() {
    let (_rig, admin) = rig().await;
    let text = command(&admin, &["list"], None).await.unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("RESOURCE             MARK  HOLDER     IN FLIGHT  LAST RAISE"));
    assert!(lines[2].starts_with("orders/1             42    leader-42  none       20"), "{text}");

    let text = command(&admin, &["list", "--limit", "1"], None).await.unwrap();
    let more = r"there are more: palisade resources list --after 'it'\''s ünusual & more'";
    assert!(text.ends_with(&format!("{more}\n")), "{text}");
    let text =
        command(&admin, &["list", "--after", "it's ünusual & more", "--json"], None).await.unwrap();
    let page: view::Page = serde_json::from_str(&text).unwrap();
    assert_eq!((page.resources.len(), &*page.resources[0].mark), (1, "42"));
}

#[tokio::test]
async fn show_tells_the_history() {
    let (_rig, admin) = rig().await;
    let text = command(&admin, &["show", "orders/1"], None).await.unwrap();
    assert!(text.contains("mark           42\n"), "{text}");
    assert!(text.contains("41 (leader-41) to 42 (leader-42): 0 cut"), "{text}");
    assert!(text.contains("  41  leader-41\n") && text.contains("  42  leader-42\n"), "{text}");
    let text = command(&admin, &["show", "it's ünusual & more"], None).await.unwrap();
    assert!(text.contains("mark           7\n"), "{text}");
}

#[tokio::test]
async fn seal_shows_evidence_and_moves_nothing() {
    let (_rig, admin) = rig().await;
    let text = command(&admin, &["seal", "orders/1"], None).await.unwrap();
    assert!(text.starts_with("orders/1: every write below 42, held by leader-42, has settled\n"));
    assert!(text.contains("last takeover: 41 (leader-41) to 42"), "{text}");
}

#[tokio::test]
async fn reset_asks_first() {
    let (rig, admin) = rig().await;
    let reset = ["reset", "orders/1", "--reason", "etcd was restored"];
    for (typed, told) in
        [(None, "add --yes"), (Some("orders/2\n"), "not reset"), (Some(""), "not reset")]
    {
        let error = command(&admin, &reset, typed).await.unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let blank = command(&admin, &["reset", "orders/1", "--reason", " ", "--yes"], None).await;
    assert!(blank.unwrap_err().to_string().contains("needs a reason"));
    assert!(command(&admin, &["reset", "orders/1", "--yes"], None).await.is_err(), "no reason");
    assert!(
        command(&admin, &["show", "orders/1"], None).await.unwrap().contains("mark           42\n")
    );

    let text = command(&admin, &reset, Some("orders/1\n")).await.unwrap();
    assert!(text.contains("tokens from 1.1 on"), "{text}");
    assert_eq!(rig.audited("reset")["detail"]["reason"], "etcd was restored");
    let yes: Vec<_> = reset.into_iter().chain(["--yes"]).collect();
    assert!(command(&admin, &yes, None).await.unwrap().contains("tokens from 2.1 on"));
}

/// The real TLS listener, with certificates from the real authority.
#[tokio::test]
async fn with_mtls_only_operators_reset() {
    let (rig, _) = rig().await;
    let day = Duration::from_secs(86_400);
    let folder = tempfile::tempdir().unwrap();
    let path = |file: &str| folder.path().join(file);
    let authority = Authority::new("admin", day * 30).unwrap();
    authority.save(folder.path(), false).unwrap();
    let server = authority.issue_server(&["127.0.0.1".into()], day).unwrap();
    server.save(folder.path(), "server", false).unwrap();
    for (file, name) in [("anna", "ops/anna"), ("watcher", "watcher")] {
        let issued = authority.issue_client(Source::Cn, name, day).unwrap();
        issued.save(folder.path(), file, false).unwrap();
    }
    let tls = ServerTls {
        certificate: path("server.pem"),
        key: path("server.key"),
        client_ca: path(CERTIFICATE_FILE),
        crls: Vec::new(),
        identity: vec![Source::Cn],
    };
    let tls = TlsStore::open("admin".into(), tls, &[]).unwrap();
    let limits = Limits {
        connections_max: 8,
        connections_per_identity_max: 8,
        handshake_timeout: Duration::from_secs(5),
    };
    let listener = Listener::bind("admin".into(), &["127.0.0.1:0".parse().unwrap()]).unwrap();
    let handler = std::sync::Arc::new(rig.server.clone());
    let serving = listener.serve(tls, limits, &Workers::start(1).unwrap(), handler).unwrap();
    let admin = format!("https://{}", serving.local_addrs()[0]);

    let file = |name: &str| path(name).display().to_string();
    let ca = file(CERTIFICATE_FILE);
    let run = async |name: &str, words: &[&str]| {
        let (cert, key) = (file(&format!("{name}.pem")), file(&format!("{name}.key")));
        let tls = ["--ca", &*ca, "--cert", &*cert, "--key", &*key];
        command(&admin, &[words, &tls].concat(), None).await
    };
    let reset = ["reset", "orders/1", "--yes", "--reason", "etcd was restored"];
    assert!(run("watcher", &["list"]).await.unwrap().contains("orders/1"));
    let error = run("watcher", &reset).await.unwrap_err().to_string();
    assert!(error.contains("watcher is not one of the operators"), "{error}");
    assert!(run("anna", &reset).await.unwrap().contains("tokens from 1.1 on"));
    assert_eq!(rig.audited("reset")["identity"], "ops/anna");

    let error = command(&admin, &["list", "--ca", &*ca], None).await.unwrap_err().to_string();
    assert!(error.contains("does it trust --cert?"), "{error}");
    let plain = admin.replace("https", "http");
    let error = command(&plain, &["list"], None).await.unwrap_err().to_string();
    assert!(error.contains("use https://"), "{error}");
    serving.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let (_rig, admin) = rig().await;
    let check = async |admin: &str, words: &[&str], told: &str| {
        let error = format!("{:#}", command(admin, words, None).await.unwrap_err());
        assert!(error.contains(told), "{told} is not in: {error}");
    };
    check(&admin, &["show", "typo"], "no token was ever admitted for typo").await;
    check(&admin, &["list", "--limit", "0"], "limit is from 1 to 1000").await;
    check("http://127.0.0.1:1", &["list"], "is Palisade running?").await;
    check("127.0.0.1:9470", &["list"], "has to look like http://").await;
    check("ftp://127.0.0.1", &["list"], "use http or https").await;
    check("http://127.0.0.1/admin", &["list"], "has to end after the port").await;
    check("https://127.0.0.1", &["list"], "https needs --ca").await;
    check(&admin, &["list", "--ca", "ca.pem"], "go with an https://").await;
    check("https://127.0.0.1", &["list", "--ca", "/nowhere/ca.pem"], "/nowhere/ca.pem").await;
}

#[tokio::test]
async fn something_else_at_that_port_is_told() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for (answer, told) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", "does not speak plain HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "answered something else"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "is that the admin listener"),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = format!("http://{}", listener.local_addr().unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let (outcome, ()) = tokio::join!(command(&admin, &["list"], None), serve);
        let error = format!("{:#}", outcome.unwrap_err());
        assert!(error.contains(told), "{error}");
    }
}
