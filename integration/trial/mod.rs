//! A trial: leaders in turn over many resources, everything goes wrong once a round, and the
//! history checker judges what has become of it.
//!
//! | file | has |
//! |---|---|
//! | `plan` | what a seed stands for |
//! | `leaders` | those who write |
//! | `conductor`, `ills` | the faults, and what Palisade has to do about each |
//! | `shim` | the way into the calls of the process |
//! | `log` | what was done and told |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

mod chance;
mod conductor;
mod ills;
mod leaders;
mod log;
mod plan;
mod shim;

pub use chance::Chance;
pub use leaders::{Crew, take_turns};
pub use log::{Counts, Log, Notes, now_ms};
pub use plan::KINDS;

use self::conductor::Conductor;
use self::plan::{DELAY_MS_MAX, RESOURCES, SETTLE_MS, SETTLE_TIMEOUT};
use self::shim::Shim;
use crate::history::{self, Applied, Judge, Round};
use crate::rig::{Options, Rig};

/// Longest time for one fault, with everything that has to work again after it.
const FAULT_DEADLINE: Duration = Duration::from_secs(90);
/// Longest time until the last writer of a round has ended.
const WRITERS_DEADLINE: Duration = Duration::from_secs(60);
/// Between two lines about how far it is.
const PROGRESS: Duration = Duration::from_secs(10);
/// A gap in the steps of a clock from which on the machine counts as having stood still.
const STALL: Duration = Duration::from_millis(150);

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Settings {
    pub seed: u64,
    /// How long; one round at least.
    pub time: Duration,
    /// Where the folder of the run is made. It stays there if the run fails.
    pub parent: PathBuf,
}

/// A run that failed.
#[derive(Debug)]
pub struct Failed {
    /// All that is wrong.
    pub why: String,
    /// Where the journal, the logs, the ledger and the verdict are.
    pub folder: PathBuf,
    pub counts: Counts,
}

/// Runs it.
///
/// # Errors
/// Palisade broke a promise, or a kind of fault never hit.
pub async fn run(settings: &Settings) -> Result<Counts, Failed> {
    std::fs::create_dir_all(&settings.parent).unwrap();
    let prefix = format!("seed-{}-", settings.seed);
    let dir = tempfile::Builder::new().prefix(&prefix).tempdir_in(&settings.parent).unwrap();
    let shim = Shim::build(dir.path());
    let edits = vec![("filter = \"info\"", "filter = \"warn\"".to_owned())];
    let options = Options {
        settle_timeout: SETTLE_TIMEOUT,
        takeover_timeout: "3s",
        edits,
        ..Options::default()
    };
    let mut rig = Rig::prepare(dir, options);
    // Until it has passed: also when something panics.
    rig.keep(true);
    let folder = rig.dir().to_owned();
    shim.ports(rig.address.port(), rig.store.address.port());
    rig.environment(shim.environment(&folder.join("ledger.redb")));
    rig.run().await;
    let log = Arc::new(Log::new(rig.store.journal.clone()));
    let crew = Crew::new(&rig, &log);
    let conductor = Conductor::new(rig, shim, crew, Arc::clone(&log));
    let mut trial = Trial { settings, conductor, log, judge: Judge::default(), at: 0, audit_at: 0 };
    let mut aside = JoinSet::new();
    aside.spawn(tell_progress(Arc::clone(&trial.log)));
    aside.spawn(watch_machine(Arc::clone(&trial.log)));
    let outcome = trial.rounds().await;
    aside.abort_all();
    let counts = trial.log.counts();
    match outcome {
        Ok(()) => {
            trial.conductor.rig.keep(false);
            Ok(counts)
        }
        Err(why) => {
            let _ = std::fs::write(folder.join("verdict"), &why);
            Err(Failed { why, folder, counts })
        }
    }
}

struct Trial<'a> {
    settings: &'a Settings,
    conductor: Conductor,
    log: Arc<Log>,
    judge: Judge,
    /// How far the journal was judged.
    at: u64,
    /// How far the audit log was read.
    audit_at: u64,
}

impl Trial<'_> {
    async fn rounds(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        for round in 0.. {
            self.round(round, begun + self.settings.time).await?;
            self.log.count(|counts| counts.rounds += 1);
            if begun.elapsed() >= self.settings.time {
                break;
            }
        }
        let faults = self.log.counts().faults;
        let missed: Vec<_> = KINDS
            .into_iter()
            .filter(|kind| faults.get(kind).is_none_or(|(_, hit)| *hit == 0))
            .collect();
        if !missed.is_empty() {
            return Err(format!("these faults never hit, so nothing is known of them: {missed:?}"));
        }
        if self.conductor.shim.lost_bytes() == 0 {
            return Err("no power cut has lost anything, so nothing is known of them".to_owned());
        }
        Ok(())
    }

    async fn round(&mut self, round: u64, end: Instant) -> Result<(), String> {
        let seed = self.settings.seed;
        let stop = Arc::new(AtomicBool::new(false));
        let mut leaders = JoinSet::new();
        for resource in 0..RESOURCES {
            let crew = self.conductor.crew.clone();
            leaders.spawn(take_turns(crew, seed, round, resource, Arc::clone(&stop)));
        }
        let mut outcome = Ok(());
        for (quiet_ms, fault) in plan::faults(seed, round) {
            sleep(Duration::from_millis(quiet_ms)).await;
            let inflicting = timeout(FAULT_DEADLINE, self.conductor.inflict(&fault)).await;
            outcome = match inflicting {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("{}: not over within {FAULT_DEADLINE:?}", fault.kind())),
            };
            // Each kind once, however short the run.
            if outcome.is_err() || (round > 0 && Instant::now() >= end) {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let ending = async { while leaders.join_next().await.is_some() {} };
        let ended = timeout(WRITERS_DEADLINE, ending).await;
        outcome?;
        ended.map_err(|_| format!("writers had no answer within {WRITERS_DEADLINE:?}"))?;
        self.conductor.revive(RESOURCES).await?;
        // What may still land does so now; nothing of it may.
        sleep(Duration::from_millis(DELAY_MS_MAX)).await;
        self.judge()
    }

    fn judge(&mut self) -> Result<(), String> {
        let notes = self.log.take_round();
        let (applied, end) = history::journal_from(&self.conductor.rig.store.journal, self.at);
        self.at = end;
        let audit = self.conductor.rig.dir().join("audit.jsonl");
        let (audit, end) = history::lines_from(&audit, self.audit_at);
        self.audit_at = end;
        let admitted = admitted(&audit);
        let round = Round { applied, opened: notes.opened.clone(), answers: notes.answers.clone() };
        let verdict = self.judge.round(&round, |write| is_excused(&notes, &admitted, write));
        self.log.count(|counts| counts.excused = self.judge.excused);
        let mut complaints = self.log.complaints();
        complaints.extend(verdict.err());
        if complaints.is_empty() {
            return Ok(());
        }
        let answers = format!("{:#?}", notes);
        let _ = std::fs::write(self.conductor.rig.dir().join("round"), answers);
        Err(complaints.join("\n"))
    }
}

/// The takeovers that say of themselves that something older may still land.
fn admitted(audit: &[(u64, String)]) -> BTreeMap<String, Vec<u64>> {
    let mut admitted = BTreeMap::<_, Vec<_>>::new();
    for (_, line) in audit.iter().filter(|(_, line)| line.contains("\"takeover\"")) {
        // One that was being written when Palisade was killed may be cut short.
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let detail = &line["detail"];
        if detail["unknown"] != 0 || detail["leftovers"] == true {
            let resource = format!("/{}", line["resource"].as_str().unwrap_or_default());
            let token = line["token"].as_str().and_then(|token| token.parse::<u64>().ok());
            admitted.entry(resource).or_default().extend(token);
        }
    }
    admitted
}

/// Whether the store, and nobody else, is to blame for a write that landed too late: it was
/// frozen for longer than it is trusted to need, its writer was told that nobody knows, and the
/// takeover has said so too, or was killed before it could.
fn is_excused(notes: &Notes, admitted: &BTreeMap<String, Vec<u64>>, write: &Applied) -> bool {
    let Some(&begun_ms) = notes.begun_ms.get(&write.write) else { return false };
    let is_unknown = notes.answers.get(&write.write) == Some(&history::Told::Unknown);
    let needed_ms = write.applied_ms.saturating_sub(write.whole_ms)
        + notes.stalled_ms(begun_ms, write.whole_ms);
    let is_told = admitted
        .get(write.resource())
        .is_some_and(|tokens| tokens.iter().any(|token| *token > write.token));
    let is_killed = notes.killed_ms.iter().any(|at| (begun_ms..=write.applied_ms).contains(at));
    is_unknown && needed_ms > SETTLE_MS && (is_told || is_killed)
}

async fn tell_progress(log: Arc<Log>) {
    let begun = Instant::now();
    loop {
        sleep(PROGRESS).await;
        eprintln!("{:5}s  {}", begun.elapsed().as_secs(), log.counts());
    }
}

/// A store that does not get the processor for so long is as good as frozen.
async fn watch_machine(log: Arc<Log>) {
    loop {
        let (before, before_ms) = (Instant::now(), now_ms());
        sleep(Duration::from_millis(20)).await;
        if before.elapsed() > STALL {
            log.stalled(before_ms, now_ms());
            log.count(|counts| counts.stalls += 1);
        }
    }
}

/// The summary of a run, for people.
pub fn summary(counts: &Counts) -> String {
    let mut text = format!("{} rounds; {counts}\n", counts.rounds);
    for (kind, (tried, hit)) in &counts.faults {
        text += &format!("  {kind:36} {hit:4} of {tried}\n");
    }
    text += &format!(
        "  writes that a store which had been frozen for longer than settle_timeout applied too \
         late: {}; times that the machine stood still: {}\n",
        counts.excused, counts.stalls
    );
    text
}

/// Where runs leave what failed.
pub fn parent() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target")).join("torture")
}
