//! An HTTP client with a client certificate, that can stop in the middle of a body.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long any one request may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long one of several addresses may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    Http1,
    Http2,
}

/// A way to a server: each request has a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    /// More ways to the same, which are taken in turn: a balancer of load.
    others: Arc<Ways>,
    tls: Option<Arc<ClientConfig>>,
    version: Version,
    headers: Vec<(String, String)>,
}

/// Where else a client may turn to.
#[derive(Debug, Default)]
struct Ways {
    addresses: Vec<SocketAddr>,
    turn: AtomicUsize,
}

/// Bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

/// A request that is being sent.
#[derive(Debug)]
pub struct Upload {
    sending: Option<mpsc::Sender<Bytes>>,
    reply: JoinHandle<Result<Reply, String>>,
}

impl Client {
    /// In plain text.
    pub fn plain(address: SocketAddr) -> Self {
        let others = Arc::default();
        Self { address, others, tls: None, version: Version::Http1, headers: Vec::new() }
    }

    /// With TLS and a client certificate.
    pub fn mtls(address: SocketAddr, ca: &Path, chain: &Path, key: &Path) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let chain = CertificateDer::pem_file_iter(chain).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { tls: Some(Arc::new(config)), ..Self::plain(address) }
    }

    /// The same, each request to another of these; whoever does not listen is passed over.
    pub fn balanced(mut self, addresses: &[SocketAddr]) -> Self {
        self.others = Arc::new(Ways { addresses: addresses.to_vec(), turn: AtomicUsize::new(0) });
        self
    }

    /// The same with another HTTP.
    pub fn speaking(mut self, version: Version) -> Self {
        self.version = version;
        if let Some(tls) = &mut self.tls {
            let mut config = ClientConfig::clone(tls);
            let alpn: &[u8] = if version == Version::Http2 { b"h2" } else { b"http/1.1" };
            config.alpn_protocols = vec![alpn.to_vec()];
            *tls = Arc::new(config);
        }
        self
    }

    /// The same with one more header on every request.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// The same with a token.
    pub fn token(self, token: impl ToString) -> Self {
        self.with("fencing-token", token)
    }

    /// Writes an object.
    pub async fn put(&self, path: &str, body: impl Into<Bytes>) -> Reply {
        self.send(Method::PUT, path, body).await
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, "").await
    }

    /// Sends a whole request; panics if there is no answer.
    pub async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Reply {
        self.try_send(method, path, body).await.unwrap()
    }

    /// Sends a whole request; the error is the connection's.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Reply, String> {
        let body = body.into();
        let mut upload = self.begin(method, path, body.len());
        upload.send(body).await;
        upload.finish().await
    }

    /// A connection of its own, on which a test says what it wants.
    pub async fn connect(&self) -> Result<Box<dyn Duplex>, String> {
        let stream = self.reach().await?;
        stream.set_nodelay(true).map_err(told)?;
        let Some(tls) = self.tls.clone() else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from("localhost").map_err(told)?;
        let stream = tokio_rustls::TlsConnector::from(tls).connect(name, stream).await;
        Ok(Box::new(stream.map_err(told)?))
    }

    async fn reach(&self) -> Result<TcpStream, String> {
        let Ways { addresses, turn } = &*self.others;
        let first = turn.fetch_add(1, Ordering::Relaxed);
        for step in 0..addresses.len() {
            let address = addresses[(first + step) % addresses.len()];
            let connecting = TcpStream::connect(address);
            if let Ok(Ok(stream)) = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
                return Ok(stream);
            }
        }
        TcpStream::connect(self.address).await.map_err(told)
    }

    /// Begins a request whose body will have that many bytes.
    pub fn begin(&self, method: Method, path: &str, body_bytes: usize) -> Upload {
        // The port goes with it, as browsers and SDKs do.
        let port = self.address.port();
        let (scheme, host) = match self.tls {
            None => ("http", format!("127.0.0.1:{port}")),
            Some(_) => ("https", format!("localhost:{port}")),
        };
        let mut request = Request::builder().method(&method);
        request = match self.version {
            Version::Http1 => request.uri(path).header("host", host),
            Version::Http2 => request.uri(format!("{scheme}://{host}{path}")),
        };
        if body_bytes > 0 || !matches!(method, Method::GET | Method::HEAD | Method::DELETE) {
            request = request.header("content-length", body_bytes);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let (sending, receiver) = mpsc::channel::<Bytes>(1);
        let frames = stream::unfold(receiver, async |mut receiver| {
            let chunk = receiver.recv().await?;
            Some((Ok::<_, std::convert::Infallible>(Frame::data(chunk)), receiver))
        });
        // Without a body there must not be an empty one either: it would be announced.
        let body = match body_bytes {
            0 => Empty::new().boxed_unsync(),
            _ => StreamBody::new(Box::pin(frames)).boxed_unsync(),
        };
        let request = request.body(body).unwrap();
        let (client, version) = (self.clone(), self.version);
        let reply = tokio::spawn(async move {
            let exchange = async { exchange(client.connect().await?, version, request).await };
            tokio::time::timeout(DEADLINE, exchange).await.map_err(told)?
        });
        Upload { sending: Some(sending), reply }
    }
}

impl Upload {
    /// Sends some of the body. If the server does not take it any more, its answer tells why.
    pub async fn send(&mut self, chunk: impl Into<Bytes>) {
        let chunk = chunk.into();
        if let (Some(sending), false) = (&self.sending, chunk.is_empty()) {
            let _ = sending.send(chunk).await;
        }
    }

    /// Ends the body and waits for the answer.
    pub async fn finish(mut self) -> Result<Reply, String> {
        self.sending = None;
        self.reply.await.map_err(told)?
    }

    /// Waits for the answer without sending anything more.
    pub async fn early(&mut self) -> Result<Reply, String> {
        (&mut self.reply).await.map_err(told)?
    }

    /// Whether an answer is there.
    pub fn is_answered(&self) -> bool {
        self.reply.is_finished()
    }

    /// Closes the connection at once.
    pub fn hang_up(self) {
        self.reply.abort();
    }
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What is between `<name>` and `</name>` in an XML body; empty if it is not there.
    pub fn element(&self, name: &str) -> String {
        let text = self.text();
        let rest = text.split_once(&format!("<{name}>")).map_or("", |(_, rest)| rest);
        rest.split_once(&format!("</{name}>")).map_or("", |(inner, _)| inner).to_owned()
    }

    /// A header as text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }
}

async fn exchange<S, B>(stream: S, version: Version, request: Request<B>) -> Result<Reply, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: hyper::body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
{
    let io = TokioIo::new(stream);
    // Dropped with this future, and the connection with it.
    let mut driving = tokio::task::JoinSet::new();
    let response = match version {
        Version::Http1 => {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(io).await.map_err(told)?;
            driving.spawn(connection);
            sender.send_request(request).await.map_err(told)?
        }
        Version::Http2 => {
            let executor = TokioExecutor::new();
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(executor, io).await.map_err(told)?;
            driving.spawn(connection);
            sender.send_request(request).await.map_err(told)?
        }
    };
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(told)?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let body = body.to_bytes();
    Ok(Reply { status: parts.status, headers: parts.headers, body, trailers })
}

fn told(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}
