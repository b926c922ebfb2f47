//! Connections to the primary of one upstream.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::error::OpenError;
use super::login::{self, Greeting};
use super::sentinel::{Said, Sentinels};
use super::server::ServerId;
use super::settings::{Endpoint, Upstream};
use super::wire::Wire;
use crate::net::connect::{ConnectorError, are_several, client_config, server_name, tcp};
use crate::net::stream::Stream;
use crate::net::tls::Alpn;

/// A connection to the primary, logged in: RESP2, database 0.
pub struct Opened {
    /// Nothing is outstanding on it.
    pub stream: Stream,
    /// The process at its other end.
    pub server: Arc<ServerId>,
    /// What CLIENT KILL ID takes there.
    pub client_id: u64,
    /// Bytes behind the login's answers; usually none.
    pub rest: Vec<u8>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Opened");
        shown.field("server", &self.server).field("client_id", &self.client_id);
        shown.finish_non_exhaustive()
    }
}

/// Makes connections of one upstream.
pub struct Connector {
    dialer: Dialer,
    sentinels: Sentinels,
}

/// Connects, with TLS where it is configured.
pub(super) struct Dialer {
    upstream: Arc<Upstream>,
    tls: Option<TlsConnector>,
}

impl Connector {
    /// Reads the upstream's certificates. Blocking.
    ///
    /// # Errors
    /// When TLS cannot be set up with them.
    pub fn new(upstream: Arc<Upstream>) -> Result<Self, ConnectorError> {
        let tls = match &upstream.tls {
            Some(tls) => {
                let mut config = client_config(tls, Alpn::Http1)?;
                // Redis has no name for what is spoken inside TLS.
                config.alpn_protocols.clear();
                for endpoint in &upstream.endpoints {
                    if let Endpoint::Tcp { host, .. } = endpoint {
                        server_name(tls, host)?;
                    }
                }
                Some(TlsConnector::from(Arc::new(config)))
            }
            None => None,
        };
        Ok(Self { dialer: Dialer { upstream, tls }, sentinels: Sentinels::new() })
    }

    /// The upstream that it connects to.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.dialer.upstream
    }

    /// A connection to the primary, logged in and named. With Sentinel, what a Sentinel said not
    /// longer than `check_interval` ago counts; whether the server is a primary it is asked itself.
    ///
    /// # Errors
    /// [`OpenError`]. Whatever was begun is closed.
    pub async fn open(&self, name: &[u8]) -> Result<Opened, OpenError> {
        match self.open_once(name).await {
            // What is remembered may be of before a failover: it is forgotten now.
            Err(OpenError::NotPrimary { .. } | OpenError::Unreachable { .. })
                if self.upstream().sentinel.is_some() =>
            {
                self.open_once(name).await
            }
            result => result,
        }
    }

    async fn open_once(&self, name: &[u8]) -> Result<Opened, OpenError> {
        let said = self.primary(self.upstream().check_interval).await?;
        let opened = match self.open_on(&said, name).await {
            Ok((opened, true)) => return Ok(opened),
            Ok((opened, false)) => Err(OpenError::NotPrimary {
                upstream: self.upstream().name.clone(),
                host: opened.server.host.clone(),
            }),
            Err(error) => Err(error),
        };
        self.sentinels.forget(&said.endpoint).await;
        opened
    }

    /// AUTH and CLIENT SETNAME as bytes, to be sent behind RESET; and how many answers they bring.
    pub fn login_again(&self, name: &[u8]) -> (Vec<u8>, usize) {
        let batch = login::credentials(self.upstream(), name);
        (batch.bytes().to_vec(), batch.len())
    }

    /// Where the primary is, or should be.
    pub(super) async fn primary(&self, age_max: Duration) -> Result<Said, OpenError> {
        let upstream = self.upstream();
        if let Some(sentinel) = &upstream.sentinel {
            return self.sentinels.primary(&self.dialer, sentinel, age_max).await;
        }
        let endpoint = upstream.endpoints.first().cloned();
        let endpoint = endpoint.ok_or_else(|| OpenError::Unreachable {
            upstream: upstream.name.clone(),
            cause: "it has no endpoint".to_owned(),
        })?;
        Ok(Said { endpoint, view: 0 })
    }

    /// How many primaries the Sentinels have named so far.
    pub(super) fn view(&self) -> u64 {
        self.sentinels.view()
    }

    /// The servers that the Sentinels know beside the primary.
    pub(super) async fn others(&self) -> Result<Vec<Endpoint>, OpenError> {
        match &self.upstream().sentinel {
            Some(sentinel) => self.sentinels.others(&self.dialer, sentinel).await,
            None => Ok(Vec::new()),
        }
    }

    /// A connection to that server, whatever it is; and whether it is a primary.
    pub(super) async fn open_on(
        &self,
        said: &Said,
        name: &[u8],
    ) -> Result<(Opened, bool), OpenError> {
        let mut wire = Wire::new(self.dialer.dial(&said.endpoint, true).await?);
        let greeting = login::log_in(&mut wire, self.upstream(), &said.endpoint, name).await?;
        let Greeting { server, client_id, is_primary } = greeting;
        let server = ServerId { view: said.view, ..server };
        let (stream, rest) = wire.into_parts();
        Ok((Opened { stream, server: Arc::new(server), client_id, rest }, is_primary))
    }
}

impl Dialer {
    pub(super) fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Within `connect_timeout`. `is_one`: all that the name stands for has to be one server.
    pub(super) async fn dial(
        &self,
        endpoint: &Endpoint,
        is_one: bool,
    ) -> Result<Stream, OpenError> {
        let upstream = || self.upstream.name.clone();
        let after = self.upstream.connect_timeout;
        match timeout(after, self.reach(endpoint, is_one)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(cause)) => {
                let cause = format!("{endpoint}: {cause}");
                Err(OpenError::Unreachable { upstream: upstream(), cause })
            }
            Err(_) => {
                Err(OpenError::Timeout { upstream: upstream(), limit: "connect_timeout", after })
            }
        }
    }

    async fn reach(&self, endpoint: &Endpoint, is_one: bool) -> io::Result<Stream> {
        let (host, port) = match endpoint {
            Endpoint::Unix(path) => return Ok(Stream::Unix(UnixStream::connect(path).await?)),
            Endpoint::Tcp { host, port } => (&**host, *port),
        };
        let addresses: Vec<_> = lookup_host((host, port)).await?.collect();
        if is_one && are_several(&addresses) {
            return Err(io::Error::other(
                "it is the name of several servers, and a client of one of them could be looked \
                 for on another; give the upstream the name of one server, or Sentinels",
            ));
        }
        let stream = tcp(&*addresses).await?;
        let (Some(connector), Some(tls)) = (&self.tls, &self.upstream.tls) else {
            return Ok(Stream::Plain(stream));
        };
        let name = server_name(tls, host).map_err(io::Error::other)?;
        Ok(Stream::Tls(Box::new(connector.connect(name, stream).await?)))
    }
}
