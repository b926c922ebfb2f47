//! The torture run: a short one, a long one by `integration/torture`, and the proof that its
//! judge can say no.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::history::{self, Judge, Round};
use crate::rig;
use crate::trial::{self, Chance, Crew, Log, Settings, now_ms, take_turns};

/// The seed of the short run: one plan, so that a failure is a change of the code.
const SEED: u64 = 20_260_101;

async fn torture(settings: Settings) {
    eprintln!("seed {}: {}", settings.seed, command(&settings));
    let outcome = trial::run(&settings).await;
    match outcome {
        Ok(counts) => eprintln!("passed, seed {}\n{}", settings.seed, trial::summary(&counts)),
        Err(failed) => {
            eprintln!("{}", trial::summary(&failed.counts));
            panic!(
                "seed {}: {}\neverything is in {}\nagain: {}",
                settings.seed,
                failed.why,
                failed.folder.display(),
                command(&settings)
            );
        }
    }
}

fn command(settings: &Settings) -> String {
    let minutes = settings.time.as_secs_f64() / 60.0;
    format!("integration/torture --minutes {minutes} --seed {}", settings.seed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_goes_wrong_once() {
    torture(Settings { seed: SEED, time: Duration::ZERO, parent: trial::parent() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "as long as it is told to be: integration/torture --help"]
async fn as_long_as_it_is_told_to() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<f64>().unwrap());
    let minutes = number("PALISADE_TORTURE_MINUTES").unwrap_or(5.0);
    let seed = std::env::var("PALISADE_TORTURE_SEED").ok().map(|text| text.parse::<u64>().unwrap());
    // Short enough to be typed.
    let seed = seed.unwrap_or_else(|| Chance::of(now_ms(), &[]).within(1..=999_999));
    let time = Duration::from_secs_f64(minutes * 60.0);
    torture(Settings { seed, time, parent: trial::parent() }).await;
}

/// Who compares on arrival and then forwards does not pass, with no fault at all.
#[tokio::test(flavor = "multi_thread")]
async fn the_judge_finds_a_fence_that_does_not_hold() {
    let dir = tempfile::tempdir().unwrap();
    let store = rig::open_store(dir.path());
    let (_naive, address) = rig::naive(store.address, dir.path());
    let log = Arc::new(Log::new(store.journal.clone()));
    let stop = Arc::new(AtomicBool::new(false));
    let mut leaders = JoinSet::new();
    // It has one mark for everything, so there is one resource.
    let crew = Crew::plain(address, &log);
    leaders.spawn(take_turns(crew, SEED, 0, 0, Arc::clone(&stop)));
    tokio::time::sleep(Duration::from_secs(3)).await;
    stop.store(true, Ordering::Relaxed);
    while leaders.join_next().await.is_some() {}
    let (applied, _) = history::journal_from(&store.journal, 0);
    let notes = log.take_round();
    let round = Round { applied, opened: notes.opened, answers: notes.answers };
    let verdict = Judge::default().round(&round, |_| false).unwrap_err();
    assert!(verdict.contains(" was applied after "), "{verdict}");
    assert_eq!(log.complaints(), Vec::<String>::new());
}
