//! Ledgers that several replicas share, and whether the times of a session fit.

use std::time::Duration;

use super::examples::with_alternatives;
use super::{BASE, Fixture, check_in, postgres, said};
use crate::config::Ledger;
use crate::ledger::replicated;

const EMBEDDED: &str = "[ledger.embedded]\npath = \"ledger.redb\"\n";

/// `BASE` with that in the place of its ledger; its rule waits long enough.
fn with(ledger: &str) -> String {
    let text = BASE.replace("write = [\"**\"]", "write = [\"**\"]\ntakeover_timeout = \"50s\"");
    text.replace(EMBEDDED, ledger)
}

fn check(ledger: &str, expected: &str) {
    check_in(&with(ledger), &[], expected);
}

const ETCD: &str = "[ledger.etcd]\nendpoints = [\"http://127.0.0.1:2379\"]\n";
const REDIS: &str = "[ledger.redis]\nendpoints = [\"redis://127.0.0.1\"]\n";
const NAMED: &str = "[ledger.session]\nreplica = \"r1\"\n";

fn ledger(text: &str) -> Ledger {
    Fixture::new().parse(text).unwrap_or_else(|problems| panic!("{problems:?}")).0.ledger
}

#[test]
fn the_example_of_each_kind_is_valid_and_shows_the_defaults() {
    let fixture = Fixture::new();
    for (name, from) in [("palisade", "server"), ("etcd-ca", "ca"), ("redis-ca", "ca")] {
        fixture.put(&format!("tls/{name}.pem"), &fixture.read(&format!("{from}.pem")));
    }
    fixture.put("tls/palisade.key", &fixture.read("server.key"));
    for name in ["etcd", "ledger"] {
        fixture.put(&format!("secrets/{name}-password"), "hush\n");
    }
    let place = fixture.directory().to_str().expect("a path");
    let text = with_alternatives().replace("/etc/palisade", place);
    let (_, text) = text.split_once("[ledger.etcd]\n").expect("etcd");
    let (text, _) = text.split_once("# --- The gate").expect("an end");
    let (etcd, text) = text.split_once("[ledger.redis]\n").expect("Redis");
    let (redis, session) = text.split_once("[ledger.session]\n").expect("a session");
    let without = |text: &str, keys: &[&str]| -> String {
        let is_kept = |line: &&str| !keys.iter().any(|key| line.starts_with(key));
        text.lines().filter(is_kept).map(|line| format!("{line}\n")).collect()
    };
    let parse = |ledger: &str, session: &str| {
        let text = with(&format!("{ledger}[ledger.session]\n{session}"));
        let (config, warnings) = fixture.parse(&text).unwrap_or_else(|p| panic!("{p:?}"));
        assert_eq!(warnings, []);
        config.ledger
    };

    let shown = parse(&format!("[ledger.etcd]\n{}", without(etcd, &["password_env"])), session);
    let Ledger::Etcd { settings, session: times } = &shown else { panic!("{shown:?}") };
    assert_eq!((settings.endpoints.len(), settings.endpoints[0].port), (3, 2379));
    assert_eq!(settings.login.as_ref().map(|(user, word)| (&**user, &***word)), {
        Some(("palisade", "hush"))
    });
    assert!(settings.tls.as_ref().is_some_and(|tls| tls.certificate.is_some()));
    let drain = Duration::from_secs(1);
    let expected = replicated::Settings {
        replica: "palisade-0".into(),
        drain,
        ..replicated::Settings::default()
    };
    assert_eq!(times, &expected);
    let bare = without(session, &["ttl", "margin", "timeout"]);
    let etcd = without(etcd, &["password_env", "namespace"]);
    assert_eq!(
        format!("{:?}", parse(&format!("[ledger.etcd]\n{etcd}"), &bare)),
        format!("{shown:?}")
    );

    let redis = without(redis, &["password_env"]);
    let shown = parse(&format!("[ledger.redis]\n{redis}"), session);
    let Ledger::Redis { settings, .. } = &shown else { panic!("{shown:?}") };
    assert_eq!((settings.endpoints.len(), settings.endpoints[0].port), (3, 26379));
    assert_eq!(settings.sentinel.as_ref().map(|sentinel| &*sentinel.service), Some("main"));
    assert_eq!((settings.wait_replicas, settings.accept_loss), (2, false));
    let redis = without(&redis, &["database", "namespace", "wait_timeout", "accept_loss"]);
    assert_eq!(
        format!("{:?}", parse(&format!("[ledger.redis]\n{redis}"), &bare)),
        format!("{shown:?}")
    );
    assert!(!format!("{shown:?}").contains("hush"), "{shown:?}");
}

#[test]
fn there_is_exactly_one() {
    check(&format!("{ETCD}{NAMED}"), "");
    check(&format!("{REDIS}{NAMED}"), "");
    check(
        &format!("{EMBEDDED}{ETCD}{NAMED}"),
        "\
3:1 error: there is [ledger.embedded] already: marks in two places would know nothing of each other
    leave one of them out; `palisade ledger export` and `import` move marks",
    );
    check(
        &format!("{ETCD}{REDIS}{NAMED}"),
        "\
3:1 error: there is [ledger.etcd] already: marks in two places would know nothing of each other
    leave one of them out; `palisade ledger export` and `import` move marks",
    );
    check(
        NAMED,
        "\
1:2 error: no ledger is configured: marks have to be kept somewhere durable
    add `[ledger.embedded]` with `path` for one process, or `[ledger.etcd]` with `endpoints` for several replicas",
    );
    check(
        &format!("{EMBEDDED}[ledger.session]\nttl = \"9s\"\n"),
        "\
3:1 warning: [ledger.session] has no effect: the embedded ledger serves one process
    leave it out, or write `[ledger.etcd]` or `[ledger.redis]`",
    );
}

#[test]
fn endpoints_and_who_is_asked() {
    let etcd = |lines: &str, expected: &str| {
        check(&format!("[ledger.etcd]\n{lines}\n{NAMED}"), expected);
    };
    etcd(
        "namespace = \"a\"",
        "1:1 error: [ledger.etcd] has no `endpoints`\n    add `endpoints = [\"http://127.0.0.1:2379\"]`",
    );
    let form = "write `http://HOST:PORT` or `https://HOST:PORT` and nothing more";
    for (endpoint, told) in [
        ("127.0.0.1:2379", "it does not begin with `http://` or `https://`"),
        ("redis://127.0.0.1", "`redis` is not spoken to etcd"),
        ("http://u:p@127.0.0.1", "it has a user name or a password; they have keys of their own"),
        ("http://127.0.0.1/v3", "it has a path or parameters"),
        ("http://127.0.0.1:0", "port 0 cannot be connected to"),
    ] {
        let expected = format!("2:13 error: an endpoint cannot be used: {told}\n    {form}");
        etcd(&format!("endpoints = \"{endpoint}\""), &expected);
    }
    etcd(
        "endpoints = [\"https://127.0.0.1\", \"http://127.0.0.1:2\"]",
        "2:35 error: this is spoken to without TLS, and another endpoint with it\n    \
         write `https://` in each endpoint, or in none",
    );
    etcd(
        "endpoints = \"http://127.0.0.1\"\ntls = { ca = \"ca.pem\" }",
        "2:13 error: this is spoken to without TLS, and there is [ledger.etcd.tls]\n    \
         write `https://` in each endpoint, or in none",
    );
    etcd(
        "endpoints = \"http://192.0.2.1\"",
        "\
2:13 warning: this is spoken to without TLS: whoever is on the way can read and change what is sent
    write `https://`
2:13 warning: [ledger.etcd] has no password, and Palisade shows no certificate: whoever reaches the ledger can lower marks
    write `user` and `password_file`, or a `certificate` in the `tls` table",
    );
    etcd(
        "endpoints = \"http://127.0.0.1\"\nuser = \"u\"",
        "3:8 error: there is a `user` and no password\n    add `password_file`",
    );
    etcd(
        "endpoints = \"http://127.0.0.1\"\npassword_env = \"SECRET\"",
        "2:13 error: there is a password and no `user`\n    add `user = \"palisade\"`",
    );
    etcd(
        "endpoints = \"http://127.0.0.1\"\npassword = \"hush\"\nnamespace = \"a/b\"",
        "\
3:1 error: unknown key `password` in [ledger.etcd]
    passwords are not kept here: name a file with `..._file`, or an environment variable with `..._env`, and change the password if this file was ever shared
4:13 error: `namespace` cannot be used
    1 to 64 letters, digits, `-`, `_` and `.`",
    );
}

#[test]
fn redis_and_its_replicas() {
    let redis = |lines: &str, expected: &str| check(&format!("{REDIS}{lines}\n{NAMED}"), expected);
    redis("wait_replicas = 2\nwait_timeout = \"2s\"\naccept_loss = true\ndatabase = 3", "");
    redis(
        "wait_replicas = 1\nwait_timeout = \"3s\"",
        "4:16 error: replicas may take 3s (`wait_timeout`) to acknowledge a change, and a request \
         is given up after 2s (`timeout` in [ledger.session])\n    write a `wait_timeout` that is \
         shorter",
    );
    redis(
        "wait_timeout = \"1s\"",
        "3:16 warning: `wait_timeout` has no effect: no replica is waited for\n    write \
         `wait_replicas`, or leave it out",
    );
    redis(
        "sentinel = { user = \"x\" }",
        "\
3:12 error: [ledger.redis.sentinel] has no `service`
    add `service = \"mymaster\"`
3:21 error: [ledger.redis.sentinel] has a `user` and no password
    add `password_file`, or leave `user` out",
    );
    let two = "[ledger.redis]\nendpoints = [\"redis://127.0.0.1\", \"redis://127.0.0.1:1\"]\n";
    check(
        &format!("{two}{NAMED}"),
        "2:13 error: `endpoints` has 2 servers, and nobody says which of them is the primary\n    \
         name the Sentinels instead and add `[ledger.redis.sentinel]` with `service`",
    );
    check(&format!("{two}sentinel = {{ service = \"main\" }}\n{NAMED}"), "");
}

#[test]
fn the_times_of_a_session_fit_each_other() {
    let session = |lines: &str, expected: &str| check(&format!("{ETCD}{NAMED}{lines}\n"), expected);
    // 2s + 1s + 3 * 2s.
    session("ttl = \"9s\"", "");
    session(
        "ttl = \"8s\"",
        "5:7 error: the times of the session do not fit: `ttl` 8s - `margin` 2s - 1s (to end what \
         is under way) leaves 5s for 3 keepalives, of which each may take 2s: at least 6s\n    \
         write `ttl = \"9s\"` in [ledger.session]",
    );
    session(
        "ttl = \"2s\"\ntimeout = \"100ms\"",
        "5:7 error: the times of the session do not fit: `ttl` 2s - `margin` 2s - 1s (to end what \
         is under way) leaves less than nothing for 3 keepalives, of which each may take 500ms: at \
         least 1500ms\n    write `ttl = \"5s\"` in [ledger.session]",
    );
    session("ttl = \"5s\"\ntimeout = \"100ms\"", "");
    session(
        "ttl = \"9500ms\"",
        "5:7 error: etcd counts `ttl` in whole seconds\n    write `ttl = \"10s\"`",
    );
    check(&format!("{REDIS}{NAMED}ttl = \"9500ms\"\n"), "");
    session("ttl = \"11m\"", "5:7 error: `ttl` is out of bounds\n    from 1s to 10m");
    session("margin = \"50ms\"", "5:10 error: `margin` is out of bounds\n    from 100ms to 10m");
    check(
        &format!("{ETCD}[ledger.session]\nreplica = \"r#1\"\n"),
        "4:11 error: `replica` cannot be used\n    1 to 31 letters, digits, `-`, `_` and `.`",
    );
}

#[test]
fn a_drain_takes_its_part_of_the_session() {
    let text = |drain: &str, ttl: &str| {
        let lines = format!("write = [\"**\"]\ntakeover_timeout = \"50s\"\ndrain = \"{drain}\"");
        let text = postgres::BASE.replace("write = [\"**\"]", &lines);
        text.replace(EMBEDDED, &format!("{ETCD}{NAMED}ttl = \"{ttl}\"\n"))
    };
    let times = ledger(&text("3s", "15s"));
    let times = times.session().expect("shared");
    assert_eq!(times.drain, Duration::from_secs(3));
    assert_eq!(times.admits_for(), Duration::from_secs(10));
    assert_eq!(ledger(&text("0s", "15s")).session().expect("shared").drain.as_secs(), 1);
    assert_eq!(
        said(&Fixture::new(), &text("14s", "15s")),
        "5:7 error: the times of the session do not fit: `ttl` 15s - `margin` 2s - 14s (`drain` of \
         rule \"orders\") leaves less than nothing for 3 keepalives, of which each may take 2s: at \
         least 6s\n    write `ttl = \"22s\"` in [ledger.session]"
    );
    assert_eq!(said(&Fixture::new(), &text("14s", "22s")), "");
}

#[test]
fn takeovers_that_have_to_ask_again() {
    let text = with(&format!("{ETCD}{NAMED}")).replace("\"50s\"", "\"10s\"");
    assert_eq!(
        said(&Fixture::new(), &text),
        "23:20 warning: after a crash of a replica a takeover waits up to 15s for its session \
         (`ttl`) and then 30s for the store (`settle_timeout`), 45s in all; a new leader waits 10s \
         a try (`takeover_timeout`), so it is told `unsettled` up to 5 times and has to ask again\n    \
         write `takeover_timeout = \"46s\"`, if clients wait so long, or see that they ask again"
    );
    assert_eq!(said(&Fixture::new(), &text.replace("\"10s\"", "\"45s\"")), "");
}

#[test]
fn an_upstream_has_no_name_of_its_own_for_a_replica() {
    let text = postgres::BASE
        .replace("control_role = ", "replica = \"x\"\ncontrol_role = ")
        .replace("write = [\"**\"]", "write = [\"**\"]\ntakeover_timeout = \"50s\"");
    assert_eq!(said(&Fixture::new(), &text), "");
    let told = said(&Fixture::new(), &text.replace(EMBEDDED, &format!("{ETCD}{NAMED}")));
    assert!(told.contains("warning: `replica` has no effect: with a shared ledger"), "{told}");
}
