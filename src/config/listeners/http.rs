//! What only listeners for HTTP and S3 have.

use std::sync::Arc;

use http::HeaderName;
use toml::Spanned;

use super::{Common, Protocol};
use crate::config::foreign;
use crate::config::section::Section;
use crate::config::upstreams::Store;
use crate::net::connect::Upstream;
use crate::protocol::http::{Flavor, Limits, Listener, Unmatched, s3};

const TOKEN_HEADER: &str = "Fencing-Token";
const PREFIX: &str = "/.palisade";

/// Limits that only sessions with a database have.
const POSTGRES_LIMITS: &[(&str, &str)] =
    &[("startup_timeout", ""), ("statement_bytes_max", ""), ("prepared_max", "")];
const REDIS_LIMITS: &[(&str, &str)] =
    &[("command_bytes_max", ""), ("resources_max", ""), ("unread_timeout", "")];

/// As far as it could be read.
pub(super) struct Own {
    pub(super) upstream: Option<Arc<Upstream>>,
    pub(super) prefix: String,
    flavor: Option<Flavor>,
    token_header: Option<HeaderName>,
    unmatched: Unmatched,
    limits: Limits,
}

impl Own {
    pub(super) fn read(
        section: &Section<'_>,
        protocol: Option<Protocol>,
        store: Option<&Store>,
    ) -> Self {
        let table = section.table("limits");
        if protocol.is_some() {
            foreign::refuse(&table, "`protocol = \"postgres\"`", POSTGRES_LIMITS);
            foreign::refuse(&table, "`protocol = \"redis\"`", REDIS_LIMITS);
        }
        Self {
            upstream: store.and_then(|store| store.upstream.clone()),
            flavor: protocol.and_then(|protocol| flavor(section, protocol, store)),
            token_header: token_header(section),
            prefix: prefix(section),
            unmatched: unmatched(&section.table("unmatched")),
            limits: limits(&table),
        }
    }

    pub(super) fn finish(self, common: Common) -> Option<Listener> {
        Some(Listener {
            name: common.name,
            addresses: common.addresses,
            tls: common.tls,
            flavor: self.flavor?,
            upstream: self.upstream?,
            token_header: self.token_header?,
            prefix: self.prefix.into(),
            rules: common.rules,
            unmatched: self.unmatched,
            limits: self.limits,
        })
    }
}

fn flavor(section: &Section<'_>, protocol: Protocol, store: Option<&Store>) -> Option<Flavor> {
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
        let name = &store.name;
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
    let connections = (default.connections_max, default.connections_per_identity_max);
    let (connections_max, connections_per_identity_max) = super::connections(section, connections);
    Limits {
        connections_max,
        connections_per_identity_max,
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
    }
}
