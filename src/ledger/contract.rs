//! What every ledger has to do, whatever it is made of: the same tests for each.
//!
//! A ledger brings itself as a [`Subject`], and runs [`all`]. Faults that only one kind has
//! (a torn file, a lost connection) are tested beside that kind. What ledgers that several replicas
//! share have to do besides is in [`replicas`].

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::{HISTORY_MAX, Ledger, Pending};
use crate::fence::{Granted, Holder, Mark, RaiseOutcome, Record, Resource, Token};

pub mod replicas;

/// How the process that had the ledger ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// With [`Ledger::close`].
    Close,
    /// Without.
    Kill,
}

/// A ledger under test, empty at first.
pub trait Subject: Send {
    /// The ledger as it is now.
    fn ledger(&self) -> &dyn Ledger;

    /// Ends the process that has it, so to speak, and starts the next one on the same state.
    fn restart(&mut self, end: End) -> Pending<'_, ()>;

    /// Whether the next process is somebody else: the grants of the one before are not its own.
    fn is_shared(&self) -> bool {
        false
    }
}

/// What the next process finds where this one found that record.
fn inherited(subject: &dyn Subject, end: End, record: &Record) -> Record {
    let Record { mark, grant, behind } = record.clone();
    if !subject.is_shared() {
        return Record { mark, grant, behind };
    }
    let is_left = end == End::Kill && grant > Token::ZERO && grant < mark.token;
    Record { mark, grant: Token::ZERO, behind: behind || is_left }
}

/// Runs every case on a subject of its own.
pub async fn all<S: Subject>(mut make: impl AsyncFnMut() -> S) {
    starts_empty(&mut make().await).await;
    raise_is_compare_and_max(&mut make().await).await;
    grant_needs_the_mark(&mut make().await).await;
    history_is_bounded(&mut make().await).await;
    names_are_ordered_bytes(&mut make().await).await;
    session_tells_how_it_ended(&mut make().await).await;
    closed_takes_nothing(&mut make().await).await;
    racing_raises_leave_the_largest(&mut make().await).await;
    dropped_raise_is_settled_before_load(&mut make().await).await;
    for seed in 0..3 {
        agrees_with_a_map(&mut make().await, seed).await;
    }
}

pub fn resource(name: &str) -> Resource {
    Resource::new(name).unwrap()
}

pub fn mark(counter: u64, holder: &str) -> Mark {
    Mark { token: Token::new(0, counter), holder: Holder::new(holder) }
}

pub fn record(mark: Mark, grant: u64) -> RaiseOutcome {
    RaiseOutcome::Done(Record { mark, grant: Token::new(0, grant), behind: false })
}

async fn starts_empty(subject: &mut dyn Subject) {
    let ledger = subject.ledger();
    assert_eq!(ledger.load(&resource("a")).await.unwrap(), Record::default());
    assert_eq!(ledger.entry(&resource("a")).await.unwrap(), None);
    assert_eq!(ledger.list(None, 10).await.unwrap(), vec![]);
    assert!(!ledger.ended_uncleanly());
    ledger.health().unwrap();
    // A raise to nothing changes nothing, and leaves no row.
    let nothing = Mark::default();
    assert_eq!(ledger.raise(&resource("a"), &nothing, true).await, record(nothing.clone(), 0));
    assert_eq!(ledger.entry(&resource("a")).await.unwrap(), None);
}

async fn raise_is_compare_and_max(subject: &mut dyn Subject) {
    let a = &resource("a");
    let ledger = subject.ledger();
    let raise =
        async |counter, holder, quiesced| ledger.raise(a, &mark(counter, holder), quiesced).await;
    assert_eq!(raise(33, "one", true).await, record(mark(33, "one"), 33));
    // Lower, and equal by another holder: neither mark, holder nor grant moves.
    assert_eq!(raise(32, "two", true).await, record(mark(33, "one"), 33));
    assert_eq!(raise(33, "two", true).await, record(mark(33, "one"), 33));
    // The grant moves only with a quiesced raise.
    assert_eq!(raise(34, "two", false).await, record(mark(34, "two"), 33));
    assert_eq!(raise(34, "two", true).await, record(mark(34, "two"), 33));
    assert_eq!(raise(35, "one", true).await, record(mark(35, "one"), 35));
    // A later incarnation outranks every counter.
    let reset = Mark { token: Token::new(1, 1), holder: Holder::new("three") };
    let RaiseOutcome::Done(found) = ledger.raise(a, &reset, false).await else { panic!() };
    assert_eq!(found, Record { mark: reset.clone(), grant: Token::new(0, 35), behind: false });
    assert_eq!(raise(u64::MAX >> 1, "four", true).await, RaiseOutcome::Done(found.clone()));
    let mut found = found;
    for end in [End::Close, End::Kill, End::Kill] {
        found = inherited(subject, end, &found);
        subject.restart(end).await;
        assert_eq!(subject.ledger().load(a).await.unwrap(), found, "after {end:?}");
    }
    assert_eq!(subject.ledger().load(&resource("b")).await.unwrap(), Record::default());
}

async fn grant_needs_the_mark(subject: &mut dyn Subject) {
    let a = &resource("a");
    let ledger = subject.ledger();
    assert_eq!(ledger.grant(a, Token::new(0, 5)).await, Granted::Moved);
    ledger.raise(a, &mark(5, "one"), true).await;
    ledger.raise(a, &mark(6, "two"), false).await;
    let moved_on = ledger.grant(a, Token::new(0, 5)).await;
    assert_eq!(moved_on, Granted::Moved);
    assert_eq!(ledger.grant(a, Token::new(0, 7)).await, Granted::Moved);
    assert_eq!(ledger.load(a).await.unwrap().grant, Token::new(0, 5));
    for _ in 0..2 {
        assert_eq!(ledger.grant(a, Token::new(0, 6)).await, Granted::Done { behind: false });
    }
    subject.restart(End::Kill).await;
    let found = subject.ledger().load(a).await.unwrap();
    let before = Record { mark: mark(6, "two"), grant: Token::new(0, 6), behind: false };
    assert_eq!(found, inherited(subject, End::Kill, &before));
}

async fn history_is_bounded(subject: &mut dyn Subject) {
    let a = &resource("a");
    let before = SystemTime::now() - Duration::from_secs(1);
    let raises = HISTORY_MAX as u64 + 3;
    for counter in 1..=raises {
        let holder = format!("leader-{counter}");
        subject.ledger().raise(a, &mark(counter, &holder), counter % 2 == 0).await;
        subject.ledger().raise(a, &mark(counter, "late"), true).await;
    }
    for end in [None, Some(End::Close)] {
        if let Some(end) = end {
            subject.restart(end).await;
        }
        let entry = subject.ledger().entry(a).await.unwrap().unwrap();
        assert_eq!(entry.record, subject.ledger().load(a).await.unwrap());
        let told: Vec<_> =
            entry.history.iter().map(|r| (r.token.counter(), r.holder.to_string())).collect();
        let wanted: Vec<_> = (raises - HISTORY_MAX as u64 + 1..=raises)
            .map(|counter| (counter, format!("leader-{counter}")))
            .collect();
        assert_eq!(told, wanted);
        let after = SystemTime::now() + Duration::from_secs(1);
        assert!(entry.history.iter().all(|r| before < r.at && r.at < after));
        assert!(entry.history.is_sorted_by_key(|r| r.at));
    }
}

async fn names_are_ordered_bytes(subject: &mut dyn Subject) {
    let longest = "z".repeat(Resource::LEN_MAX_BYTES);
    let names = ["a", "a/", "a/1", "a0", "b b", "ä", "日本", &longest];
    let mut sorted: Vec<_> = names.iter().map(|name| name.to_string()).collect();
    sorted.sort();
    let ledger = subject.ledger();
    for (counter, name) in (1..).zip(names) {
        ledger.raise(&resource(name), &mark(counter, name), true).await;
    }
    let list = async |after: Option<&str>, max| -> Vec<String> {
        let entries = ledger.list(after, max).await.unwrap();
        entries.iter().map(|entry| entry.resource.to_string()).collect()
    };
    assert_eq!(list(None, 100).await, sorted);
    assert_eq!(list(None, 0).await, Vec::<String>::new());
    assert_eq!(list(None, 3).await, sorted[..3]);
    assert_eq!(list(Some(&sorted[2]), 3).await, sorted[3..6]);
    assert_eq!(list(Some("a/0"), 1).await, ["a/1"]);
    assert_eq!(list(Some(&sorted[7]), 3).await, Vec::<String>::new());
    for entry in ledger.list(None, 100).await.unwrap() {
        assert_eq!(ledger.entry(&entry.resource).await.unwrap(), Some(entry));
    }
}

async fn session_tells_how_it_ended(subject: &mut dyn Subject) {
    assert!(!subject.ledger().ended_uncleanly(), "there was no process before");
    for end in [End::Kill, End::Close, End::Close, End::Kill, End::Kill, End::Close] {
        subject.restart(end).await;
        let is_told = end == End::Kill && !subject.is_shared();
        assert_eq!(subject.ledger().ended_uncleanly(), is_told);
    }
}

async fn closed_takes_nothing(subject: &mut dyn Subject) {
    let a = &resource("a");
    let ledger = subject.ledger();
    ledger.raise(a, &mark(1, "one"), true).await;
    ledger.close().await.unwrap();
    assert_eq!(ledger.raise(a, &mark(2, "two"), true).await, RaiseOutcome::Failed);
    assert_eq!(ledger.grant(a, Token::new(0, 1)).await, Granted::Failed);
    assert!(ledger.load(a).await.is_err());
    assert!(ledger.health().is_err());
    ledger.close().await.unwrap();
    subject.restart(End::Close).await;
    assert!(!subject.ledger().ended_uncleanly());
    assert_eq!(subject.ledger().load(a).await.unwrap().mark, mark(1, "one"));
}

/// The gate does not do this to one resource, but other replicas may.
async fn racing_raises_leave_the_largest(subject: &mut dyn Subject) {
    let a = &resource("a");
    let ledger = subject.ledger();
    let marks: Vec<_> = (1..=200).map(|i| mark(i * 7919 % 211, "racer")).collect();
    let answers = marks.iter().map(|to| ledger.raise(a, to, true));
    for (to, outcome) in marks.iter().zip(futures_util::future::join_all(answers).await) {
        let RaiseOutcome::Done(found) = outcome else { panic!("{outcome:?}") };
        assert!(found.mark.token >= to.token);
    }
    let largest = marks.iter().map(|to| to.token).max().unwrap();
    assert_eq!(ledger.load(a).await.unwrap().mark.token, largest);
}

/// A load never answers from before a raise that may still be done.
async fn dropped_raise_is_settled_before_load(subject: &mut dyn Subject) {
    let ledger = subject.ledger();
    for round in 0..50 {
        let name = &resource(&format!("r{round}"));
        let to = mark(9, "gone");
        let mut raise = ledger.raise(name, &to, true);
        let _ = futures_util::poll!(&mut raise);
        drop(raise);
        let first = ledger.load(name).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(ledger.load(name).await.unwrap(), first, "it was done after the load");
    }
}

/// The obvious model of a row.
#[derive(Clone, Default)]
struct Known {
    mark: Mark,
    grant: Token,
    /// What killed processes have left.
    dead: Vec<Token>,
}

impl Known {
    fn record(&self) -> Record {
        let behind = self.dead.iter().any(|dead| *dead < self.mark.token);
        Record { mark: self.mark.clone(), grant: self.grant, behind }
    }

    fn inherit(&mut self, end: End) {
        let left = std::mem::take(&mut self.grant);
        if end == End::Kill && left > Token::ZERO {
            self.dead.push(left);
        }
    }
}

/// Everything at once, against the obvious model.
async fn agrees_with_a_map(subject: &mut dyn Subject, seed: u64) {
    let mut model: BTreeMap<Resource, Known> = BTreeMap::new();
    let mut state = seed;
    let mut chance = |below: u64| {
        // Knuth's MMIX generator; its upper half is random enough.
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    for _ in 0..150 {
        let name = resource(&format!("orders/{}", chance(6)));
        match chance(20) {
            0 => {
                let end = if chance(2) == 0 { End::Close } else { End::Kill };
                subject.restart(end).await;
                if subject.is_shared() {
                    model.values_mut().for_each(|known| known.inherit(end));
                }
            }
            1..4 => {
                let at = Token::new(0, chance(40));
                let found = subject.ledger().grant(&name, at).await;
                let is_new = !model.contains_key(&name);
                let known = model.get_mut(&name).filter(|known| known.mark.token == at);
                let wanted = match known {
                    Some(known) => {
                        known.grant = at;
                        Granted::Done { behind: known.record().behind }
                    }
                    None if at == Token::ZERO && is_new => Granted::Done { behind: false },
                    None => Granted::Moved,
                };
                assert_eq!(found, wanted);
            }
            4..8 => {
                let wanted = model.get(&name).map(Known::record).unwrap_or_default();
                assert_eq!(subject.ledger().load(&name).await.unwrap(), wanted);
            }
            _ => {
                let to = mark(chance(40), ["one", "two"][chance(2) as usize]);
                let quiesced = chance(2) == 0;
                let mut known = model.get(&name).cloned().unwrap_or_default();
                if to.token > known.mark.token {
                    known.mark = to.clone();
                    if quiesced {
                        known.grant = to.token;
                    }
                    model.insert(name.clone(), known.clone());
                }
                let found = subject.ledger().raise(&name, &to, quiesced).await;
                assert_eq!(found, RaiseOutcome::Done(known.record()));
            }
        }
    }
    let found = subject.ledger().list(None, 100).await.unwrap();
    let found: BTreeMap<_, _> = found.into_iter().map(|e| (e.resource, e.record)).collect();
    let model = model.into_iter().map(|(name, known)| (name, known.record())).collect();
    assert_eq!(found, model);
}
