//! Leaders on S3, each request of which goes through another replica; held against the journal of
//! the store.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Settings;
use crate::history::{self, Applied, Judge, Round, Told};
use crate::rig::cluster::{Cluster, Kind, SETTLE_MS, Wish};
use crate::trial::{Crew, Log, Notes, now_ms, take_turns};

/// Resources with leaders in turn.
const RESOURCES: u64 = 3;
/// What the store takes for a write at most, by the plan of the leaders.
const DELAY_MAX: Duration = Duration::from_millis(500);
/// A gap in the steps of a clock from which on the machine counts as having stood still.
const STALL: Duration = Duration::from_millis(150);

pub struct Objects {
    log: Arc<Log>,
    leaders: JoinSet<()>,
    _watching: JoinSet<()>,
}

pub fn wish() -> Wish {
    let edits = vec![("filter = \"info\"", "filter = \"warn\"".to_owned())];
    Wish { store: Kind::S3, edits, ..Wish::default() }
}

impl Objects {
    /// Leaders begin to take turns.
    pub fn begin(cluster: &mut Cluster, settings: &Settings, stop: &Arc<AtomicBool>) -> Self {
        let log = Arc::new(Log::new(cluster.s3().journal.clone()));
        let addresses: Vec<_> = cluster.replicas.iter().map(|replica| replica.address).collect();
        let crew = Crew::balanced(|who| cluster.client(0, who).balanced(&addresses), &log);
        let mut leaders = JoinSet::new();
        for resource in 0..RESOURCES {
            let (crew, stop) = (crew.clone(), Arc::clone(stop));
            leaders.spawn(take_turns(crew, settings.seed, 0, resource, stop));
        }
        let mut watching = JoinSet::new();
        watching.spawn(watch_machine(Arc::clone(&log)));
        Self { log, leaders, _watching: watching }
    }

    pub fn so_far(&mut self) -> Result<(), String> {
        match self.log.complaints() {
            complaints if complaints.is_empty() => Ok(()),
            complaints => Err(complaints.join("\n")),
        }
    }

    pub async fn end(&mut self, cluster: &mut Cluster) -> Result<String, String> {
        while self.leaders.join_next().await.is_some() {}
        // What may still land does so now; nothing of it may.
        sleep(DELAY_MAX).await;
        self.so_far()?;
        let notes = self.log.take_round();
        let (applied, _) = history::journal_from(&cluster.s3().journal, 0);
        let round = Round { applied, opened: notes.opened.clone(), answers: notes.answers.clone() };
        let mut judge = Judge::default();
        judge.round(&round, |write| is_excused(&notes, write))?;
        let counts = self.log.counts();
        if counts.applied < 20 || counts.takeovers < 10 {
            return Err(format!("nothing was tried: {counts}"));
        }
        Ok(format!("{counts}; excused, because the machine stood still: {}", judge.excused))
    }
}

/// Whether the machine stood still for longer than the store is trusted to need.
fn is_excused(notes: &Notes, write: &Applied) -> bool {
    let Some(&begun_ms) = notes.begun_ms.get(&write.write) else { return false };
    let is_unknown = notes.answers.get(&write.write) == Some(&Told::Unknown);
    let needed_ms = write.applied_ms.saturating_sub(write.whole_ms)
        + notes.stalled_ms(begun_ms, write.whole_ms);
    is_unknown && needed_ms > SETTLE_MS
}

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
