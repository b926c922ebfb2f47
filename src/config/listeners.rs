//! `[listeners.NAME]`: where writers connect to.

mod http;
mod postgres;
mod redis;

use std::net::SocketAddr;
use std::sync::Arc;

use toml::Spanned;

use super::section::Section;
use super::upstreams::{self, Server};
use super::{names, server, tls};
use crate::net::tls::ServerTls;
use crate::protocol;
use crate::rules::{CommitPoint, Rules};

/// How many addresses a listener has.
const ADDRESSES_MAX: usize = 16;
const POSTGRES_MEND: &str = "name an upstream that has a `postgres` table";
const REDIS_MEND: &str = "name an upstream with `redis://` endpoints or a `redis` table";

/// One `[listeners.NAME]` table, by what is spoken on it.
#[derive(Clone, Debug)]
pub enum Listener {
    /// `protocol = "http"` and `protocol = "s3"`.
    Http(protocol::http::Listener),
    /// `protocol = "postgres"`.
    Postgres(protocol::postgres::Listener),
    /// `protocol = "redis"`.
    Redis(protocol::redis::Listener),
}

/// What the file calls a listener's protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Http,
    Postgres,
    Redis,
    S3,
}

/// A listener without its rules, as far as it could be read.
pub(super) struct Entry<'a> {
    pub(super) name: Spanned<&'a str>,
    pub(super) protocol: Option<Protocol>,
    pub(super) addresses: Vec<Spanned<SocketAddr>>,
    tls: Option<ServerTls>,
    own: Own,
}

/// What listeners of other kinds have not. One whose protocol is unknown is read as HTTP.
enum Own {
    Http(Box<http::Own>),
    Postgres(postgres::Own),
    Redis(redis::Own),
}

/// What every listener has.
struct Common {
    name: Arc<str>,
    addresses: Vec<SocketAddr>,
    tls: ServerTls,
    rules: Rules,
}

impl Listener {
    /// Its name in the configuration.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Http(listener) => &listener.name,
            Self::Postgres(listener) => &listener.name,
            Self::Redis(listener) => &listener.name,
        }
    }

    /// What is spoken on it, as the configuration calls it.
    pub fn protocol(&self) -> &'static str {
        match self {
            Self::Http(listener) => match listener.flavor {
                protocol::http::Flavor::Http => "http",
                protocol::http::Flavor::S3(_) => "s3",
            },
            Self::Postgres(_) => "postgres",
            Self::Redis(_) => "redis",
        }
    }

    /// Where it listens. Port 0 takes a free one.
    pub fn addresses(&self) -> &[SocketAddr] {
        match self {
            Self::Http(listener) => &listener.addresses,
            Self::Postgres(listener) => &listener.addresses,
            Self::Redis(listener) => &listener.addresses,
        }
    }

    /// Who it is and whom it lets in.
    pub fn tls(&self) -> &ServerTls {
        match self {
            Self::Http(listener) => &listener.tls,
            Self::Postgres(listener) => &listener.tls,
            Self::Redis(listener) => &listener.tls,
        }
    }

    /// The name of what is behind it.
    pub fn upstream(&self) -> &Arc<str> {
        match self {
            Self::Http(listener) => &listener.upstream.name,
            Self::Postgres(listener) => &listener.upstream.name,
            Self::Redis(listener) => &listener.upstream.name,
        }
    }

    /// The rules that hold on it.
    pub fn rules(&self) -> &Rules {
        match self {
            Self::Http(listener) => &listener.rules,
            Self::Postgres(listener) => &listener.rules,
            Self::Redis(listener) => &listener.rules,
        }
    }
}

impl Protocol {
    /// From when a write counts where the rule does not say.
    pub(super) fn commit_point(self) -> CommitPoint {
        match self {
            Self::Http | Self::Postgres | Self::Redis => CommitPoint::Head,
            Self::S3 => CommitPoint::LastByte,
        }
    }
}

impl Entry<'_> {
    /// The whole listener; `None` when something is wrong with it.
    pub(super) fn finish(self, rules: Rules) -> Option<Listener> {
        self.protocol?;
        let common = Common {
            name: (*self.name.get_ref()).into(),
            addresses: self.addresses.into_iter().map(Spanned::into_inner).collect(),
            tls: self.tls?,
            rules,
        };
        match self.own {
            Own::Http(own) => own.finish(common).map(Listener::Http),
            Own::Postgres(own) => own.finish(common).map(Listener::Postgres),
            Own::Redis(own) => own.finish(common).map(Listener::Redis),
        }
    }

    /// Whether what is behind it is known.
    pub(super) fn has_upstream(&self) -> bool {
        match &self.own {
            Own::Http(own) => own.upstream.is_some(),
            Own::Postgres(own) => own.upstream.is_some(),
            Own::Redis(own) => own.upstream.is_some(),
        }
    }

    /// The store behind it, if it is one.
    pub(super) fn store(&self) -> Option<&crate::net::connect::Upstream> {
        match &self.own {
            Own::Http(own) => own.upstream.as_deref(),
            Own::Postgres(_) | Own::Redis(_) => None,
        }
    }

    /// The servers behind it, if they speak PostgreSQL.
    pub(super) fn servers(&self) -> Option<&protocol::postgres::upstream::Upstream> {
        match &self.own {
            Own::Http(_) | Own::Redis(_) => None,
            Own::Postgres(own) => own.upstream.as_deref(),
        }
    }

    /// The prefix of the paths that Palisade keeps for itself.
    pub(super) fn prefix(&self) -> Option<&str> {
        match &self.own {
            Own::Http(own) => Some(&own.prefix),
            Own::Postgres(_) | Own::Redis(_) => None,
        }
    }
}

pub(super) fn read<'a>(root: &Section<'a>, upstreams: &[upstreams::Entry]) -> Vec<Entry<'a>> {
    let listeners = root.named("listeners");
    if listeners.is_empty() && !root.has("listeners") {
        let message = "there is no listener";
        root.error_at("listeners", message, "add `[listeners.NAME]`");
    }
    listeners.into_iter().map(|(name, section)| listener(name, section, upstreams)).collect()
}

fn listener<'a>(
    name: Spanned<&'a str>,
    section: Section<'a>,
    upstreams: &[upstreams::Entry],
) -> Entry<'a> {
    names::check(&section, &name);
    section.require("protocol", "\"s3\"");
    section.require("listen", "[\"0.0.0.0:9443\"]");
    section.require("upstream", "\"NAME\"");
    if section.is_there() && !section.has("tls") {
        let message = format!("{} has no TLS: nobody could tell writers apart", section.title());
        let mend = format!("add `[listeners.{}.tls]`", name.get_ref());
        section.report().error(&section.span, message, mend);
    }
    let protocols = [
        ("http", Protocol::Http),
        ("s3", Protocol::S3),
        ("postgres", Protocol::Postgres),
        ("redis", Protocol::Redis),
    ];
    let protocol = section.choice("protocol", &protocols);
    let addresses = addresses(&section);
    let upstream = upstream(&section, upstreams);
    let server = upstream.map(|upstream| &upstream.server);
    let own = match protocol {
        Some(Protocol::Postgres) => {
            let servers = match server {
                Some(Server::Postgres(servers)) => servers.clone(),
                other => misfit(&section, other, "PostgreSQL", POSTGRES_MEND),
            };
            Own::Postgres(postgres::Own::read(&section, servers))
        }
        Some(Protocol::Redis) => {
            let server = match server {
                Some(Server::Redis(server)) => server.clone(),
                other => misfit(&section, other, "Redis", REDIS_MEND),
            };
            Own::Redis(redis::Own::read(&section, server))
        }
        None | Some(Protocol::Http | Protocol::S3) => {
            let store = match server {
                Some(Server::Http(store)) => Some(store),
                Some(Server::Postgres(_)) if protocol.is_some() => {
                    let mend = "write `protocol = \"postgres\"`, or name another upstream";
                    misfit(&section, server, "HTTP", mend)
                }
                Some(Server::Redis(_)) if protocol.is_some() => {
                    let mend = "write `protocol = \"redis\"`, or name another upstream";
                    misfit(&section, server, "HTTP", mend)
                }
                Some(Server::Postgres(_) | Server::Redis(_)) | None => None,
            };
            Own::Http(Box::new(http::Own::read(&section, protocol, store)))
        }
    };
    let tls = section.has("tls").then(|| tls::server(&section.table("tls"))).flatten();
    Entry { name, protocol, addresses, tls, own }
}

/// Reports that what is behind a listener speaks something else, if it is known.
fn misfit<T>(section: &Section<'_>, server: Option<&Server>, not: &str, mend: &str) -> Option<T> {
    let speaks = server?.speaks();
    let name = section.string("upstream").map_or("", Spanned::into_inner);
    let message = format!("upstream \"{name}\" speaks {speaks}, not {not}");
    section.error_at("upstream", message, mend);
    None
}

fn addresses(section: &Section<'_>) -> Vec<Spanned<SocketAddr>> {
    let texts = section.strings("listen");
    if texts.as_ref().is_some_and(|texts| texts.is_empty() || texts.len() > ADDRESSES_MAX) {
        let message = "`listen` has no address, or too many";
        section.error_at("listen", message, format!("from 1 to {ADDRESSES_MAX}"));
    }
    let address = |text: Spanned<&str>| {
        Some(Spanned::new(text.span(), server::address(section, "listen", &text)?))
    };
    texts.unwrap_or_default().into_iter().take(ADDRESSES_MAX).filter_map(address).collect()
}

fn upstream<'u>(
    section: &Section<'_>,
    upstreams: &'u [upstreams::Entry],
) -> Option<&'u upstreams::Entry> {
    let name = section.string("upstream")?;
    let found = upstreams.iter().find(|upstream| upstream.name.get_ref() == name.get_ref());
    match found {
        Some(upstream) => upstream.used.set(true),
        None => {
            let known = upstreams.iter().map(|upstream| upstream.name.get_ref().as_str());
            names::unknown(section, "upstream", &name, known);
        }
    }
    found
}

/// Connections at once, of all and of one identity.
fn connections(section: &Section<'_>, default: (usize, usize)) -> (usize, usize) {
    let all = section.count("connections_max", 1..=1_000_000).unwrap_or(default.0);
    let key = "connections_per_identity_max";
    let of_one = section.count(key, 1..=1_000_000).unwrap_or(default.1);
    if section.has(key) && of_one > all {
        let message = format!("`{key}` has no effect: it is above `connections_max`, {all}");
        section.report().warn(&section.span_of(key), message, "write a smaller one");
    }
    (all, of_one)
}
