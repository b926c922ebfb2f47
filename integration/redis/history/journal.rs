//! What the server has done, in its order: its append-only file.
//!
//! It is written before the answers go out, so whatever anybody was told is in it. A transaction
//! stands between MULTI and EXEC, and so does what a script has done; a pop that had to wait
//! stands there as one that had not.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use crate::rig::redis::Value;

/// Something that has happened to a resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A write that says whose it is.
    Wrote(Wrote),
    /// Somebody was given this, and the list it was in.
    Popped { item: String, by: &'static str },
    /// A script has counted.
    Tallied,
    /// Between transactions.
    Rest,
}

/// A write to one key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrote {
    pub key: String,
    pub token: u64,
    pub write: String,
    /// What it made of the counter, or of its copies.
    pub value: Option<u64>,
}

/// By resource.
#[derive(Debug, Default)]
pub struct Journal {
    pub events: BTreeMap<u32, Vec<Event>>,
    queues: BTreeMap<(u32, String), VecDeque<String>>,
    is_in_transaction: bool,
}

impl Journal {
    /// Reads all of the server's files in its folder.
    pub fn read(folder: &Path) -> Self {
        let mut journal = Self::default();
        let files = std::fs::read_dir(folder.join("appendonlydir")).unwrap();
        let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "aof"));
        files.sort();
        for bytes in files.iter().map(|path| std::fs::read(path).unwrap()) {
            // The first is a snapshot of what was there at the start: nothing.
            if !bytes.starts_with(b"REDIS") {
                journal.take(&bytes);
            }
        }
        journal
    }

    fn take(&mut self, mut bytes: &[u8]) {
        // One that is being written has no end.
        while let Some((command, length)) = Value::read(bytes) {
            bytes = &bytes[length..];
            let words: Vec<String> = command.list().iter().map(Value::to_string).collect();
            self.note(&words);
        }
    }

    fn note(&mut self, words: &[String]) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let name = words[0].to_ascii_uppercase();
        match (name.as_str(), &words[1..]) {
            ("MULTI", _) => self.is_in_transaction = true,
            ("EXEC", _) => {
                self.is_in_transaction = false;
                self.events.values_mut().for_each(|events| events.push(Event::Rest));
            }
            ("RPUSH", [key, items @ ..]) => {
                for item in items {
                    match part(key).1 {
                        "log" => self.wrote(key, item, None),
                        _ => self.queue(key).push_back((*item).to_owned()),
                    }
                }
            }
            ("SET", [key, value, ..]) => {
                let (number, entry) = value.split_once(' ').unwrap();
                self.wrote(key, entry, Some(number.parse().unwrap()));
            }
            ("LPOP", [key, ..]) => {
                let item = self.queue(key).pop_front().unwrap();
                self.push(key, Event::Popped { item, by: "pop" });
            }
            ("LMOVE" | "BLMOVE", [from, to, ..]) => {
                let item = self.queue(from).pop_front().unwrap();
                self.queue(to).push_back(item.clone());
                self.push(to, Event::Popped { item, by: "take" });
            }
            ("INCR", [key]) => self.push(key, Event::Tallied),
            ("SELECT", _) => {}
            _ => panic!("nobody said {words:?}"),
        }
    }

    fn wrote(&mut self, key: &str, entry: &str, value: Option<u64>) {
        let (token, write) = entry.split_once(' ').unwrap();
        let (token, write) = (token.parse().unwrap(), write.to_owned());
        let wrote = Wrote { key: part(key).1.to_owned(), token, write, value };
        self.push(key, Event::Wrote(wrote));
    }

    fn push(&mut self, key: &str, event: Event) {
        let events = self.events.entry(part(key).0).or_default();
        events.push(event);
        if !self.is_in_transaction {
            events.push(Event::Rest);
        }
    }

    fn queue(&mut self, key: &str) -> &mut VecDeque<String> {
        let (resource, name) = part(key);
        self.queues.entry((resource, name.to_owned())).or_default()
    }

    /// What is in a list that is not the log.
    pub fn list(&self, resource: u32, name: &str) -> Vec<String> {
        let list = self.queues.get(&(resource, name.to_owned()));
        list.into_iter().flatten().cloned().collect()
    }
}

/// The resource of a key, and what it is called there.
fn part(key: &str) -> (u32, &str) {
    let (resource, name) = key.strip_prefix("jobs:r").unwrap().split_once(':').unwrap();
    (resource.parse().unwrap(), name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::redis::words;

    #[test]
    fn a_file_is_read() {
        let lines = [
            "SELECT 0",
            "RPUSH jobs:r1:queue i",
            "LPOP jobs:r1:queue",
            "MULTI",
            "INCR jobs:r1:tally",
            "EXEC",
            "RPUSH jobs:r1:jobs j",
            "LMOVE jobs:r1:jobs jobs:r1:taken LEFT RIGHT",
        ];
        let mut bytes: Vec<u8> = lines.iter().flat_map(|line| words(line)).collect();
        let value = crate::rig::redis::command(&["SET", "jobs:r1:counter", "7 3 w"]);
        bytes.extend(&value);
        // The beginning of one more.
        bytes.extend(&value[..value.len() - 1]);
        let mut journal = Journal::default();
        journal.take(&bytes);
        let wrote = |key: &str, token, write: &str, value| {
            Event::Wrote(Wrote { key: key.to_owned(), token, write: write.to_owned(), value })
        };
        let expected = [
            Event::Popped { item: "i".to_owned(), by: "pop" },
            Event::Rest,
            Event::Tallied,
            Event::Rest,
            Event::Popped { item: "j".to_owned(), by: "take" },
            Event::Rest,
            wrote("counter", 3, "w", Some(7)),
            Event::Rest,
        ];
        assert_eq!(journal.events[&1], expected);
        assert_eq!(journal.list(1, "taken"), ["j"]);
        assert!(journal.list(1, "jobs").is_empty());
    }
}
