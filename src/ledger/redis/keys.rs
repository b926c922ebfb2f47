//! The names of the ledger's keys. All of a namespace have its hash tag, so they are in one slot.

use crate::fence::{Resource, SessionId};

/// The names within one namespace: `palisade:v1:{NAMESPACE}:...`.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
    fixed: [String; FIXED.len()],
}

/// In the order in which the scripts take them: see `lua/prelude.lua`.
const FIXED: [&str; 8] =
    ["generation", "log", "rows", "sessions", "seen", "number", "frozen", "origin"];

impl Keys {
    pub(super) fn new(namespace: &str) -> Self {
        let prefix = format!("palisade:v1:{{{namespace}}}:");
        let fixed = FIXED.map(|name| format!("{prefix}{name}"));
        Self { prefix, fixed }
    }

    /// The keys that every script is given.
    pub(super) fn fixed(&self) -> &[String] {
        &self.fixed
    }

    /// The feed.
    pub(super) fn log(&self) -> &str {
        &self.fixed[1]
    }

    /// What the keys of all sessions begin with.
    pub(super) fn sessions(&self) -> String {
        format!("{}session:", self.prefix)
    }

    pub(super) fn session(&self, id: &SessionId) -> String {
        format!("{}session:{id}", self.prefix)
    }

    /// What the keys of all rows begin with.
    pub(super) fn rows(&self) -> String {
        format!("{}row:", self.prefix)
    }

    pub(super) fn row(&self, resource: &Resource) -> String {
        format!("{}row:{resource}", self.prefix)
    }

    /// What an ACL has to allow.
    pub(super) fn pattern(&self) -> String {
        format!("~{}*", self.prefix)
    }
}
