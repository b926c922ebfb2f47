//! Clients of a proxy: mTLS with TLS 1.3, never a resumed session, HTTP/1.1 or HTTP/2.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::http1::Http1;

/// A connection with TLS.
pub type Stream = tokio_rustls::client::TlsStream<TcpStream>;
type Body = UnsyncBoxBody<Bytes, Infallible>;

const CHUNK_BYTES: u64 = 64 * 1024;
/// As large as curl's and Go's, so that it is not the client that slows a download down.
const WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// What is asked of a proxy, again and again.
#[derive(Clone, Debug)]
pub struct Work {
    /// GET or PUT.
    pub method: Method,
    /// Its last segment says how many bytes a GET answers.
    pub path: String,
    /// `Fencing-Token`.
    pub token: Option<u64>,
    /// Size of the body that is sent.
    pub up_bytes: u64,
    /// What it has to be answered.
    pub status: u16,
}

/// Certificates and settings of clients.
pub struct Dialer {
    http1: TlsConnector,
    http2: TlsConnector,
}

/// A connection, or one of the streams that share one.
pub enum Client {
    /// One exchange after another.
    Http1(Box<Http1>),
    /// One exchange after another; clones share the connection.
    Http2(http2::SendRequest<Body>),
}

impl Dialer {
    /// Reads the PEM files.
    pub fn new(ca: &Path, chain: &Path, key: &Path) -> Self {
        let connector = |alpn: &[u8]| {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(ca).expect("ca.pem")).expect("an authority");
            let chain = CertificateDer::pem_file_iter(chain).expect("a chain");
            let chain = chain.map(|one| one.expect("a certificate")).collect();
            let key = PrivateKeyDer::from_pem_file(key).expect("a key");
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let mut config = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("TLS 1.3 is there")
                .with_root_certificates(roots)
                .with_client_auth_cert(chain, key)
                .expect("they belong together");
            config.resumption = Resumption::disabled();
            config.alpn_protocols = vec![alpn.to_vec()];
            TlsConnector::from(Arc::new(config))
        };
        Self { http1: connector(b"http/1.1"), http2: connector(b"h2") }
    }

    /// A new connection.
    pub async fn connect(&self, to: SocketAddr, version: Version) -> io::Result<Client> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").expect("a name");
        if version == Version::HTTP_11 {
            let stream = self.http1.connect(name, stream).await?;
            return Ok(Client::Http1(Box::new(Http1::new(stream))));
        }
        let stream = self.http2.connect(name, stream).await?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Client::Http2(sender))
    }
}

impl Client {
    /// One exchange.
    ///
    /// # Errors
    /// The connection's, or another status than was expected.
    pub async fn send(&mut self, work: &Work) -> io::Result<()> {
        let status = match self {
            Self::Http1(connection) => connection.send(work).await?,
            Self::Http2(sender) => exchange(sender, work).await?,
        };
        match status {
            status if status == work.status => Ok(()),
            status => Err(io::Error::other(format!("{} {}: {status}", work.method, work.path))),
        }
    }

    /// Another stream of the same connection, on HTTP/2.
    pub fn share(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender) => Some(Self::Http2(sender.clone())),
        }
    }

    /// Gives what memory it can back.
    pub fn rest(&mut self) {
        if let Self::Http1(connection) = self {
            connection.rest();
        }
    }
}

async fn exchange(sender: &mut http2::SendRequest<Body>, work: &Work) -> io::Result<u16> {
    static CHUNK: [u8; CHUNK_BYTES as usize] = [b'0'; CHUNK_BYTES as usize];
    let mut request = Request::builder()
        .method(&work.method)
        .uri(format!("https://localhost{}", work.path))
        .header("user-agent", "side-by-side")
        .header("accept", "*/*");
    if let Some(token) = work.token {
        request = request.header("fencing-token", token);
    }
    let body = match work.up_bytes {
        0 => Empty::new().boxed_unsync(),
        bytes @ ..=CHUNK_BYTES => {
            Full::new(Bytes::from_static(&CHUNK[..bytes as usize])).boxed_unsync()
        }
        bytes => {
            request = request.header("content-length", bytes);
            let frame = || Ok(Frame::data(Bytes::from_static(&CHUNK)));
            StreamBody::new(stream::iter((0..bytes / CHUNK_BYTES).map(move |_| frame())))
                .boxed_unsync()
        }
    };
    let request = request.body(body).map_err(io::Error::other)?;
    sender.ready().await.map_err(io::Error::other)?;
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let status = response.status().as_u16();
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        frame.map_err(io::Error::other)?;
    }
    Ok(status)
}
