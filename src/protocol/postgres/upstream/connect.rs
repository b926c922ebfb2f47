//! Connections to the servers of one upstream, and sessions on them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::super::codec::message::write;
use super::keys::Cache;
use super::login::{self, Account, Backend, Failure, LoginError};
use super::settings::{Endpoint, Login, TargetSessionAttrs, Upstream};
use super::target::{self, Traits};
use super::wire::{ServerError, Wire, WireError};
use crate::net::connect::{ConnectorError, are_several, client_config, server_name, tcp};
use crate::net::stream::Stream;
use crate::net::tls::Alpn;

/// How long a server may take to end the connection on which it was asked to cancel.
pub const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// The server is starting, stopping, or a standby that takes no sessions: another may take them.
const CANNOT_CONNECT_NOW: &str = "57P03";

/// Makes connections and sessions of one upstream.
pub struct Connector {
    upstream: Arc<Upstream>,
    /// One for each endpoint; `None` where it is plain.
    tls: Vec<Option<(TlsConnector, ServerName<'static>)>>,
    keys: Cache,
    /// The endpoint to try first where only one can be right.
    preferred: AtomicUsize,
}

impl Connector {
    /// Reads the upstream's certificates. Blocking.
    ///
    /// # Errors
    /// When TLS cannot be set up with them.
    pub fn new(upstream: Arc<Upstream>) -> Result<Self, ConnectorError> {
        let connector = match &upstream.tls {
            Some(tls) => {
                let config = Arc::new(client_config(tls, Alpn::Postgres)?);
                Some((TlsConnector::from(config), tls))
            }
            None => None,
        };
        let tls = upstream
            .endpoints
            .iter()
            .map(|endpoint| match (&connector, endpoint) {
                (Some((connector, tls)), Endpoint::Tcp { host, .. }) => {
                    Ok(Some((connector.clone(), server_name(tls, host)?)))
                }
                _ => Ok(None),
            })
            .collect::<Result<_, ConnectorError>>()?;
        Ok(Self { upstream, tls, keys: Cache::default(), preferred: AtomicUsize::new(0) })
    }

    /// The upstream that it connects to.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Connects to a server that is what `target_session_attrs` asks for, and logs in there.
    /// `parameters` are those of the start-up packet without user and database.
    ///
    /// # Errors
    /// [`LoginError`]. Whatever was begun is closed.
    pub async fn log_in(
        &self,
        role: &str,
        database: &str,
        parameters: &[(String, String)],
    ) -> Result<Backend, LoginError> {
        let password = match &self.upstream.login {
            Login::Held { roles } => roles.get(role),
            Login::PassThrough => None,
        };
        let password = password.ok_or_else(|| LoginError::UnknownRole(role.to_owned()))?;
        let account = Account { role, password, is_control: false, database, parameters };
        let target = self.upstream.target;
        match self.log_in_where(account, target).await {
            Err(error) if target == TargetSessionAttrs::PreferStandby && !is_final(&error) => {
                self.log_in_where(account, TargetSessionAttrs::Any).await
            }
            result => result,
        }
    }

    /// For pass-through: a connection, with TLS where it is configured, on which nothing was
    /// said. The control connection knows which server is the primary; others are not told apart.
    ///
    /// # Errors
    /// When no server can be reached.
    pub async fn connect(&self) -> Result<(Stream, usize), LoginError> {
        let mut last = None;
        for host in self.order(self.upstream.target) {
            match self.reach(host).await {
                Ok(stream) => return Ok((stream, host)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| self.no_host(self.upstream.target)))
    }

    /// Asks for what a backend runs to be cancelled. When it returns, the server has passed it on;
    /// whether something was running then it does not tell.
    ///
    /// # Errors
    /// When the server cannot be reached, or does not answer within [`CANCEL_TIMEOUT`].
    pub async fn cancel(&self, host: usize, pid: u32, secret: &[u8]) -> io::Result<()> {
        let mut stream = self.reach(host).await.map_err(io::Error::other)?;
        let mut packet = Vec::new();
        write::cancel(&mut packet, pid, secret);
        let asked = async {
            stream.write_all(&packet).await?;
            stream.flush().await?;
            // The end comes after the signal was sent. Servers end TLS without its goodbye.
            match stream.read(&mut [0; 1]).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
                read => read.map(|_| ()),
            }
        };
        timeout(CANCEL_TIMEOUT, asked).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// An endpoint, for people.
    pub(super) fn place(&self, host: usize) -> String {
        match &self.upstream.endpoints[host] {
            Endpoint::Tcp { host, port } => format!("{host}:{port}"),
            Endpoint::Unix(path) => path.display().to_string(),
        }
    }

    /// From now on this endpoint is tried first, where only one can be right.
    pub(super) fn prefer(&self, host: usize) {
        self.preferred.store(host, Ordering::Relaxed);
    }

    /// Logs in on this endpoint, whatever it is.
    pub(super) async fn log_in_on(
        &self,
        host: usize,
        account: Account<'_>,
    ) -> Result<Backend, LoginError> {
        let any = TargetSessionAttrs::Any;
        self.try_host(host, account, any).await?.ok_or_else(|| self.no_host(any))
    }

    async fn log_in_where(
        &self,
        account: Account<'_>,
        target: TargetSessionAttrs,
    ) -> Result<Backend, LoginError> {
        let mut failed: Option<LoginError> = None;
        for host in self.order(target) {
            match self.try_host(host, account, target).await {
                Ok(Some(backend)) => {
                    if is_single(target) {
                        self.prefer(host);
                    }
                    return Ok(backend);
                }
                Ok(None) => failed = Some(self.no_host(target)),
                // As with libpq, another server is not asked for what one has refused.
                Err(error) if is_final(&error) => return Err(error),
                // That a server answered says more than that another did not.
                Err(error) => match failed {
                    Some(LoginError::NoHost { .. } | LoginError::Refused { .. }) => {}
                    _ => failed = Some(error),
                },
            }
        }
        Err(failed.unwrap_or_else(|| self.no_host(target)))
    }

    /// `None`: logged in, and not what is asked for.
    async fn try_host(
        &self,
        host: usize,
        account: Account<'_>,
        target: TargetSessionAttrs,
    ) -> Result<Option<Backend>, LoginError> {
        let mut wire = Wire::new(self.reach(host).await?);
        let upstream = || self.upstream.name.clone();
        let failed = |failure| match failure {
            Failure::Refused(body) => LoginError::Refused { body, host },
            Failure::Auth(why) => LoginError::Auth { role: account.role.to_owned(), why },
            Failure::Wire(WireError::Io(cause)) => {
                LoginError::Unreachable { upstream: upstream(), cause }
            }
            Failure::Wire(error) => {
                LoginError::Protocol { upstream: upstream(), why: error.to_string() }
            }
        };
        let logging_in = async {
            let greeting = login::log_in(&mut wire, account, &self.keys).await.map_err(failed)?;
            if target.is_choosy() {
                let reported = Traits::reported(&greeting.parameters, account.parameters);
                let traits = match reported {
                    Some(traits) => traits,
                    None => self.ask_traits(&mut wire, account).await?,
                };
                if !target.accepts(traits) {
                    return Ok(None);
                }
            }
            Ok(Some(greeting))
        };
        let late = |_| LoginError::Timeout { upstream: upstream(), limit: "login_timeout" };
        let limit = self.upstream.login_timeout;
        let greeting = timeout(limit, logging_in).await.map_err(late)??;
        let Some(greeting) = greeting else {
            // Politely, so that the server's log has no complaint.
            let mut goodbye = Vec::new();
            write::terminate(&mut goodbye);
            let _ = timeout(limit, wire.send(&goodbye)).await;
            return Ok(None);
        };
        let Some((pid, secret)) = greeting.key else {
            let why = "it gives no key to cancel with".to_owned();
            return Err(LoginError::Protocol { upstream: upstream(), why });
        };
        let (stream, mut rest) = wire.into_parts();
        // A session is kept for long, an empty buffer is not.
        rest.shrink_to_fit();
        let (parameters, notices) = (greeting.parameters, greeting.notices);
        Ok(Some(Backend { stream, host, pid, secret, parameters, notices, rest }))
    }

    /// For PostgreSQL before 14, which does not report it.
    pub(super) async fn ask_traits(
        &self,
        wire: &mut Wire,
        account: Account<'_>,
    ) -> Result<Traits, LoginError> {
        let text = "SELECT pg_catalog.pg_is_in_recovery(), \
                    pg_catalog.current_setting('default_transaction_read_only')";
        let rows = wire.query(text).await.map_err(|error| LoginError::Protocol {
            upstream: self.upstream.name.clone(),
            why: format!("it does not tell whether it is a standby: {error}"),
        })?;
        let is = |column: usize, text: &str| {
            rows.first().and_then(|row| row.get(column)?.as_deref()).is_some_and(|it| it == text)
        };
        let is_read_only = is(1, "on") && !target::is_about_itself(account.parameters);
        Ok(Traits { is_standby: !is(0, "f"), is_read_only })
    }

    /// Connects to one endpoint, with TLS where it is configured.
    async fn reach(&self, host: usize) -> Result<Stream, LoginError> {
        let upstream = || self.upstream.name.clone();
        let late = |_| LoginError::Timeout { upstream: upstream(), limit: "connect_timeout" };
        let limit = self.upstream.connect_timeout;
        let reached = timeout(limit, self.dial(host)).await.map_err(late)?;
        reached.map_err(|cause| {
            let cause = io::Error::new(cause.kind(), format!("{}: {cause}", self.place(host)));
            LoginError::Unreachable { upstream: upstream(), cause }
        })
    }

    async fn dial(&self, host: usize) -> io::Result<Stream> {
        let (name, port) = match &self.upstream.endpoints[host] {
            Endpoint::Unix(path) => return Ok(Stream::Unix(UnixStream::connect(path).await?)),
            Endpoint::Tcp { host, port } => (&**host, *port),
        };
        let addresses: Vec<_> = lookup_host((name, port)).await?.collect();
        if are_several(&addresses) {
            return Err(io::Error::other(
                "it is the name of several servers, and what one of them runs could be asked of \
                 another; give each server a name, and the upstream an endpoint for each",
            ));
        }
        let mut tcp = tcp(&*addresses).await?;
        let Some((connector, name)) = &self.tls[host] else { return Ok(Stream::Plain(tcp)) };
        let mut wish = Vec::new();
        write::ssl_request(&mut wish);
        tcp.write_all(&wish).await?;
        // One byte and no more: what follows it belongs to TLS, whoever sent it.
        match tcp.read_u8().await? {
            b'S' => {}
            b'N' => {
                return Err(io::Error::other(
                    "the server does not speak TLS; set ssl = on there, or leave out the \
                     upstream's tls table",
                ));
            }
            // What it says is not shown: anybody on the way could have said it.
            _ => return Err(io::Error::other("the server refuses to speak TLS")),
        }
        Ok(Stream::Tls(Box::new(connector.connect(name.clone(), tcp).await?)))
    }

    fn order(&self, target: TargetSessionAttrs) -> impl Iterator<Item = usize> + use<> {
        let count = self.upstream.endpoints.len();
        let preferred = self.preferred.load(Ordering::Relaxed);
        let first = Some(preferred).filter(|host| is_single(target) && *host < count);
        first.into_iter().chain((0..count).filter(move |host| Some(*host) != first))
    }

    fn no_host(&self, target: TargetSessionAttrs) -> LoginError {
        LoginError::NoHost { upstream: self.upstream.name.clone(), target }
    }
}

/// Whether at most one server can be right, so that the order of trying does not matter.
fn is_single(target: TargetSessionAttrs) -> bool {
    matches!(target, TargetSessionAttrs::Primary | TargetSessionAttrs::ReadWrite)
}

fn is_final(error: &LoginError) -> bool {
    match error {
        LoginError::Refused { body, .. } => ServerError::read(body).code != CANNOT_CONNECT_NOW,
        LoginError::Auth { .. } | LoginError::UnknownRole(_) => true,
        _ => false,
    }
}
