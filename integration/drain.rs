//! The end of a process: in good order at the first SIGTERM, at once at the second.

use std::time::{Duration, Instant};

use http::Method;

use crate::h2;
use crate::origin::{Manner, Origin};
use crate::rig::{Options, Rig, Version, eventually};
use crate::wire::Wire;

/// What "at once" may take on a machine that is busy.
const AT_ONCE: Duration = Duration::from_secs(2);

async fn rig(delay: &str, drain: &str, options: Options) -> Rig {
    let drained = format!("\ndrain_delay = \"{delay}\"\ndrain_timeout = \"{drain}\"\n[ledger");
    Rig::with(Options { edits: vec![("\n[ledger", drained)], ..options }).await
}

async fn is_ready(rig: &Rig) -> bool {
    let ready = rig.operator("leader-a").try_send(Method::GET, "/readyz", "").await;
    ready.is_ok_and(|reply| reply.status.is_success())
}

/// Whether each of two starts found an unclean end before it, by the audit log, which is written a
/// moment later.
async fn starts(rig: &Rig) -> Vec<serde_json::Value> {
    let starts = || {
        let starts = rig.audit().into_iter().filter(|line| line["event"] == "start");
        starts.map(|line| line["detail"]["unclean_end_before"].clone()).collect::<Vec<_>>()
    };
    eventually("both starts are audited", async || starts().len() == 2).await;
    starts()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_ends_in_good_order() {
    // The next leader would wait that long if there were anything to wait for.
    let options = Options { settle_timeout: "60s", ..Options::default() };
    let mut rig = rig("1s", "3s", options).await;
    let a = rig.client("leader-a").token(33);
    let mut idle1 = Wire::open(&a).await;
    assert_eq!(idle1.ask("PUT /fenced/drain/idle", "33").await.status, 200);
    let mut idle2 = h2::open(&a, &[]).await;
    let mut uploads = Vec::new();
    for fate in ["ends", "hangs"] {
        for (version, name) in [(Version::Http1, "one"), (Version::Http2, "two")] {
            let path = format!("/fenced/drain/{fate}-{name}");
            let client = a.clone().speaking(version);
            let mut upload = client.begin(Method::PUT, &path, 2 << 10);
            upload.send(vec![b'a'; 1 << 10]).await;
            uploads.push((fate, upload));
        }
    }
    let status = "/.palisade/status?path=/fenced/drain/x";
    eventually("all are under way", async || a.get(status).await.json()["streaming"] == 4).await;

    let begun = Instant::now();
    rig.palisade().terminate();
    eventually("it is not ready", async || !is_ready(&rig).await).await;
    // Load balancers have time to see it: whoever still comes is served as before.
    assert_eq!(a.put("/fenced/drain/late", "late").await.status, 200);
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    eventually("new connections are refused", async || a.connect().await.is_err()).await;
    let refused_after = begun.elapsed();
    assert!(refused_after >= Duration::from_millis(900), "{refused_after:?}");
    assert_eq!(idle1.rest().await, b"", "an idle connection is closed");
    let goodbye = h2::until(&mut idle2, h2::GOAWAY).await.expect("it is told to go");
    assert_eq!(goodbye.payload[4..8], [0; 4], "there was no error: {goodbye:?}");
    // What the client had sent by then would be served: it is asked whether that is all.
    let ping = h2::until(&mut idle2, h2::PING).await.expect("it is asked");
    idle2.say(h2::frame(h2::PING, h2::ACK, 0, &ping.payload)).await;
    idle2.rest().await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());

    for (fate, mut upload) in uploads {
        if fate == "ends" {
            assert!(!upload.is_answered());
            upload.send(vec![b'b'; 1 << 10]).await;
            assert_eq!(upload.finish().await.unwrap().status, 200);
            continue;
        }
        let told = upload.early().await.unwrap();
        let refusal = (told.status.as_u16(), told.header("fencing-refusal"));
        assert_eq!(refusal, (503, "ending"), "{}", told.text());
        assert_eq!(told.header("retry-after"), "1");
    }
    let cut_after = begun.elapsed();
    assert!(cut_after >= Duration::from_secs(4), "{cut_after:?}");
    assert!(cut_after < Duration::from_secs(4) + AT_ONCE, "{cut_after:?}");
    let ended = rig.palisade().wait(AT_ONCE);
    assert_eq!(ended.code(), Some(0), "{}", rig.palisade().everything());
    let journal = std::fs::read_to_string(&rig.store.journal).unwrap();
    assert_eq!(journal.lines().count(), 4, "{journal}");
    assert!(!journal.contains("hangs"), "{journal}");

    rig.run().await;
    let begun = Instant::now();
    assert_eq!(rig.seal("leader-b", 34, "/fenced/drain/x").await.status, 200);
    assert!(begun.elapsed() < AT_ONCE, "it waited {:?}", begun.elapsed());
    assert_eq!(starts(&rig).await, [false, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once_and_the_next_start_knows() {
    let options = Options { settle_timeout: "4s", ..Options::default() };
    let mut rig = rig("0s", "60s", options).await;
    let mut upload = rig.client("leader-a").token(33).begin(Method::PUT, "/fenced/two/x", 10);
    upload.send("12345").await;
    rig.one_is("streaming", "/fenced/two/x").await;
    rig.palisade().terminate();
    eventually("it drains", async || !is_ready(&rig).await).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(rig.palisade().is_running(), "it waits for the upload");
    rig.palisade().terminate();
    let ended = rig.palisade().wait(AT_ONCE);
    assert_eq!(ended.code(), Some(130));
    assert!(upload.early().await.is_err(), "nobody was told anything");

    let started = Instant::now();
    rig.run().await;
    let seal = rig.seal("leader-b", 34, "/fenced/two/x").await;
    assert_eq!(seal.json()["takeover"]["leftovers"], true, "{}", seal.text());
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(4), "{waited:?}");
    assert_eq!(std::fs::read_to_string(&rig.store.journal).unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_an_answer_is_told_so_at_the_end() {
    let origin = Origin::start(Manner::Hangs).await;
    let upstream = Some(origin.address);
    let options = Options { settle_timeout: "60s", upstream, ..Options::default() };
    let mut rig = rig("0s", "1s", options).await;
    let mut sent = Vec::new();
    for version in [Version::Http1, Version::Http2] {
        let a = rig.client("leader-a").token(33).speaking(version);
        sent.push(tokio::spawn(async move { a.put("/fenced/unknown/x", "abc").await }));
    }
    eventually("both are at the store", async || origin.seen().1 == 2).await;
    rig.palisade().terminate();
    for sent in sent {
        let told = sent.await.unwrap();
        let refusal = (told.status.as_u16(), told.header("fencing-refusal"));
        assert_eq!(refusal, (424, "outcome_unknown"), "{}", told.text());
    }
    let ended = rig.palisade().wait(Duration::from_secs(10));
    assert_eq!(ended.code(), Some(3), "{}", rig.palisade().everything());
    rig.run().await;
    assert_eq!(starts(&rig).await, [false, true]);
}
