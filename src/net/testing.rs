//! For the tests of this layer: certificates in a folder, and clients that speak real TLS.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::authority::{Authority, CERTIFICATE_FILE, Issued, REVOCATION_FILE};
use super::identity::Source;
use super::tls::ServerTls;

pub(super) const DAY: Duration = Duration::from_secs(86_400);
pub(super) const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

/// Long enough for anything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A listener's files.
pub(super) struct Site {
    pub(super) dir: TempDir,
    pub(super) authority: Authority,
}

impl Site {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new("site", 1000 * DAY).unwrap();
        authority.save(dir.path(), false).unwrap();
        let site = Self { dir, authority };
        site.renew_server();
        site
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub(super) fn renew_server(&self) {
        let names = ["localhost".into(), "127.0.0.1".into()];
        let issued = self.authority.issue_server(&names, 90 * DAY).unwrap();
        issued.save(self.dir.path(), "server", true).unwrap();
    }

    pub(super) fn tls(&self) -> ServerTls {
        ServerTls {
            certificate: self.path("server.pem"),
            key: self.path("server.key"),
            client_ca: self.path(CERTIFICATE_FILE),
            crls: vec![self.path(REVOCATION_FILE)],
            identity: vec![Source::Spiffe, Source::Cn],
        }
    }

    /// A client certificate of `spiffe://example.org/NAME`.
    pub(super) fn client(&self, name: &str) -> Issued {
        let id = format!("spiffe://example.org/{name}");
        self.authority.issue_client(Source::Spiffe, &id, 30 * DAY).unwrap()
    }

    pub(super) fn revoke(&self, issued: &Issued) {
        assert!(Authority::revoke_in(self.dir.path(), &issued.serial).unwrap());
    }

    /// How a client of this site is set up.
    pub(super) fn config(&self, issued: Option<&Issued>) -> Config {
        Config {
            ca: self.authority.certificate_pem().to_owned(),
            client: issued
                .map(|issued| (issued.certificate_pem.clone(), issued.key_pem.to_string())),
            version: &rustls::version::TLS13,
            alpn: vec![],
        }
    }
}

#[derive(Clone)]
pub(super) struct Config {
    pub(super) ca: String,
    pub(super) client: Option<(String, String)>,
    pub(super) version: &'static SupportedProtocolVersion,
    pub(super) alpn: Vec<Vec<u8>>,
}

impl Config {
    pub(super) fn build(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = self.alpn.clone();
        Arc::new(config)
    }

    /// Connects and has one line echoed, which shows that the server has let us in: in
    /// TLS 1.3 its refusal arrives only after the client's handshake.
    pub(super) async fn enter(&self, address: SocketAddr) -> io::Result<Client> {
        enter(address, self.build()).await
    }
}

pub(super) async fn enter(address: SocketAddr, config: Arc<ClientConfig>) -> io::Result<Client> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let connecting = TlsConnector::from(config).connect(name, tcp);
    let stream = timeout(PATIENCE, connecting).await.expect("the handshake hangs")?;
    let mut client = Client { stream };
    client.echo("hello").await?;
    Ok(client)
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: TlsStream<TcpStream>,
}

impl Client {
    pub(super) async fn echo(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes()).await?;
        let mut answer = vec![0; text.len()];
        let reading = self.stream.read_exact(&mut answer);
        timeout(PATIENCE, reading).await.expect("no answer and no end")?;
        assert_eq!(answer, text.as_bytes());
        Ok(())
    }

    /// Waits until the server ends the connection; true if with TLS's goodbye.
    pub(super) async fn ended(&mut self) -> bool {
        let mut byte = [0];
        match timeout(PATIENCE, self.stream.read(&mut byte)).await.expect("it stays open") {
            Ok(0) => true,
            Ok(_) => panic!("bytes where the end should be"),
            Err(_) => false,
        }
    }
}
