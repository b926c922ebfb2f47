//! The audit log and the log of a running Palisade: what is told, how much, and on a full disk.

use serde_json::Value;

use crate::rig::{Options, Rig, eventually};
use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn every_takeover_and_refusal_is_told_with_who_where_what_and_the_outcome() {
    let rig = Rig::start().await;
    let path = "/fenced/audit/x";
    let serial = |who: &str| {
        let pem = std::fs::read(rig.certs.of(who).0).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
        pem.parse_x509().unwrap().raw_serial_as_string().replace(':', "")
    };
    assert_eq!(rig.client("leader-a").token(33).put(path, "a").await.status, 200);
    assert_eq!(rig.client("leader-b").token(34).put(path, "b").await.status, 200);
    // Who, token, reason, whether the fence itself was asked.
    let refusals = [
        ("leader-a", "33", "stale", "34"),
        ("leader-a", "34", "conflict", "34"),
        ("leader-a", "9999999999", "implausible", "34"),
        ("follower", "35", "forbidden", ""),
        ("stranger", "35", "forbidden", ""),
        ("leader-a", "", "token_required", ""),
        ("leader-a", "x", "token_malformed", ""),
    ];
    for (who, token, reason, _) in refusals {
        let client = rig.client(who);
        let client = if token.is_empty() { client } else { client.token(token) };
        let reply = client.put(path, "no").await;
        assert_eq!(reply.header("fencing-refusal"), reason, "{}", reply.text());
    }
    // The log is written in batches; the last refusal comes last.
    let last = refusals[refusals.len() - 1].2;
    eventually("all is written", async || rig.audit().iter().any(|line| line["reason"] == last))
        .await;
    let audit = rig.audit();
    let said = serde_json::to_string_pretty(&audit).unwrap();
    let is_by = |line: &Value, who: &str| {
        let of = line["serial"].as_str().unwrap_or_default().replace(':', "");
        line["identity"] == who
            && of.eq_ignore_ascii_case(&serial(who))
            && line["address"].as_str().is_some_and(|text| text.starts_with("127.0.0.1:"))
    };
    for (who, token, reason, mark) in refusals {
        let line = audit
            .iter()
            .find(|line| line["reason"] == reason && line["identity"] == who)
            .unwrap_or_else(|| panic!("{reason} of {who} is not in {said}"));
        assert!(is_by(line, who) && line["event"] == "refused", "{line}");
        assert_eq!(line["outcome"], "not_applied", "{line}");
        if reason != "token_malformed" {
            assert_eq!(line["resource"], "fenced/audit", "{line}");
            assert_eq!(line["token"].as_str().unwrap_or_default(), token, "{line}");
        }
        if !mark.is_empty() {
            assert_eq!(line["mark"], mark, "{line}");
        }
    }
    let takeover = audit.iter().find(|line| line["event"] == "takeover" && line["token"] == "34");
    let takeover = takeover.unwrap_or_else(|| panic!("no takeover in {said}"));
    assert!(is_by(takeover, "leader-b"), "{takeover}");
    assert_eq!((&takeover["resource"], &takeover["mark"]), (&"fenced/audit".into(), &"33".into()));
    assert_eq!(
        (&takeover["holder"], &takeover["outcome"]),
        (&"leader-a".into(), &"settled".into())
    );
    let numbers: Vec<_> = audit.iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=audit.len() as u64).collect::<Vec<_>>(), "{said}");
}

/// A stale leader that does not stop: few lines in the log, and each try in the audit log.
#[tokio::test(flavor = "multi_thread")]
async fn a_stale_leader_in_a_loop_fills_no_log() {
    const TRIES: usize = 1_000;
    let mut rig = Rig::start().await;
    assert_eq!(rig.client("leader-b").token(34).put("/fenced/loop/x", "b").await.status, 200);
    let mut wire = Wire::open(&rig.client("leader-a")).await;
    let begun = std::time::Instant::now();
    for _ in 0..TRIES {
        assert_eq!(wire.ask("PUT /fenced/loop/x", "33").await.status, 412);
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap() + 1;
    let log = rig.palisade().everything();
    let lines = log.lines().filter(|line| line.contains("reason=\"stale\"")).count();
    assert!((1..=seconds + 1).contains(&lines), "{lines} lines in {seconds} s: {log}");
    let is_stale = |line: &&Value| line["reason"] == "stale" && line["identity"] == "leader-a";
    eventually("every try is audited", async || {
        rig.audit().iter().filter(is_stale).count() == TRIES
    })
    .await;
    let metrics = rig.metrics().await;
    let refused = "palisade_gate_refused_total{rule=\"fenced\",action=\"write\",reason=\"stale\"}";
    assert!(metrics.contains(&format!("{refused} {TRIES}\n")), "{metrics}");
}

/// The file is a link to a disk that is full; later it is one to a disk that is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_does_not_stop_the_fence_and_is_not_silent() {
    let mut rig = Rig::start().await;
    let file = rig.dir().join("audit.jsonl");
    assert!(rig.palisade().end().success());
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/full", &file).unwrap();
    rig.run().await;
    let (a, b) = (rig.client("leader-a").token(33), rig.client("leader-b").token(34));
    assert_eq!(a.put("/fenced/full/x", "a").await.status, 200);
    assert_eq!(b.put("/fenced/full/x", "b").await.status, 200);
    assert_eq!(a.put("/fenced/full/x", "a").await.status, 412);
    let is_failing = async |is: bool| {
        rig.metrics().await.contains(&format!("palisade_audit_failing {}\n", u8::from(is)))
    };
    eventually("it is in the metrics", async || is_failing(true).await).await;
    assert_eq!(b.put("/fenced/full/x", "b").await.status, 200);
    assert_eq!(b.get("/fenced/full/x").await.text(), "b");

    // Nothing was lost that fits into memory.
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "").unwrap();
    eventually("it is written again", async || is_failing(false).await).await;
    let audit = rig.audit();
    let has = |event: &str| audit.iter().any(|line| line["event"] == event);
    assert!(has("takeover") && has("refused"), "{audit:?}");
    let log = rig.palisade().everything();
    let errors = log.lines().filter(|line| line.contains("ERROR")).collect::<Vec<_>>();
    assert!(errors.len() == 1 && errors[0].contains("audit log cannot be written"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_to_standard_output_where_that_is_wanted() {
    let edits = vec![("[audit]\nfile = ", "[audit]\nstdout = true\n# file = ".to_owned())];
    let mut rig = Rig::with(Options { edits, ..Options::default() }).await;
    assert_eq!(rig.client("leader-b").token(34).put("/fenced/out/x", "b").await.status, 200);
    assert_eq!(rig.client("leader-a").token(33).put("/fenced/out/x", "a").await.status, 412);
    eventually("it is there", async || {
        // Only the audit log goes there: each line of it is JSON.
        let output = rig.palisade().output();
        let lines = output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["event"] == "takeover" || line["reason"] == "stale").count() == 2
    })
    .await;
}
