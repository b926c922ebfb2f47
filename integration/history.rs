//! The history checker: what the store applied, in its order, against what writers were told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

/// A line of the journal.
#[derive(Debug, Deserialize)]
struct Line {
    path: String,
    token: Option<String>,
    write: Option<String>,
}

/// A write that the store applied, by its journal.
#[derive(Clone, Debug)]
pub struct Applied {
    /// `/bucket/key`.
    pub path: String,
    /// The token that the writer put into the metadata.
    pub token: u64,
    /// The name that the writer gave the write.
    pub write: String,
}

/// What a writer was told about a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// It is in the store.
    Applied,
    /// Nothing of it is in the store, nor will be.
    NotApplied,
    /// Nobody knows.
    Unknown,
}

/// What the writers were told, by the names of their writes.
pub type Answers = BTreeMap<String, Told>;

/// The journal of a store, in the order of application: the writes that bear a token and a name.
pub fn journal(path: &Path) -> Vec<Applied> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap());
    let applied = lines.filter_map(|line| {
        let token = line.token?.parse().unwrap();
        Some(Applied { path: line.path, token, write: line.write? })
    });
    applied.collect()
}

/// Holds what was applied against what was told. The resource of a path is its folder.
///
/// # Errors
/// Every violation, one a line.
pub fn check(applied: &[Applied], answers: &Answers) -> Result<(), String> {
    let mut violations = Vec::new();
    let mut highest: BTreeMap<&str, &Applied> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for write in applied {
        let resource = write.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if let Some(before) = highest.get(resource).filter(|before| before.token > write.token) {
            violations.push(format!(
                "{resource}: {} with token {} was applied after {} with token {}",
                write.write, write.token, before.write, before.token
            ));
        } else {
            highest.insert(resource, write);
        }
        if !seen.insert(write.write.as_str()) {
            violations.push(format!("{} was applied twice", write.write));
        }
    }
    for (write, told) in answers {
        let is_there = seen.contains(write.as_str());
        match told {
            Told::Applied if !is_there => {
                violations.push(format!("{write} was acknowledged and is not there"));
            }
            Told::NotApplied if is_there => {
                violations.push(format!("{write} was refused and is there"));
            }
            _ => {}
        }
    }
    if violations.is_empty() { Ok(()) } else { Err(violations.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(path: &str, token: u64, write: &str) -> Applied {
        Applied { path: path.to_owned(), token, write: write.to_owned() }
    }

    fn verdict(history: &[(&str, u64, &str)], answers: &[(&str, Told)]) -> String {
        let history: Vec<_> = history.iter().map(|(p, t, w)| applied(p, *t, w)).collect();
        let answers = answers.iter().map(|(write, told)| ((*write).to_owned(), *told)).collect();
        check(&history, &answers).err().unwrap_or_default()
    }

    #[test]
    fn good_histories_pass_and_bad_ones_do_not() {
        let good = [("/b/x/1", 1, "p"), ("/b/x/2", 2, "q"), ("/b/y/1", 1, "r"), ("/b/x/1", 2, "s")];
        let answers = [("p", Told::Applied), ("t", Told::NotApplied), ("q", Told::Unknown)];
        assert_eq!(verdict(&good, &answers), "");
        let late = [("/b/x/1", 2, "p"), ("/b/x/2", 1, "q"), ("/b/x/1", 2, "r")];
        assert_eq!(verdict(&late, &[]), "/b/x: q with token 1 was applied after p with token 2");
        let lost = verdict(&good, &[("t", Told::Applied)]);
        assert_eq!(lost, "t was acknowledged and is not there");
        let lie = verdict(&good, &[("p", Told::NotApplied)]);
        assert_eq!(lie, "p was refused and is there");
        let twice = [("/b/x/1", 1, "p"), ("/b/x/1", 1, "p")];
        assert_eq!(verdict(&twice, &[]), "p was applied twice");
    }
}
