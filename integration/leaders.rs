//! Leaders in turn, each with several writers, a store that takes its time, and the history checker.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::history::{self, Answers, Told};
use crate::rig::{Client, Rig};

/// Reigns in one run.
const REIGNS: u64 = 12;
/// Writers of one leader.
const WRITERS: u64 = 6;
/// Longest time that the store takes over a write.
const DELAY_MS_MAX: u64 = 60;

async fn reign(rig: &Rig, token: u64, answers: &Arc<Mutex<Answers>>) {
    let who = if token.is_multiple_of(2) { "leader-a" } else { "leader-b" };
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let client = rig.client(who).token(token).with("x-amz-meta-token", token);
        writers.spawn(write(client, token, writer, Arc::clone(answers)));
    }
    // The next leader does not wait until they are done; they go on into its reign.
    let _ = tokio::time::timeout(Duration::from_millis(150), async {
        while writers.join_next().await.is_some() {}
    })
    .await;
    writers.detach_all();
}

async fn write(client: Client, token: u64, writer: u64, answers: Arc<Mutex<Answers>>) {
    for index in 0..8 {
        let name = format!("{token}-{writer}-{index}");
        // Spread, and the same in every run.
        let delay_ms = (token * 31 + writer * 17 + index * 7) % DELAY_MS_MAX;
        let client =
            client.clone().with("x-amz-meta-write", &name).with("x-amz-meta-delay-ms", delay_ms);
        let path = format!("/fenced/turns/object-{}", (writer + index) % 3);
        let reply = client.try_send(http::Method::PUT, &path, name.clone()).await;
        let told = Told::by(&reply);
        answers.lock().unwrap().insert(name, told);
        if told == Told::NotApplied {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_leaders_in_turn_is_good() {
    let rig = Rig::start().await;
    let answers = Arc::new(Mutex::new(Answers::new()));
    for token in 1..=REIGNS {
        reign(&rig, token, &answers).await;
    }
    // Late writers come to their end; what they were not told by then is not held against the store.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let answers = answers.lock().unwrap().clone();
    let history = history::journal(&rig.store.journal);
    history::check(&history, &answers).unwrap();
    let count = |told| answers.values().filter(|answer| **answer == told).count();
    assert!(count(Told::Applied) as u64 > REIGNS * WRITERS, "few writes went through: {answers:?}");
    assert!(count(Told::NotApplied) > 10, "few writes were late: {answers:?}");
    let highest = history.iter().map(|write| write.token).max();
    assert_eq!(highest, Some(REIGNS));
}
