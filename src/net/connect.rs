//! Connections to the stores.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_rustls::TlsConnector;

use super::listen::tune;
use super::stream::Stream;
use super::tls::{Alpn, damage};

/// One address of a store.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint {
    /// Whether TLS is spoken to it.
    pub tls: bool,
    /// A name or an address.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
}

/// Which HTTP is spoken to a store.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Version {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, with prior knowledge where there is no TLS.
    Http2,
}

/// How Palisade shows itself to a store, and what it trusts there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientTls {
    /// PEM bundle to verify the store with; `None` means the public web's authorities.
    pub ca: Option<PathBuf>,
    /// PEM chain of Palisade's own client certificate, with its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The name to verify instead of the endpoint's host.
    pub server_name: Option<String>,
}

/// A store, by one `[upstreams.NAME]` table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upstream {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its addresses, taken in turn; one that refuses connections is passed over for a while.
    pub endpoints: Vec<Endpoint>,
    /// Which HTTP is spoken.
    pub version: Version,
    /// For endpoints with TLS.
    pub tls: ClientTls,
    /// At most this many connections, per worker thread.
    pub connections_max: usize,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the store may take to begin its answer after the request's last byte.
    pub response_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
}

/// Why there is no connection to a store. Nothing has been sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Every endpoint refused, or could not be reached.
    #[error("no endpoint of upstream {upstream} takes connections: {cause}")]
    Refused {
        /// The upstream's name.
        upstream: Arc<str>,
        /// What the last endpoint that was tried said.
        cause: io::Error,
    },
    /// All connections are in use.
    #[error("connections_max of upstream {0} is reached")]
    Exhausted(Arc<str>),
    /// It took too long.
    #[error("connect_timeout of upstream {0} is over")]
    Timeout(Arc<str>),
}

/// Why a connector cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// A certificate or key cannot be read.
    #[error("cannot read {}: {}; give a PEM file", path.display(), damage(cause))]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        cause: rustls_pki_types::pem::Error,
    },
    /// The name that is to be verified is none.
    #[error("{0} is no name that a certificate can bear; set server_name")]
    Name(String),
    /// TLS cannot be set up with what is there.
    #[error("TLS to the upstream cannot be set up: {0}")]
    Tls(String),
}

/// Makes connections to one upstream.
pub struct Connector {
    upstream: Arc<Upstream>,
    /// One for each endpoint; `None` where it is plain.
    tls: Vec<Option<(TlsConnector, ServerName<'static>)>>,
}

impl Connector {
    /// Reads the upstream's certificates. Blocking.
    ///
    /// # Errors
    /// When TLS cannot be set up with them.
    pub fn new(upstream: Arc<Upstream>) -> Result<Self, ConnectorError> {
        let connector = match upstream.endpoints.iter().any(|endpoint| endpoint.tls) {
            true => {
                let alpn = match upstream.version {
                    Version::Http1 => Alpn::Http1,
                    Version::Http2 => Alpn::Http2,
                };
                Some(TlsConnector::from(Arc::new(client_config(&upstream.tls, alpn)?)))
            }
            false => None,
        };
        let tls = upstream
            .endpoints
            .iter()
            .map(|endpoint| match (&connector, endpoint.tls) {
                (Some(connector), true) => {
                    Ok(Some((connector.clone(), server_name(&upstream.tls, &endpoint.host)?)))
                }
                _ => Ok(None),
            })
            .collect::<Result<_, ConnectorError>>()?;
        Ok(Self { upstream, tls })
    }

    /// The upstream that it connects to.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Connects to one endpoint, without a limit of time.
    ///
    /// # Errors
    /// When it cannot be reached or its certificate does not hold.
    pub async fn connect(&self, endpoint: usize) -> io::Result<Stream> {
        let Endpoint { host, port, .. } = &self.upstream.endpoints[endpoint];
        let tcp = tcp((&**host, *port)).await?;
        let Some((connector, name)) = &self.tls[endpoint] else {
            return Ok(Stream::Plain(tcp));
        };
        let tls = connector.connect(name.clone(), tcp).await?;
        let agreed = tls.get_ref().1.alpn_protocol();
        if self.upstream.version == Version::Http2 && agreed != Some(b"h2") {
            return Err(io::Error::other("it does not speak HTTP/2; set http_version = \"1.1\""));
        }
        Ok(Stream::Tls(Box::new(tls)))
    }
}

/// A TCP connection to a store, without a limit of time.
///
/// # Errors
/// When it cannot be reached.
pub async fn tcp(to: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(to).await?;
    tune(&tcp)?;
    // Otherwise the kernel goes on for minutes to send what is left when a connection is
    // closed, and a write that was given up on would still arrive. It holds for the end of
    // the whole process, too.
    tcp.set_zero_linger()?;
    Ok(tcp)
}

/// The name that the certificate of a store on `host` must bear.
///
/// # Errors
/// [`ConnectorError::Name`] when it is none.
pub fn server_name(tls: &ClientTls, host: &str) -> Result<ServerName<'static>, ConnectorError> {
    let name = tls.server_name.as_deref().unwrap_or(host);
    ServerName::try_from(name.to_owned()).map_err(|_| ConnectorError::Name(name.to_owned()))
}

/// How TLS is spoken to a store: its chain and its name are verified. Blocking.
///
/// # Errors
/// When the files cannot be read, or do not fit together.
pub fn client_config(tls: &ClientTls, alpn: Alpn) -> Result<rustls::ClientConfig, ConnectorError> {
    let tls_error = |error: rustls::Error| ConnectorError::Tls(error.to_string());
    let mut roots = rustls::RootCertStore::empty();
    match &tls.ca {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(tls_error)?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?
        .with_root_certificates(roots);
    let mut config = match &tls.certificate {
        Some((chain, key)) => {
            let key_der = PrivateKeyDer::from_pem_file(key)
                .map_err(|cause| ConnectorError::File { path: key.clone(), cause })?;
            builder.with_client_auth_cert(certificates(chain)?, key_der).map_err(tls_error)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.id().to_vec()];
    Ok(config)
}

/// At least one.
fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, ConnectorError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    found
        .and_then(|found| if found.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(found) })
        .map_err(|cause| ConnectorError::File { path: path.clone(), cause })
}

/// Whether a name stands for more than one server, as far as can be told. One of IPv4 and one of
/// IPv6 are taken for the same one's.
pub fn are_several(addresses: &[SocketAddr]) -> bool {
    let mut known: [Option<IpAddr>; 2] = [None; 2];
    addresses.iter().map(SocketAddr::ip).filter(|ip| !ip.is_loopback()).any(|ip| {
        let before = known[usize::from(ip.is_ipv6())].replace(ip);
        before.is_some_and(|before| before != ip)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_several_servers() {
        fn check(addresses: &[&str], expected: bool) {
            let parsed = addresses.iter().map(|it| SocketAddr::new(it.parse().unwrap(), 5432));
            assert_eq!(are_several(&parsed.collect::<Vec<_>>()), expected, "{addresses:?}");
        }

        check(&[], false);
        check(&["192.0.2.1"], false);
        check(&["192.0.2.1", "192.0.2.1"], false);
        check(&["192.0.2.1", "2001:db8::1"], false);
        check(&["127.0.0.1", "::1", "127.0.1.1"], false);
        check(&["192.0.2.1", "2001:db8::1", "192.0.2.2"], true);
        check(&["2001:db8::1", "2001:db8::2"], true);
    }
}
