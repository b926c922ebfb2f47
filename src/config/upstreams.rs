//! `[upstreams.NAME]`: the stores and servers, and the credentials for them.

mod http;
mod postgres;
pub(super) mod redis;

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::uri::Authority;
use toml::Spanned;

use super::names;
use super::report::Span;
use super::section::Section;
use crate::protocol;
pub(super) use http::Store;

/// How long a connection may take to be made, where the table does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest path of a socket that the system takes.
const SOCKET_BYTES_MAX: usize = 107;
const REPLICA: &str = "default";
/// It stands in the name of every connection; PostgreSQL has 63 bytes for it.
const REPLICA_BYTES_MAX: usize = 20;

/// An upstream, as far as it could be read.
pub(super) struct Entry {
    pub(super) name: Spanned<String>,
    pub(super) server: Server,
    /// Whether a listener has asked for it.
    pub(super) used: Cell<bool>,
    /// Where it has a `replica` of its own.
    pub(super) replica: Option<Span>,
}

/// What is behind listeners.
pub(super) enum Server {
    Http(Store),
    /// `None` when something is wrong with it.
    Postgres(Option<Arc<protocol::postgres::upstream::Upstream>>),
    /// `None` when something is wrong with it.
    Redis(Option<Arc<protocol::redis::upstream::Upstream>>),
}

/// The servers whose sessions a Palisade ends that starts: by a name of its own.
pub(super) struct Swept {
    pub(super) name: Arc<str>,
    pub(super) replica: Arc<str>,
    /// Each as text that stands for one server.
    pub(super) servers: Vec<String>,
}

impl Server {
    /// What is spoken to it.
    pub(super) fn speaks(&self) -> &'static str {
        match self {
            Self::Http(_) => "HTTP",
            Self::Postgres(_) => "PostgreSQL",
            Self::Redis(_) => "Redis",
        }
    }

    /// Where sessions are ended by name.
    pub(super) fn swept(&self) -> Option<Swept> {
        fn texts<T: std::fmt::Debug>(endpoints: &[T], service: Option<&str>) -> Vec<String> {
            endpoints.iter().map(|endpoint| format!("{endpoint:?} {service:?}")).collect()
        }
        let (name, replica, servers) = match self {
            Self::Http(_) => return None,
            Self::Postgres(it) => {
                let it = it.as_ref()?;
                (&it.name, &it.replica, texts(&it.endpoints, None))
            }
            Self::Redis(it) => {
                let it = it.as_ref()?;
                let service = it.sentinel.as_ref().map(|sentinel| &*sentinel.service);
                (&it.name, &it.replica, texts(&it.endpoints, service))
            }
        };
        Some(Swept { name: Arc::clone(name), replica: Arc::clone(replica), servers })
    }
}

/// The endpoints as they are written.
pub(super) type Texts<'a> = [Spanned<&'a str>];

pub(super) fn read(root: &Section<'_>) -> Vec<Entry> {
    let entry = |(name, section): (Spanned<&str>, Section<'_>)| {
        names::check(&section, &name);
        let texts = section.strings("endpoints");
        let any = |is_endpoint: fn(&str) -> bool| {
            texts.iter().flatten().any(|text| is_endpoint(text.get_ref()))
        };
        let is_redis = section.has("redis") || !section.has("postgres") && any(redis::is_endpoint);
        let is_postgres = !is_redis && (section.has("postgres") || any(postgres::is_endpoint));
        let example = match (is_redis, is_postgres) {
            (true, _) => "redis://127.0.0.1",
            (_, true) => "postgres://127.0.0.1",
            _ => "http://127.0.0.1:9000",
        };
        section.require("endpoints", &format!("[\"{example}\"]"));
        let server = if is_redis {
            let upstream = redis::read(name.get_ref(), &section, texts.as_deref());
            Server::Redis(upstream.map(Arc::new))
        } else if is_postgres {
            let upstream = postgres::read(name.get_ref(), &section, texts.as_deref());
            Server::Postgres(upstream.map(Arc::new))
        } else {
            Server::Http(http::read(name.get_ref(), &section, texts.as_deref()))
        };
        let name = Spanned::new(name.span(), name.into_inner().to_owned());
        let tables = ["postgres", "redis"].map(|table| section.table(table));
        let own = tables.iter().find(|table| table.has("replica"));
        let replica = own.map(|table| table.span_of("replica"));
        Entry { name, server, used: Cell::new(false), replica }
    };
    root.named("upstreams").into_iter().map(entry).collect()
}

/// Those that can be used, if any; `form` is the mend of the others.
pub(super) fn endpoints<T: PartialEq>(
    section: &Section<'_>,
    texts: &Texts<'_>,
    form: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let mut endpoints = Vec::new();
    for text in texts {
        let (complaint, mend) = match parse(text.get_ref()) {
            Ok(endpoint) if endpoints.contains(&endpoint) => {
                ("it is there twice".to_owned(), "leave one of them out")
            }
            Ok(endpoint) => {
                endpoints.push(endpoint);
                continue;
            }
            Err(complaint) => (complaint, form),
        };
        let message = format!("an endpoint cannot be used: {complaint}");
        section.report().error(&text.span(), message, mend);
    }
    if texts.is_empty() {
        section.error_at("endpoints", "`endpoints` is empty", "add the store's address");
    }
    (!endpoints.is_empty()).then_some(endpoints)
}

/// A host, and its port if there is another one than usual.
pub(super) fn authority(text: &str, usual: u16) -> Result<(Arc<str>, u16), String> {
    let authority: Authority = text.parse().map_err(|_| "it is not a host and a port")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err("it has no host".to_owned());
    }
    let has_port = authority.as_str().len() > authority.host().len();
    let port = match authority.port_u16() {
        Some(0) => return Err("port 0 cannot be connected to".to_owned()),
        Some(port) => port,
        None if has_port => return Err("its port is not a port".to_owned()),
        None => usual,
    };
    Ok((host.into(), port))
}

pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What this Palisade is called in the names of its sessions.
fn replica(section: &Section<'_>) -> Option<String> {
    if !section.has("replica") {
        return Some(REPLICA.to_owned());
    }
    let text = section.string("replica")?;
    let name = text.get_ref();
    let is_good = (1..=REPLICA_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if !is_good {
        let mend = format!("1 to {REPLICA_BYTES_MAX} letters, digits, `-`, `_` and `.`");
        section.report().error(&text.span(), "`replica` cannot be used", mend);
    }
    is_good.then(|| (*name).to_owned())
}
