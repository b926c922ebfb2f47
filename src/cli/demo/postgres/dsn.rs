//! Where the PostgreSQL of the story is: a URL as libpq takes it, as far as the demo needs it.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::protocol::postgres::upstream::{Endpoint, Password};

const PORT: u16 = 5432;
/// Where servers put their socket unless they were told otherwise.
const SOCKET_FOLDERS: [&str; 2] = ["/run/postgresql", "/tmp"];

/// As it was typed: it may hold a password, so it is never shown.
#[derive(Clone)]
pub(in crate::cli::demo) struct Url(Zeroizing<String>);

impl FromStr for Url {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Url")
    }
}

/// A server, and as whom it is spoken to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Dsn {
    pub(super) place: Place,
    pub(super) role: String,
    pub(super) password: Password,
    pub(super) database: String,
}

/// Where a server listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// Host and port.
    Tcp(Arc<str>, u16),
    /// The folder of its socket, and the port in the socket's name.
    Unix(PathBuf, u16),
}

impl Place {
    /// For connecting.
    pub(super) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Tcp(host, port) => Endpoint::Tcp { host: Arc::clone(host), port: *port },
            Self::Unix(folder, port) => Endpoint::Unix(folder.join(format!(".s.PGSQL.{port}"))),
        }
    }

    /// As the configuration takes it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Tcp(host, port) if host.contains(':') => format!("postgres://[{host}]:{port}"),
            Self::Tcp(host, port) => format!("postgres://{host}:{port}"),
            Self::Unix(folder, port) => format!("unix:{}:{port}", folder.display()),
        }
    }
}

/// What was said, before anything is put in for what was not.
#[derive(Default)]
struct Said {
    host: Option<String>,
    port: Option<String>,
    role: Option<String>,
    password: Option<Zeroizing<String>>,
    database: Option<String>,
}

impl Dsn {
    /// Reads a URL. What it leaves out is taken from the environment, as libpq does.
    ///
    /// # Errors
    /// What is wrong with it, without a word of it that could be the password.
    pub(super) fn parse(
        url: &Url,
        environment: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        let said = Said::parse(&url.0)?;
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let role = said.role.or_else(|| variable("PGUSER")).or_else(|| variable("USER"));
        let role = role.context("the URL names no role; write postgres://ROLE@HOST/DATABASE")?;
        let database = said.database.or_else(|| variable("PGDATABASE"));
        let database = database.unwrap_or_else(|| role.clone());
        for name in [&role, &database] {
            let is_strange = name.contains('/') || name.chars().any(char::is_control);
            ensure!(!is_strange, "a role or database with `/` in its name cannot be fenced");
        }
        let password = said.password.or_else(|| variable("PGPASSWORD").map(Zeroizing::new));
        let port = match said.port.or_else(|| variable("PGPORT")) {
            None => PORT,
            Some(text) => {
                let port = text.parse().ok().filter(|port| *port > 0);
                port.context("the URL's port is no port; write a number such as 5432")?
            }
        };
        let host = said.host.or_else(|| variable("PGHOST"));
        let place = match host {
            Some(folder) if folder.starts_with('/') => Place::Unix(folder.into(), port),
            Some(host) => {
                ensure!(!host.contains(','), "the URL names several servers; name one");
                Place::Tcp(host.into(), port)
            }
            None => nearby(port),
        };
        Ok(Self { place, role, password: Password(password), database })
    }
}

/// The socket of a server on this machine, or else its port.
fn nearby(port: u16) -> Place {
    let folder = SOCKET_FOLDERS.map(Path::new).into_iter();
    let found = folder.into_iter().find(|it| it.join(format!(".s.PGSQL.{port}")).exists());
    found.map_or_else(|| Place::Tcp("localhost".into(), port), |it| Place::Unix(it.into(), port))
}

impl Said {
    fn parse(url: &str) -> anyhow::Result<Self> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let rest = rest.context(
            "--postgres wants a URL: postgres://ROLE:PASSWORD@HOST:PORT/DATABASE, or \
             postgres:///DATABASE?host=/run/postgresql for a Unix socket",
        )?;
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (account, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (role, password) = account.split_once(':').unwrap_or((account, ""));
        let (host, port) = host_and_port(address)?;
        let mut said = Self {
            host: word(host)?,
            port: word(port)?,
            role: word(role)?,
            password: word(password)?.map(Zeroizing::new),
            database: word(database)?,
        };
        for parameter in parameters.split('&').filter(|it| !it.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = word(value)?;
            match name {
                "host" => said.host = value,
                "port" => said.port = value,
                "user" => said.role = value,
                "password" => said.password = value.map(Zeroizing::new),
                "dbname" => said.database = value,
                "sslmode" => tls(value.as_deref().unwrap_or_default())?,
                _ => bail!(
                    "the URL's parameter `{}` is not known here; host, port, user, password, dbname \
                     and sslmode are",
                    name.escape_debug()
                ),
            }
        }
        Ok(said)
    }
}

fn tls(mode: &str) -> anyhow::Result<()> {
    ensure!(
        ["disable", "allow", "prefer"].contains(&mode),
        "the demo speaks to its PostgreSQL without TLS, which sslmode={} forbids; take a server on \
         this machine (Palisade itself speaks TLS to servers: see [upstreams.NAME.tls])",
        mode.escape_debug()
    );
    Ok(())
}

fn host_and_port(address: &str) -> anyhow::Result<(&str, &str)> {
    if let Some(rest) = address.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').context("the URL's address has no `]`")?;
        return Ok((host, rest.strip_prefix(':').unwrap_or(rest)));
    }
    Ok(address.split_once(':').unwrap_or((address, "")))
}

/// Without its escapes; `None` when it is empty.
fn word(text: &str) -> anyhow::Result<Option<String>> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.ok().context("the URL has escapes that are not UTF-8")?;
    ensure!(!decoded.contains('\0'), "the URL has a NUL in it");
    Ok((!decoded.is_empty()).then(|| decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> anyhow::Result<Dsn> {
        let environment = |name: &str| (name == "USER").then(|| "somebody".to_owned());
        Dsn::parse(&url.parse().unwrap(), environment)
    }

    #[test]
    fn urls_are_read_as_libpq_reads_them() {
        let check = |url: &str, place: Place, who: &str, password: Option<&str>, database: &str| {
            let password = Password(password.map(|it| Zeroizing::new(it.to_owned())));
            let (role, database) = (who.to_owned(), database.to_owned());
            assert_eq!(read(url).unwrap(), Dsn { place, role, password, database }, "{url}");
        };
        let tcp = |host: &str, port| Place::Tcp(host.into(), port);
        let unix = |folder: &str, port| Place::Unix(folder.into(), port);
        check("postgres://u:p@h:1/d", tcp("h", 1), "u", Some("p"), "d");
        check("postgresql://u@h", tcp("h", 5432), "u", None, "u");
        check("postgres://a%40b:p%3A%2F@h/d%20e", tcp("h", 5432), "a@b", Some("p:/"), "d e");
        check("postgres://u@[::1]:7/d", tcp("::1", 7), "u", None, "d");
        check("postgres:///d?host=/s&port=2", unix("/s", 2), "somebody", None, "d");
        check("postgres://u@%2Fs/d", unix("/s", 5432), "u", None, "d");
        check(
            "postgres://h?user=v&password=q&dbname=e&sslmode=prefer",
            tcp("h", 5432),
            "v",
            Some("q"),
            "e",
        );
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        let check = |url: &str, why: &str| {
            let told = format!("{:#}", read(url).unwrap_err());
            assert!(told.contains(why) && !told.contains("hush"), "{url}: {told}");
        };
        check("http://u:hush@h/d", "postgres://ROLE");
        check("host=h password=hush", "wants a URL");
        check("postgres://u:hush@h:x/d", "no port");
        check("postgres://u:hush@h:0/d", "no port");
        check("postgres://u:hush@h,i/d", "several servers");
        check("postgres://u:hush@[::1/d", "`]`");
        check("postgres://u:hush@h/d?sslmode=require", "without TLS");
        check("postgres://u:hush@h/d?ssl=1", "`ssl` is not known");
        check("postgres://u:hush@h/a%2Fb", "cannot be fenced");
        check("postgres://u:hush%00@h/d", "NUL");
        check("postgres://u:hush%ff@h/d", "UTF-8");
        assert!(!format!("{:?}", read("postgres://u:hush@h/d").unwrap()).contains("hush"));
        assert!(!format!("{:?}", "postgres://u:hush@h/d".parse::<Url>().unwrap()).contains("hush"));
    }

    #[test]
    fn places_are_told_as_the_configuration_takes_them() {
        let text = |url: &str| read(url).unwrap().place.text();
        assert_eq!(text("postgres://u@[::1]:7/d"), "postgres://[::1]:7");
        assert_eq!(text("postgres://u@h/d"), "postgres://h:5432");
        assert_eq!(text("postgres:///d?host=/s"), "unix:/s:5432");
        let endpoint = read("postgres:///d?host=/s").unwrap().place.endpoint();
        assert_eq!(endpoint, Endpoint::Unix("/s/.s.PGSQL.5432".into()));
    }
}
