//! `[listeners.NAME]`: where writers connect to.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderName;
use toml::Spanned;

use super::section::Section;
use super::upstreams;
use super::{names, server, tls};
use crate::net::connect::Upstream;
use crate::net::tls::ServerTls;
use crate::protocol::http::{Flavor, Limits, Listener, Unmatched, s3};
use crate::rules::{CommitPoint, Rules};

const TOKEN_HEADER: &str = "Fencing-Token";
/// How many addresses a listener has.
const ADDRESSES_MAX: usize = 16;
const PREFIX: &str = "/.palisade";

/// What the file calls a listener's protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Http,
    S3,
}

/// A listener without its rules, as far as it could be read.
pub(super) struct Entry<'a> {
    pub(super) name: Spanned<&'a str>,
    pub(super) protocol: Option<Protocol>,
    pub(super) addresses: Vec<Spanned<SocketAddr>>,
    /// Where its upstream is named.
    pub(super) upstream: Option<Spanned<Arc<Upstream>>>,
    pub(super) prefix: String,
    flavor: Option<Flavor>,
    tls: Option<ServerTls>,
    token_header: Option<HeaderName>,
    unmatched: Unmatched,
    limits: Limits,
}

impl Protocol {
    /// From when a write counts where the rule does not say.
    pub(super) fn commit_point(self) -> CommitPoint {
        match self {
            Self::Http => CommitPoint::Head,
            Self::S3 => CommitPoint::LastByte,
        }
    }
}

impl Entry<'_> {
    /// The whole listener; `None` when something is wrong with it.
    pub(super) fn finish(self, rules: Rules) -> Option<Listener> {
        Some(Listener {
            name: (*self.name.get_ref()).into(),
            addresses: self.addresses.into_iter().map(Spanned::into_inner).collect(),
            tls: self.tls?,
            flavor: self.flavor?,
            upstream: self.upstream?.into_inner(),
            token_header: self.token_header?,
            prefix: self.prefix.into(),
            rules,
            unmatched: self.unmatched,
            limits: self.limits,
        })
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
    let protocol = section.choice("protocol", &[("http", Protocol::Http), ("s3", Protocol::S3)]);
    let addresses = addresses(&section);
    let store = store(&section, upstreams);
    let flavor = protocol.and_then(|protocol| flavor(&section, protocol, store));
    let upstream = store
        .and_then(|store| store.upstream.clone())
        .map(|upstream| Spanned::new(section.span_of("upstream"), upstream));
    let tls = section.has("tls").then(|| tls::server(&section.table("tls"))).flatten();
    let token_header = token_header(&section);
    let prefix = prefix(&section);
    let unmatched = unmatched(&section.table("unmatched"));
    let limits = limits(&section.table("limits"));
    Entry {
        name,
        protocol,
        addresses,
        upstream,
        prefix,
        flavor,
        tls,
        token_header,
        unmatched,
        limits,
    }
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

fn store<'u>(
    section: &Section<'_>,
    upstreams: &'u [upstreams::Entry],
) -> Option<&'u upstreams::Entry> {
    let name = section.string("upstream")?;
    let found = upstreams.iter().find(|store| store.name.get_ref() == name.get_ref());
    match found {
        Some(store) => store.used.set(true),
        None => {
            let known = upstreams.iter().map(|store| store.name.get_ref().as_str());
            names::unknown(section, "upstream", &name, known);
        }
    }
    found
}

fn flavor(
    section: &Section<'_>,
    protocol: Protocol,
    store: Option<&upstreams::Entry>,
) -> Option<Flavor> {
    if protocol == Protocol::Http {
        if section.has("domains") {
            let message = "`domains` is for `protocol = \"s3\"` only";
            section.error_at("domains", message, "leave it out");
        }
        if store.is_some_and(|store| store.s3.is_some()) {
            let message = "requests are not signed: the listener speaks plain HTTP, not S3";
            let mend = "write `protocol = \"s3\"`, or leave the upstream's s3 table out";
            section.report().warn(&section.span_of("protocol"), message, mend);
        }
        return Some(Flavor::Http);
    }
    let domains = domains(section);
    let store = store?;
    let Some(s3) = &store.s3 else {
        let name = store.name.get_ref();
        let message = format!("upstream \"{name}\" does not say whose S3 signature it sees");
        let mend = format!("add `[upstreams.{name}.s3]` with `mode`");
        section.error_at("upstream", message, mend);
        return None;
    };
    let (mode, aws_chunked) = s3.clone()?;
    Some(Flavor::S3(s3::Settings { domains, mode, aws_chunked }))
}

fn domains(section: &Section<'_>) -> Vec<String> {
    let texts = section.strings("domains").unwrap_or_default();
    let good = texts.iter().filter(|text| {
        let good = text.get_ref().split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        });
        if !good {
            let message = "`domains` has something that is no domain";
            let mend =
                "write `s3.example.org` for buckets at `BUCKET.s3.example.org`, without port";
            section.report().error(&text.span(), message, mend);
        }
        good
    });
    good.map(|text| text.get_ref().to_ascii_lowercase()).collect()
}

/// Headers that mean something else already.
const HEADERS_TAKEN: &[&str] = &[
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-md5",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-none-match",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

fn token_header(section: &Section<'_>) -> Option<HeaderName> {
    let text = section.string("token_header").map_or(TOKEN_HEADER, Spanned::into_inner);
    let header: Option<HeaderName> = text.parse().ok();
    let complaint = match &header {
        None => "is not the name of a header",
        Some(name)
            if HEADERS_TAKEN.contains(&name.as_str()) || name.as_str().starts_with("x-amz-") =>
        {
            "is a header that means something else already"
        }
        Some(_) => return header,
    };
    let mend = format!("such as \"{TOKEN_HEADER}\"");
    section.error_at("token_header", format!("`token_header` {complaint}"), mend);
    None
}

fn prefix(section: &Section<'_>) -> String {
    let prefix = section.string("prefix").map_or(PREFIX, Spanned::into_inner);
    let good = prefix.strip_prefix("/.").is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_alphanumeric())
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    });
    if !good || prefix.len() > 64 {
        let message = "`prefix` cannot be kept apart from the store's own paths";
        let mend = format!("one segment of letters and digits after `/.`, such as \"{PREFIX}\"");
        section.error_at("prefix", message, mend);
    }
    prefix.to_owned()
}

fn unmatched(section: &Section<'_>) -> Unmatched {
    let read = section.globs("read").unwrap_or_default();
    let write = section.globs("write").unwrap_or_default();
    if !write.is_empty() {
        let message = "writes that no rule matches are forwarded UNFENCED for these identities";
        let mend = "leave it out unless nothing there needs a fence";
        section.report().warn(&section.span_of("write"), message, mend);
    }
    Unmatched { read, write }
}

fn limits(section: &Section<'_>) -> Limits {
    let default = Limits::default();
    // What a connection may take up, so that a listener's memory has a bound that is known.
    let header_bytes = section.size("header_bytes_max").map(|bytes| {
        if !(8 << 10..=1 << 20).contains(&bytes) {
            let message = "`header_bytes_max` is out of bounds";
            section.error_at("header_bytes_max", message, "from 8KiB to 1MiB");
        }
        usize::try_from(bytes).unwrap_or(default.header_bytes_max)
    });
    let limits = Limits {
        connections_max: section
            .count("connections_max", 1..=1_000_000)
            .unwrap_or(default.connections_max),
        connections_per_identity_max: section
            .count("connections_per_identity_max", 1..=1_000_000)
            .unwrap_or(default.connections_per_identity_max),
        streams_max: section
            .integer("streams_max", 1..=10_000)
            .and_then(|max| u32::try_from(max).ok())
            .unwrap_or(default.streams_max),
        header_bytes_max: header_bytes.unwrap_or(default.header_bytes_max),
        headers_max: section.count("headers_max", 1..=1_000).unwrap_or(default.headers_max),
        handshake_timeout: section
            .duration("handshake_timeout")
            .unwrap_or(default.handshake_timeout),
        header_timeout: section.duration("header_timeout").unwrap_or(default.header_timeout),
        body_stall_timeout: section
            .duration("body_stall_timeout")
            .unwrap_or(default.body_stall_timeout),
        body_bytes_max: section.size("body_bytes_max").or(default.body_bytes_max),
    };
    if section.has("connections_per_identity_max")
        && limits.connections_per_identity_max > limits.connections_max
    {
        let message = format!(
            "`connections_per_identity_max` has no effect: it is above `connections_max`, {}",
            limits.connections_max
        );
        let span = section.span_of("connections_per_identity_max");
        section.report().warn(&span, message, "write a smaller one");
    }
    limits
}
