//! In which resources this process has a grant, and what it has lately seen of rows.

use std::collections::{BTreeSet, HashMap};

use super::text::Kept;
use crate::fence::{Own, Resource};

/// How many rows are remembered so that a change need not read first: two of these.
pub(super) const RECENT_MAX: usize = 16_384;
/// A row that takes more memory, in bytes, is read each time.
const RECENT_ROW_MAX_BYTES: usize = 8_192;

/// A row as it was at a version.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Seen {
    /// 0: there was none.
    pub(super) version: u64,
    pub(super) kept: Kept,
}

/// One grant of this process: 16 bytes, and the name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Grant {
    /// Of which session it may be: the smallest number.
    session: u64,
    /// Which change of the row this process last saw.
    version: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Held {
    grants: HashMap<Resource, Grant>,
    /// What was seen lately, and before that.
    recent: (HashMap<Resource, Seen>, HashMap<Resource, Seen>),
    /// Whose last change may or may not have been done, or still be done: in which session.
    doubts: HashMap<Resource, u64>,
}

impl Held {
    /// A change that may set a grant is sent.
    pub(super) fn expect(&mut self, resource: &Resource, own: &Own) {
        let session = own.current.number();
        self.grants.entry(resource.clone()).or_insert(Grant { session, version: 0 });
    }

    /// A row was read, changed or told. False when something newer is known of it.
    pub(super) fn learn(&mut self, resource: &Resource, seen: &Seen, own: &Own) -> bool {
        let known = self.grants.get(resource);
        if known.is_some_and(|known| known.version > seen.version) {
            return false;
        }
        let grants = &seen.kept.row.grants;
        match grants.keys().filter(|session| own.has(session)).map(|session| session.number()).min()
        {
            Some(session) => {
                let grant = Grant { session, version: seen.version };
                match self.grants.get_mut(resource) {
                    Some(known) => *known = grant,
                    None => drop(self.grants.insert(resource.clone(), grant)),
                }
            }
            // A change in doubt may have set one.
            None if self.doubts.contains_key(resource) => {}
            None => drop(self.grants.remove(resource)),
        }
        true
    }

    /// Forgets what version was known: the ledger has told less than that for certain.
    pub(super) fn look_anew(&mut self, resource: &Resource, version: u64) {
        if let Some(known) = self.grants.get_mut(resource)
            && known.version == version
        {
            known.version = 0;
        }
    }

    pub(super) fn count(&self) -> usize {
        self.grants.len()
    }

    /// Those resources, and the versions.
    pub(super) fn all(&self) -> Vec<(Resource, u64)> {
        self.grants.iter().map(|(resource, grant)| (resource.clone(), grant.version)).collect()
    }

    /// The sessions whose grants may still be there.
    pub(super) fn sessions(&self) -> BTreeSet<u64> {
        self.grants.values().map(|grant| grant.session).collect()
    }

    /// What was last seen of a row; it may have changed since.
    pub(super) fn recent(&self, resource: &Resource) -> Option<&Seen> {
        self.recent.0.get(resource).or_else(|| self.recent.1.get(resource))
    }

    pub(super) fn remember(&mut self, resource: &Resource, seen: Seen) {
        if self.recent(resource).is_some_and(|known| known.version > seen.version) {
            return;
        }
        if seen.kept.size_bytes() > RECENT_ROW_MAX_BYTES {
            self.forget(resource);
            return;
        }
        if self.recent.0.len() >= RECENT_MAX {
            self.recent.1 = std::mem::take(&mut self.recent.0);
        }
        self.recent.0.insert(resource.clone(), seen);
    }

    pub(super) fn forget(&mut self, resource: &Resource) {
        self.recent.0.remove(resource);
        self.recent.1.remove(resource);
    }

    pub(super) fn forget_all(&mut self) {
        self.recent = Default::default();
    }

    /// A change was sent, and nobody knows what became of it.
    pub(super) fn doubt(&mut self, resource: &Resource, own: &Own) {
        self.doubts.insert(resource.clone(), own.current.number());
        self.expect(resource, own);
        self.forget(resource);
    }

    pub(super) fn is_in_doubt(&self, resource: &Resource) -> bool {
        self.doubts.contains_key(resource)
    }

    /// A later change was done: an earlier one that expected another version cannot be any more.
    pub(super) fn is_certain(&mut self, resource: &Resource) {
        self.doubts.remove(resource);
    }

    /// That session and those before it can change nothing any more.
    pub(super) fn is_over(&mut self, session: u64) {
        self.doubts.retain(|_, doubtful| *doubtful > session);
        self.forget_all();
    }
}
