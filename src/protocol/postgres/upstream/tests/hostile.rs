//! Servers that are none, or that lie.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::settings::{Endpoint, Upstream};
use super::rig::{connector, soon, upstream, with_tls};
use crate::protocol::postgres::codec::message::write::message;
use crate::protocol::postgres::testing::Server;

/// What the server does with a connection.
#[derive(Clone, Copy)]
enum Deed {
    /// Says this once the client has said something.
    Say(&'static [u8]),
    /// The same over and over.
    Flood(&'static [u8]),
    /// Begins SCRAM, answers with a challenge of so many rounds, and then says this.
    Scram(u64, &'static [u8]),
}

async fn play(mut stream: TcpStream, deed: Deed) -> std::io::Result<()> {
    let mut said = vec![0; 8 * 1024];
    let _ = stream.read(&mut said).await?;
    match deed {
        Deed::Say(bytes) => stream.write_all(bytes).await?,
        Deed::Flood(bytes) => loop {
            stream.write_all(bytes).await?;
        },
        Deed::Scram(rounds, last) => {
            let put = |body: &[u8]| {
                let mut out = Vec::new();
                message(&mut out, b'R', |out| out.extend_from_slice(body));
                out
            };
            stream.write_all(&put(b"\0\0\0\x0aSCRAM-SHA-256\0\0")).await?;
            let length = stream.read(&mut said).await?;
            let said = String::from_utf8_lossy(&said[..length]).into_owned();
            let nonce = said.split("r=").nth(1).expect("a nonce");
            let challenge = format!("\0\0\0\x0br={nonce}x,s=AAAA,i={rounds}");
            stream.write_all(&put(challenge.as_bytes())).await?;
            stream.write_all(last).await?;
        }
    }
    // Until the client has had enough.
    let _ = stream.read(&mut said).await;
    Ok(())
}

async fn server(deed: Deed) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let _ = play(stream, deed).await;
    });
    address
}

async fn check_at(mut upstream: Upstream, deed: Deed, expected: &str) {
    let address = server(deed).await;
    upstream.endpoints = vec![Endpoint::Tcp { host: "127.0.0.1".into(), port: address.port() }];
    let connector = connector(upstream);
    let error = soon("an error", connector.log_in("app", "postgres", &[])).await;
    let error = error.expect_err("no session").to_string();
    assert!(error.contains(expected), "{error}");
    assert!(!error.contains("secret-of-app"), "{error}");
}

async fn check(deed: Deed, expected: &str) {
    check_at(upstream(&[Server::shared()]), deed, expected).await;
}

const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";

#[tokio::test]
async fn a_server_that_does_not_prove_itself() {
    check(Deed::Scram(1, OK), "without having proved").await;
    let wrong = b"R\0\0\0\x36\0\0\0\x0cv=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    check(Deed::Scram(1, wrong), "could not prove that it knows").await;
}

#[tokio::test]
async fn a_server_that_wants_too_much() {
    check(Deed::Scram(1_000_001, b""), "lower scram_iterations").await;
    check(Deed::Flood(b"N\0\0\0\x05\0"), "too many messages").await;
    check(Deed::Flood(b"S\0\0\0\x08a\0b\0"), "no login").await;
    check(Deed::Say(b"N\0\x10\0\0"), "longer than 64 KiB").await;
}

#[tokio::test]
async fn a_server_that_asks_for_what_we_do_not_do() {
    check(Deed::Say(b"R\0\0\0\x08\0\0\0\x07"), "Kerberos").await;
    check(Deed::Say(b"R\0\0\0\x08\0\0\0\x63"), "untimely").await;
    check(Deed::Say(b"R\0\0\0\x0a\0\0\0\x0aX\0"), "offers \"X\"").await;
    check(Deed::Say(b"R\0\0\0\x08\0\0\0\x0c"), "untimely").await;
}

#[tokio::test]
async fn no_server_of_postgresql() {
    check(Deed::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "outside of").await;
    check(Deed::Say(b"SSH-2.0-x\r\n"), "outside of").await;
    check(Deed::Say(b"\x15\x03\x01\0\x02\x02\x0a"), "which protocol 3 does not have").await;
    check(Deed::Say(b"Z\0\0\0\x05I"), "no key").await;
}

#[tokio::test]
async fn no_tls_where_tls_is_asked_for() {
    let tls = || with_tls(Server::shared());
    check_at(tls(), Deed::Say(b"N"), "set ssl = on").await;
    check_at(tls(), Deed::Say(b"E...secret-of-app"), "refuses to speak TLS").await;
    // Bytes before the handshake are the handshake's: nobody's plain text gets in.
    check_at(tls(), Deed::Say(b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"), "127.0.0.1").await;
}
