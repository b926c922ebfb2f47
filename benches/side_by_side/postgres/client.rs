//! As little of PostgreSQL's protocol as an idle session needs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::proxies::Proxy;

const DEADLINE: Duration = Duration::from_secs(30);

/// A session that has been let in, with that token where there is a fence.
///
/// # Errors
/// The connection's, or the session was refused.
pub async fn connect(proxy: &Proxy, token: u64) -> io::Result<TlsStream<TcpStream>> {
    timeout(DEADLINE, open(proxy, token)).await?
}

async fn open(proxy: &Proxy, token: u64) -> io::Result<TlsStream<TcpStream>> {
    let mut stream = TcpStream::connect(proxy.address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await?;
    if stream.read_u8().await? != b'S' {
        return Err(io::Error::other("TLS is declined"));
    }
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = connector(proxy).connect(name, stream).await?;
    let mut parameters = vec![("user", proxy.user.to_owned()), ("database", "app".to_owned())];
    if proxy.user == "app" {
        parameters.push(("palisade.token", token.to_string()));
    }
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    for (name, value) in &parameters {
        body.extend(name.as_bytes());
        body.push(0);
        body.extend(value.as_bytes());
        body.push(0);
    }
    body.push(0);
    stream.write_u32(u32::try_from(body.len() + 4).expect("it is short")).await?;
    stream.write_all(&body).await?;
    stream.flush().await?;
    loop {
        let tag = stream.read_u8().await?;
        let length = stream.read_u32().await?.saturating_sub(4);
        let mut body = vec![0; length as usize];
        stream.read_exact(&mut body).await?;
        match tag {
            b'Z' => return Ok(stream),
            b'E' => return Err(io::Error::other(String::from_utf8_lossy(&body).into_owned())),
            _ => {}
        }
    }
}

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
