//! What only servers that speak Redis's protocol have.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::Texts;
use crate::config::section::Section;
use crate::config::{files, foreign, tls};
use crate::net::connect::{self, ClientTls};
use crate::protocol::redis::upstream::{Endpoint, Password, Sentinel, Upstream};

/// What a server, and a Sentinel, listens on unless it was told otherwise.
pub(in crate::config) const PORT: u16 = 6379;
pub(in crate::config) const SENTINEL_PORT: u16 = 26379;
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The longest name of an ACL user or of a service, in bytes.
const NAME_BYTES_MAX: usize = 128;

const FOREIGN: &[(&str, &str)] = &[
    ("http_version", ""),
    ("connections_max", "leave it out: each client has a connection of its own"),
    ("response_timeout", "leave it out: a blocking command may take as long as it takes"),
    ("idle_timeout", ""),
    ("s3", ""),
    ("postgres", ""),
];

/// An endpoint as it is written: with its scheme.
#[derive(PartialEq)]
struct Written {
    endpoint: Endpoint,
    has_tls: bool,
}

/// Whether it can only be meant for a server that speaks Redis's protocol. PostgreSQL's sockets
/// are named by their folder.
pub(super) fn is_endpoint(text: &str) -> bool {
    ["redis:", "rediss:"].iter().any(|scheme| text.starts_with(scheme))
        || text.starts_with("unix:") && text.ends_with(".sock")
}

pub(super) fn read(
    name: &str,
    section: &Section<'_>,
    texts: Option<&Texts<'_>>,
) -> Option<Upstream> {
    foreign::refuse(section, "other upstreams", FOREIGN);
    let redis = section.table("redis");
    let sentinel_table = redis.table("sentinel");
    let sentinel = redis.has("sentinel").then(|| sentinel(&sentinel_table));
    let port = if sentinel.is_some() { SENTINEL_PORT } else { PORT };
    let form = "write `redis://HOST:PORT`, `rediss://HOST:PORT`, or `unix:/FOLDER/redis.sock`";
    let directory = section.report().directory;
    let written = texts.and_then(|texts| {
        super::endpoints(section, texts, form, |text| endpoint(text, port, directory))
    });
    let has_tls_table = section.has("tls");
    let tls_files = has_tls_table.then(|| tls::client(&section.table("tls")));
    if let (Some(texts), Some(written)) = (texts, &written) {
        transport(name, section, texts, written, port, tls_files.as_ref());
        if sentinel.is_none() && written.len() > 1 {
            several(name, section, written.len());
        }
    }
    let is_tcp = |written: &Written| matches!(written.endpoint, Endpoint::Tcp { .. });
    let has_tls = written.as_ref().is_some_and(|all| all.iter().any(|one| one.has_tls));
    let shows_certificate = tls_files
        .as_ref()
        .is_some_and(|tls| tls.as_ref().is_none_or(|it| it.certificate.is_some()));
    let is_open = !shows_certificate && written.as_ref().is_some_and(|all| all.iter().any(is_tcp));
    let user = user(&redis);
    let password = password(&redis, user.is_some());
    if is_open && password == Some(Password(None)) {
        let message = format!(
            "upstream \"{name}\" has no password, and Palisade shows no certificate: whoever reaches \
             the server can write there, around the fence"
        );
        let mend = format!("write `password_file` in `[upstreams.{name}.redis]`");
        section.report().warn(&section.span_of("redis"), message, mend);
    }
    Some(Upstream {
        name: name.into(),
        endpoints: written?.into_iter().map(|written| written.endpoint).collect(),
        sentinel: match sentinel {
            Some(sentinel) => Some(sentinel?),
            None => None,
        },
        // What is wrong with its files has been told.
        tls: (has_tls || has_tls_table).then(|| tls_files.flatten().unwrap_or_default()),
        connect_timeout: section.duration("connect_timeout").unwrap_or(super::CONNECT_TIMEOUT),
        login_timeout: redis.duration("login_timeout").unwrap_or(LOGIN_TIMEOUT),
        user,
        password: password?,
        replica: super::replica(&redis)?.into(),
        check_interval: redis.duration("check_interval").unwrap_or(CHECK_INTERVAL),
    })
}

/// Nobody says which of several servers is the primary.
fn several(name: &str, section: &Section<'_>, count: usize) {
    let message = format!(
        "`endpoints` has {count} servers, and nobody says which of them is the primary; shards of a \
         cluster are not told apart either"
    );
    let mend = format!(
        "name the Sentinels instead and add `[upstreams.{name}.redis.sentinel]` with `service`; or \
         write an upstream and a listener for each shard"
    );
    section.error_at("endpoints", message, mend);
}

/// Whether what is sent is for the server's eyes only. The scheme says it, and the `tls` table
/// says how.
fn transport(
    name: &str,
    section: &Section<'_>,
    texts: &Texts<'_>,
    written: &[Written],
    port: u16,
    tls: Option<&Option<ClientTls>>,
) {
    let hosts = written.iter().filter_map(|written| match &written.endpoint {
        Endpoint::Tcp { host, .. } => Some((host, written.has_tls)),
        Endpoint::Unix(_) => None,
    });
    if hosts.clone().next().is_none() {
        if tls.is_some() {
            let message =
                format!("[upstreams.{name}.tls] has no effect: all endpoints are sockets");
            let mend = "name a host with `rediss://`, or leave the table out";
            section.report().warn(&section.span_of("tls"), message, mend);
        }
        return;
    }
    let is_plain = |text: &&Spanned<&str>| text.get_ref().starts_with("redis:");
    let has_tls = tls.is_some() || hosts.clone().any(|(_, has_tls)| has_tls);
    if !has_tls {
        let is_far = |text: &&Spanned<&str>| {
            let written = endpoint(text.get_ref(), port, Path::new("/"));
            written.is_ok_and(|written| match written.endpoint {
                Endpoint::Tcp { host, .. } => !super::is_loopback(&host),
                Endpoint::Unix(_) => false,
            })
        };
        if let Some(text) = texts.iter().find(is_far) {
            let message = "this is spoken to without TLS: whoever is on the way can read and \
                           change what is sent";
            section.report().warn(&text.span(), message, "write `rediss://`");
        }
        return;
    }
    if let Some(text) = texts.iter().find(is_plain) {
        let message = match tls {
            Some(_) => {
                format!("this is spoken to without TLS, and there is [upstreams.{name}.tls]")
            }
            None => "this is spoken to without TLS, and another endpoint with it".to_owned(),
        };
        section.report().error(
            &text.span(),
            message,
            "write `rediss://` in each endpoint or in none",
        );
    }
    let files = match tls {
        Some(None) => return,
        Some(Some(tls)) => tls.clone(),
        None => ClientTls::default(),
    };
    let endpoint = |(host, _)| connect::Endpoint { tls: true, host, port };
    let endpoints = hosts.map(|(host, has_tls)| (host.clone(), has_tls)).map(endpoint).collect();
    tls::load(section, name, endpoints, &files);
}

fn endpoint(text: &str, port: u16, directory: &Path) -> Result<Written, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        let endpoint = socket(path, directory).map(Endpoint::Unix)?;
        return Ok(Written { endpoint, has_tls: false });
    }
    let (scheme, rest) = text
        .split_once("://")
        .ok_or("it does not begin with `redis://`, `rediss://` or `unix:`")?;
    let has_tls = match scheme {
        "redis" => false,
        "rediss" => true,
        other => return Err(format!("`{}` is not spoken to Redis", other.escape_debug())),
    };
    if rest.contains('@') {
        return Err("it has a user name or a password; they have keys of their own".to_owned());
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err("it has a database or parameters; each client selects its own".to_owned());
    }
    let (host, port) = super::authority(rest, port)?;
    Ok(Written { endpoint: Endpoint::Tcp { host, port }, has_tls })
}

fn socket(text: &str, directory: &Path) -> Result<PathBuf, String> {
    let text = text.strip_prefix("//").unwrap_or(text);
    if text.is_empty() || text.ends_with('/') || text.contains('\0') {
        return Err("it names no socket".to_owned());
    }
    let socket = directory.join(text);
    if socket.as_os_str().len() > super::SOCKET_BYTES_MAX {
        let max = super::SOCKET_BYTES_MAX;
        return Err(format!("the path of its socket has more than {max} bytes"));
    }
    Ok(socket)
}

pub(in crate::config) fn sentinel(section: &Section<'_>) -> Option<Sentinel> {
    section.require("service", "\"mymaster\"");
    let service = name(section, "service");
    let user = user(section);
    let password = password(section, user.is_some());
    Some(Sentinel { service: service?, user, password: password? })
}

pub(in crate::config) fn user(section: &Section<'_>) -> Option<String> {
    name(section, "user")
}

fn name(section: &Section<'_>, key: &str) -> Option<String> {
    let text = section.string(key)?;
    let name = text.get_ref();
    let is_good = (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.contains(|c: char| c.is_whitespace() || c.is_control());
    if !is_good {
        let mend = format!("1 to {NAME_BYTES_MAX} bytes without spaces");
        section.report().error(&text.span(), format!("`{key}` cannot be used"), mend);
    }
    is_good.then(|| (*name).to_owned())
}

/// `None` when something is wrong with it.
pub(in crate::config) fn password(section: &Section<'_>, has_user: bool) -> Option<Password> {
    if ["password_file", "password_env"].iter().any(|key| section.has(key)) {
        return files::secret(section, "password").map(|secret| Password(Some(secret)));
    }
    if has_user {
        let message = format!("{} has a `user` and no password", section.title());
        let mend = "add `password_file`, or leave `user` out";
        section.error_at("user", message, mend);
        return None;
    }
    Some(Password(None))
}
