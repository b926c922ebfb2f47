//! Rules on listeners for PostgreSQL, alone and beside rules on others.

use std::time::Duration;

use super::postgres::BASE;
use super::{Fixture, check_in};

/// A store and a listener for it beside what is there.
const WEB: &str = r#"[upstreams.web]
endpoints = ["http://127.0.0.1:9000"]
[listeners.web]
protocol = "http"
listen = ["127.0.0.1:9443"]
upstream = "web"
[listeners.web.tls]
certificate = "server.pem"
key = "server.key"
client_ca = "ca.pem"
"#;

fn check(edits: &[(&str, &str)], expected: &str) {
    check_in(BASE, edits, expected);
}

#[test]
fn listeners_and_what_is_behind_them() {
    let with = |protocol: &str, upstream: &str, expected: &str| {
        let web = WEB
            .replace("protocol = \"http\"", &format!("protocol = \"{protocol}\""))
            .replace("upstream = \"web\"", &format!("upstream = \"{upstream}\""));
        let web = format!("{web}[[resources]]\nlisteners = [\"pg\"]\n");
        check(&[("[[resources]]\n", &web)], expected);
    };
    with("http", "web", "");
    let expected = "23:12 error: upstream \"web\" speaks HTTP, not PostgreSQL\n    \
                    name an upstream that has a `postgres` table";
    with("postgres", "web", expected);
    let expected = "23:12 error: upstream \"db\" speaks PostgreSQL, not HTTP\n    \
                    write `protocol = \"postgres\"`, or name another upstream";
    with("http", "db", expected);
    with("s3", "db", expected);
}

#[test]
fn a_rule_of_sessions() {
    let with = |lines: &str, expected: &str| {
        check(&[("write = [\"**\"]", &format!("write = [\"**\"]\n{lines}"))], expected);
    };
    with("role = \"app\"\ndrain = \"0s\"\nreplication = true", "");
    with("role = \"{user}\"", "");
    with(
        "settle_timeout = \"1s\"\ncommit_point = \"head\"",
        r#"
23:18 warning: `settle_timeout` has no effect: the server itself says when a session is over
    leave it out
24:16 warning: `commit_point` has no effect: the server itself says when a session is over
    leave it out
"#,
    );
    with(
        "role = \"apq\"",
        r#"
23:8 error: upstream "db" does not hold the role "apq"
    did you mean "app"?
"#,
    );
    with(
        "role = \"zzz\"",
        r#"
23:8 error: upstream "db" does not hold the role "zzz"
    it holds: app
"#,
    );
    with(
        "role = \"{x}\"",
        r#"
23:8 error: `role` is not a template
    there is no place `{x}`; there is `{user}`
"#,
    );
    with(
        "role = \"\"\ndrain = 5\nreplication = \"yes\"",
        r#"
23:8 error: that cannot be the name of a role
    1 to 63 bytes without control characters
24:9 error: `drain` is a number
    it takes a duration with a unit such as `"30s"`
25:15 error: `replication` is a text
    it takes `true` or `false`
"#,
    );
    with(
        "drain = \"60s\"\ntakeover_timeout = \"5s\"",
        r#"
24:20 warning: a takeover may wait 1m for a statement, and a new leader waits 5s a try: it may be told `unsettled` 11 times
    write a longer `takeover_timeout`
"#,
    );
}

#[test]
fn paths_that_a_session_can_ask_for() {
    let never = r#"
20:8 warning: this never matches: a session asks for `/DATABASE/USER`, or for `/DATABASE/USER/RESOURCE`
    such as "/orders/{user}", or "/orders/{user}/**"
"#;
    for path in ["/orders", "/", "/orders/", "/orders//x", "/orders/{user}/"] {
        check(&[("/orders/{user}", path)], never);
    }
    for path in ["/**", "/a/**", "/a/{user}/**", "/a/*/b/c", "/{database}/{user}/{resource}"] {
        check(&[("/orders/{user}", path)], "");
    }
    // What Palisade keeps for itself on other listeners is a database as any other here.
    check(&[("/orders/{user}", "/.palisade/{user}")], "");
}

#[test]
fn rules_beside_those_of_other_listeners() {
    check(
        &[("[[resources]]", &format!("{WEB}[[resources]]"))],
        r#"
29:8 error: this is on listeners for PostgreSQL and on others, where writes settle differently
    write an entry for each, with `listeners` and resources of their own
"#,
    );
    let keys = "listeners = [\"web\"]\nrole = \"app\"\ndrain = \"1s\"";
    check(
        &[("[[resources]]", &format!("{WEB}[[resources]]\n{keys}"))],
        r#"
30:8 warning: `role` has no effect: it is for sessions with PostgreSQL
    leave it out, or name a listener with `protocol = "postgres"`
31:9 warning: `drain` has no effect: it is for sessions with PostgreSQL and Redis
    leave it out
"#,
    );
    let rule = "name = \"other\"\npath = \"/a/b\"\nresource = \"orders\"\nwrite = [\"a\"]\n";
    let web = format!("{WEB}[[resources]]\n{rule}listeners = [\"web\"]\n");
    check(
        &[("[[resources]]\n", &format!("{web}[[resources]]\nlisteners = [\"pg\"]\n"))],
        r#"
38:12 error: this shares its resources with rule "other", but only one of them is on listeners for PostgreSQL: writes settle differently there
    write another template
"#,
    );
    // What differs for each session may differ.
    let other = format!("[[resources]]\n{rule}drain = \"1s\"\nrole = \"app\"\n[[resources]]\n");
    check(&[("[[resources]]\n", &other)], "");
}

#[test]
fn how_long_an_operator_waits() {
    for (lines, expected) in [
        ("", Duration::from_secs(10)),
        ("takeover_timeout = \"2s\"", Duration::from_secs(5)),
        ("settle_timeout = \"60s\"", Duration::from_secs(10)),
        ("drain = \"20s\"", Duration::from_secs(20)),
    ] {
        let text = format!("{BASE}{lines}\n");
        let (config, _) = Fixture::new().parse(&text).expect("valid");
        assert_eq!(config.gate.settle_timeout_max, expected, "{lines}");
        let rule = config.listeners[0].rules().iter().next().expect("a rule");
        assert_eq!(rule.settle_timeout, Duration::ZERO, "{lines}");
    }
}
