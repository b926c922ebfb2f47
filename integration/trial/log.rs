//! What the leaders and the faults of a run write down, for the judge and for people.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use crate::history::{Answers, Opened, Told};
use crate::rig::Reply;

/// Writes of one round: the bound of what the judge has to hold in memory.
const WRITES_MAX: usize = 50_000;

/// Shared by everybody.
#[derive(Debug)]
pub struct Log {
    journal: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    round: Notes,
    tokens: BTreeMap<String, u64>,
    raised: BTreeMap<String, u64>,
    complaints: Vec<String>,
    counts: Counts,
}

/// Of one round.
#[derive(Debug, Default)]
pub struct Notes {
    pub answers: Answers,
    /// When each write began, in milliseconds since 1970.
    pub begun_ms: BTreeMap<String, u64>,
    pub opened: Vec<Opened>,
    /// When Palisade was killed.
    pub killed_ms: Vec<u64>,
    /// When the store could not do its work, from and to.
    pub stalls_ms: Vec<(u64, u64)>,
}

/// Of the whole run.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub applied: u64,
    pub stale: u64,
    pub refused: u64,
    pub unknown: u64,
    pub takeovers: u64,
    pub kills: u64,
    pub freezes: u64,
    pub rounds: u64,
    /// Times that the machine itself stood still.
    pub stalls: u64,
    /// Writes that came too late by the store's own fault.
    pub excused: u64,
    /// How often each kind of fault was tried, and hit.
    pub faults: BTreeMap<&'static str, (u64, u64)>,
}

impl Log {
    /// A log of what goes to the store with that journal.
    pub fn new(journal: PathBuf) -> Self {
        Self { journal, state: Mutex::default() }
    }

    /// The next token of a resource.
    pub fn token(&self, resource: &str, gap: u64) -> u64 {
        let mut state = self.state();
        let token = state.tokens.entry(resource.to_owned()).or_default();
        *token += gap;
        *token
    }

    /// A write begins: from here on it may be in the store. False when there were too many.
    pub fn begin(&self, write: &str) -> bool {
        let mut state = self.state();
        let Notes { answers, begun_ms, .. } = &mut state.round;
        if answers.len() >= WRITES_MAX {
            return false;
        }
        answers.insert(write.to_owned(), Told::Unknown);
        begun_ms.insert(write.to_owned(), now_ms());
        true
    }

    /// What its writer was told.
    pub fn told(&self, write: &str, reply: &Result<Reply, String>) -> Told {
        let told = Told::by(reply);
        let mut state = self.state();
        state.round.answers.insert(write.to_owned(), told);
        let counts = &mut state.counts;
        match told {
            Told::Applied => counts.applied += 1,
            Told::Unknown => counts.unknown += 1,
            Told::NotApplied if reply.as_ref().is_ok_and(is_stale) => counts.stale += 1,
            Told::NotApplied => counts.refused += 1,
        }
        told
    }

    /// A write that must not be in the store, whatever its writer was told.
    pub fn forbid(&self, write: &str) {
        self.state().round.answers.insert(write.to_owned(), Told::NotApplied);
    }

    /// A new leader has its first answer.
    pub fn opened(&self, resource: &str, token: u64, by: &'static str) {
        // The journal as it is after the answer: what is behind this place was applied later.
        let at = std::fs::metadata(&self.journal).unwrap().len();
        let mut state = self.state();
        let opened = Opened { resource: format!("/{resource}"), token, at, by };
        state.round.opened.push(opened);
        state.counts.takeovers += 1;
        let raised = state.raised.entry(resource.to_owned()).or_default();
        *raised = token.max(*raised);
    }

    /// The tokens that leaders have had an answer with: no mark may be lower.
    pub fn raised(&self) -> BTreeMap<String, u64> {
        self.state().raised.clone()
    }

    /// The highest token that anybody has brought: no mark may be higher.
    pub fn asked(&self, resource: &str) -> u64 {
        self.state().tokens.get(resource).copied().unwrap_or(0)
    }

    /// Something is wrong that the journal does not show.
    pub fn complain(&self, complaint: String) {
        self.state().complaints.push(complaint);
    }

    /// What is wrong so far.
    pub fn complaints(&self) -> Vec<String> {
        self.state().complaints.clone()
    }

    /// A fault was tried, and has hit or not.
    pub fn fault(&self, kind: &'static str, has_hit: bool) {
        let mut state = self.state();
        let (tried, hit) = state.counts.faults.entry(kind).or_default();
        *tried += 1;
        *hit += u64::from(has_hit);
    }

    /// Palisade was killed.
    pub fn killed(&self) {
        let mut state = self.state();
        state.counts.kills += 1;
        state.round.killed_ms.push(now_ms());
    }

    /// The store did not do its work.
    pub fn stalled(&self, from_ms: u64, to_ms: u64) {
        self.state().round.stalls_ms.push((from_ms, to_ms));
    }

    /// Changes the counts.
    pub fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.state().counts);
    }

    /// The counts so far.
    pub fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    /// Takes what was noted in this round, and begins another.
    pub fn take_round(&self) -> Notes {
        std::mem::take(&mut self.state().round)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Notes {
    /// How long the store stood still between two moments.
    pub fn stalled_ms(&self, from_ms: u64, to_ms: u64) -> u64 {
        let overlap =
            |&(start, end): &(u64, u64)| end.min(to_ms).saturating_sub(start.max(from_ms));
        self.stalls_ms.iter().map(overlap).sum()
    }
}

fn is_stale(reply: &Reply) -> bool {
    reply.header("fencing-refusal") == "stale"
}

/// Milliseconds since 1970: the store's journal has the same clock.
pub fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(since_epoch.as_millis()).unwrap()
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { applied, stale, refused, unknown, takeovers, kills, freezes, .. } = self;
        let faults: u64 = self.faults.values().map(|(_, hit)| hit).sum();
        write!(
            f,
            "writes: {applied} applied, {stale} stale, {refused} refused otherwise, {unknown} \
             unknown; {takeovers} takeovers, {kills} kills, {freezes} freezes, {faults} faults"
        )
    }
}
