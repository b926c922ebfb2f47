//! What is wrong with rules over keys, alone and beside others.

use std::time::Duration;

use super::{check, config, listener};
use crate::rules::{CommitPoint, Scripts};

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

#[test]
fn a_rule_over_keys() {
    let with = |lines: &str, expected: &str| {
        check(&[("write = [\"**\"]", &format!("write = [\"**\"]\n{lines}"))], expected);
    };
    with("drain = \"0s\"\nscripts = \"refuse\"\nreads = \"token\"\ndatabases = [0, 3]", "");
    with("databases = 3", "");
    with(
        "databases = []\nscripts = \"yes\"",
        r#"
20:13 error: it is in no database, so it never matches
    leave `databases` out for all of them
21:11 error: `scripts` cannot be "yes"
    one of "declared", "refuse"
"#,
    );
    with(
        "databases = [0, -1, \"2\", 2147483648]",
        r#"
20:17 error: `databases` is out of bounds
    from 0 to 2147483647
20:21 error: `databases` is a text
    it takes a whole number without quotes
20:26 error: `databases` is out of bounds
    from 0 to 2147483647
"#,
    );
    with(
        "settle_timeout = \"1s\"\ncommit_point = \"head\"\nrole = \"a\"\nreplication = true\nadminister = [\"ops\"]",
        r#"
20:18 warning: `settle_timeout` has no effect: the server itself says when a session is over
    leave it out
21:16 warning: `commit_point` has no effect: the server itself says when a session is over
    leave it out
22:8 warning: `role` has no effect: it is for sessions with PostgreSQL
    leave it out, or name a listener with `protocol = "postgres"`
23:15 warning: `replication` has no effect: it is for sessions with PostgreSQL
    leave it out, or name a listener with `protocol = "postgres"`
24:14 warning: `administer` has no effect: this entry does not cover every key of every database
    write it in an entry without `keys` and `databases`
"#,
    );
    let keys = "keys = \"jobs:{queue}:*\"";
    check(
        &[(keys, "path = \"/jobs/{queue}\"")],
        r#"
17:8 error: `path` is for HTTP, S3 and PostgreSQL only
    write `keys`, such as `keys = "jobs:{queue}:*"`
"#,
    );
    check(
        &[(keys, "keys = \"{queue}*\"")],
        r#"
17:8 error: `keys` is not a pattern
    between two `:` there is at most one of `{name}` and `*`
"#,
    );
    check(
        &[("jobs/{queue}", "{queue}-{database}")],
        r#"
18:12 error: `resource` is not a template
    two places of a key need a `/` or a `:` between them, or different keys share a name by accident
"#,
    );
    check(
        &[(keys, ""), ("jobs/{queue}", "{queue}")],
        r#"
18:12 error: `resource` is not a template
    there is no place `{queue}`; there is `{database}`
"#,
    );
    with(
        "drain = \"60s\"\ntakeover_timeout = \"5s\"",
        r#"
21:20 warning: a takeover may wait 1m for the answer to a command, and a new leader waits 5s a try: it may be told `unsettled` 11 times
    write a longer `takeover_timeout`
"#,
    );

    let found = listener(&[
        (keys, "drain = \"20s\""),
        ("jobs/{queue}", "db{database}"),
        (
            "write = [\"**\"]",
            "write = [\"**\"]\nadminister = [\"ops-*\"]\nscripts = \"refuse\"\nsettle_timeout = \"60s\"",
        ),
    ]);
    let rule = found.rules.iter().next().expect("a rule");
    assert_eq!((rule.settle_timeout, rule.commit_point), (Duration::ZERO, CommitPoint::Head));
    assert_eq!(
        (rule.sessions.drain, rule.sessions.scripts),
        (Duration::from_secs(20), Scripts::Refuse)
    );
    assert!(rule.who.administer.contains("ops-1"));
    let key = found.rules.find_key(2, b"x").expect("a name").expect("a match");
    assert_eq!(key.resource.as_str(), "db2");
    assert_eq!(
        config(&[(keys, "drain = \"20s\""), ("{queue}", "a")]).gate.settle_timeout_max,
        Duration::from_secs(20)
    );
}

#[test]
fn rules_beside_each_other() {
    let second = |lines: &str| {
        format!("write = [\"**\"]\n[[resources]]\nname = \"second\"\nwrite = [\"a\"]\n{lines}")
    };
    let with =
        |lines: &str, expected: &str| check(&[("write = [\"**\"]", &second(lines))], expected);
    with("resource = \"rest\"", "");
    with("keys = \"jobs:*\"\nresource = \"rest\"", "");
    with(
        "keys = \"jobs:{q}:x\"\nresource = \"rest\"",
        r#"
23:8 error: this never matches: rule "jobs" takes all of its keys before it
    put the narrower rule first
"#,
    );
    with(
        "keys = \"other\"\nresource = \"jobs/a\"",
        r#"
24:12 error: this can name the same resource as `jobs/{queue}` of rule "jobs"
    begin them differently, or write the very same template to share resources
"#,
    );
    let first = (
        "keys = \"jobs:{queue}:*\"\nresource = \"jobs/{queue}\"",
        "databases = [0, 1]\nresource = \"all\"",
    );
    check(
        &[first, ("write = [\"**\"]", &second("databases = [1]\nresource = \"rest\""))],
        r#"
23:13 error: this never matches: rule "jobs" takes all of its keys before it
    put the narrower rule first
"#,
    );
    check(&[first, ("write = [\"**\"]", &second("databases = [1, 2]\nresource = \"rest\""))], "");

    check(
        &[("[[resources]]", &format!("{WEB}[[resources]]"))],
        r#"
26:8 error: this is on listeners for Redis, which has keys, and on others, which have paths
    write an entry for each, with `listeners` and resources of their own
"#,
    );
    let web = format!(
        "{WEB}[[resources]]\nname = \"web\"\nlisteners = [\"web\"]\npath = \"/a\"\nresource = \"a\"\nwrite = [\"a\"]\n[[resources]]\nlisteners = [\"redis\"]\n"
    );
    check(&[("[[resources]]\n", &web)], "");
    let keyed = web.replace("path = \"/a\"", "keys = \"a\"\nadminister = [\"a\"]");
    check(
        &[("[[resources]]\n", &keyed)],
        r#"
28:8 error: `keys` is for `protocol = "redis"` only
    write `path`, such as `path = "/orders/{shard}/**"`
29:14 error: `administer` is for `protocol = "redis"` only
    leave it out
"#,
    );
    let shared = web.replace("resource = \"a\"", "resource = \"jobs/{q}\"").replace("/a", "/{q}");
    check(
        &[("[[resources]]\n", &shared), ("{queue}\"", "{q}\""), ("{queue}", "{q}")],
        r#"
35:12 error: this shares its resources with rule "web", but only one of them is on listeners for Redis: writes settle differently there
    write another template
"#,
    );
}
