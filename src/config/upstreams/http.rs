//! What only stores for HTTP and S3 have.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use toml::Spanned;

use super::Texts;
use crate::config::section::Section;
use crate::config::{files, tls};
use crate::net::connect::{Endpoint, Upstream, Version};
use crate::protocol::http::s3::{AwsChunked, Credentials, Mode};

/// The bounds of a store whose table does not say.
const CONNECTIONS_MAX: usize = 256;
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const REGION: &str = "us-east-1";

/// A store, as far as it could be read.
pub(in crate::config) struct Store {
    pub(in crate::config) name: Arc<str>,
    /// `None` when something is wrong with it.
    pub(in crate::config) upstream: Option<Arc<Upstream>>,
    /// `[upstreams.NAME.s3]`: `None` without it, `Some(None)` when something is wrong with it.
    pub(in crate::config) s3: Option<Option<(Mode, AwsChunked)>>,
}

pub(super) fn read(name: &str, section: &Section<'_>, endpoints: Option<&Texts<'_>>) -> Store {
    let s3 = section.has("s3").then(|| s3(&section.table("s3")));
    let upstream = upstream(name, section, endpoints).map(Arc::new);
    Store { name: name.into(), upstream, s3 }
}

fn upstream(name: &str, section: &Section<'_>, texts: Option<&Texts<'_>>) -> Option<Upstream> {
    let form = "write `http://HOST:PORT` or `https://HOST:PORT` and nothing more";
    let endpoints = texts.and_then(|texts| super::endpoints(section, texts, form, endpoint));
    let versions = [("1.1", Version::Http1), ("2", Version::Http2)];
    let version = section.choice("http_version", &versions).unwrap_or_default();
    let client_tls = tls::client(&section.table("tls"));
    if let Some(endpoints) = &endpoints
        && section.has("tls")
        && !endpoints.iter().any(|endpoint| endpoint.tls)
    {
        let message = format!("[upstreams.{name}.tls] has no effect: no endpoint is `https://`");
        let mend = "write the endpoints with `https://`, or leave the table out";
        section.report().warn(&section.span_of("tls"), message, mend);
    }
    let are_files_there = client_tls.is_some();
    let upstream = Upstream {
        name: name.into(),
        endpoints: endpoints?,
        version,
        tls: client_tls.unwrap_or_default(),
        connections_max: section.count("connections_max", 1..=65_535).unwrap_or(CONNECTIONS_MAX),
        connect_timeout: section.duration("connect_timeout").unwrap_or(super::CONNECT_TIMEOUT),
        response_timeout: section.duration("response_timeout").unwrap_or(RESPONSE_TIMEOUT),
        idle_timeout: section.duration("idle_timeout").unwrap_or(IDLE_TIMEOUT),
    };
    if are_files_there {
        tls::load(section, name, upstream.endpoints.clone(), &upstream.tls);
    }
    Some(upstream)
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    let uri: Uri = text.parse().map_err(|_| "it is not a URL".to_owned())?;
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        Some(other) => return Err(format!("`{other}` is not spoken to stores")),
        None => return Err("it does not begin with `http://` or `https://`".to_owned()),
    };
    let authority = uri.authority().ok_or("it has no host")?;
    if authority.as_str().contains('@') {
        return Err("it has a user name; credentials are not kept here".to_owned());
    }
    if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
        return Err("it has a path or a query, which a store would not see".to_owned());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err("it has no host".to_owned());
    }
    let has_port = authority.as_str().len() > authority.host().len();
    let port = match authority.port_u16() {
        Some(0) => return Err("port 0 cannot be connected to".to_owned()),
        Some(port) => port,
        None if has_port => return Err("its port is not a port".to_owned()),
        None if tls => 443,
        None => 80,
    };
    Ok(Endpoint { tls, host: host.into(), port })
}

fn s3(section: &Section<'_>) -> Option<(Mode, AwsChunked)> {
    let chunked = [("forward", AwsChunked::Forward), ("decode", AwsChunked::Decode)];
    let chunked = section.choice("aws_chunked", &chunked);
    Some((mode(section)?, chunked.unwrap_or_default()))
}

fn mode(section: &Section<'_>) -> Option<Mode> {
    #[derive(Clone, Copy)]
    enum Word {
        PassThrough,
        ReSign,
    }
    let words = [("re-sign", Word::ReSign), ("pass-through", Word::PassThrough)];
    let word = section.choice("mode", &words);
    match word {
        None if section.has("mode") => None,
        Some(Word::PassThrough) => {
            let keys = [
                "region",
                "aws_chunked",
                "access_key_id_file",
                "access_key_id_env",
                "secret_access_key_file",
                "secret_access_key_env",
            ];
            for key in keys.into_iter().filter(|key| section.has(key)) {
                let message = format!("`{key}` has no effect: `pass-through` signs nothing");
                let mend = "leave it out, or write `mode = \"re-sign\"`";
                section.report().warn(&section.span_of(key), message, mend);
            }
            Some(Mode::PassThrough)
        }
        Some(Word::ReSign) | None => {
            let region = section.string("region").map_or(REGION, Spanned::into_inner);
            if region.is_empty() || !region.bytes().all(|b| b.is_ascii_graphic() && b != b'/') {
                section.error_at("region", "`region` is not a region", "such as \"us-east-1\"");
            }
            let access_key_id = files::secret(section, "access_key_id");
            let secret_access_key = files::secret(section, "secret_access_key");
            access_key_id.zip(secret_access_key).map(|(id, secret_access_key)| Mode::ReSign {
                credentials: Arc::new(Credentials {
                    access_key_id: id.to_string(),
                    secret_access_key,
                }),
                region: region.into(),
            })
        }
    }
}
