//! `palisade ledger` and `palisade replicas`: marks from ledger to ledger, whatever it is kept in.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::operators::{assert_told, is_of_shared_ledger};
use crate::rig::{Options, Process, Rig, eventually, free_address, palisade, run};

const DEADLINE: Duration = Duration::from_secs(30);

/// A Palisade, and an etcd and a Redis for its ledger.
struct Places {
    rig: Rig,
    etcd: SocketAddr,
    redis: SocketAddr,
    embedded: String,
    redis_process: Process,
    _etcd_process: Process,
}

/// A Redis that syncs every change.
fn start_redis(at: SocketAddr, dir: &Path) -> Process {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
    command.args(["--appendfsync", "always", "--port"]).arg(at.port().to_string());
    command.arg("--dir").arg(dir.join("redis"));
    let process = Process::start(&mut command, "redis-server", dir);
    listens(at);
    process
}

fn listens(address: SocketAddr) {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < DEADLINE, "nobody listens at {address}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        match path.is_dir() {
            true => copy(&path, &to.join(name)),
            false => drop(std::fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}

impl Places {
    async fn start() -> Self {
        let rig = Rig::start().await;
        let (etcd, peer, redis) = (free_address(), free_address(), free_address());
        let url = |address: SocketAddr| format!("http://{address}");
        let data = |name: &str| {
            let data = rig.dir().join(name);
            std::fs::create_dir(&data).unwrap();
            data
        };
        let mut command = Command::new("etcd");
        command.args(["--name", "n", "--log-level", "error", "--data-dir"]).arg(data("etcd"));
        for (option, value) in [
            ("--listen-client-urls", url(etcd)),
            ("--advertise-client-urls", url(etcd)),
            ("--listen-peer-urls", url(peer)),
            ("--initial-advertise-peer-urls", url(peer)),
            ("--initial-cluster", format!("n={}", url(peer))),
        ] {
            command.arg(option).arg(value);
        }
        let _etcd_process = Process::start(&mut command, "etcd", rig.dir());
        data("redis");
        let redis_process = start_redis(redis, rig.dir());
        listens(etcd);
        let text = std::fs::read_to_string(rig.config()).unwrap();
        let (_, rest) = text.split_once("[ledger.embedded]").unwrap();
        let (table, _) = rest.split_once("\n\n").unwrap();
        let embedded = format!("[ledger.embedded]{table}");
        Self { rig, etcd, redis, embedded, redis_process, _etcd_process }
    }

    /// The table of a ledger, and how it takes part.
    fn table(&self, kind: &str) -> String {
        let session = "[ledger.session]\nreplica = \"r1\"\nttl = \"6s\"\nmargin = \"500ms\"\n\
                       timeout = \"1s\"\n";
        match kind {
            "etcd" => format!("[ledger.etcd]\nendpoints = [\"http://{}\"]\n{session}", self.etcd),
            "redis" => {
                format!("[ledger.redis]\nendpoints = [\"redis://{}\"]\n{session}", self.redis)
            }
            "fresh" => self.embedded.replace("ledger.redb", "fresh.redb"),
            _ => self.embedded.clone(),
        }
    }

    /// The configuration with that ledger.
    fn config(&self, kind: &str) -> PathBuf {
        let text = std::fs::read_to_string(self.rig.config()).unwrap();
        let from = text.find("[ledger.").unwrap();
        let until = text.find("[admin]").unwrap();
        let text = format!("{}{}\n{}", &text[..from], self.table(kind), &text[until..]);
        let path = self.rig.dir().join(format!("{kind}.toml"));
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs `palisade ledger`, and returns whether it went well and what it said.
    fn ledger(&self, words: &[&str], config: &str) -> (bool, String) {
        let mut command = palisade();
        command.arg("ledger").args(words).arg("--config").arg(self.config(config));
        command.current_dir(self.rig.dir());
        let (status, said) = run(command, self.rig.dir());
        (status.success(), said)
    }

    fn good(&self, words: &[&str], config: &str) -> String {
        let (is_fine, said) = self.ledger(words, config);
        assert!(is_fine, "{words:?} {config}: {said}");
        said
    }

    fn bad(&self, words: &[&str], config: &str, why: &str) -> String {
        let (is_fine, said) = self.ledger(words, config);
        assert!(!is_fine && said.contains(why), "{words:?} {config}: {said}");
        said
    }

    /// From one ledger to another by way of a file; what the other has then.
    fn carry(&self, from: &str, to: &str, count: usize) -> Vec<Value> {
        let file = format!("{from}-{to}.jsonl");
        let said = self.good(&["export", "--output", &file], from);
        assert!(said.contains(&format!("exported {count} resources")), "{said}");
        let said = self.good(&["import", &file], to);
        assert!(said.contains(&format!("{count} raised, 0 there already, 0 refused")), "{said}");
        let said = self.good(&["verify", &file], to);
        assert!(said.contains(&format!("{count} marks are there or higher, 0 are not")), "{said}");
        let said = self.good(&["import", &file], to);
        assert!(said.contains(&format!("0 raised, {count} there already, 0 refused")), "{said}");
        rows(&self.rig.dir().join(file))
    }
}

/// The resources of an export.
fn rows(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["resource"].is_string()).collect()
}

/// Without the times, which the embedded ledger gives anew.
fn marks(rows: &[Value]) -> Vec<Value> {
    let mut rows = rows.to_vec();
    for raised in rows.iter_mut().flat_map(|row| row["history"].as_array_mut().unwrap()) {
        raised["at"] = Value::Null;
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_go_round_and_are_never_lowered() {
    let mut places = Places::start().await;
    for (who, token, path) in [
        ("leader-a", 33, "/fenced/one/x"),
        ("leader-b", 34, "/fenced/one/x"),
        ("leader-a", 35, "/fenced/two/x"),
        ("leader-a", 36, "/fenced/reset/x"),
    ] {
        let client = places.rig.client(who).token(token);
        assert_eq!(client.put(path, "x").await.status, 200);
    }
    let mut reset = palisade();
    reset.args(["resources", "reset", "fenced/reset", "--yes", "--reason", "x", "--admin"]);
    reset.arg(format!("http://{}", places.rig.admin));
    assert!(run(reset, places.rig.dir()).0.success());

    places.bad(&["export"], "embedded", "is in use by another process");
    assert!(places.rig.palisade().end().success());

    let first = places.carry("embedded", "etcd", 3);
    let of = |name: &str| first.iter().find(|row| row["resource"] == name).unwrap();
    assert_eq!(
        (&of("fenced/one")["mark"], &of("fenced/reset")["mark"]),
        (&"34".into(), &"1.0".into())
    );
    assert_eq!(of("fenced/one")["holder"], "leader-b");
    let second = places.carry("etcd", "redis", 3);
    assert_eq!(second, first, "with the history");
    let third = places.carry("redis", "fresh", 3);
    assert_eq!(third, first);
    places.good(&["export", "--output", "last.jsonl"], "fresh");
    assert_eq!(marks(&rows(&places.rig.dir().join("last.jsonl"))), marks(&first));

    // A Palisade goes on with what was moved.
    std::fs::copy(places.config("etcd"), places.rig.config()).unwrap();
    places.rig.run().await;
    let put = async |who: &str, token: u64| {
        let client = places.rig.client(who).token(token);
        client.put("/fenced/one/x", "x").await.status.as_u16()
    };
    assert_eq!((put("leader-a", 33).await, put("leader-a", 34).await), (412, 412));
    assert_eq!((put("leader-b", 34).await, put("leader-a", 40).await), (200, 200));

    let mut replicas = palisade();
    replicas.args(["replicas", "--admin"]).arg(format!("http://{}", places.rig.admin));
    let (status, said) = run(replicas, places.rig.dir());
    assert!(status.success() && said.contains("in reach, session r1#"), "{said}");
    assert!(said.contains("this one"), "{said}");
    let text = places.rig.metrics().await;
    let line = "palisade_ledger_condition{condition=\"serving\"} 1";
    assert!(text.lines().any(|there| there == line), "{text}");
    assert_told(&text, is_of_shared_ledger);
    let overview = places.rig.operator("leader-a").get("/api/overview").await.json();
    let guarantee = overview["listeners"][0]["guarantee"].as_str().unwrap().to_owned();
    assert!(guarantee.contains("kept across all replicas that share the ledger"), "{guarantee}");

    // What has gone up since stays up, beside a replica that serves.
    let said = places.bad(&["import", "embedded-etcd.jsonl"], "etcd", "it is not lowered");
    assert!(said.contains("fenced/one at 34: the mark there is 40"), "{said}");
    assert!(said.contains("0 raised, 2 there already, 1 refused"), "{said}");
    let said = places.good(&["export", "--output", "used.jsonl"], "etcd");
    assert!(said.contains("replicas used this ledger during the export") && said.contains("r1#"));
    places.bad(&["verify", "used.jsonl"], "redis", "fenced/one is at 34, not 40");
    assert!(places.rig.palisade().end().success());
    let said = places.good(&["export", "--output", "rest.jsonl"], "etcd");
    assert!(!said.contains("note:"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_marks_and_files_that_are_not_whole() {
    let mut places = Places::start().await;
    assert!(places.rig.palisade().end().success());
    let count = 5_000;
    let mut text =
        "{\"palisade\":\"marks\",\"format\":1,\"version\":\"0\",\"from\":\"a test\",\"at\":\
                    \"2026-11-21T23:00:00Z\"}\n"
            .to_owned();
    for n in 0..count {
        text.push_str(&format!(
            "{{\"resource\":\"r/{n:05}\",\"mark\":\"{}\",\"holder\":\"x\"}}\n",
            n + 1
        ));
    }
    let whole = format!("{text}{{\"end\":true,\"resources\":{count}}}\n");
    let file = places.rig.dir().join("many.jsonl");
    let name = "many.jsonl";
    for (content, why) in [
        (text.clone(), "without its last line, so it was cut off"),
        (whole[..whole.len() - 1].to_owned(), "many.jsonl:5002: the line has no end"),
        (whole.replacen("\"mark\":\"3\"", "\"mark\":\"-3\"", 1), "many.jsonl:4: "),
        (whole.replacen("r/00002", "r/00001", 1), "r/00001 is there twice"),
        (
            whole.replacen("\"resources\":5000", "\"resources\":4999", 1),
            "lines are missing or were",
        ),
        ("PGDMP".to_owned(), "many.jsonl:1: "),
    ] {
        std::fs::write(&file, content).unwrap();
        places.bad(&["import", name], "etcd", why);
        if !why.contains("twice") {
            let said = places.good(&["export"], "etcd");
            assert!(said.contains("exported 0 resources"), "{why}: {said}");
        }
    }
    std::fs::write(&file, &whole).unwrap();
    for kind in ["etcd", "redis", "fresh"] {
        let said = places.good(&["import", name], kind);
        assert!(said.contains("5000 raised, 0 there already, 0 refused"), "{said}");
        places.good(&["verify", name], kind);
        let said = places.good(&["export", "--output", &format!("{kind}.out")], kind);
        assert!(said.contains("exported 5000 resources"), "{said}");
        places.bad(&["export", "--output", &format!("{kind}.out")], kind, "is there already");
    }
    places.bad(&["verify", "none.jsonl"], "etcd", "cannot read none.jsonl");
}

/// An older copy of the ledger's data stands for a failover that lost some.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_lost_something_is_frozen_until_an_operator_confirms() {
    let mut places = Places::start().await;
    assert!(places.rig.palisade().end().success());
    std::fs::copy(places.config("redis"), places.rig.config()).unwrap();
    places.rig.run().await;
    let put = async |places: &Places, who: &str, token: u64| {
        let client = places.rig.client(who).token(token);
        client.put("/fenced/one/x", "x").await.status.as_u16()
    };
    assert_eq!(put(&places, "leader-a", 33).await, 200);
    let (data, older) = (places.rig.dir().join("redis"), places.rig.dir().join("older"));
    copy(&data, &older);
    assert_eq!(put(&places, "leader-b", 34).await, 200);
    places.good(&["export", "--output", "marks.jsonl"], "redis");
    places.redis_process.kill();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&older, &data);
    places.redis_process = start_redis(places.redis, places.rig.dir());

    let detail = async |places: &Places| {
        let answer = places.rig.operator("leader-a").get("/api/replicas").await.json();
        answer["condition"].as_str().unwrap().to_owned()
    };
    eventually("the loss is noticed", async || detail(&places).await == "frozen").await;
    let answer = places.rig.operator("leader-a").get("/readyz").await;
    let text = answer.text();
    assert!(answer.status.is_success() && text.contains("palisade ledger confirm"), "{text}");
    assert_eq!(put(&places, "leader-a", 40).await, 503, "nobody takes over");
    places.bad(&["import", "marks.jsonl"], "redis", "has lost changes");

    let confirm = |reason: &str| {
        let mut command = palisade();
        command.args(["ledger", "confirm", "--reason", reason, "--admin"]);
        command.arg(format!("http://{}", places.rig.admin));
        run(command, places.rig.dir())
    };
    let (status, said) = confirm(" ");
    assert!(!status.success() && said.contains("a confirmation needs a reason"), "{said}");
    let (status, said) = confirm("an older copy was put back");
    assert!(status.success() && said.contains("confirmed: takeovers go on"), "{said}");
    eventually("it serves", async || detail(&places).await == "serving").await;
    places.good(&["import", "marks.jsonl"], "redis");
    places.good(&["verify", "marks.jsonl"], "redis");
    assert_eq!(put(&places, "leader-a", 33).await, 412, "the mark is back");
    eventually("somebody takes over", async || put(&places, "leader-a", 40).await == 200).await;
    let audit = places.rig.audit();
    let line = audit.iter().find(|line| line["event"] == "confirm").unwrap();
    assert_eq!(line["detail"]["reason"], "an older copy was put back");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_ledger_palisade_does_not_start_and_says_why() {
    let nobody = free_address();
    for (table, place) in [
        (format!("[ledger.etcd]\nendpoints = [\"http://{nobody}\"]"), "etcd at"),
        (format!("[ledger.redis]\nendpoints = [\"redis://{nobody}\"]"), "Redis at"),
    ] {
        let session = "[ledger.session]\nreplica = \"r1\"\ntimeout = \"500ms\"";
        let rig = Rig::prepare(tempfile::tempdir().unwrap(), Options::default());
        let text = std::fs::read_to_string(rig.config()).unwrap();
        let until = text.find("[admin]").unwrap();
        std::fs::write(rig.config(), format!("{table}\n{session}\n{}", &text[until..])).unwrap();
        let mut command = palisade();
        command.arg("run").arg("--config").arg(rig.config());
        let begun = Instant::now();
        let (status, said) = run(command, rig.dir());
        assert!(!status.success(), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(20), "it takes {:?}", begun.elapsed());
        for told in ["nothing can be served without the ledger", place, &nobody.to_string()] {
            assert!(said.contains(told), "{told} is not in: {said}");
        }
    }
}
