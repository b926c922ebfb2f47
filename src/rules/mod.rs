//! From a request's path or key and identity to a resource and what is allowed there.
//!
//! Pure: no I/O and no clock. Built by `config`, asked by every protocol.

mod keys;
mod pattern;
mod template;
#[cfg(test)]
mod tests;
mod who;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use keys::{All, KeyCaptures, KeyPattern, KeyPatternError, Keys};
pub use pattern::{Captures, Pattern, PatternError};
pub use template::{Template, TemplateError};
pub use who::{Globs, Who};

use crate::fence::{Holder, Resource, ResourceError, TokenRules};
use crate::net::identity::Identity;

/// Whether a token belongs to an identity or to one certificate of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HolderKind {
    /// For leaders whose restarts keep name and token.
    Certificate,
    /// The default.
    #[default]
    Identity,
}

/// From which moment a write may take effect in the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CommitPoint {
    /// From its head on.
    Head,
    /// From the last byte of its body on.
    LastByte,
}

/// Whether a read has to bring a token.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reads {
    /// A read may come without a token; one that brings a token seals.
    #[default]
    Open,
    /// A read without a token is refused.
    Token,
}

/// Whether a script is believed what it declares.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Scripts {
    /// A script or a function touches the keys that it declares; one that declares none touches
    /// everything.
    #[default]
    Declared,
    /// Scripts and functions are refused, but for the forms that only read.
    Refuse,
}

/// What a rule is about: paths of requests and sessions, or keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Covers {
    /// For Redis.
    Keys(Keys),
    /// For HTTP, S3 and PostgreSQL.
    Paths(Pattern),
}

/// One `[[resources]]` entry of the configuration.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The rule's own name, for metrics and messages.
    pub name: Arc<str>,
    /// Which paths or keys it covers.
    pub covers: Covers,
    /// The name of the resource that a path or a key belongs to.
    pub resource: Template,
    /// Who may do what.
    pub who: Who,
    /// Whether reads need a token.
    pub reads: Reads,
    /// What is plausible, and whether tokens are shared.
    pub tokens: TokenRules,
    /// Whom a token belongs to.
    pub holder: HolderKind,
    /// From when a write counts.
    pub commit_point: CommitPoint,
    /// How long after its last byte the store may still apply a request that it has not answered.
    pub settle_timeout: Duration,
    /// How long a request waits for a takeover before it is told `unsettled`.
    pub takeover_timeout: Duration,
    /// For stores that are spoken to in sessions.
    pub sessions: Sessions,
}

/// What a rule says of sessions with a database.
#[derive(Clone, Debug)]
pub struct Sessions {
    /// The role to log in as, by the places of the path; `None` is the one that the client names.
    pub role: Option<Template>,
    /// How long what runs at a takeover may go on before it is ended.
    pub drain: Duration,
    /// Whether replication connections are let in.
    pub replication: bool,
    /// What is made of scripts and functions.
    pub scripts: Scripts,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            role: None,
            drain: Duration::from_secs(5),
            replication: false,
            scripts: Scripts::default(),
        }
    }
}

impl Covers {
    /// Its pattern of paths, if it is about paths.
    pub fn paths(&self) -> Option<&Pattern> {
        match self {
            Self::Keys(_) => None,
            Self::Paths(pattern) => Some(pattern),
        }
    }

    /// Its keys, if it is about keys.
    pub fn keys(&self) -> Option<&Keys> {
        match self {
            Self::Keys(keys) => Some(keys),
            Self::Paths(_) => None,
        }
    }

    /// Whether everything that `other` covers is covered by this too. May say no where a closer
    /// look would say yes.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Keys(ours), Self::Keys(theirs)) => ours.covers(theirs),
            (Self::Paths(ours), Self::Paths(theirs)) => ours.covers(theirs),
            (Self::Keys(_), Self::Paths(_)) | (Self::Paths(_), Self::Keys(_)) => false,
        }
    }

    /// The pattern's text, as in the configuration.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Keys(keys) => keys.pattern.as_str(),
            Self::Paths(pattern) => pattern.as_str(),
        }
    }
}

impl fmt::Display for Covers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(keys) => keys.fmt(f),
            Self::Paths(pattern) => write!(f, "path {pattern}"),
        }
    }
}

impl Rule {
    /// The role to log in as, for a path that the rule's pattern matches and for the role that
    /// the client names.
    pub fn role(&self, path: &str, asked: &str) -> String {
        let captures = self.covers.paths().and_then(|pattern| pattern.matches(path));
        let filled = self.sessions.role.as_ref().zip(captures);
        filled.map_or_else(|| asked.to_owned(), |(role, captures)| role.fill(&captures))
    }

    /// Who holds the token that this identity brings.
    pub fn holder(&self, identity: &Identity) -> Holder {
        match self.holder {
            HolderKind::Certificate => {
                Holder::new(format!("{}#{}", identity.name, identity.fingerprint))
            }
            HolderKind::Identity => Holder::new(Arc::clone(&identity.name)),
        }
    }
}

/// The rules of one listener, in the order of the file: the first that matches decides.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Arc<Rule>>,
}

/// What a path or a key belongs to.
#[derive(Clone, Debug)]
pub struct Matched {
    /// The rule that decides.
    pub rule: Arc<Rule>,
    /// The resource by its template.
    pub resource: Resource,
}

impl Rules {
    /// Rules in the order in which they are asked.
    pub fn new(rules: Vec<Arc<Rule>>) -> Self {
        Self { rules }
    }

    /// The rule for a decoded path such as `/bucket/key`, and the resource it names.
    ///
    /// # Errors
    /// When the rule's template makes no valid name of this path.
    pub fn find(&self, path: &str) -> Result<Option<Matched>, ResourceError> {
        for rule in &self.rules {
            let pattern = rule.covers.paths();
            if let Some(captures) = pattern.and_then(|pattern| pattern.matches(path)) {
                let resource = rule.resource.of_path(&captures)?;
                return Ok(Some(Matched { rule: Arc::clone(rule), resource }));
            }
        }
        Ok(None)
    }

    /// In the order in which they are asked.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter()
    }
}
