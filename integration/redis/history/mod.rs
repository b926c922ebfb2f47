//! The history checker for Redis: leaders with rising tokens, frozen, killed and thawed at every
//! point of a write, Palisade and the server killed and frozen at every point; and then what the
//! server has done is held against what everybody was told.
//!
//! | file | has |
//! |---|---|
//! | `errand` | what a leader is told to do, and what it tells |
//! | `leader`, `writes` | one who writes: a process of its own, so that it can be frozen and killed |
//! | `child` | that process, from without |
//! | `naive` | a fence that only looks when a command arrives |
//! | `network` | what is between Palisade and the server, and may be slow |
//! | `turns`, `ills` | the leaders' turns, and what goes wrong in each |
//! | `journal` | what the server has done, in its order |
//! | `judge` | what that has to look like |
//!
//! Order is told by the server's append-only file, which has everything that it has done. Each
//! leader reads the counter once, when it begins, and then writes what it has in mind, so that a
//! write that lands between that reading and the first write of the new leader is a lost update;
//! and how long the lists are, so that it is found as well when it lands in one of them. What a
//! pop has taken does not say who took it; whoever was given it does.

use std::path::Path;
use std::time::Duration;

pub mod child;
pub mod errand;
mod ills;
mod journal;
pub mod judge;
mod leader;
mod naive;
mod network;
pub mod turns;
mod writes;

use crate::rig::redis::{PASSWORD, Wire};
use turns::{Fence, Settings, run};

/// The seed of the short run: one plan, so that a failure is a change of the code.
const SEED: u64 = 20_260_101;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_fault_at_every_point() {
    history(Settings { seed: SEED, time: Duration::ZERO, fence: Fence::Palisade }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "as long as it is told to be: integration/torture --redis"]
async fn as_long_as_it_is_told_to() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<f64>().unwrap());
    let minutes = number("PALISADE_TORTURE_MINUTES").unwrap_or(5.0);
    let seed = std::env::var("PALISADE_TORTURE_SEED").ok().map(|text| text.parse::<u64>().unwrap());
    // Short enough to be typed.
    let random = || crate::trial::Chance::of(crate::trial::now_ms(), &[]).within(1..=999_999);
    let time = Duration::from_secs_f64(minutes * 60.0);
    history(Settings { seed: seed.unwrap_or_else(random), time, fence: Fence::Palisade }).await;
}

async fn history(settings: Settings) {
    let minutes = settings.time.as_secs_f64() / 60.0;
    let again = format!("integration/torture --redis --minutes {minutes} --seed {}", settings.seed);
    eprintln!("seed {}: {again}", settings.seed);
    match run(&settings).await {
        Ok(summary) => eprintln!("passed, seed {}\n{summary}", settings.seed),
        Err(failed) => panic!(
            "seed {}: {}\neverything is in {}\nagain: {again}",
            settings.seed,
            failed.why,
            failed.folder.display()
        ),
    }
}

/// Without a fence the same leaders break everything: so the judge can say no.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_judge_finds_that_nobody_fences() {
    let settings = Settings { seed: SEED, time: Duration::ZERO, fence: Fence::Nobody };
    let failed = run(&settings).await.expect_err("a server alone fences nobody");
    for violation in ["was applied after", "had read", "lost update"] {
        assert!(failed.why.contains(violation), "no {violation:?} in {}", failed.why);
    }
    std::fs::remove_dir_all(&failed.folder).unwrap();
}

/// A stale leader's pop waits in the server, out of sight of whoever looks at what arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_judge_finds_a_fence_that_does_not_hold() {
    // It may take a round or two until the server has something for it at the wrong time.
    let time = Duration::from_secs(20);
    let settings = Settings { seed: SEED, time, fence: Fence::Naive };
    let failed = run(&settings).await.expect_err("what is on its way is not fenced");
    assert!(failed.why.contains("was applied after"), "{}", failed.why);
    std::fs::remove_dir_all(&failed.folder).unwrap();
}

/// A session around everything.
async fn around(socket: &Path) -> Wire {
    let stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    let mut wire = Wire::raw(Box::new(stream));
    assert_eq!(wire.say(&format!("AUTH {PASSWORD}")).await, "OK");
    wire
}

/// Not a test: what a leader's process runs.
#[tokio::test]
#[ignore = "run by the others, in processes of their own"]
async fn one_leader() {
    if let Ok(errand) = std::env::var(errand::ERRAND) {
        leader::lead(serde_json::from_str(&errand).unwrap()).await;
    }
}
