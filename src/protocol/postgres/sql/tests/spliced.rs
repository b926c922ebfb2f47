//! Statements made of pieces of others: whatever of it is judged a read changes nothing on a server.

use super::rig::{self, Server};
use super::table;
use crate::protocol::postgres::sql::scan::scan;
use crate::protocol::postgres::sql::{Verdict, verdict};

/// `PALISADE_SPLICES` makes a longer run.
const SPLICES: usize = 20_000;

/// Reads that are run between two looks at the state of the server.
const READS_PER_LOOK: usize = 20;

/// Pieces that statements rarely have, and readers quarrel about.
const PIECES: &[&str] = &[
    "--",
    "\n",
    "/*",
    "*/",
    "'",
    "E'",
    "\\",
    "$$",
    "$a$",
    "\"",
    "U&'",
    ";",
    "(",
    ")",
    "::",
    ".",
    ",",
    "+",
    "-",
    " AS ",
    " pg_notify('news','x') ",
    " pg_advisory_lock(1) ",
    " (5::bigint).pg_advisory_lock ",
    " nextval('counter') ",
    " txid_current() ",
    " NOTIFY news ",
    " WITH a AS ",
    " , ",
    " TREAT(5 AS pg_advisory_lock) ",
    " LATERAL ",
    " ONLY ",
    " SELECT ",
];

/// A generator that is the same everywhere (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end.max(1) as u64).unwrap()
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

fn splice(chance: &mut Chance, statements: &[String]) -> String {
    let mut text = chance.of(statements).clone();
    for _ in 0..=chance.below(3) {
        let boundaries: Vec<usize> = match scan(&text) {
            Ok(tokens) if !tokens.is_empty() => {
                tokens.iter().flat_map(|token| [token.start, token.end()]).collect()
            }
            _ => return text,
        };
        let from = *chance.of(&boundaries);
        let to = match chance.below(3) {
            0 => *chance.of(&boundaries),
            _ => from,
        };
        let other = chance.of(statements);
        let piece = match chance.below(2) {
            0 => (*chance.of(PIECES)).to_owned(),
            _ => match scan(other) {
                Ok(tokens) if !tokens.is_empty() => {
                    let first = chance.below(tokens.len());
                    let last = first + chance.below(tokens.len() - first);
                    format!(" {} ", &other[tokens[first].start..tokens[last].end()])
                }
                _ => other.clone(),
            },
        };
        text.replace_range(from.min(to)..from.max(to), &piece);
    }
    text
}

#[test]
fn no_splice_that_counts_as_a_read_changes_anything() {
    let count = std::env::var("PALISADE_SPLICES").map_or(SPLICES, |count| count.parse().unwrap());
    let server = Server::shared();
    let _alone = rig::quiet();
    let mut observer = server.reader();
    observer.must("LISTEN news");
    let mut session = server.reader();
    let mut chance = Chance(7);
    let statements: Vec<String> = table::rows().into_iter().map(|row| row.statement).collect();
    let (mut reads, mut taken) = (Vec::new(), 0_usize);
    let before = table::state(&mut observer);
    for _ in 0..count {
        let text = splice(&mut chance, &statements);
        // A role of its own may see less of what is compared, and others have to wait.
        let tedious = ["pg_sleep", "ROLE", "AUTHORIZATION", "LOCK TABLE"]
            .iter()
            .any(|word| text.contains(word));
        if verdict(&text) != Verdict::Read || tedious {
            continue;
        }
        let reply = session.ask(&text);
        taken += usize::from(reply.error.is_none());
        reads.push(text);
        if reads.len().is_multiple_of(READS_PER_LOOK) {
            let recent = &reads[reads.len() - READS_PER_LOOK..];
            assert_eq!(before, table::state(&mut observer), "one of {recent:#?}");
            session.ask("ROLLBACK");
            session.must("DISCARD ALL");
            assert_eq!(
                session.must("SHOW default_transaction_read_only"),
                [["on"]],
                "one of {recent:#?}"
            );
        }
    }
    eprintln!("{} of {count} are reads, {taken} are taken by the server", reads.len());
    assert!(reads.len() > count / 50 && taken > count / 200, "{} {taken}", reads.len());
}
