//! As little of Redis's protocol as an idle session needs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::proxies::Proxy;
use super::server::PASSWORD;

const DEADLINE: Duration = Duration::from_secs(30);

/// Bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Duplex for S {}

/// A session that has been let in, with that token where there is a fence.
///
/// # Errors
/// The connection's, or the session was refused.
pub async fn connect(proxy: &Proxy, token: u64) -> io::Result<Box<dyn Duplex>> {
    timeout(DEADLINE, open(proxy, token)).await?
}

async fn open(proxy: &Proxy, token: u64) -> io::Result<Box<dyn Duplex>> {
    let stream = TcpStream::connect(proxy.address).await?;
    stream.set_nodelay(true)?;
    let mut stream: Box<dyn Duplex> = match proxy.has_tls {
        false => Box::new(stream),
        true => {
            let name = ServerName::try_from("localhost").expect("a name");
            Box::new(connector(proxy).connect(name, stream).await?)
        }
    };
    let auth = match proxy.is_fence {
        true => format!("*3\r\n$4\r\nAUTH\r\n{}{}", bulk(&format!("token={token}")), bulk("x")),
        false => format!("*2\r\n$4\r\nAUTH\r\n{}", bulk(PASSWORD)),
    };
    stream.write_all(auth.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n") {
        answer.push(stream.read_u8().await?);
    }
    match answer.as_slice() {
        b"+OK\r\n" => Ok(stream),
        told => Err(io::Error::other(String::from_utf8_lossy(told).into_owned())),
    }
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// A new one each time, so that no session of TLS is taken up again.
fn connector(proxy: &Proxy) -> TlsConnector {
    let pem = |name: &str| proxy.certs.join(name);
    let mut roots = rustls::RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(pem("ca.pem")).expect("ca.pem");
    roots.add(ca).expect("an authority");
    let chain = CertificateDer::pem_file_iter(pem("leader.pem")).expect("a chain");
    let chain = chain.map(|one| one.expect("a certificate")).collect();
    let key = PrivateKeyDer::from_pem_file(pem("leader.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3 is there")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .expect("they belong together");
    TlsConnector::from(Arc::new(config))
}
