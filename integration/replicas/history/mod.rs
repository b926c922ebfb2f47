//! The history checker over several replicas: leaders with rising tokens that move from replica to
//! replica, while the network between everybody fails, and everybody is frozen and killed; and then
//! what the store has is held against what everybody was told.
//!
//! | file | has |
//! |---|---|
//! | `plan` | what a seed stands for |
//! | `faults` | what goes wrong, and how it is brought back |
//! | `objects` | leaders on S3, and what they are held against |
//! | `sessions` | leaders on PostgreSQL and Redis: processes of their own |
//!
//! Leaders and judges are those of the checkers with one Palisade.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

mod faults;
mod objects;
mod plan;
mod sessions;

use crate::rig::cluster::{Cluster, Kind, Shared, Wish};
use objects::Objects;
use sessions::Sessions;

/// The seed of the short runs: one plan, so that a failure is a change of the code.
const SEED: u64 = 20_260_101;
/// How long the short runs are.
const SHORT: Duration = Duration::from_secs(20);
/// How many faults they get to, or so.
const PART: usize = 5;
/// How long those are that have to fail.
const BROKEN: Duration = Duration::from_secs(8);
/// Within which the last leader is in when all is well again, and everybody has ended.
const END_DEADLINE: Duration = Duration::from_secs(120);
/// Longest time for one fault.
const FAULT_DEADLINE: Duration = Duration::from_secs(90);

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub seed: u64,
    /// How long.
    pub time: Duration,
    pub store: Kind,
    pub ledger: Shared,
    /// Which faults of the first round come first: short runs do not get to all of them.
    pub part: usize,
}

/// A run that failed.
#[derive(Debug)]
pub struct Failed {
    pub why: String,
    /// Where the logs of all processes are.
    pub folder: PathBuf,
}

/// Those who write.
enum Writers {
    Objects(Objects),
    Sessions(Sessions),
}

/// Runs it; what it says is how much was done.
pub async fn run(settings: &Settings) -> Result<String, Failed> {
    let wish = match settings.store {
        Kind::S3 => objects::wish(),
        Kind::Postgres | Kind::Redis => sessions::wish(settings.store),
    };
    let wish = Wish { ledger: settings.ledger, seed: settings.seed, ..wish };
    let mut cluster = Cluster::prepare(wish).await;
    // Before any Palisade is there: one alone ends who goes around it.
    if settings.store == Kind::Postgres {
        sessions::set_up(&mut cluster).await;
    }
    cluster.run().await;
    // Until it has passed: also when something panics.
    cluster.keep(true);
    let folder = cluster.dir().to_owned();
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = match settings.store {
        Kind::S3 => Writers::Objects(Objects::begin(&mut cluster, settings, &stop)),
        Kind::Postgres | Kind::Redis => {
            Writers::Sessions(Sessions::begin(&mut cluster, settings, &stop))
        }
    };
    let end = Instant::now() + settings.time;
    let mut hits = BTreeMap::<&str, u32>::new();
    let mut outcome = Ok(());
    'rounds: for round in 0.. {
        let mut faults = plan::faults(settings.seed, round, settings.store);
        faults.rotate_left(settings.part * PART % plan::KINDS.len());
        for fault in faults {
            if Instant::now() >= end {
                break 'rounds;
            }
            if !fault.is_possible(&cluster) {
                continue;
            }
            sleep(Duration::from_millis(fault.quiet_ms)).await;
            let inflicting = async {
                fault.inflict(&mut cluster, end).await;
                fault.recover(&mut cluster).await;
            };
            if timeout(FAULT_DEADLINE, inflicting).await.is_err() {
                outcome = Err(format!("{}: not over within {FAULT_DEADLINE:?}", fault.kind()));
                break 'rounds;
            }
            *hits.entry(fault.kind()).or_default() += 1;
            if let Err(why) = writers.so_far() {
                outcome = Err(why);
                break 'rounds;
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let judged = match timeout(END_DEADLINE, writers.end(&mut cluster)).await {
        Ok(judged) => judged,
        Err(_) => Err(format!("writers had not ended within {END_DEADLINE:?}")),
    };
    // Which of the two was first is not known: what the store has is the worse of them.
    let outcome = match (outcome, judged) {
        (Ok(()), judged) => judged,
        (Err(why), Ok(_)) => Err(why),
        (Err(why), Err(more)) => Err(format!("{more}\n{why}")),
    };
    match outcome {
        Ok(mut summary) => {
            for (kind, count) in &hits {
                summary += &format!("\n  {kind}: {count}");
            }
            cluster.keep(false);
            Ok(summary)
        }
        Err(why) => Err(Failed { why, folder }),
    }
}

impl Writers {
    /// What is wrong already, where that shows.
    fn so_far(&mut self) -> Result<(), String> {
        match self {
            Self::Objects(objects) => objects.so_far(),
            Self::Sessions(sessions) => sessions.so_far(),
        }
    }

    /// Waits until the last has ended, and judges.
    async fn end(&mut self, cluster: &mut Cluster) -> Result<String, String> {
        match self {
            Self::Objects(objects) => objects.end(cluster).await,
            Self::Sessions(sessions) => sessions.end(cluster).await,
        }
    }
}

async fn history(settings: Settings) {
    let minutes = settings.time.as_secs_f64() / 60.0;
    let Settings { seed, store, ledger, .. } = settings;
    let again = format!(
        "PALISADE_TORTURE_REPLICAS={store:?}-{ledger:?} integration/torture --replicas \
         --minutes {minutes:.2} --seed {seed}"
    );
    eprintln!("seed {seed}, {store:?} behind {ledger:?}: {again}");
    match run(&settings).await {
        Ok(summary) => eprintln!("passed, seed {seed}, {store:?}: {summary}"),
        Err(failed) => panic!(
            "seed {seed}, {store:?} behind {ledger:?}: {}\neverything is in {}\nagain: {again}",
            failed.why,
            failed.folder.display()
        ),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s3_behind_etcd() {
    let (store, ledger) = (Kind::S3, Shared::Etcd);
    history(Settings { seed: SEED, time: SHORT, store, ledger, part: 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_behind_etcd() {
    let (store, ledger) = (Kind::Postgres, Shared::Etcd);
    history(Settings { seed: SEED, time: SHORT, store, ledger, part: 1 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_behind_etcd() {
    let (store, ledger) = (Kind::Redis, Shared::Etcd);
    history(Settings { seed: SEED, time: SHORT, store, ledger, part: 2 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_behind_redis() {
    let (store, ledger) = (Kind::Redis, Shared::Redis);
    history(Settings { seed: SEED, time: SHORT, store, ledger, part: 3 }).await;
}

/// Each store with each ledger in turn, or the one that the environment names, such as `S3-Etcd`.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "as long as it is told to be: integration/torture --replicas"]
async fn as_long_as_it_is_told_to() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<f64>().unwrap());
    let minutes = number("PALISADE_TORTURE_MINUTES").unwrap_or(5.0);
    let seed = std::env::var("PALISADE_TORTURE_SEED").ok().map(|text| text.parse::<u64>().unwrap());
    let random = || crate::trial::Chance::of(crate::trial::now_ms(), &[]).within(1..=999_999);
    let seed = seed.unwrap_or_else(random);
    let all = [Kind::S3, Kind::Postgres, Kind::Redis]
        .map(|store| [Shared::Etcd, Shared::Redis].map(|ledger| (store, ledger)));
    let wanted = std::env::var("PALISADE_TORTURE_REPLICAS").unwrap_or_default();
    let mut all = all.as_flattened().to_vec();
    all.retain(|(store, ledger)| format!("{store:?}-{ledger:?}").contains(&wanted));
    assert!(!all.is_empty(), "there is no {wanted}");
    let time = Duration::from_secs_f64(minutes * 60.0 / all.len() as f64);
    for (store, ledger) in all {
        history(Settings { seed, time, store, ledger, part: 0 }).await;
    }
}

/// Three Palisades that share nothing are no fence: so the judges can say no.
async fn shared_by_nobody(store: Kind, violation: &str) {
    let settings = Settings { seed: SEED, time: BROKEN, store, ledger: Shared::Nothing, part: 0 };
    let failed = run(&settings).await.expect_err("nothing is shared");
    assert!(failed.why.contains(violation), "{}", failed.why);
    std::fs::remove_dir_all(&failed.folder).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_judge_finds_that_objects_are_fenced_by_each_alone() {
    shared_by_nobody(Kind::S3, "was applied after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_judge_finds_that_rows_are_fenced_by_each_alone() {
    shared_by_nobody(Kind::Postgres, "was committed after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_judge_finds_that_keys_are_fenced_by_each_alone() {
    shared_by_nobody(Kind::Redis, "was applied after").await;
}
