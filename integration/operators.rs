//! What operators see and do: resources on the command line, the admin listener, the metrics.

use std::collections::BTreeSet;
use std::path::Path;

use crate::rig::postgres::{Front, query};
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

fn is_of_postgres(name: &str) -> bool {
    name.starts_with("palisade_postgres_")
}

fn is_of_redis(name: &str) -> bool {
    name.starts_with("palisade_redis_")
}

/// What only a ledger that several share has, and `palisade_ledger_condition`.
pub fn is_of_shared_ledger(name: &str) -> bool {
    let rest = name.strip_prefix("palisade_ledger_").unwrap_or_default();
    ["condition", "session_", "keepalives_", "feed_", "grants_", "freezes_", "request_"]
        .iter()
        .any(|start| rest.starts_with(start))
}

/// Each metric that an alert or the dashboard asks for, of those that are meant, is there and
/// explained.
pub fn assert_told(text: &str, is_meant: impl Fn(&str) -> bool) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for file in ["alerts.yml", "dashboard.json"] {
        let asked = std::fs::read_to_string(root.join(file)).unwrap();
        let words = asked.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        let is_one = |word: &&str| word.starts_with("palisade_") && is_meant(word);
        let names: BTreeSet<_> = words.filter(is_one).collect();
        assert!(names.len() > 4, "{file}: {names:?}");
        for name in names {
            let is_there =
                |line: &str| line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']);
            assert!(text.lines().any(is_there), "{file} asks for {name}, which nobody tells");
            let help = format!("# HELP {} ", name.trim_end_matches("_bucket"));
            assert!(text.contains(&help), "nobody says what {name} means");
        }
    }
}

/// What alerts and the dashboard ask for is told by a Palisade that works.
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
    let is_meant =
        |name: &str| !is_of_postgres(name) && !is_of_redis(name) && !is_of_shared_ledger(name);
    assert_told(&text, is_meant);
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

/// The same of sessions with PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_postgres_is_there_and_moves() {
    let mut front = Front::start().await;
    let metrics = async |front: &Front| front.operator().get("/metrics").await.text();
    let of = |text: &str, name: &str, labels: &str| {
        let line = format!("palisade_postgres_{name}{{listener=\"main\"{labels}}} ");
        let told = text.lines().find_map(|told| told.strip_prefix(&line));
        told.map(|value| value.parse::<f64>().unwrap())
    };
    let (stale, away) =
        (",rule=\"whole\",reason=\"stale\"", ",rule=\"whole\",reason=\"upstream_unavailable\"");
    // The first one of each has to show as an increase.
    let text = metrics(&front).await;
    for (name, labels) in [
        ("sessions_ended_total", ",reason=\"stale\""),
        ("refused_total", stale),
        ("refused_total", away),
        ("refused_total", ",rule=\"whole\",reason=\"login\""),
        ("refused_total", ",rule=\"\",reason=\"server\""),
        ("outcomes_unknown_total", ""),
        ("backends_reaping", ""),
        ("sessions", ",kind=\"fenced\""),
    ] {
        assert_eq!(of(&text, name, labels), Some(0.0), "{name}{labels}: {text}");
    }

    // A cancel; a takeover that ends one session in its transaction; a stale one that comes back.
    let mut old = front.leader("leader-a", 33).await;
    old.simple("CREATE TABLE t (n int)").await.good();
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    old.send(&query("SELECT pg_sleep(30)")).await;
    eventually("it sleeps", async || front.server.ask(asleep).await == ["1"]).await;
    front.cancel("leader-a", &old.key).await;
    assert_eq!(old.answer().await.code(), "57014");
    old.simple("BEGIN; INSERT INTO t VALUES (1)").await.good();
    let mut new = front.leader("leader-b", 34).await;
    assert_eq!(old.farewell().await.code(), "PF001");
    let late = front.leader("leader-a", 33).await;
    eventually("the takeover is told", async || {
        let text = metrics(&front).await;
        let told = [
            of(&text, "cancels_total", ",outcome=\"sent\""),
            of(&text, "sessions_ended_total", ",reason=\"stale\""),
            of(&text, "refused_total", stale),
            of(&text, "sessions", ",kind=\"fenced\""),
            of(&text, "sessions", ",kind=\"read_only\""),
            of(&text, "backends_reaped_total", ""),
            of(&text, "backends_reaping", ""),
            of(&text, "login_seconds_count", ""),
        ];
        told.map(Option::unwrap_or_default) == [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 3.0]
    })
    .await;
    drop(late);

    // The server goes away under a statement: nobody can tell, nobody can be asked.
    new.send(&query("INSERT INTO t SELECT 2 FROM pg_sleep(30)")).await;
    eventually("it sleeps", async || front.server.ask(asleep).await == ["1"]).await;
    front.server.stop();
    assert_eq!(new.answer().await.error().code(), "PF008");
    assert!(front.try_leader("leader-b", 34).await.is_err());
    let text = metrics(&front).await;
    assert_eq!(of(&text, "outcomes_unknown_total", ""), Some(1.0), "{text}");
    assert_eq!(of(&text, "backends_reaping", ""), Some(1.0), "{text}");
    assert_eq!(of(&text, "refused_total", away), Some(1.0), "{text}");
    assert_told(&text, is_of_postgres);
    assert!(!text.contains("leader-a") && !text.contains("pg/app"), "{text}");
    front.server.start_again();
    eventually("the end of the backend is confirmed", async || {
        of(&metrics(&front).await, "backends_reaping", "") == Some(0.0)
    })
    .await;
}
