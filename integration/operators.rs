//! What operators see and do: resources on the command line, the admin listener, the metrics.

use std::collections::BTreeSet;
use std::path::Path;

use crate::rig::{Options, Rig, eventually, free_address, palisade, run};

/// Runs `palisade resources` as an operator would, and returns whether it went well and what
/// it said.
fn resources(rig: &Rig, who: Option<&str>, arguments: &[&str]) -> (bool, String) {
    let mut command = palisade();
    command.arg("resources").args(arguments).arg("--admin");
    match who {
        None => command.arg(format!("http://{}", rig.admin)),
        Some(who) => {
            let (chain, key) = rig.certs.of(who);
            command.arg(format!("https://localhost:{}", rig.admin.port()));
            command.arg("--ca").arg(&rig.certs.ca).arg("--cert").arg(chain).arg("--key").arg(key)
        }
    };
    let (status, said) = run(command, rig.dir());
    (status.success(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_listed_shown_sealed_and_reset() {
    let rig = Rig::start().await;
    let (a, b) = (rig.client("leader-a").token(33), rig.client("leader-b").token(34));
    assert_eq!(a.put("/fenced/one/x", "a").await.status, 200);
    assert_eq!(b.put("/fenced/one/x", "b").await.status, 200);
    assert_eq!(a.put("/fenced/two/x", "a").await.status, 200);
    let name = "fenced/one";
    let good = |arguments: &[&str]| {
        let (is_fine, said) = resources(&rig, None, arguments);
        assert!(is_fine, "{arguments:?}: {said}");
        said
    };
    let bad = |arguments: &[&str], why: &str| {
        let (is_fine, said) = resources(&rig, None, arguments);
        assert!(!is_fine && said.contains(why), "{arguments:?}: {said}");
    };
    let list = good(&["list"]);
    let line = list.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line.contains("34") && line.contains("leader-b"), "{list}");
    assert!(list.contains("fenced/two"), "{list}");
    let page: serde_json::Value = serde_json::from_str(&good(&["list", "--json"])).unwrap();
    assert_eq!(page["resources"][1]["resource"], "fenced/two");
    let shown: serde_json::Value = serde_json::from_str(&good(&["show", name, "--json"])).unwrap();
    let raised: Vec<_> = shown["history"].as_array().unwrap().iter().collect();
    assert_eq!((&raised[0]["token"], &raised[1]["holder"]), (&"33".into(), &"leader-b".into()));
    assert!(good(&["seal", name, "--reason", "maintenance"]).contains("34"));

    // A reset wants a reason, a yes, and a name that exists.
    bad(&["reset", name, "--yes"], "--reason");
    bad(&["reset", name, "--yes", "--reason", " "], "reason");
    bad(&["reset", name, "--reason", "the lease was deleted"], "--yes");
    bad(&["reset", "fenced/nothing", "--yes", "--reason", "x"], "fenced/nothing");
    assert_eq!(b.put("/fenced/one/x", "b").await.status, 200, "nothing has changed");

    // It first settles what is under way.
    let mut upload = b.begin(http::Method::PUT, "/fenced/one/cut", 1 << 20);
    upload.send(vec![b'b'; 1 << 19]).await;
    rig.one_is("streaming", "/fenced/one/cut").await;
    let said = good(&["reset", name, "--yes", "--reason", "the lease was deleted"]);
    assert!(said.contains("1 cut") && said.contains("1.1"), "{said}");
    assert_eq!(upload.early().await.unwrap().status, 412);
    assert_eq!(b.get("/fenced/one/cut").await.status, 412, "its token is stale");
    let old = rig.client("leader-b").token(1_000).put("/fenced/one/x", "b").await;
    assert_eq!((old.status.as_u16(), old.header("fencing-refusal")), (412, "stale"));
    let new = rig.client("leader-b").token("1.1").put("/fenced/one/x", "new").await;
    assert_eq!((new.status.as_u16(), new.header("fencing-token")), (200, "1.1"));
    assert_eq!(a.put("/fenced/two/x", "a").await.status, 200, "another resource is as it was");

    eventually("the reset is audited", async || {
        let audit = rig.audit();
        let Some(line) = audit.iter().find(|line| line["event"] == "reset") else { return false };
        assert_eq!(line["identity"], "operator@loopback");
        assert_eq!((&line["resource"], &line["mark"]), (&name.into(), &"1.0".into()));
        assert_eq!(line["detail"]["reason"], "the lease was deleted");
        assert!(line["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
        audit
            .iter()
            .any(|line| line["event"] == "seal" && line["detail"]["reason"] == "maintenance")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_certificates_only_operators_operate() {
    let listen = free_address();
    let edits = vec![(
        "[log]",
        "operators = [\"leader-b\"]\n[admin.tls]\ncertificate = \"certs/server.pem\"\n\
         key = \"certs/server.key\"\nclient_ca = \"certs/authority/ca.pem\"\n\
         crls = [\"certs/authority/crl.pem\"]\n[log]"
            .to_owned(),
    )];
    let rig = Rig::with(Options { edits, ..Options::default() }).await;
    assert_eq!(rig.client("leader-a").token(33).put("/fenced/one/x", "a").await.status, 200);
    let reset = ["reset", "fenced/one", "--yes", "--reason", "a drill"];
    let (is_fine, said) = resources(&rig, Some("leader-a"), &reset);
    assert!(!is_fine && said.contains("operators"), "{said}");
    assert_eq!(rig.client("leader-a").token(33).put("/fenced/one/x", "a").await.status, 200);
    let (is_fine, said) = resources(&rig, Some("leader-b"), &reset);
    assert!(is_fine, "{said}");
    assert_eq!(rig.client("leader-a").token(33).put("/fenced/one/x", "a").await.status, 412);
    let (is_fine, said) = resources(&rig, None, &["list"]);
    assert!(!is_fine, "without a certificate: {said}");
    eventually("both are audited", async || {
        let by = |event: &str, who: &str| {
            rig.audit().iter().any(|line| {
                line["event"] == event && line["identity"] == who && line["serial"].is_string()
            })
        };
        by("refused", "leader-a") && by("reset", "leader-b")
    })
    .await;

    // Without certificates, nobody but this machine may reach it.
    let text = std::fs::read_to_string(rig.config()).unwrap();
    let (before, rest) = text.split_once("operators =").unwrap();
    let open = format!("{before}\n[log]{}", rest.split_once("[log]").unwrap().1);
    let open = open.replace(&rig.admin.to_string(), &format!("0.0.0.0:{}", listen.port()));
    let file = rig.dir().join("open.toml");
    std::fs::write(&file, open).unwrap();
    let mut command = palisade();
    command.arg("run").arg("--config").arg(&file);
    let (status, said) = run(command, rig.dir());
    assert!(!status.success() && said.contains("[admin.tls]"), "{said}");
    assert!(said.contains("could seal and reset"), "{said}");
}

fn lines(metrics: &str, name: &str) -> String {
    metrics.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>().join("\n")
}

/// Each metric that an alert or the dashboard asks for is told by a Palisade that works.
#[tokio::test(flavor = "multi_thread")]
async fn every_metric_that_is_asked_for_is_there_and_moves() {
    let rig = Rig::start().await;
    let path = "/fenced/metrics/x";
    let (a, b) = (rig.client("leader-a").token(33), rig.client("leader-b").token(34));
    assert_eq!(a.put(path, "a").await.status, 200);
    let mut upload = a.begin(http::Method::PUT, path, 1 << 20);
    upload.send(vec![b'a'; 1 << 19]).await;
    rig.one_is("streaming", path).await;
    assert_eq!(rig.client("leader-b").token(33).put(path, "b").await.status, 412);
    assert_eq!(b.put(path, "b").await.status, 200);
    assert_eq!(upload.early().await.unwrap().status, 412);
    assert_eq!(a.put(path, "a").await.status, 412);
    assert_eq!(rig.client("leader-a").token(u64::MAX).put(path, "a").await.status, 422);
    let (is_fine, said) =
        resources(&rig, None, &["reset", "fenced/metrics", "--yes", "--reason", "x"]);
    assert!(is_fine, "{said}");

    let text = rig.metrics().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for file in ["alerts.yml", "dashboard.json"] {
        let asked = std::fs::read_to_string(root.join(file)).unwrap();
        let words = asked.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        let names: BTreeSet<_> = words.filter(|word| word.starts_with("palisade_")).collect();
        assert!(names.len() > 10, "{file}: {names:?}");
        for name in names {
            let is_there =
                |line: &str| line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']);
            assert!(text.lines().any(is_there), "{file} asks for {name}, which nobody tells");
        }
    }
    let is = |whole: &str| text.lines().any(|line| line == whole);
    let rule = "rule=\"fenced\"";
    for reason in ["stale", "conflict", "implausible"] {
        let refused = "palisade_gate_refused_total";
        let line = format!("{refused}{{{rule},action=\"write\",reason=\"{reason}\"}} 1");
        assert!(is(&line), "{line}: {}", lines(&text, refused));
    }
    for (name, count) in [
        // The first token of all, the second, and the reset.
        ("palisade_gate_takeovers_total", 3),
        ("palisade_gate_resets_total", 1),
        ("palisade_gate_writes_cut_total", 1),
        ("palisade_gate_tenure_seconds_count", 2),
        ("palisade_gate_permits", 0),
        ("palisade_gate_mark_max", 34),
    ] {
        let line = format!("{name}{{{rule}}} {count}");
        assert!(is(&line), "{line}: {}", lines(&text, name));
    }
    // Nothing that there may be millions of is a label.
    assert!(!text.contains("leader-a") && !text.contains("fenced/metrics"), "{text}");
}
