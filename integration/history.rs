//! The history checker: what the store applied, in its order, against what writers were told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

use crate::rig::Reply;

/// Violations that are told; more of them say nothing new.
const TOLD_MAX: usize = 50;

/// A line of the journal.
#[derive(Debug, Deserialize)]
struct Line {
    path: String,
    token: Option<String>,
    write: Option<String>,
    whole_ms: u64,
    applied_ms: u64,
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
    /// Where in the journal it is, in bytes.
    pub at: u64,
    /// When the store had all of it, in milliseconds since 1970.
    pub whole_ms: u64,
    /// When it was applied.
    pub applied_ms: u64,
}

impl Applied {
    /// What it belongs to: the folder of its path.
    pub fn resource(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
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

impl Told {
    /// What an answer says, or what none says.
    pub fn by(reply: &Result<Reply, String>) -> Self {
        let Ok(reply) = reply else { return Self::Unknown };
        match reply.header("fencing-refusal") {
            "outcome_unknown" => Self::Unknown,
            _ if reply.status.is_success() => Self::Applied,
            // The store's own failures may have had an effect before they failed.
            "" if reply.status.is_server_error() => Self::Unknown,
            _ => Self::NotApplied,
        }
    }
}

/// What the writers were told, by the names of their writes.
pub type Answers = BTreeMap<String, Told>;

/// A leader's first answer: from here on, nothing with a smaller token may be applied.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The folder.
    pub resource: String,
    pub token: u64,
    /// How long the journal was when the answer was there.
    pub at: u64,
    /// What was answered: `seal`, `read`, ...
    pub by: &'static str,
}

/// What one round has brought.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// In the order of the journal.
    pub applied: Vec<Applied>,
    /// In any order.
    pub opened: Vec<Opened>,
    /// Of all writes of this round.
    pub answers: Answers,
}

/// Judges round after round, and keeps no more of them than the highest token of each resource.
#[derive(Debug, Default)]
pub struct Judge {
    highest: BTreeMap<String, (u64, String)>,
    /// Writes that came too late by the store's own fault.
    pub excused: u64,
}

/// The journal of a store, in the order of application: the writes that bear a token and a name.
pub fn journal(path: &Path) -> Vec<Applied> {
    journal_from(path, 0).0
}

/// The same from a place on, and where it ends.
pub fn journal_from(path: &Path, start: u64) -> (Vec<Applied>, u64) {
    let (lines, end) = lines_from(path, start);
    let applied = lines.into_iter().filter_map(|(at, line)| {
        let Line { path, token, write, whole_ms, applied_ms } =
            serde_json::from_str(&line).unwrap();
        let (token, write) = (token?.parse().unwrap(), write?);
        Some(Applied { path, token, write, at, whole_ms, applied_ms })
    });
    (applied.collect(), end)
}

/// The whole lines of a file from a place on, each with its own place, and where they end.
pub fn lines_from(path: &Path, start: u64) -> (Vec<(u64, String)>, u64) {
    let mut file = File::open(path).unwrap();
    file.seek(SeekFrom::Start(start)).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    let mut at = start;
    let mut lines = Vec::new();
    // A line that is being written is for the next time.
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        lines.push((at, line.to_owned()));
        at += line.len() as u64;
    }
    (lines, at)
}

/// Holds what was applied against what was told. The resource of a path is its folder.
///
/// # Errors
/// Every violation, one a line.
pub fn check(applied: &[Applied], answers: &Answers) -> Result<(), String> {
    let round = Round { applied: applied.to_vec(), answers: answers.clone(), ..Round::default() };
    Judge::default().round(&round, |_| false)
}

impl Judge {
    /// Judges a round in which everything has settled by now. `is_excused` is asked of a write
    /// that was applied after its successor began, and says whether the store is to blame.
    ///
    /// # Errors
    /// The violations, one a line.
    pub fn round(
        &mut self,
        round: &Round,
        is_excused: impl Fn(&Applied) -> bool,
    ) -> Result<(), String> {
        let mut violations = Vec::new();
        let mut opened: Vec<_> = round.opened.iter().collect();
        opened.sort_by_key(|opened| opened.at);
        let mut opened = opened.into_iter().peekable();
        let mut seen = BTreeSet::new();
        for write in &round.applied {
            while let Some(Opened { resource, token, by, .. }) =
                opened.next_if(|opened| opened.at <= write.at)
            {
                self.rise(resource, *token, || format!("the {by}"));
            }
            if !seen.insert(write.write.as_str()) {
                violations.push(format!("{} was applied twice", write.write));
            }
            let resource = write.resource();
            match self.highest.get(resource) {
                Some((token, by)) if *token > write.token && !is_excused(write) => {
                    violations.push(format!(
                        "{resource}: {} with token {} was applied after {by} with token {token}",
                        write.write, write.token
                    ));
                }
                Some((token, _)) if *token > write.token => self.excused += 1,
                _ => self.rise(resource, write.token, || write.write.clone()),
            }
            if self.is_stray(round, write) {
                violations.push(format!("{} was applied long after its round", write.write));
            }
        }
        for Opened { resource, token, by, .. } in opened {
            self.rise(resource, *token, || format!("the {by}"));
        }
        for (write, told) in &round.answers {
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
        let more = violations.len().saturating_sub(TOLD_MAX);
        violations.truncate(TOLD_MAX);
        if more > 0 {
            violations.push(format!("and {more} more"));
        }
        if violations.is_empty() { Ok(()) } else { Err(violations.join("\n")) }
    }

    /// Rounds that know all their writes do not know those of a round before.
    fn is_stray(&self, round: &Round, write: &Applied) -> bool {
        !round.opened.is_empty() && !round.answers.contains_key(&write.write)
    }

    fn rise(&mut self, resource: &str, token: u64, by: impl FnOnce() -> String) {
        match self.highest.get_mut(resource) {
            Some(highest) if highest.0 > token => {}
            Some(highest) => *highest = (token, by()),
            None => drop(self.highest.insert(resource.to_owned(), (token, by()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(history: &[(&str, u64, &str)]) -> Vec<Applied> {
        let applied = history.iter().enumerate().map(|(index, (path, token, write))| Applied {
            path: (*path).to_owned(),
            token: *token,
            write: (*write).to_owned(),
            at: index as u64 * 100,
            whole_ms: 0,
            applied_ms: 0,
        });
        applied.collect()
    }

    fn answers(answers: &[(&str, Told)]) -> Answers {
        answers.iter().map(|(write, told)| ((*write).to_owned(), *told)).collect()
    }

    fn verdict(history: &[(&str, u64, &str)], told: &[(&str, Told)]) -> String {
        check(&applied(history), &answers(told)).err().unwrap_or_default()
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

    #[test]
    fn what_lands_after_a_leaders_first_answer_is_found_in_this_round_and_the_next() {
        let opened = |token, at| Opened { resource: "/b/x".to_owned(), token, at, by: "seal" };
        let told = answers(&[("p", Told::Unknown), ("q", Told::Unknown)]);
        let mut round = Round {
            applied: applied(&[("/b/x/1", 1, "p"), ("/b/x/1", 1, "q")]),
            opened: vec![opened(2, 200)],
            answers: told,
        };
        let judge = |round: &Round, is_excused: bool| {
            let mut judge = Judge::default();
            let verdict = judge.round(round, |_| is_excused).err().unwrap_or_default();
            (judge, verdict)
        };
        let (mut before, verdict) = judge(&round, false);
        assert_eq!(verdict, "");
        round.opened[0].at = 100;
        let (_, verdict) = judge(&round, false);
        let late = "/b/x: q with token 1 was applied after the seal with token 2";
        assert_eq!(verdict, late);
        let (excused, verdict) = judge(&round, true);
        assert_eq!((excused.excused, verdict.as_str()), (1, ""));

        let next = Round {
            applied: applied(&[("/b/x/1", 1, "q")]),
            opened: vec![opened(3, 500)],
            answers: Answers::new(),
        };
        let verdict = before.round(&next, |_| false).unwrap_err();
        assert_eq!(verdict, format!("{late}\nq was applied long after its round"));
    }
}
