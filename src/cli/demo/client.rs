//! A leader's connection to a store: ordinary HTTP/1.1 requests, and uploads that freeze half-way.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The header that carries the token.
pub(super) const TOKEN: &str = "fencing-token";
/// Bytes of an answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Bytes that an upload hands over at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// How long any one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Between the first half of a frozen upload and whatever comes next: by then it has arrived.
const FREEZE_PAUSE: Duration = Duration::from_millis(250);

/// One leader's way to a store.
#[derive(Clone, Debug)]
pub(super) struct Client {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    token: u64,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    /// Its status.
    pub(super) status: StatusCode,
    /// Its body.
    pub(super) body: Bytes,
}

/// An upload of which the second half has not been sent.
#[derive(Debug)]
pub(super) struct Frozen {
    rest: Bytes,
    sending: mpsc::Sender<Bytes>,
    reply: JoinHandle<anyhow::Result<Reply>>,
}

impl Client {
    /// A leader with that token, at that address, in plain text or with a client certificate.
    pub(super) fn new(address: SocketAddr, tls: Option<Arc<ClientConfig>>, token: u64) -> Self {
        Self { address, tls, token }
    }

    /// Sends a request with a body that is there whole.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<Reply> {
        let frozen = self.begin(method, path, body, 1, 1)?;
        frozen.thaw().await
    }

    /// Begins an upload, sends half of it, and stops there.
    pub(super) async fn freeze(&self, path: &str, body: Bytes) -> anyhow::Result<Frozen> {
        let frozen = self.begin(Method::PUT, path, body, 1, 2)?;
        tokio::time::sleep(FREEZE_PAUSE).await;
        Ok(frozen)
    }
}

impl Client {
    fn begin(
        &self,
        method: Method,
        path: &str,
        mut body: Bytes,
        numerator: usize,
        denominator: usize,
    ) -> anyhow::Result<Frozen> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header(TOKEN, self.token.to_string())
            .header("content-length", body.len());
        // Everything that is to be sent now waits in the channel; the rest is kept back.
        let rest = body.split_off(body.len() * numerator / denominator);
        let (sending, receiver) = mpsc::channel(body.len().div_ceil(CHUNK_BYTES) + 1);
        while !body.is_empty() {
            let chunk = body.split_to(body.len().min(CHUNK_BYTES));
            sending.try_send(chunk).context("filling an upload")?;
        }
        let frames = stream::unfold(receiver, async |mut receiver| {
            let chunk: Bytes = receiver.recv().await?;
            Some((Ok::<_, std::convert::Infallible>(Frame::data(chunk)), receiver))
        });
        let request = request.body(StreamBody::new(Box::pin(frames)))?;
        let (address, tls) = (self.address, self.tls.clone());
        let reply = tokio::spawn(async move {
            let stream = TcpStream::connect(address).await.context("connecting")?;
            stream.set_nodelay(true)?;
            let exchange = async {
                match tls {
                    None => exchange(stream, request).await,
                    Some(config) => {
                        let name = ServerName::try_from("localhost")?;
                        let connector = tokio_rustls::TlsConnector::from(config);
                        exchange(connector.connect(name, stream).await?, request).await
                    }
                }
            };
            tokio::time::timeout(REQUEST_TIMEOUT, exchange)
                .await
                .context("waiting for an answer")?
        });
        Ok(Frozen { rest, sending, reply })
    }
}

impl Frozen {
    /// Sends the rest and returns what came back.
    pub(super) async fn thaw(mut self) -> anyhow::Result<Reply> {
        while !self.rest.is_empty() {
            let chunk = self.rest.split_to(self.rest.len().min(CHUNK_BYTES));
            // A server that has answered already does not take the rest; its answer tells why.
            if self.sending.send(chunk).await.is_err() {
                break;
            }
        }
        drop(self.sending);
        self.reply.await.context("an upload has panicked")?
    }
}

async fn exchange<S, B>(stream: S, request: Request<B>) -> anyhow::Result<Reply>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: hyper::body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    driving.abort();
    let body = body.map_err(|error| anyhow::anyhow!("reading an answer: {error}"))?;
    Ok(Reply { status, body: body.to_bytes() })
}

/// A TLS client that trusts one authority and shows one certificate; all files are PEM.
pub(super) fn tls(ca: &Path, chain: &Path, key: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca)?)?;
    let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    Ok(Arc::new(config))
}

impl Reply {
    /// The `<Message>` of an S3 error document, if there is one.
    pub(super) fn message(&self) -> Option<String> {
        let text = std::str::from_utf8(&self.body).ok()?;
        let (_, rest) = text.split_once("<Message>")?;
        let (message, _) = rest.split_once("</Message>")?;
        Some(message.replace("&apos;", "'").replace("&quot;", "\""))
    }
}
