//! What the table has to look like, by what everybody was told.

use std::collections::{BTreeMap, BTreeSet};

use super::errand::{Fate, Line};

/// Violations of a kind that are told; more of them say nothing new.
const TOLD_MAX: usize = 10;

/// A row of the log.
#[derive(Clone, Debug)]
pub struct Row {
    pub resource: u32,
    /// Its place in the order of the resource's commits.
    pub clock: u64,
    pub token: u64,
    pub write: String,
    /// What it made of the counter.
    pub value: u64,
}

/// What a leader has told.
#[derive(Clone, Debug)]
pub struct Story {
    pub resource: u32,
    pub token: u64,
    pub lines: Vec<Line>,
}

/// Every violation, one a line.
///
/// `rows` in the order of resource and clock.
pub fn judge(rows: &[Row], stories: &[Story]) -> Result<(), String> {
    let mut violations = Violations::default();
    let mut resources = BTreeMap::<u32, Vec<&Row>>::new();
    for row in rows {
        resources.entry(row.resource).or_default().push(row);
    }
    for (resource, rows) in &resources {
        for pair in rows.windows(2) {
            let (before, Row { token, write, value, .. }) = (pair[0], pair[1]);
            if *token < before.token {
                let told = format!(
                    "r{resource}: {write} with token {token} was committed after {} with token {}",
                    before.write, before.token
                );
                violations.note("order", told);
            }
            if *value <= before.value {
                let told = format!(
                    "r{resource}: lost update: {write} made {value} of the counter, which {} had \
                     made {}",
                    before.write, before.value
                );
                violations.note("lost update", told);
            }
        }
    }
    // The smallest token from each row of a resource on.
    let smallest: BTreeMap<u32, Vec<u64>> = resources
        .iter()
        .map(|(resource, rows)| {
            let tokens = rows.iter().rev().scan(u64::MAX, |smallest, row| {
                *smallest = row.token.min(*smallest);
                Some(*smallest)
            });
            let mut tokens: Vec<_> = tokens.collect();
            tokens.reverse();
            (*resource, tokens)
        })
        .collect();
    let there: BTreeMap<&str, &Row> = rows.iter().map(|row| (row.write.as_str(), row)).collect();
    if there.len() != rows.len() {
        violations.note("twice", "a write is there twice".to_owned());
    }
    let mut known = BTreeSet::new();
    for Story { resource, token, lines } in stories {
        for line in lines {
            match line {
                Line::Opened { seen, .. } => {
                    let Some(rows) = resources.get(resource) else { continue };
                    let first = rows.partition_point(|row| row.clock <= *seen);
                    if smallest[resource].get(first).is_none_or(|smallest| smallest >= token) {
                        continue;
                    }
                    for row in rows[first..].iter().filter(|row| row.token < *token) {
                        let told = format!(
                            "r{resource}: {} with token {} was committed when the leader with \
                             token {token} had read",
                            row.write, row.token
                        );
                        violations.note("late", told);
                    }
                }
                Line::Begun { write } => drop(known.insert(write.as_str())),
                Line::Told { write, fate } => match (fate, there.contains_key(write.as_str())) {
                    (Fate::Applied, false) => {
                        violations
                            .note("lost", format!("{write} was acknowledged and is not there"));
                    }
                    (Fate::NotApplied, true) => {
                        violations.note("lie", format!("{write} was refused and is there"));
                    }
                    _ => {}
                },
                Line::Complaint { what } => {
                    violations.note("complaint", format!("r{resource}, token {token}: {what}"));
                }
                Line::At { .. } | Line::Ended { .. } => {}
            }
        }
    }
    let strange = rows.iter().filter(|row| !known.contains(row.write.as_str()));
    for row in strange {
        violations.note("nobody", format!("nobody has written {}", row.write));
    }
    violations.report()
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
mod tests {
    use super::*;

    fn row(clock: u64, token: u64, write: &str, value: u64) -> Row {
        Row { resource: 0, clock, token, write: write.to_owned(), value }
    }

    fn story(token: u64, lines: &[Line]) -> Story {
        let begun = ["p", "q", "r"].map(|write| Line::Begun { write: write.to_owned() });
        Story { resource: 0, token, lines: [&begun[..], lines].concat() }
    }

    fn verdict(rows: &[Row], token: u64, lines: &[Line]) -> String {
        judge(rows, &[story(token, lines)]).err().unwrap_or_default()
    }

    fn told(write: &str, fate: Fate) -> Line {
        Line::Told { write: write.to_owned(), fate }
    }

    #[test]
    fn good_histories_pass_and_bad_ones_do_not() {
        let good = [row(1, 1, "p", 1), row(2, 1, "q", 2), row(3, 2, "r", 3)];
        let opened = Line::Opened { seen: 2, counter: 2 };
        let lines = [opened, told("q", Fate::Applied), told("s", Fate::NotApplied)];
        assert_eq!(verdict(&good, 2, &lines), "");
        assert_eq!(verdict(&good, 2, &[told("p", Fate::Unknown), told("s", Fate::Unknown)]), "");

        let late = Line::Opened { seen: 1, counter: 1 };
        let told_late = "r0: q with token 1 was committed when the leader with token 2 had read";
        assert_eq!(verdict(&good, 2, &[late]), told_late);
        let lost = verdict(&good, 1, &[told("s", Fate::Applied)]);
        assert_eq!(lost, "s was acknowledged and is not there");
        let lie = verdict(&good, 1, &[told("p", Fate::NotApplied)]);
        assert_eq!(lie, "p was refused and is there");

        let back = [row(1, 2, "p", 1), row(2, 1, "q", 2)];
        let told_back = "r0: q with token 1 was committed after p with token 2";
        assert_eq!(verdict(&back, 1, &[]), told_back);
        let over = [row(1, 1, "p", 5), row(2, 2, "q", 5)];
        assert!(verdict(&over, 1, &[]).contains("lost update: q made 5"));
        let nobody = [row(1, 1, "x", 1)];
        assert_eq!(verdict(&nobody, 1, &[]), "nobody has written x");
        let complaint = Line::Complaint { what: "no".to_owned() };
        assert_eq!(verdict(&good, 1, &[complaint]), "r0, token 1: no");
    }
}
