//! From a request's path and identity to a resource and what is allowed there.
//!
//! Pure: no I/O and no clock. Built by `config`, asked by every protocol.

mod pattern;
mod template;
#[cfg(test)]
mod tests;
mod who;

use std::sync::Arc;
use std::time::Duration;

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

/// One `[[resources]]` entry of the configuration.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The rule's own name, for metrics and messages.
    pub name: Arc<str>,
    /// Which paths it covers.
    pub pattern: Pattern,
    /// The name of the resource that a path belongs to.
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
}

impl Default for Sessions {
    fn default() -> Self {
        Self { role: None, drain: Duration::from_secs(5), replication: false }
    }
}

impl Rule {
    /// The role to log in as, for a path that the rule's pattern matches and for the role that
    /// the client names.
    pub fn role(&self, path: &str, asked: &str) -> String {
        let filled = self.sessions.role.as_ref().zip(self.pattern.matches(path));
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

/// What a path belongs to.
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
            if let Some(captures) = rule.pattern.matches(path) {
                let resource = Resource::new(&rule.resource.fill(&captures))?;
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
