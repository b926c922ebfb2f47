//! Real TLS over loopback: who is let in, who is put out, and what is left at the end.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::net::authority::Authority;
use crate::net::identity::Source;
use crate::net::testing::{Config, DAY, Site, VERSIONS, enter};
use crate::net::tls::TlsStore;

mod places;

const LIMITS: Limits = Limits {
    connections_max: 100,
    connections_per_identity_max: 100,
    handshake_timeout: Duration::from_secs(5),
};

/// Sends back what it gets until the client ends, or until it is asked to drain.
#[derive(Default)]
struct Echo {
    stubborn: bool,
    hello: Option<&'static [u8]>,
    served: AtomicUsize,
    last: std::sync::Mutex<Option<(Peer, Option<Alpn>)>>,
}

impl Handler for Echo {
    async fn prelude(&self, stream: &mut TcpStream) -> io::Result<Prelude> {
        let Some(hello) = self.hello else { return Ok(Prelude::Tls) };
        let mut word = vec![0; hello.len()];
        stream.read_exact(&mut word).await?;
        if word != hello {
            return Err(io::Error::other("not the word"));
        }
        stream.write_all(b"S").await.map(|()| Prelude::Tls)
    }

    async fn serve(self: Arc<Self>, mut connection: Connection) {
        self.served.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap() = Some((connection.peer.clone(), connection.alpn));
        let mut buffer = [0; 64];
        loop {
            let read = tokio::select! {
                () = connection.drain.requested(), if !self.stubborn => break,
                read = connection.stream.read(&mut buffer) => read,
            };
            let Ok(read @ 1..) = read else { return };
            assert!(&buffer[..read] != b"panic", "as the client asked");
            if connection.stream.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
        let _ = connection.stream.shutdown().await;
    }
}

struct Rig {
    site: Site,
    echo: Arc<Echo>,
    server: Server,
    workers: Workers,
    address: SocketAddr,
}

impl Rig {
    fn new() -> Self {
        Self::with(LIMITS, Echo::default())
    }

    fn with(limits: Limits, echo: Echo) -> Self {
        let site = Site::new();
        let tls = TlsStore::open("l".into(), site.tls(), &[Alpn::Http2, Alpn::Http1]).unwrap();
        let workers = Workers::start(2).unwrap();
        let echo = Arc::new(echo);
        let listener = Listener::bind("l".into(), &["127.0.0.1:0".parse().unwrap()]).unwrap();
        let server = listener.serve(tls, limits, &workers, echo.clone()).unwrap();
        let address = server.local_addrs()[0];
        Self { site, echo, server, workers, address }
    }

    async fn reload(&self) {
        assert!(self.server.tls().reload().await.unwrap());
    }

    /// Waits until so many connections are open: the server's side ends a little later than
    /// its client hears of it.
    async fn open_is(&self, expected: usize) {
        let until = Instant::now() + Duration::from_secs(10);
        while self.server.open() != expected {
            assert!(Instant::now() < until, "{} are open", self.server.open());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn refused(&self, config: &Config) {
        let served = self.echo.served.load(Ordering::Relaxed);
        config.enter(self.address).await.expect_err("it must be refused");
        assert_eq!(self.echo.served.load(Ordering::Relaxed), served);
    }
}

#[tokio::test]
async fn who_has_no_good_certificate_is_refused() {
    let rig = Rig::new();
    let stranger = Authority::new("stranger", 100 * DAY).unwrap();
    let id = "spiffe://example.org/a";
    let foreign = stranger.issue_client(Source::Spiffe, id, DAY).unwrap();
    let server = rig.site.authority.issue_server(&["localhost".into()], DAY).unwrap();
    let nameless = rig.site.authority.issue_client(Source::Dns, "a.example.org", DAY).unwrap();
    let revoked = rig.site.client("a");
    rig.site.revoke(&revoked);
    rig.reload().await;
    let good = rig.site.client("a");
    for version in VERSIONS {
        let config = |issued| Config { version, ..rig.site.config(issued) };
        for bad in [None, Some(&foreign), Some(&server), Some(&nameless), Some(&revoked)] {
            rig.refused(&config(bad)).await;
        }
        let config = Config { alpn: vec![b"h2".to_vec()], ..config(Some(&good)) };
        config.enter(rig.address).await.unwrap();
        let (peer, alpn) = rig.echo.last.lock().unwrap().clone().unwrap();
        assert_eq!((&*peer.identity.name, alpn), (id, Some(Alpn::Http2)));
        assert_eq!(*peer.identity.serial, *good.serial);
        let odd = Config { alpn: vec![b"smtp".to_vec()], ..config };
        rig.refused(&odd).await;
    }
}

#[tokio::test]
async fn a_session_is_never_resumed_and_aes_128_comes_first() {
    let rig = Rig::new();
    let client = rig.site.client("a");
    for version in VERSIONS {
        let config = Config { version, ..rig.site.config(Some(&client)) }.build();
        for _ in 0..3 {
            let mut client = enter(rig.address, config.clone()).await.unwrap();
            client.echo("more, so that a ticket would have come").await.unwrap();
            let session = client.stream.get_ref().1;
            let kind = session.handshake_kind();
            assert!(
                matches!(
                    kind,
                    Some(
                        rustls::HandshakeKind::Full
                            | rustls::HandshakeKind::FullWithHelloRetryRequest
                    )
                ),
                "{kind:?}"
            );
            let suite = format!("{:?}", session.negotiated_cipher_suite().unwrap());
            assert!(suite.contains("AES_128_GCM"), "{suite}");
        }
    }
}

#[tokio::test]
async fn a_revoked_identity_loses_its_open_connections_and_others_stay() {
    let rig = Rig::new();
    let (a, b) = (rig.site.client("a"), rig.site.client("b"));
    for version in VERSIONS {
        let b_config = Config { version, ..rig.site.config(Some(&b)) };
        b_config.enter(rig.address).await.unwrap();
    }
    let (a_config, b_config) = (rig.site.config(Some(&a)), rig.site.config(Some(&b)));
    let mut a_open = a_config.enter(rig.address).await.unwrap();
    let mut b_open = b_config.enter(rig.address).await.unwrap();
    rig.site.revoke(&a);
    rig.reload().await;
    assert!(!a_open.ended().await, "a cut must not look like a good end");
    b_open.echo("still here").await.unwrap();
    rig.refused(&a_config).await;
    b_config.enter(rig.address).await.unwrap();
}

#[tokio::test]
async fn a_revocation_during_the_handshake_is_not_missed() {
    let echo = Echo { hello: Some(b"go"), ..Echo::default() };
    let rig = Rig::with(LIMITS, echo);
    let a = rig.site.client("a");
    let mut tcp = TcpStream::connect(rig.address).await.unwrap();
    rig.open_is(1).await;
    // The server took its files when the connection came, and waits for the word.
    tokio::time::sleep(Duration::from_millis(50)).await;
    rig.site.revoke(&a);
    rig.reload().await;
    tcp.write_all(b"go").await.unwrap();
    let mut answer = [0];
    tcp.read_exact(&mut answer).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(rig.site.config(Some(&a)).build());
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    if let Ok(mut stream) = connector.connect(name, tcp).await {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut byte));
        assert!(!matches!(read.await.expect("it stays open"), Ok(1..)));
    }
    rig.open_is(0).await;
}

#[tokio::test]
async fn a_prelude_comes_before_tls() {
    let rig = Rig::with(LIMITS, Echo { hello: Some(b"go"), ..Echo::default() });
    let mut tcp = TcpStream::connect(rig.address).await.unwrap();
    tcp.write_all(b"no").await.unwrap();
    assert!(!matches!(tcp.read(&mut [0]).await, Ok(1..)), "the wrong word ends it");
}

#[tokio::test]
async fn an_authority_that_is_removed_takes_its_clients_with_it() {
    let rig = Rig::new();
    let other = Authority::new("other", 100 * DAY).unwrap();
    other.save(&rig.site.path("other"), false).unwrap();
    let both = format!("{}{}", rig.site.authority.certificate_pem(), other.certificate_pem());
    let lists = |names: [&str; 2]| {
        names.map(|name| fs::read_to_string(rig.site.path(name)).unwrap()).concat()
    };
    let lists = lists(["crl.pem", "other/crl.pem"]);
    fs::write(rig.site.path("ca.pem"), both).unwrap();
    fs::write(rig.site.path("crl.pem"), lists).unwrap();
    rig.reload().await;
    let id = "spiffe://example.org/b";
    let b = other.issue_client(Source::Spiffe, id, DAY).unwrap();
    let (a_config, b_config) =
        (rig.site.config(Some(&rig.site.client("a"))), rig.site.config(Some(&b)));
    let mut a_open = a_config.enter(rig.address).await.unwrap();
    let mut b_open = b_config.enter(rig.address).await.unwrap();
    fs::write(rig.site.path("ca.pem"), rig.site.authority.certificate_pem()).unwrap();
    rig.reload().await;
    assert!(!b_open.ended().await);
    a_open.echo("still here").await.unwrap();
    rig.refused(&b_config).await;
}

#[tokio::test]
async fn broken_files_change_nothing_for_anybody() {
    let rig = Rig::new();
    let config = rig.site.config(Some(&rig.site.client("a")));
    let mut open = config.enter(rig.address).await.unwrap();
    fs::write(rig.site.path("ca.pem"), "").unwrap();
    let error = rig.server.tls().reload().await.unwrap_err().to_string();
    assert!(error.contains("ca.pem (`client_ca`) has no certificate; it is empty"), "{error}");
    open.echo("still here").await.unwrap();
    config.enter(rig.address).await.unwrap();
}

#[tokio::test]
async fn a_new_server_certificate_is_served_and_open_connections_stay() {
    let rig = Rig::new();
    let config = rig.site.config(Some(&rig.site.client("a")));
    let mut open = config.enter(rig.address).await.unwrap();
    rig.site.renew_server();
    rig.reload().await;
    let again = config.enter(rig.address).await.unwrap();
    let leaf = |client: &crate::net::testing::Client| {
        client.stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    assert_ne!(leaf(&open), leaf(&again));
    open.echo("still here").await.unwrap();
}

#[tokio::test]
async fn a_connection_ends_with_its_certificate_after_being_asked_to() {
    let id = "spiffe://example.org/a";
    for (stubborn, goodbye) in [(false, true), (true, false)] {
        let rig = Rig::with(LIMITS, Echo { stubborn, ..Echo::default() });
        let lifetime = Duration::from_millis(2500);
        let a = rig.site.authority.issue_client(Source::Spiffe, id, lifetime).unwrap();
        let began = Instant::now();
        let mut open = rig.site.config(Some(&a)).enter(rig.address).await.unwrap();
        assert_eq!(open.ended().await, goodbye, "stubborn: {stubborn}");
        let took = began.elapsed();
        assert!(took > Duration::from_millis(900) && took < 2 * lifetime, "{took:?}");
        if stubborn {
            rig.refused(&rig.site.config(Some(&a))).await;
        }
    }
}

#[tokio::test]
async fn a_silent_client_is_not_waited_for() {
    let limits = Limits { handshake_timeout: Duration::from_millis(200), ..LIMITS };
    let rig = Rig::with(limits, Echo::default());
    let began = Instant::now();
    let mut tcp = TcpStream::connect(rig.address).await.unwrap();
    // A beginning that never ends.
    tcp.write_all(&[0x16, 3, 1, 2, 0]).await.unwrap();
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_secs(10), tcp.read(&mut byte)).await.unwrap();
    assert!(!matches!(read, Ok(1..)), "{read:?}");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(190) && took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn connections_are_spread_over_the_workers() {
    let rig = Rig::new();
    let config = rig.site.config(Some(&rig.site.client("a")));
    let mut open = Vec::new();
    for _ in 0..6 {
        open.push(config.enter(rig.address).await.unwrap());
    }
    assert_eq!(rig.workers.open(), [3, 3]);
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_and_no_other() {
    let rig = Rig::new();
    let config = rig.site.config(Some(&rig.site.client("a")));
    let (mut first, mut second) =
        (config.enter(rig.address).await.unwrap(), config.enter(rig.address).await.unwrap());
    // A third, so that one of the others is on the worker of the panic.
    let mut third = config.enter(rig.address).await.unwrap();
    first.stream.write_all(b"panic").await.unwrap();
    assert!(!first.ended().await);
    rig.open_is(2).await;
    assert_eq!(rig.workers.open().iter().sum::<usize>(), 2);
    second.echo("still here").await.unwrap();
    third.echo("still here").await.unwrap();
}

#[tokio::test]
async fn shutdown_drains_who_listens_and_cuts_who_does_not() {
    for (stubborn, expected) in
        [(false, Closed { drained: 2, cut: 0 }), (true, Closed { drained: 0, cut: 2 })]
    {
        let rig = Rig::with(LIMITS, Echo { stubborn, ..Echo::default() });
        let config = rig.site.config(Some(&rig.site.client("a")));
        let mut open = config.enter(rig.address).await.unwrap();
        // One that is still in its handshake is ended too.
        let _silent = TcpStream::connect(rig.address).await.unwrap();
        let mut more = config.enter(rig.address).await.unwrap();
        assert_eq!(rig.server.open(), 3);
        let address = rig.address;
        let closed = rig.server.shutdown(Duration::from_millis(300)).await;
        // The handshake counts as drained, as nothing of it is lost.
        assert_eq!(closed, Closed { drained: expected.drained + 1, ..expected });
        assert_eq!(open.ended().await, !stubborn);
        assert_eq!(more.ended().await, !stubborn);
        TcpStream::connect(address).await.expect_err("the socket must be closed");
        tokio::task::spawn_blocking(move || rig.workers.stop()).await.unwrap();
    }
}

#[test]
fn an_address_that_is_taken_is_named_with_what_to_do() {
    let bind = |address: SocketAddr| Listener::bind("l".into(), &[address]);
    let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = first.local_addrs()[0];
    assert_ne!(address.port(), 0);
    let error = bind(address).unwrap_err().to_string();
    let port = address.port();
    assert!(error.contains(&format!("cannot listen on {address}")), "{error}");
    assert!(error.contains(&format!("sport = :{port}")), "{error}");
    let error = bind("192.0.2.1:0".parse().unwrap()).unwrap_err().to_string();
    assert!(error.contains("this machine has no such address"), "{error}");
}
