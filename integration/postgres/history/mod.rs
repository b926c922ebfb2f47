//! The history checker for PostgreSQL: leaders with rising tokens, frozen, killed and thawed at
//! every point of a write, Palisade killed and frozen at every point; and then the table is held
//! against what everybody was told.
//!
//! | file | has |
//! |---|---|
//! | `errand` | what a leader is told to do, and what it tells |
//! | `leader`, `enter` | one who writes: a process of its own, so that it can be frozen and killed |
//! | `child` | that process, from without |
//! | `turns` | the leaders' turns, and what goes wrong in each |
//! | `judge` | what the table has to look like |
//!
//! Order is told by a clock: a row for each resource, which a trigger counts up in the same
//! transaction as each row of the log. Whoever has counted holds the row's lock until the
//! transaction has ended, so the clock's order is that of the commits. Commit timestamps
//! (`track_commit_timestamp`) are not: two transactions take theirs before either is visible,
//! and clocks jump. The same row has the counter: each leader reads it once, when it begins, and
//! then writes what it has in mind, so that a write that lands between that reading and the first
//! write of the new leader is a lost update. Some commits take seconds, by a deferred trigger, so
//! that takeovers and faults find them on their way.

use std::time::Duration;

pub mod child;
mod enter;
pub mod errand;
pub mod judge;
mod leader;
pub mod turns;

use turns::{Settings, run};

/// The tables.
pub const SETUP: &str = "
CREATE TABLE clock (resource int PRIMARY KEY, n bigint NOT NULL, counter bigint NOT NULL);
INSERT INTO clock SELECT r, 0, 0 FROM generate_series(0, 9) r;
CREATE TABLE log (resource int, clock bigint, token bigint, write text UNIQUE, value bigint,
  slow_ms int NOT NULL DEFAULT 0);
CREATE FUNCTION tick() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  UPDATE clock SET n = n + 1, counter = NEW.value WHERE resource = NEW.resource
    RETURNING n INTO NEW.clock;
  RETURN NEW;
END $$;
CREATE TRIGGER tick BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION tick();
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM pg_sleep(NEW.slow_ms / 1000.0);
  RETURN NEW;
END $$;
CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION dawdle();
";

/// The seed of the short run: one plan, so that a failure is a change of the code.
const SEED: u64 = 20_260_101;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_fault_at_every_point() {
    history(Settings { seed: SEED, time: Duration::ZERO, is_fenced: true }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "as long as it is told to be: integration/torture --postgres"]
async fn as_long_as_it_is_told_to() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<f64>().unwrap());
    let minutes = number("PALISADE_TORTURE_MINUTES").unwrap_or(5.0);
    let seed = std::env::var("PALISADE_TORTURE_SEED").ok().map(|text| text.parse::<u64>().unwrap());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    history(Settings { seed, time: Duration::from_secs_f64(minutes * 60.0), is_fenced: true })
        .await;
}

async fn history(settings: Settings) {
    let again = format!(
        "integration/torture --postgres --minutes {} --seed {}",
        settings.time.as_secs_f64() / 60.0,
        settings.seed
    );
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
    let settings = Settings { seed: SEED, time: Duration::ZERO, is_fenced: false };
    let failed = run(&settings).await.expect_err("a server alone fences nobody");
    for violation in ["was committed after", "had read", "lost update"] {
        assert!(failed.why.contains(violation), "no {violation:?} in {}", failed.why);
    }
    std::fs::remove_dir_all(&failed.folder).unwrap();
}

/// Not a test: what a leader's process runs.
#[tokio::test]
#[ignore = "run by the others, in processes of their own"]
async fn one_leader() {
    if let Ok(errand) = std::env::var(errand::ERRAND) {
        leader::lead(serde_json::from_str(&errand).unwrap()).await;
    }
}
