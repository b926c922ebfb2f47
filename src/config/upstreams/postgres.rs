//! What only servers that speak PostgreSQL have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::Texts;
use crate::config::section::Section;
use crate::config::{files, foreign, names, tls};
use crate::net::connect::{self, ClientTls};
use crate::protocol::postgres::upstream::{
    Endpoint, Login, Password, TargetSessionAttrs, Upstream,
};

/// What a server listens on unless it was told otherwise.
const PORT: u16 = 5432;
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
const CONTROL_DATABASE: &str = "postgres";

const FOREIGN: &[(&str, &str)] = &[
    ("http_version", ""),
    ("connections_max", "leave it out: each session has a connection of its own"),
    ("response_timeout", "leave it out: a statement may take as long as it takes"),
    ("idle_timeout", ""),
    ("s3", ""),
];

/// Whether it can only be meant for a server that speaks PostgreSQL.
pub(super) fn is_endpoint(text: &str) -> bool {
    ["postgres:", "postgresql:", "unix:"].iter().any(|scheme| text.starts_with(scheme))
}

pub(super) fn read(
    name: &str,
    section: &Section<'_>,
    texts: Option<&Texts<'_>>,
) -> Option<Upstream> {
    foreign::refuse(section, "upstreams that speak HTTP", FOREIGN);
    let postgres = section.table("postgres");
    if !section.has("postgres") {
        let message = format!("[upstreams.{name}] does not say who connects to PostgreSQL");
        let mend = format!("add `[upstreams.{name}.postgres]` with `control_role`");
        section.report().error(&section.span, message, mend);
    }
    postgres.require("control_role", "\"palisade\"");
    let form = "write `postgres://HOST:PORT`, or `unix:/FOLDER` of its socket";
    let directory = section.report().directory;
    let endpoints = texts
        .and_then(|texts| super::endpoints(section, texts, form, |text| endpoint(text, directory)));
    let tls = section.has("tls").then(|| tls::client(&section.table("tls")));
    if let (Some(texts), Some(endpoints)) = (texts, &endpoints) {
        transport(name, section, texts, endpoints, tls.as_ref());
    }
    let shows_certificate = match &tls {
        Some(tls) => tls.as_ref().is_none_or(|tls| tls.certificate.is_some()),
        None => false,
    };
    let is_tcp = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Tcp { .. });
    let needs_password =
        !shows_certificate && endpoints.as_ref().is_some_and(|all| all.iter().any(is_tcp));
    let login = login(&postgres, needs_password);
    let control_password = password(&postgres, "control_password", needs_password);
    let control_role = string(&postgres, "control_role", "role");
    let control_database = match postgres.has("control_database") {
        true => string(&postgres, "control_database", "database"),
        false => Some(CONTROL_DATABASE.to_owned()),
    };
    let replica = super::replica(&postgres);
    let targets = [
        ("primary", TargetSessionAttrs::Primary),
        ("any", TargetSessionAttrs::Any),
        ("read-write", TargetSessionAttrs::ReadWrite),
        ("read-only", TargetSessionAttrs::ReadOnly),
        ("standby", TargetSessionAttrs::Standby),
        ("prefer-standby", TargetSessionAttrs::PreferStandby),
    ];
    let target = postgres.choice("target_session_attrs", &targets).unwrap_or_default();
    let connect_timeout = section.duration("connect_timeout").unwrap_or(super::CONNECT_TIMEOUT);
    let login_timeout = postgres.duration("login_timeout").unwrap_or(LOGIN_TIMEOUT);
    let check_interval = postgres.duration("check_interval").unwrap_or(CHECK_INTERVAL);
    Some(Upstream {
        name: name.into(),
        endpoints: endpoints?,
        target,
        // What is wrong with it has been told.
        tls: tls.map(Option::unwrap_or_default),
        connect_timeout,
        login_timeout,
        login: login?,
        control_role: control_role?,
        control_password: control_password?,
        control_database: control_database?,
        replica: replica?.into(),
        check_interval,
    })
}

/// Whether what is sent is for the server's eyes only.
fn transport(
    name: &str,
    section: &Section<'_>,
    texts: &Texts<'_>,
    endpoints: &[Endpoint],
    tls: Option<&Option<ClientTls>>,
) {
    let hosts = endpoints.iter().filter_map(|endpoint| match endpoint {
        Endpoint::Tcp { host, .. } => Some(host),
        Endpoint::Unix(_) => None,
    });
    match tls {
        Some(_) if hosts.clone().next().is_none() => {
            let message =
                format!("[upstreams.{name}.tls] has no effect: all endpoints are sockets");
            let mend = "name a host with `postgres://`, or leave the table out";
            section.report().warn(&section.span_of("tls"), message, mend);
        }
        Some(Some(tls)) => {
            let endpoint = |host| connect::Endpoint { tls: true, host, port: PORT };
            let endpoints = hosts.cloned().map(endpoint).collect();
            tls::load(section, name, endpoints, tls);
        }
        Some(None) => {}
        None => {
            let is_far = |text: &&Spanned<&str>| match endpoint(text.get_ref(), Path::new("/")) {
                Ok(Endpoint::Tcp { host, .. }) => !super::is_loopback(&host),
                Ok(Endpoint::Unix(_)) | Err(_) => false,
            };
            if let Some(text) = texts.iter().find(is_far) {
                let message = "this is spoken to without TLS: whoever is on the way can read and \
                               change what is sent";
                let mend = format!("add `[upstreams.{name}.tls]`");
                section.report().warn(&text.span(), message, mend);
            }
        }
    }
}

fn endpoint(text: &str, directory: &Path) -> Result<Endpoint, String> {
    if let Some(folder) = text.strip_prefix("unix:") {
        return socket(folder, directory).map(Endpoint::Unix);
    }
    let (scheme, rest) =
        text.split_once("://").ok_or("it does not begin with `postgres://` or `unix:`")?;
    if !["postgres", "postgresql"].contains(&scheme) {
        return Err(format!("`{}` is not spoken to PostgreSQL", scheme.escape_debug()));
    }
    if rest.contains('@') {
        return Err("it has a user name; roles have a table of their own".to_owned());
    }
    if rest.contains(['/', '?', '#']) {
        return Err("it has a database or parameters; each session names its own".to_owned());
    }
    let (host, port) = super::authority(rest, PORT)?;
    Ok(Endpoint::Tcp { host, port })
}

/// The socket in a folder, by the name that PostgreSQL gives it.
fn socket(text: &str, directory: &Path) -> Result<PathBuf, String> {
    let (folder, port) = match text.rsplit_once(':') {
        Some((folder, port)) => {
            let number = port.parse().ok().filter(|port| *port > 0);
            (folder, number.ok_or("its port is not a port")?)
        }
        None => (text, PORT),
    };
    if folder.is_empty() || folder.contains('\0') {
        return Err("it names no folder".to_owned());
    }
    let folder = directory.join(folder);
    let name = folder.file_name().map(|name| name.to_string_lossy());
    if name.is_some_and(|name| name.starts_with(".s.PGSQL.")) {
        return Err("it names a socket, not the folder that the socket is in".to_owned());
    }
    let socket = folder.join(format!(".s.PGSQL.{port}"));
    if socket.as_os_str().len() > super::SOCKET_BYTES_MAX {
        let max = super::SOCKET_BYTES_MAX;
        return Err(format!("the path of its socket has more than {max} bytes"));
    }
    Ok(socket)
}

fn login(postgres: &Section<'_>, needs_password: bool) -> Option<Login> {
    #[derive(Clone, Copy)]
    enum Word {
        Held,
        PassThrough,
    }
    let words = [("held", Word::Held), ("pass-through", Word::PassThrough)];
    let word = postgres.choice("login", &words);
    let sections = postgres.named("roles");
    match word {
        None if postgres.has("login") => None,
        Some(Word::PassThrough) => {
            let why = "`pass-through` lets clients log in themselves";
            let mend = "leave it out, or write `login = \"held\"`";
            foreign::warn(postgres, why, &["roles"], mend);
            Some(Login::PassThrough)
        }
        Some(Word::Held) | None => {
            if postgres.is_there() && sections.is_empty() {
                let message = "Palisade holds no role that sessions could log in as";
                let mend = format!(
                    "add {} with `password_file`, or write `login = \"pass-through\"`",
                    postgres.title().replace(']', ".roles.NAME]")
                );
                postgres.error_at("roles", message, mend);
                return None;
            }
            let count = sections.len();
            let roles: BTreeMap<_, _> = sections
                .into_iter()
                .filter_map(|(name, section)| {
                    let is_good = names::check_sql(&section, &name, "role");
                    let password = password(&section, "password", needs_password)?;
                    is_good.then(|| (name.into_inner().to_owned(), password))
                })
                .collect();
            (roles.len() == count).then_some(Login::Held { roles })
        }
    }
}

/// `None` when something is wrong with it.
fn password(section: &Section<'_>, name: &str, is_needed: bool) -> Option<Password> {
    let keys = [format!("{name}_file"), format!("{name}_env")];
    if keys.iter().any(|key| section.has(key)) {
        return files::secret(section, name).map(|secret| Password(Some(secret)));
    }
    if is_needed && section.is_there() {
        let message = format!(
            "{} has no password, and Palisade shows no certificate: the server would have to trust \
             whoever asks",
            section.title()
        );
        section.report().warn(&section.span, message, format!("add `{}`", keys[0]));
    }
    Some(Password(None))
}

fn string(section: &Section<'_>, key: &str, kind: &str) -> Option<String> {
    let text = section.string(key)?;
    names::check_sql(section, &text, kind).then(|| text.into_inner().to_owned())
}
