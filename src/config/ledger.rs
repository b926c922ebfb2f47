//! `[ledger]`: where the marks are kept, and the session with a ledger that several share.

mod embedded;
mod etcd;
mod redis;
mod session;
mod transport;

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use super::listeners;
use super::resources::Entry;
use super::section::Section;
use super::upstreams;
use crate::ledger::{self, replicated};
use session::Session;

/// The longest name of a namespace, in bytes: it is a part of every key.
const NAMESPACE_BYTES_MAX: usize = 64;
const NAMESPACE: &str = "default";
const KINDS: [&str; 3] = ["embedded", "etcd", "redis"];

/// Which ledger.
#[derive(Clone, Debug)]
pub enum Ledger {
    /// `[ledger.embedded]`: a file.
    Embedded {
        /// The file.
        path: PathBuf,
        /// Its bounds.
        settings: ledger::embedded::Settings,
    },
    /// `[ledger.etcd]`: for several replicas.
    Etcd {
        /// Where it is.
        settings: Box<ledger::etcd::Settings>,
        /// How this process takes part.
        session: replicated::Settings,
    },
    /// `[ledger.redis]`: for several replicas.
    Redis {
        /// Where it is.
        settings: Box<ledger::redis::Settings>,
        /// How this process takes part.
        session: replicated::Settings,
    },
}

impl Ledger {
    /// How this process takes part in a ledger that several share.
    pub fn session(&self) -> Option<&replicated::Settings> {
        match self {
            Self::Embedded { .. } => None,
            Self::Etcd { session, .. } | Self::Redis { session, .. } => Some(session),
        }
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        fn all<'a>(endpoints: impl Iterator<Item = (&'a str, u16)>) -> String {
            endpoints.map(|(host, port)| format!("{host}:{port}")).collect::<Vec<_>>().join(", ")
        }
        match self {
            Self::Embedded { path, .. } => path.display().to_string(),
            Self::Etcd { settings, .. } => {
                let at = settings.endpoints.iter().map(|it| (&*it.host, it.port));
                format!("etcd at {}, namespace {}", all(at), settings.namespace)
            }
            Self::Redis { settings, .. } => {
                let at = settings.endpoints.iter().map(|it| (&*it.host, it.port));
                let what = if settings.sentinel.is_some() { "Redis by Sentinels" } else { "Redis" };
                format!("{what} at {}, namespace {}", all(at), settings.namespace)
            }
        }
    }
}

/// The ledger as far as it could be read: what a session needs is known after the rules.
pub(super) struct Read<'a> {
    kind: Option<Kind>,
    session: Session<'a>,
    is_shared: bool,
}

enum Kind {
    Embedded { path: PathBuf, settings: ledger::embedded::Settings },
    Etcd(Box<ledger::etcd::Settings>),
    Redis(Box<ledger::redis::Settings>),
}

pub(super) fn read<'a>(root: &Section<'a>) -> Read<'a> {
    let section = root.table("ledger");
    let there: Vec<_> = KINDS.into_iter().filter(|kind| section.has(kind)).collect();
    let of_session = section.table("session");
    match there[..] {
        [] if root.has("ledger") && !section.is_there() => {}
        [] => {
            let message = "no ledger is configured: marks have to be kept somewhere durable";
            let mend = "add `[ledger.embedded]` with `path` for one process, or `[ledger.etcd]` \
                        with `endpoints` for several replicas";
            root.error_at("ledger", message, mend);
        }
        [_] => {}
        [first, second, ..] => {
            let message = format!(
                "there is [ledger.{first}] already: marks in two places would know nothing of each \
                 other"
            );
            let mend = "leave one of them out; `palisade ledger export` and `import` move marks";
            section.error_at(second, message, mend);
        }
    }
    let is_shared = there.iter().any(|kind| *kind != "embedded");
    if !is_shared && of_session.is_there() && there == ["embedded"] {
        let message = "[ledger.session] has no effect: the embedded ledger serves one process";
        let mend = "leave it out, or write `[ledger.etcd]` or `[ledger.redis]`";
        section.report().warn(&section.span_of("session"), message, mend);
    }
    let session = Session::read(of_session, is_shared);
    let timeout = session.timeout();
    let kind = match there[..] {
        ["embedded"] => {
            let embedded = embedded::read(&section.table("embedded"));
            embedded.map(|(path, settings)| Kind::Embedded { path, settings })
        }
        ["etcd"] => {
            session.check_whole_seconds();
            etcd::read(&section.table("etcd"), timeout).map(Box::new).map(Kind::Etcd)
        }
        ["redis"] => redis::read(&section.table("redis"), timeout).map(Box::new).map(Kind::Redis),
        _ => None,
    };
    Read { kind, session, is_shared }
}

impl Read<'_> {
    /// The whole of it; `None` when something is wrong with it.
    pub(super) fn finish(
        self,
        rules: &[Entry<'_>],
        listeners: &[listeners::Entry<'_>],
        upstreams: &[upstreams::Entry],
    ) -> Option<Ledger> {
        if !self.is_shared {
            return match self.kind? {
                Kind::Embedded { path, settings } => Some(Ledger::Embedded { path, settings }),
                Kind::Etcd(_) | Kind::Redis(_) => None,
            };
        }
        session::names_of_upstreams(upstreams, &self.session);
        let session = self.session.finish(rules, listeners);
        match self.kind? {
            Kind::Embedded { .. } => None,
            Kind::Etcd(settings) => Some(Ledger::Etcd { settings, session: session? }),
            Kind::Redis(settings) => Some(Ledger::Redis { settings, session: session? }),
        }
    }

    /// Whether several replicas share it.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The file, where it is one.
    pub(super) fn file(&self) -> Option<&std::path::Path> {
        match &self.kind {
            Some(Kind::Embedded { path, .. }) => Some(path),
            _ => None,
        }
    }
}

/// What tells installations apart that share a ledger.
fn namespace(section: &Section<'_>) -> Option<String> {
    if !section.has("namespace") {
        return Some(NAMESPACE.to_owned());
    }
    word(section, &section.string("namespace")?, "namespace", NAMESPACE_BYTES_MAX)
}

/// A name that can be a part of any key.
fn word(
    section: &Section<'_>,
    text: &Spanned<&str>,
    key: &str,
    bytes_max: usize,
) -> Option<String> {
    let is_good = is_word(text.get_ref(), bytes_max);
    if !is_good {
        let mend = format!("1 to {bytes_max} letters, digits, `-`, `_` and `.`");
        section.report().error(&text.span(), format!("`{key}` cannot be used"), mend);
    }
    is_good.then(|| (*text.get_ref()).to_owned())
}

fn is_word(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// How long a keepalive is waited for at least between two of them.
const KEEPALIVE_MIN: Duration = Duration::from_millis(500);
