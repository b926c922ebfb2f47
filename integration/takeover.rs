//! Takeovers while writes of the leader before are on their way.

use std::time::{Duration, Instant};

use crate::history::{self, Answers, Told};
use crate::rig::{Options, Rig, Version};

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_cut_at_once_and_leaves_nothing() {
    // So long that a test which waited for it would fail.
    let rig = Rig::with(Options { settle_timeout: "60s", ..Options::default() }).await;
    for version in [Version::Http1, Version::Http2] {
        let path = format!("/fenced/cut-{version:?}/object");
        let body = vec![b'a'; 1 << 20];
        let a = rig.client("leader-a").speaking(version).token(33);
        let mut upload = a.begin(http::Method::PUT, &path, body.len());
        upload.send(body[..1 << 19].to_vec()).await;
        rig.one_is("streaming", &path).await;
        assert!(!upload.is_answered());

        let begun = Instant::now();
        let seal = rig.seal("leader-b", 34, &path).await;
        assert_eq!(seal.status, 200, "{}", seal.text());
        assert!(begun.elapsed() < Duration::from_secs(5), "it waited {:?}", begun.elapsed());
        assert_eq!(seal.json()["takeover"]["cut"], 1, "{}", seal.text());

        // The writer is told without sending another byte.
        let told = upload.early().await.unwrap();
        assert_eq!((told.status.as_u16(), told.header("fencing-refusal")), (412, "stale"));
        let gone = rig.client("leader-b").token(34).get(&path).await;
        assert_eq!(gone.status, 404, "{}", gone.text());
    }
    assert_eq!(std::fs::read_to_string(&rig.store.journal).unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_past_its_commit_point_is_waited_for() {
    let rig = Rig::start().await;
    let a = rig.writer("leader-a", 33, "late").with("x-amz-meta-delay-ms", 1_000);
    let late = tokio::spawn(async move { a.put("/fenced/wait/state", "late").await });
    rig.one_is("sent", "/fenced/wait/state").await;
    let b = rig.writer("leader-b", 34, "first");
    let first = b.put("/fenced/wait/state", "first").await;
    assert_eq!(first.status, 200, "{}", first.text());
    // It was admitted before the takeover and has been applied: so it is told yes.
    assert_eq!(late.await.unwrap().status, 200);
    let read = rig.client("leader-b").token(34).get("/fenced/wait/state").await;
    assert_eq!(read.text(), "first");
    let answers: Answers =
        [("late", Told::Applied), ("first", Told::Applied)].map(|(w, t)| (w.to_owned(), t)).into();
    let history = history::journal(&rig.store.journal);
    history::check(&history, &answers).unwrap();
    assert_eq!(history.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_with_a_token_seals() {
    let rig = Rig::start().await;
    let a = rig.writer("leader-a", 33, "late").with("x-amz-meta-delay-ms", 1_000);
    let late = tokio::spawn(async move { a.put("/fenced/read/state", "late").await });
    rig.one_is("sent", "/fenced/read/state").await;
    // What the new leader reads is what the old one has left, and stays so.
    let read = rig.client("leader-b").token(34).get("/fenced/read/state").await;
    assert_eq!((read.status.as_u16(), read.text()), (200, "late".to_owned()));
    assert_eq!(late.await.unwrap().status, 200);
    let stale = rig.client("leader-a").token(33).put("/fenced/read/state", "stale").await;
    assert_eq!(stale.status, 412);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_store_is_waited_for_and_the_outcome_is_called_unknown() {
    let options = Options { settle_timeout: "3s", takeover_timeout: "1s", ..Options::default() };
    let rig = Rig::with(options).await;
    let path = "/fenced/silent/state";
    // The connection is there before the store freezes.
    assert_eq!(rig.client("leader-a").token(33).put(path, "before").await.status, 200);
    rig.store.process.freeze();
    let a = rig.client("leader-a").token(33);
    let sent = tokio::spawn(async move { a.put("/fenced/silent/state", "unanswered").await });
    rig.one_is("sent", path).await;

    let begun = Instant::now();
    let impatient = rig.seal("leader-b", 34, path).await;
    let told = (impatient.status.as_u16(), impatient.header("fencing-refusal").to_owned());
    assert_eq!(told, (503, "unsettled".to_owned()), "{}", impatient.text());
    assert!(!impatient.header("retry-after").is_empty());

    let mut seal = impatient;
    while seal.status == 503 && begun.elapsed() < Duration::from_secs(15) {
        seal = rig.seal("leader-b", 34, path).await;
    }
    assert_eq!(seal.status, 200, "{}", seal.text());
    assert!(begun.elapsed() >= Duration::from_millis(2_500), "it waited {:?}", begun.elapsed());
    assert_eq!(seal.json()["takeover"]["unknown"], 1, "the evidence names it: {}", seal.text());

    // The writer is told that nobody knows: neither yes nor no.
    let told = sent.await.unwrap();
    let told = (told.status.as_u16(), told.header("fencing-refusal").to_owned());
    assert_eq!(told, (424, "outcome_unknown".to_owned()));
    rig.store.process.thaw();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_upload_is_refused_before_it_is_sent() {
    let rig = Rig::start().await;
    rig.client("leader-b").token(34).put("/fenced/expect/x", "b").await;
    let a = rig.client("leader-a").token(33).with("expect", "100-continue");
    let mut upload = a.begin(http::Method::PUT, "/fenced/expect/x", 5 << 30);
    let told = upload.early().await.unwrap();
    assert_eq!(told.status, 412);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_hangs_up_leaves_nothing_and_blocks_nobody() {
    let rig = Rig::with(Options { settle_timeout: "60s", ..Options::default() }).await;
    let path = "/fenced/gone/state";
    let a = rig.client("leader-a").token(33);
    let mut upload = a.begin(http::Method::PUT, path, 1 << 20);
    upload.send(vec![b'a'; 1 << 19]).await;
    rig.one_is("streaming", path).await;
    upload.hang_up();
    let begun = Instant::now();
    assert_eq!(rig.client("leader-b").token(34).put(path, "b").await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited {:?}", begun.elapsed());
    assert_eq!(rig.client("leader-b").get(path).await.text(), "b");
}
