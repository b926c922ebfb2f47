//! TLS to Palisade, after an SSLRequest or at once.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::front::Door;
use super::message::{Told, untagged};
use crate::rig::Duplex;

/// Asks for TLS in the clear first, as libpq does by default.
pub async fn connect(door: &Door, to: SocketAddr) -> Result<Box<dyn Duplex>, Told> {
    let mut stream = open(to).await?;
    stream.write_all(&untagged(&80_877_103_u32.to_be_bytes())).await.map_err(told)?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await.map_err(told)?;
    if answer != *b"S" {
        return Err(told(format!("TLS declined: {answer:?}")));
    }
    shake(door, stream, true).await
}

/// TLS at once, as libpq does with `sslnegotiation=direct`.
pub async fn connect_directly(door: &Door, to: SocketAddr) -> Result<Box<dyn Duplex>, Told> {
    shake(door, open(to).await?, true).await
}

/// The same, but the client does not say by ALPN what it is going to speak.
pub async fn connect_without_a_word(door: &Door, to: SocketAddr) -> Result<Box<dyn Duplex>, Told> {
    shake(door, open(to).await?, false).await
}

async fn open(to: SocketAddr) -> Result<TcpStream, Told> {
    let stream = TcpStream::connect(to).await.map_err(told)?;
    stream.set_nodelay(true).map_err(told)?;
    Ok(stream)
}

async fn shake(door: &Door, stream: TcpStream, says_what: bool) -> Result<Box<dyn Duplex>, Told> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&door.ca).unwrap()).unwrap();
    let chain = CertificateDer::pem_file_iter(&door.chain).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&door.key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    if says_what {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    Ok(Box::new(stream.map_err(told)?))
}

fn told(error: impl ToString) -> Told {
    Told([('C', "CUT".to_owned()), ('M', error.to_string())].into())
}
