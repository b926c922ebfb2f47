//! Connecting, with TLS where it is configured, and asking the Sentinels which server is the primary.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::Value;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::link::{Link, words};
use super::script::text;
use super::settings::{Endpoint, Login, Sentinel, Settings};
use crate::ledger::Unavailable;
use crate::net::connect::{client_config, server_name, tcp};
use crate::net::stream::Stream;
use crate::net::tls::Alpn;

/// How long one Sentinel may take, connection and all.
pub(super) const SENTINEL_TIMEOUT: Duration = Duration::from_secs(1);

/// Makes connections.
pub(super) struct Dialer {
    settings: Arc<Settings>,
    tls: Option<TlsConnector>,
}

impl Dialer {
    /// Reads the certificates. Blocking.
    pub(super) fn new(settings: Arc<Settings>) -> Result<Self, Unavailable> {
        let is_wrong = |error: crate::net::connect::ConnectorError| {
            Unavailable(format!("[ledger.redis.tls]: {error}"))
        };
        let tls = match &settings.tls {
            Some(tls) => {
                let mut config = client_config(tls, Alpn::Http1).map_err(is_wrong)?;
                // Redis has no name for what is spoken inside TLS.
                config.alpn_protocols.clear();
                for endpoint in &settings.endpoints {
                    server_name(tls, &endpoint.host).map_err(is_wrong)?;
                }
                Some(TlsConnector::from(Arc::new(config)))
            }
            None => None,
        };
        Ok(Self { settings, tls })
    }

    /// A connection to the primary, or to what is said to be it: logged in, nothing asked. Whoever
    /// calls has a limit of time.
    pub(super) async fn primary(&self, name: &str) -> Result<Link, String> {
        let endpoint = match (&self.settings.sentinel, &*self.settings.endpoints) {
            (Some(sentinel), endpoints) => self.ask_sentinels(sentinel, endpoints).await?,
            (None, [endpoint]) => endpoint.clone(),
            (None, _) => {
                return Err("give [ledger.redis] one endpoint, or those of Sentinels and a \
                            `sentinel` table"
                    .to_owned());
            }
        };
        let at = shown(&endpoint);
        let link = self.link(&endpoint).await?;
        let login = link.log_in(&self.settings.login, self.settings.database, name).await;
        login.map_err(|why| refused(&at, &why, &self.settings.login, "[ledger.redis]"))?;
        Ok(link)
    }

    async fn link(&self, endpoint: &Endpoint) -> Result<Link, String> {
        let at = shown(endpoint);
        let stream = self.reach(endpoint).await.map_err(|cause| format!("{at}: {cause}"))?;
        let limit = self.settings.timeout + self.settings.wait_timeout + super::feed::BLOCK;
        let link = Link::new(stream, at.clone().into(), limit).await;
        link.map_err(|error| format!("{at}: {}", words(&error)))
    }

    async fn reach(&self, endpoint: &Endpoint) -> std::io::Result<Stream> {
        let stream = tcp((&*endpoint.host, endpoint.port)).await?;
        let (Some(connector), Some(tls)) = (&self.tls, &self.settings.tls) else {
            return Ok(Stream::Plain(stream));
        };
        let name = server_name(tls, &endpoint.host).map_err(std::io::Error::other)?;
        Ok(Stream::Tls(Box::new(connector.connect(name, stream).await?)))
    }

    /// What most of the Sentinels that answer say, asked all at once: of two primaries, the one of
    /// the later failover. One that was cut off names the one before it.
    async fn ask_sentinels(
        &self,
        sentinel: &Sentinel,
        endpoints: &[Endpoint],
    ) -> Result<Endpoint, String> {
        let mut asking: FuturesUnordered<_> =
            endpoints.iter().map(|endpoint| self.ask_sentinel(sentinel, endpoint)).collect();
        let (mut newest, mut count): (Option<(u64, Endpoint)>, usize) = (None, 0);
        let mut failed = Vec::new();
        while let Some(answer) = asking.next().await {
            match answer {
                Ok(named) => {
                    count += 1;
                    if newest.as_ref().is_none_or(|known| known.0 < named.0) {
                        newest = Some(named);
                    }
                    if count > endpoints.len() / 2 {
                        break;
                    }
                }
                Err(why) => failed.push(why),
            }
        }
        let none = || match failed.is_empty() {
            true => "give [ledger.redis] the addresses of the Sentinels as endpoints".to_owned(),
            false => format!("no Sentinel names the primary: {}", failed.join("; ")),
        };
        newest.map(|(_, endpoint)| endpoint).ok_or_else(none)
    }

    /// The primary that one Sentinel names, and of which failover.
    async fn ask_sentinel(
        &self,
        sentinel: &Sentinel,
        endpoint: &Endpoint,
    ) -> Result<(u64, Endpoint), String> {
        let at = shown(endpoint);
        let asking = async {
            let link = self.link(endpoint).await?;
            let refused =
                |why: String| refused(&at, &why, &sentinel.login, "[ledger.redis.sentinel]");
            link.log_in(&sentinel.login, 0, "palisade-ledger").await.map_err(refused)?;
            let mut command = redis::cmd("SENTINEL");
            command.arg("MASTER").arg(&sentinel.service);
            let answer = link.ask(&command).await.map_err(refused)?;
            named(&answer).ok_or_else(|| format!("{at}: its answer to SENTINEL MASTER is none"))
        };
        let late = || Err(format!("{at}: no answer within {} s", SENTINEL_TIMEOUT.as_secs()));
        timeout(SENTINEL_TIMEOUT, asking).await.unwrap_or_else(|_| late())
    }
}

/// `HOST:PORT`.
pub(super) fn shown(endpoint: &Endpoint) -> String {
    match endpoint.host.contains(':') {
        true => format!("[{}]:{}", endpoint.host, endpoint.port),
        false => format!("{}:{}", endpoint.host, endpoint.port),
    }
}

/// A flat map with `ip`, `port`, `config-epoch`.
fn named(answer: &Value) -> Option<(u64, Endpoint)> {
    let Value::Array(pairs) = answer else { return None };
    let value = |name: &str| {
        let pair = pairs.chunks_exact(2).find(|pair| text(&pair[0]) == Some(name))?;
        text(&pair[1])
    };
    let host = value("ip").filter(|host| !host.is_empty())?;
    let endpoint = Endpoint { host: host.into(), port: value("port")?.parse().ok()? };
    Some((value("config-epoch")?.parse().ok()?, endpoint))
}

/// By what a server says in not letting us in. None of it can have the password: a server does
/// not repeat it.
fn refused(at: &str, why: &str, login: &Login, keys: &str) -> String {
    let user = login.user.as_deref().unwrap_or("default");
    let code = why.split(' ').next().unwrap_or_default();
    let mend = match code {
        "WRONGPASS" => format!("correct `user` and `password_file` of {keys}"),
        "NOAUTH" => format!("give {keys} a `password_file`, and a `user` where there are ACLs"),
        "DENIED" => "give the server a password (requirepass), and `password_file`".to_owned(),
        _ if why.contains("No such master") => format!("correct `service` of {keys}"),
        _ if why.contains("without any password configured") => format!(
            "the server asks for none: leave out `password_file` of {keys}, or set requirepass there"
        ),
        _ if why.contains("DB index") => format!("correct `database` of {keys}"),
        _ => format!("see `user` and `password_file` of {keys}"),
    };
    format!("{at} does not let user {user} in: {why}; {mend}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sentinel_names() {
        let check = |host: &str, port: &str, epoch: &str, expected: Option<(u64, u16)>| {
            let pairs = ["name", "main", "ip", host, "port", port, "config-epoch", epoch];
            let bulk = |text: &&str| Value::BulkString(text.as_bytes().to_vec());
            let answer = Value::Array(pairs.iter().map(bulk).collect());
            let found = named(&answer).map(|(epoch, endpoint)| (epoch, endpoint.port));
            assert_eq!(found, expected, "{pairs:?}");
        };
        check("10.0.0.1", "6379", "7", Some((7, 6379)));
        check("", "6379", "7", None);
        check("10.0.0.1", "65536", "7", None);
        check("10.0.0.1", "6379", "-1", None);
        assert_eq!(named(&Value::Nil), None);
    }
}
