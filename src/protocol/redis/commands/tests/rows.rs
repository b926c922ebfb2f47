//! The rows of docs/redis-commands.md.

use std::ops::Deref;

use crate::protocol::redis::commands::{Access, Act, Command, Commands, Finding, Kind, Reach};

const DOCUMENT: &str = include_str!("../../../../../docs/redis-commands.md");

/// A row: `| command | counts as | touches | since | why |`.
pub(super) struct Row {
    pub line: String,
    pub args: Vec<String>,
    pub counts_as: String,
    pub touches: String,
    pub since: String,
    pub why: String,
}

pub(super) fn rows() -> Vec<Row> {
    let rows: Vec<Row> = DOCUMENT.lines().filter(|line| line.starts_with("| `")).map(row).collect();
    assert!(rows.len() > 450, "{}", rows.len());
    rows
}

fn row(line: &str) -> Row {
    let (command, rest) = line[3..].split_once("` |").expect("a command in backquotes");
    let cells: Vec<&str> = rest.split('|').map(str::trim).collect();
    let [counts_as, touches, since, why, ""] = cells.as_slice() else {
        panic!("five cells: {line}")
    };
    Row {
        line: command.into(),
        args: split(command),
        counts_as: (*counts_as).into(),
        touches: (*touches).into(),
        since: (*since).into(),
        why: (*why).into(),
    }
}

/// Words, of which some are in double quotes.
fn split(line: &str) -> Vec<String> {
    let mut args = Vec::new();
    for (number, part) in line.split('"').enumerate() {
        if number % 2 == 1 {
            args.push(part.into());
        } else {
            args.extend(part.split_ascii_whitespace().map(String::from));
        }
    }
    args
}

impl Row {
    /// Redis of this version has it.
    pub(super) fn is_in(&self, version: (u32, u32)) -> bool {
        let since = self.since.split(',').next().unwrap_or_default();
        let Some((major, minor)) = since.split_once('.') else { return since.is_empty() };
        match (major.parse::<u32>(), minor.parse::<u32>()) {
            (Ok(major), Ok(minor)) => (major, minor) <= version,
            _ => false,
        }
    }

    pub(super) fn arg(&self, index: usize) -> Option<&[u8]> {
        self.args.get(index).map(String::as_bytes)
    }

    pub(super) fn command<'a>(
        &self,
        commands: &'a impl Deref<Target = Commands>,
    ) -> Option<&'a Command> {
        commands.find(self.arg(0).expect("a name"), self.arg(1))
    }

    pub(super) fn find(&self, commands: &impl Deref<Target = Commands>) -> Option<Finding> {
        let command = self.command(commands)?;
        Some(command.touches(self.args.len(), |index| self.arg(index)))
    }

    /// How it counts and what it touches, in the words of the document.
    pub(super) fn judged(&self, commands: &impl Deref<Target = Commands>) -> (String, String) {
        let Some(command) = self.command(commands) else { return ("unknown".into(), "-".into()) };
        let finding = command.touches(self.args.len(), |index| self.arg(index));
        let Finding::Touches(touches, is_script) = finding else {
            return (format!("{finding:?}"), "-".into());
        };
        let mut said: Vec<String> = Vec::new();
        for key in &touches.keys {
            let place = key.database.map(|database| format!(" in database {database}"));
            said.push(format!(
                "`{}` {}{}",
                self.args[key.index],
                access(key.access),
                place.unwrap_or_default()
            ));
        }
        if let Some((how, reach)) = touches.everything {
            let what = match reach {
                Reach::Database(None) => "the database".into(),
                Reach::Database(Some(database)) => format!("database {database}"),
                Reach::Databases(one, other) => format!("databases {one} and {other}"),
                Reach::Instance => "the instance".into(),
            };
            said.push(format!("{what} {}", access(how)));
        }
        let some = |how| {
            touches.keys.iter().any(|key| key.access == how)
                || touches.everything.is_some_and(|(everything, _)| everything == how)
        };
        let counts_as = match command.kind {
            Kind::Free => "free",
            Kind::Admin => "administrative",
            Kind::Session(_) => "session",
            Kind::Refused(_) => "refused",
            Kind::Data if is_script => "script",
            Kind::Data => match (some(Access::Read), some(Access::Write)) {
                (true, true) => "read and write",
                (true, false) => "read",
                (false, true) => "write",
                (false, false) => "free",
            },
        };
        assert_eq!(is_script, command.is_script(), "{}", self.line);
        if command.kind == Kind::Session(Act::Watch) {
            assert_eq!(touches.access(), Some(Access::Read));
        }
        let touches = if said.is_empty() { "-".into() } else { said.join(", ") };
        (counts_as.into(), touches)
    }
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
    }
}
