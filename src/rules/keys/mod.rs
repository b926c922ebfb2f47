//! From a key and its database to a resource.

mod pattern;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub(super) use pattern::DATABASE;
use pattern::Values;
pub use pattern::{KeyPattern, KeyPatternError};

use super::{Matched, Rule, Rules};
use crate::fence::{Resource, ResourceError};

/// The keys that a rule covers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Keys {
    /// Which keys.
    pub pattern: KeyPattern,
    /// Of which databases, by their numbers; `None` is all of them.
    pub databases: Option<Vec<u32>>,
}

/// What a key has at the places of a pattern, and its database.
#[derive(Clone, Debug)]
pub struct KeyCaptures<'k> {
    values: Values<'k>,
    database: u32,
}

/// Everything in a database, or in the whole instance.
#[derive(Clone, Debug)]
pub struct All {
    /// The rules that may match there, in the order in which they are asked.
    pub rules: Vec<Arc<Rule>>,
    /// All of the resources; or, for people, why they cannot be counted.
    pub resources: Result<Vec<Matched>, String>,
}

impl Keys {
    /// Whether it has keys of that database.
    pub fn is_in(&self, database: u32) -> bool {
        self.databases.as_ref().is_none_or(|databases| databases.contains(&database))
    }

    /// What this key has at the pattern's places; `None` where it does not match.
    pub fn matches<'k>(&self, database: u32, key: &'k [u8]) -> Option<KeyCaptures<'k>> {
        let values = self.is_in(database).then(|| self.pattern.matches(key)).flatten()?;
        Some(KeyCaptures { values, database })
    }

    /// Whether it has every key of a database; `None` is the instance.
    pub fn are_all(&self, database: Option<u32>) -> bool {
        let is_whole = database.map_or(self.databases.is_none(), |database| self.is_in(database));
        is_whole && self.pattern.is_all()
    }

    /// Whether every key of `other` is one of these too. May say no where a closer look would
    /// say yes.
    pub fn covers(&self, other: &Self) -> bool {
        let databases = match (&self.databases, &other.databases) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(ours), Some(theirs)) => theirs.iter().all(|number| ours.contains(number)),
        };
        databases && self.pattern.covers(&other.pattern)
    }
}

impl<'k> KeyCaptures<'k> {
    /// What the place of that number matched.
    pub fn at(&self, place: usize) -> Option<&'k [u8]> {
        self.values.get(place).copied()
    }

    /// The number of the database.
    pub fn database(&self) -> u32 {
        self.database
    }
}

impl Rules {
    /// The rule for a key (or a channel) of a database, and the resource it names.
    ///
    /// # Errors
    /// When the rule's template makes no valid name of this key.
    pub fn find_key(&self, database: u32, key: &[u8]) -> Result<Option<Matched>, ResourceError> {
        let Some((rule, captures)) = self.first(database, key) else { return Ok(None) };
        let resource = rule.resource.of_key(&captures)?;
        Ok(Some(Matched { rule: Arc::clone(rule), resource }))
    }

    /// As [`Self::find_key`], for those who have seen most of the names before and look there
    /// first: only writes the name, over whatever `name` held, and does not ask whether it is a
    /// [`Resource`]'s.
    ///
    /// # Errors
    /// When the name would not be text.
    pub fn name_key(
        &self,
        database: u32,
        key: &[u8],
        name: &mut String,
    ) -> Result<Option<&Arc<Rule>>, ResourceError> {
        name.clear();
        let Some((rule, captures)) = self.first(database, key) else { return Ok(None) };
        rule.resource.write_key(&captures, name)?;
        Ok(Some(rule))
    }

    /// The one resource of every key of that database (`None`: of the whole instance), if there
    /// is one: then keys need not be looked at.
    ///
    /// # Errors
    /// When the rule's template makes no valid name.
    pub fn sole(&self, database: Option<u32>) -> Result<Option<Matched>, ResourceError> {
        let first =
            self.over_keys().find(|(_, keys)| database.is_none_or(|database| keys.is_in(database)));
        let Some((rule, _)) = first.filter(|(rule, keys)| {
            keys.are_all(database) && (database.is_some() || !rule.resource.has_database())
        }) else {
            return Ok(None);
        };
        one(rule, database.unwrap_or_default()).map(Some)
    }

    /// Everything in a database (`None`: in the instance): all of the rules that may match there,
    /// and all of the resources, where they can be counted.
    pub fn all(&self, database: Option<u32>) -> All {
        let mut rules = Vec::new();
        let mut is_whole = false;
        for (rule, keys) in self.over_keys() {
            if database.is_none_or(|database| keys.is_in(database)) {
                rules.push(Arc::clone(rule));
                is_whole = keys.are_all(database);
            }
            // Nothing is left for those behind it.
            if is_whole {
                break;
            }
        }
        let resources = match is_whole {
            true => counted(&rules, database),
            false => Err(match database {
                Some(database) => format!("no rule covers every key of database {database}"),
                None => "no rule covers every key of every database".to_owned(),
            }),
        };
        All { rules, resources }
    }

    /// The rule that lets this identity administer the server: one that covers every key.
    pub fn administered(&self, identity: &str) -> Option<&Arc<Rule>> {
        let all = self.over_keys().filter(|(_, keys)| keys.are_all(None));
        all.map(|(rule, _)| rule).find(|rule| rule.who.administer.contains(identity))
    }

    fn over_keys(&self) -> impl Iterator<Item = (&Arc<Rule>, &Keys)> {
        self.iter().filter_map(|rule| rule.covers.keys().map(|keys| (rule, keys)))
    }

    fn first<'k>(&self, database: u32, key: &'k [u8]) -> Option<(&Arc<Rule>, KeyCaptures<'k>)> {
        self.over_keys().find_map(|(rule, keys)| Some((rule, keys.matches(database, key)?)))
    }
}

/// Every resource of rules in a database, or in all of them.
fn counted(rules: &[Arc<Rule>], database: Option<u32>) -> Result<Vec<Matched>, String> {
    let mut found = Vec::new();
    for rule in rules {
        let many =
            |place: &str| format!("rule \"{}\" has a resource for each {{{place}}}", rule.name);
        let keys = rule.covers.keys();
        if let Some(place) = keys.and_then(|keys| rule.resource.first_of(keys.pattern.names())) {
            return Err(many(place));
        }
        let databases = match (database, keys.and_then(|keys| keys.databases.as_deref())) {
            (Some(database), _) => vec![database],
            (None, _) if !rule.resource.has_database() => vec![0],
            (None, Some(databases)) => databases.to_vec(),
            (None, None) => return Err(many(DATABASE)),
        };
        for database in databases {
            found.push(one(rule, database).map_err(|error| error.to_string())?);
        }
    }
    Ok(found)
}

/// The resource of a rule that has none but for the database.
fn one(rule: &Arc<Rule>, database: u32) -> Result<Matched, ResourceError> {
    let captures = KeyCaptures { values: Values::new(), database };
    let resource: Resource = rule.resource.of_key(&captures)?;
    Ok(Matched { rule: Arc::clone(rule), resource })
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keys {}", self.pattern)?;
        let Some(databases) = &self.databases else { return Ok(()) };
        let numbers: Vec<_> = databases.iter().map(u32::to_string).collect();
        write!(f, " of database {}", numbers.join(", "))
    }
}
