//! `kill -9` of Palisade at the worst moments, and restarts on the same ledger.

use std::time::{Duration, Instant};

use crate::history::{self, Answers, Told};
use crate::rig::{Options, Rig};

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_survives_a_crash_between_ledger_and_forward() {
    let mut rig = Rig::start().await;
    let path = "/fenced/raise/state";
    assert_eq!(rig.client("leader-a").token(33).put(path, "a").await.status, 200);
    // The raise is durable when the upload is admitted; its last byte is never sent.
    let b = rig.client("leader-b").token(34);
    let mut upload = b.begin(http::Method::PUT, path, 1 << 20);
    upload.send(vec![b'b'; 1 << 19]).await;
    rig.one_is("streaming", path).await;
    rig.palisade().kill();
    assert!(upload.finish().await.is_err(), "nobody answered, so nobody said yes");
    rig.run().await;

    let stale = rig.client("leader-a").token(33).put(path, "late").await;
    assert_eq!((stale.status.as_u16(), stale.header("fencing-refusal")), (412, "stale"));
    let read = rig.client("leader-b").token(34).get(path).await;
    assert_eq!((read.status.as_u16(), read.text()), (200, "a".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_on_the_wire_lands_before_the_next_leader_begins() {
    let mut rig = Rig::with(Options { settle_timeout: "4s", ..Options::default() }).await;
    let path = "/fenced/wire/state";
    // The store has it whole, takes its time, and goes on though nobody waits for the answer.
    let a = rig.writer("leader-a", 33, "late").with("x-amz-meta-delay-ms", 2_500);
    let late = tokio::spawn(async move { a.try_send(http::Method::PUT, path, "late").await });
    rig.one_is("sent", path).await;
    // Its last bytes are on their way.
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.palisade().kill();
    assert!(late.await.unwrap().is_err());
    rig.run().await;

    let begun = Instant::now();
    // Writes at the current mark need no wait.
    let same = rig.writer("leader-a", 33, "same").put("/fenced/wire/other", "same").await;
    assert_eq!(same.status, 200, "{}", same.text());
    assert!(begun.elapsed() < Duration::from_secs(1), "it waited {:?}", begun.elapsed());
    let first = rig.writer("leader-b", 34, "first").put(path, "first").await;
    assert_eq!(first.status, 200, "{}", first.text());

    let answers: Answers =
        [("first", Told::Applied), ("same", Told::Applied), ("late", Told::Unknown)]
            .map(|(write, told)| (write.to_owned(), told))
            .into();
    let history = history::journal(&rig.store.journal);
    history::check(&history, &answers).unwrap();
    assert!(history.iter().any(|write| write.write == "late"), "the late write did land");
    assert_eq!(rig.client("leader-b").token(34).get(path).await.text(), "first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_restart_does_not_wait() {
    let mut rig = Rig::with(Options { settle_timeout: "60s", ..Options::default() }).await;
    let path = "/fenced/clean/state";
    assert_eq!(rig.client("leader-a").token(33).put(path, "a").await.status, 200);
    let ended = rig.palisade().end();
    assert!(ended.success(), "{ended}");
    rig.run().await;
    let begun = Instant::now();
    assert_eq!(rig.client("leader-b").token(34).put(path, "b").await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited {:?}", begun.elapsed());
    let stale = rig.client("leader-a").token(33).put(path, "late").await;
    assert_eq!(stale.status, 412);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unclean_restart_waits_once_for_each_resource() {
    let mut rig = Rig::with(Options { settle_timeout: "3s", ..Options::default() }).await;
    let path = "/fenced/unclean/state";
    assert_eq!(rig.client("leader-a").token(33).put(path, "a").await.status, 200);
    rig.palisade().kill();
    let begun = Instant::now();
    rig.run().await;
    assert_eq!(rig.client("leader-b").token(34).put(path, "b").await.status, 200);
    assert!(begun.elapsed() >= Duration::from_secs(3), "it waited only {:?}", begun.elapsed());
    let again = Instant::now();
    assert_eq!(rig.client("leader-a").token(35).put(path, "c").await.status, 200);
    assert!(again.elapsed() < Duration::from_secs(1), "it waited {:?}", again.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_ledger_is_refused() {
    let rig = Rig::start().await;
    let mut command = crate::rig::palisade();
    command.arg("run").arg("--config").arg(rig.config());
    let (status, said) = crate::rig::run(command, rig.dir());
    assert!(!status.success());
    assert!(said.contains("ledger.redb"), "it names the ledger: {said}");
}
