//! A small client of the admin listener, for the commands that talk to a running Palisade.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::admin::{OPERATOR_HEADER, view};

/// Bytes of an answer that are read at most.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How to reach the admin listener of a running Palisade.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Connect {
    /// Address of the admin listener, as `[admin] listen` says
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9470", global = true)]
    pub(super) admin: String,
    /// With https: PEM bundle of the authority of its certificate
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) ca: Option<PathBuf>,
    /// With https: PEM chain of your own certificate
    #[arg(long, value_name = "FILE", global = true, requires = "key")]
    pub(super) cert: Option<PathBuf>,
    /// With https: PEM key of your own certificate
    #[arg(long, value_name = "FILE", global = true, requires = "cert")]
    pub(super) key: Option<PathBuf>,
}

/// The listener, and how it is spoken to.
pub(super) struct Client {
    /// `host:port`, as it is shown to people.
    place: String,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
}

/// An answer with its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Client {
    /// A client that waits for each answer at most so long.
    pub(super) fn new(connect: &Connect, timeout: Duration) -> anyhow::Result<Self> {
        let url = &connect.admin;
        let uri: Uri = url.parse().with_context(|| format!("--admin {url} is not a URL"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            bail!("--admin {url} has to look like http://127.0.0.1:9470");
        };
        if uri.path() != "/" || uri.query().is_some() {
            bail!("--admin {url} has to end after the port");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (tls, port) = match scheme {
            "http" if connect.ca.is_some() || connect.cert.is_some() => {
                bail!("--ca, --cert and --key go with an https:// address")
            }
            "http" => (None, 80),
            "https" => {
                let name = ServerName::try_from(host.clone())
                    .with_context(|| format!("{host} is not a name or an address"))?;
                (Some((connector(connect)?, name)), 443)
            }
            other => bail!("--admin {url}: {other} is not spoken; use http or https"),
        };
        let port = authority.port_u16().unwrap_or(port);
        let place = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        Ok(Self { place, host, port, tls, timeout })
    }

    /// Asks for something and reads it as JSON.
    pub(super) async fn get<T: DeserializeOwned>(&self, target: &str) -> anyhow::Result<T> {
        let answer = self.ask(Request::get(target).body(Full::default())).await?;
        self.read(&answer)
    }

    /// Asks for something and takes any answer.
    pub(super) async fn look(&self, target: &str) -> anyhow::Result<Answer> {
        self.ask(Request::get(target).body(Full::default())).await
    }

    /// Has something changed, and reads the answer as JSON.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        target: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let body = serde_json::to_vec(body)?;
        let request = Request::post(target)
            .header(CONTENT_TYPE, "application/json")
            .header(OPERATOR_HEADER, "cli")
            .body(Full::from(body));
        let answer = self.ask(request).await?;
        self.read(&answer)
    }

    /// The answer as JSON, or its problem as an error.
    pub(super) fn read<T: DeserializeOwned>(&self, answer: &Answer) -> anyhow::Result<T> {
        if !answer.status.is_success() {
            match serde_json::from_slice::<view::Problem>(&answer.body) {
                Ok(problem) => bail!("{} ({})", problem.detail, problem.reason),
                Err(_) => bail!("{} answered {}; {}", self.place, answer.status, self.doubt()),
            }
        }
        serde_json::from_slice(&answer.body)
            .with_context(|| format!("{} answered something else; {}", self.place, self.doubt()))
    }

    fn doubt(&self) -> &'static str {
        "is that the admin listener of a Palisade of this version? see [admin] listen"
    }

    async fn ask(&self, request: http::Result<Request<Full<Bytes>>>) -> anyhow::Result<Answer> {
        let mut request = request?;
        request.headers_mut().insert(HOST, self.place.parse()?);
        tokio::time::timeout(self.timeout, self.exchange(request))
            .await
            .with_context(|| format!("{} did not answer within {:?}", self.place, self.timeout))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let place = &self.place;
        let stream = TcpStream::connect((&*self.host, self.port)).await.with_context(|| {
            format!(
                "nothing answers at {place}; is Palisade running? \
                 Its address is [admin] listen, told here by --admin"
            )
        })?;
        match &self.tls {
            None => send(stream, request).await.with_context(|| {
                format!("{place} does not speak plain HTTP; if it has [admin.tls], use https://")
            }),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.with_context(|| {
                    format!("the TLS handshake with {place} failed; check --ca, --cert and --key")
                })?;
                // In TLS 1.3 a refused certificate shows only after the handshake.
                send(stream, request).await.with_context(|| {
                    format!("{place} closed the connection; does it trust --cert?")
                })
            }
        }
    }
}

async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the sender, or with the runtime of the command.
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!(error).context("the answer broke off"))?;
    Ok(Answer { status: head.status, body: body.to_bytes() })
}

fn connector(connect: &Connect) -> anyhow::Result<TlsConnector> {
    let Some(ca) = &connect.ca else {
        bail!("https needs --ca, the authority of the admin listener's certificate");
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).with_context(|| format!("{} is no authority", ca.display()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match (&connect.cert, &connect.key) {
        (Some(certificate), Some(key)) => {
            let key_der = PrivateKeyDer::from_pem_file(key)
                .with_context(|| format!("cannot read the key in {}", key.display()))?;
            config.with_client_auth_cert(certificates(certificate)?, key_der).with_context(
                || {
                    format!(
                        "{} and {} do not belong together",
                        certificate.display(),
                        key.display()
                    )
                },
            )?
        }
        _ => config.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let certificates =
        read().with_context(|| format!("cannot read certificates in {}", path.display()))?;
    if certificates.is_empty() {
        bail!("there is no certificate in {}", path.display());
    }
    Ok(certificates)
}
