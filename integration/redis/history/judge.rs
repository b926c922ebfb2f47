//! What the server's journal has to look like, by what everybody was told.

use std::collections::{BTreeMap, BTreeSet};

use super::errand::{Fate, Line};
use super::journal::{Event, Wrote};

/// Violations of a kind that are told; more of them say nothing new.
const TOLD_MAX: usize = 10;

/// What a leader has told.
#[derive(Clone, Debug)]
pub struct Story {
    pub resource: u32,
    pub token: u64,
    pub lines: Vec<Line>,
}

/// Every violation, one a line.
pub fn judge(events: &BTreeMap<u32, Vec<Event>>, stories: &[Story]) -> Result<(), String> {
    let mut violations = Violations::default();
    let known: BTreeSet<&str> = stories.iter().flat_map(|story| begun(&story.lines)).collect();
    let resources: BTreeSet<u32> = stories.iter().map(|story| story.resource).collect();
    for resource in resources.union(&events.keys().copied().collect()).copied() {
        let events = events.get(&resource).map_or(&[][..], Vec::as_slice);
        let stories: Vec<_> = stories.iter().filter(|story| story.resource == resource).collect();
        let field = Field::of(resource, events, &stories, &mut violations);
        field.order(&mut violations);
        field.values(&mut violations);
        field.lists(&mut violations);
        field.told(&mut violations);
        field.strays(&mut violations);
        let wrote = field.wrote().filter(|wrote| !known.contains(wrote.write.as_str()));
        for Wrote { write, .. } in wrote {
            violations.note("nobody", format!("nobody has written {write}"));
        }
    }
    violations.report()
}

fn begun(lines: &[Line]) -> impl Iterator<Item = &str> {
    lines.iter().filter_map(|line| match line {
        Line::Begun { write } => Some(write.as_str()),
        _ => None,
    })
}

/// One resource.
struct Field<'a> {
    resource: u32,
    events: &'a [Event],
    stories: &'a [&'a Story],
    /// Who said that it was given that item.
    takers: BTreeMap<&'a str, (u64, &'a str)>,
}

impl<'a> Field<'a> {
    fn of(
        resource: u32,
        events: &'a [Event],
        stories: &'a [&'a Story],
        violations: &mut Violations,
    ) -> Self {
        let mut takers = BTreeMap::new();
        for Story { token, lines, .. } in stories {
            for line in lines {
                let Line::Popped { write, item } = line else { continue };
                let before = takers.insert(item.as_str(), (*token, write.as_str()));
                if let Some((_, before)) = before {
                    let told = format!("r{resource}: {before} and {write} were both given {item}");
                    violations.note("given twice", told);
                }
            }
        }
        Self { resource, events, stories, takers }
    }

    fn wrote(&self) -> impl Iterator<Item = &'a Wrote> {
        self.events.iter().filter_map(|event| match event {
            Event::Wrote(wrote) => Some(wrote),
            _ => None,
        })
    }

    /// Whose it is, where that is known.
    fn token(&self, event: &'a Event) -> Option<(u64, &'a str)> {
        match event {
            Event::Wrote(Wrote { token, write, .. }) => Some((*token, write)),
            Event::Popped { item, .. } => self.takers.get(item.as_str()).copied(),
            Event::Tallied | Event::Rest => None,
        }
    }

    /// No smaller token behind a larger one.
    fn order(&self, violations: &mut Violations) {
        let mut before: (u64, &str) = (0, "");
        for (token, write) in self.events.iter().filter_map(|event| self.token(event)) {
            if token < before.0 {
                let told = format!(
                    "r{}: {write} with token {token} was applied after {} with token {}",
                    self.resource, before.1, before.0
                );
                violations.note("order", told);
            } else {
                before = (token, write);
            }
        }
    }

    /// The counter, its two copies, and what the scripts have counted.
    fn values(&self, violations: &mut Violations) {
        let resource = self.resource;
        let mut last = BTreeMap::<&str, &Wrote>::new();
        let (mut tally, mut scripts) = (0, 0);
        for event in self.events {
            match event {
                Event::Wrote(wrote) => {
                    let Wrote { key, write, value, .. } = wrote;
                    scripts += usize::from(key == "log" && write.ends_with("-script"));
                    let before = last.insert(key, wrote).filter(|_| key == "counter");
                    if let Some(before) = before.filter(|before| *value <= before.value) {
                        let told = format!(
                            "r{resource}: lost update: {write} made {} of the counter, which {} \
                             had made {}",
                            value.unwrap_or_default(),
                            before.write,
                            before.value.unwrap_or_default()
                        );
                        violations.note("lost update", told);
                    }
                }
                Event::Tallied => tally += 1,
                Event::Popped { .. } => {}
                Event::Rest => {
                    let write = |key: &str| last.get(key).map(|wrote| wrote.write.as_str());
                    if write("a") != write("b") {
                        let told = format!("r{resource}: {:?} beside {:?}", write("a"), write("b"));
                        violations.note("unequal", told);
                        return;
                    }
                    if tally != scripts {
                        let told = format!("r{resource}: {scripts} scripts counted {tally} times");
                        violations.note("tally", told);
                        return;
                    }
                }
            }
        }
    }

    /// Nothing with a smaller token behind what a leader found when it had read.
    fn lists(&self, violations: &mut Violations) {
        let log: Vec<_> = self.wrote().filter(|wrote| wrote.key == "log").collect();
        let log = log.into_iter().map(|wrote| Some((wrote.token, wrote.write.as_str()))).collect();
        let taken = self.events.iter().filter(|event| match event {
            Event::Popped { by, .. } => *by == "take",
            _ => false,
        });
        let taken = taken.map(|event| self.token(event)).collect();
        for (list, name) in [(Late::of(log), "log"), (Late::of(taken), "taken")] {
            for Story { token, lines, .. } in self.stories {
                for line in lines {
                    let Line::Opened { log, taken } = line else { continue };
                    let seen = if name == "log" { *log } else { *taken };
                    for (other, write) in list.behind(seen, *token) {
                        let told = format!(
                            "r{}: {write} with token {other} was applied when the leader with \
                             token {token} had read",
                            self.resource
                        );
                        violations.note("late", told);
                    }
                }
            }
        }
    }

    /// What was acknowledged is there, what was refused is not.
    fn told(&self, violations: &mut Violations) {
        let resource = self.resource;
        let there: BTreeSet<&str> = self.wrote().map(|wrote| wrote.write.as_str()).collect();
        let mut twice = BTreeSet::new();
        for Wrote { key, write, .. } in self.wrote() {
            if !twice.insert((key, write)) {
                violations.note("twice", format!("{write} was applied twice to {key}"));
            }
        }
        let popped: BTreeSet<&str> = self.events.iter().filter_map(item).collect();
        for Story { token, lines, .. } in self.stories {
            for line in lines {
                match line {
                    Line::Told { write, fate } => match (fate, there.contains(write.as_str())) {
                        (Fate::Applied, false) => violations
                            .note("lost", format!("{write} was acknowledged and is not there")),
                        (Fate::NotApplied, true) => {
                            violations.note("lie", format!("{write} was refused and is there"));
                        }
                        _ => {}
                    },
                    Line::Popped { write, item } if !popped.contains(item.as_str()) => {
                        let told = format!("{write} was given {item}, which is there still");
                        violations.note("given", told);
                    }
                    Line::Complaint { what } => {
                        violations.note("complaint", format!("r{resource}, token {token}: {what}"));
                    }
                    _ => {}
                }
            }
        }
    }

    /// What was taken, and nobody says that it was given it: somebody must have been told that
    /// nobody knows, or was killed, and in its place in the order of tokens.
    fn strays(&self, violations: &mut Violations) {
        let mut unsure = self.unsure();
        let tokens: Vec<_> = self.events.iter().map(|event| self.token(event)).collect();
        let mut low = 0;
        for (index, event) in self.events.iter().enumerate() {
            low = tokens[index].map_or(low, |(token, _)| token.max(low));
            let Event::Popped { item, by } = event else { continue };
            if tokens[index].is_some() {
                continue;
            }
            let later = tokens[index..].iter().flatten().map(|(token, _)| *token);
            let high = later.min().unwrap_or(u64::MAX);
            let found = unsure
                .iter()
                .position(|(token, kind)| kind == by && (low..=high.max(low)).contains(token));
            match found {
                Some(found) => drop(unsure.remove(found)),
                None => {
                    let told = format!("r{}: {item} is gone, and nobody has it", self.resource);
                    violations.note("gone", told);
                }
            }
        }
    }

    /// Tokens and kinds of those who wanted something and do not know whether they got it, the
    /// smallest first.
    fn unsure(&self) -> Vec<(u64, &'static str)> {
        let mut unsure = Vec::new();
        for Story { token, lines, .. } in self.stories {
            let known = lines.iter().filter_map(|line| match line {
                Line::Told { write, fate } if *fate != Fate::Unknown => Some(write.as_str()),
                Line::Popped { write, .. } => Some(write),
                _ => None,
            });
            let known: BTreeSet<&str> = known.collect();
            for write in begun(lines).filter(|write| !known.contains(write)) {
                let kind = ["pop", "take"].into_iter().find(|kind| write.ends_with(kind));
                unsure.extend(kind.map(|kind| (*token, kind)));
            }
        }
        unsure.sort_unstable();
        unsure
    }
}

fn item(event: &Event) -> Option<&str> {
    match event {
        Event::Popped { item, .. } => Some(item),
        _ => None,
    }
}

/// A list, each element with its token where that is known.
struct Late<'a> {
    list: Vec<Option<(u64, &'a str)>>,
    /// From each place on.
    smallest: Vec<u64>,
}

impl<'a> Late<'a> {
    fn of(list: Vec<Option<(u64, &'a str)>>) -> Self {
        let mut smallest: Vec<_> = list
            .iter()
            .rev()
            .scan(u64::MAX, |smallest, one| {
                *smallest = one.map_or(*smallest, |(token, _)| token.min(*smallest));
                Some(*smallest)
            })
            .collect();
        smallest.reverse();
        Self { list, smallest }
    }

    /// What is behind that place and has a smaller token.
    fn behind(&self, seen: u64, token: u64) -> Vec<(u64, &'a str)> {
        let seen = usize::try_from(seen).unwrap();
        if self.smallest.get(seen).is_none_or(|smallest| *smallest >= token) {
            return Vec::new();
        }
        self.list[seen..].iter().flatten().filter(|(other, _)| *other < token).copied().collect()
    }
}

/// What is wrong, by kinds: of each, the first are told.
#[derive(Default)]
struct Violations(BTreeMap<&'static str, Vec<String>>);

impl Violations {
    fn note(&mut self, kind: &'static str, told: String) {
        self.0.entry(kind).or_default().push(told);
    }

    fn report(self) -> Result<(), String> {
        let mut lines = Vec::new();
        for (kind, told) in &self.0 {
            lines.extend(told.iter().take(TOLD_MAX).cloned());
            if told.len() > TOLD_MAX {
                lines.push(format!("{kind}: {} more", told.len() - TOLD_MAX));
            }
        }
        if lines.is_empty() { Ok(()) } else { Err(lines.join("\n")) }
    }
}

#[cfg(test)]
mod tests;
