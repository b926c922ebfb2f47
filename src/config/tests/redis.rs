//! What is wrong with listeners and upstreams for Redis.

mod rules;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Fixture, check_in, said};
use crate::config::{Config, Listener};
use crate::protocol::redis;
use crate::protocol::redis::upstream::{Endpoint, Sentinel, Upstream};

const BASE: &str = r#"[ledger.embedded]
path = "ledger.redb"
[upstreams.cache]
endpoints = ["redis://localhost"]
[upstreams.cache.redis]
password_file = "secret"
[listeners.redis]
protocol = "redis"
listen = ["127.0.0.1:6380"]
upstream = "cache"
[listeners.redis.tls]
certificate = "server.pem"
key = "server.key"
client_ca = "ca.pem"
[[resources]]
name = "jobs"
keys = "jobs:{queue}:*"
resource = "jobs/{queue}"
write = ["**"]
"#;

fn check(edits: &[(&str, &str)], expected: &str) {
    check_in(BASE, edits, expected);
}

fn config(edits: &[(&str, &str)]) -> Config {
    let text = edits.iter().fold(BASE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "there is no {from}");
        text.replacen(from, to, 1)
    });
    let fixture = Fixture::new();
    fixture.parse(&text).unwrap_or_else(|_| panic!("{}", said(&fixture, &text))).0
}

/// The listener of the base with the edits in place.
fn listener(edits: &[(&str, &str)]) -> redis::Listener {
    match config(edits).listeners.into_iter().next() {
        Some(Listener::Redis(listener)) => listener,
        other => panic!("{other:?}"),
    }
}

fn upstream(edits: &[(&str, &str)]) -> Arc<Upstream> {
    listener(edits).upstream
}

#[test]
fn endpoints() {
    let tcp = |host: &str, port| Endpoint::Tcp { host: host.into(), port };
    let unix = |path: &str| Endpoint::Unix(Path::new(path).to_owned());
    check(&[], "");
    for (text, expected, has_tls) in [
        ("redis://r-1", tcp("r-1", 6379), false),
        ("redis://r-1:7000/", tcp("r-1", 7000), false),
        ("rediss://[::1]:1", tcp("::1", 1), true),
        ("unix:/run/redis/redis.sock", unix("/run/redis/redis.sock"), false),
        ("unix:///run/redis", unix("/run/redis"), false),
    ] {
        let found = upstream(&[("redis://localhost", text)]);
        assert_eq!(
            (&found.endpoints[..], found.tls.is_some()),
            (&[expected][..], has_tls),
            "{text}"
        );
    }
    check(
        &[(
            r#"["redis://localhost"]"#,
            r#"["http://h", "redis://u:hush@h",
"redis://h/0", "redis:h", "redis://h:x", "redis://h:0", "redis://",
"unix:", "unix:/a/"]"#,
        )],
        r#"
4:14 error: an endpoint cannot be used: `http` is not spoken to Redis
    write `redis://HOST:PORT`, `rediss://HOST:PORT`, or `unix:/FOLDER/redis.sock`
4:26 error: an endpoint cannot be used: it has a user name or a password; they have keys of their own
    write `redis://HOST:PORT`, `rediss://HOST:PORT`, or `unix:/FOLDER/redis.sock`
5:1 error: an endpoint cannot be used: it has a database or parameters; each client selects its own
    write `redis://HOST:PORT`, `rediss://HOST:PORT`, or `unix:/FOLDER/redis.sock`
5:16 error: an endpoint cannot be used: it does not begin with `redis://`, `rediss://` or `unix:`
    write `redis://HOST:PORT`, `rediss://HOST:PORT`, or `unix:/FOLDER/redis.sock`
5:27 error: an endpoint cannot be used: its port is not a port
    write `redis://HOST:PORT`, `rediss://HOST:PORT`, or `unix:/FOLDER/redis.sock`
5:42 error: an endpoint cannot be used: port 0 cannot be connected to
    write `redis://HOST:PORT`, `rediss://HOST:PORT`, or `unix:/FOLDER/redis.sock`
5:57 error: an endpoint cannot be used: it is not a host and a port
    write `redis://HOST:PORT`, `rediss://HOST:PORT`, or `unix:/FOLDER/redis.sock`
6:1 error: an endpoint cannot be used: it names no socket
    write `redis://HOST:PORT`, `rediss://HOST:PORT`, or `unix:/FOLDER/redis.sock`
6:10 error: an endpoint cannot be used: it names no socket
    write `redis://HOST:PORT`, `rediss://HOST:PORT`, or `unix:/FOLDER/redis.sock`
"#,
    );
    let long = format!("unix:/{}.sock", "a".repeat(102));
    check(
        &[("redis://localhost", &long)],
        r#"
4:14 error: an endpoint cannot be used: the path of its socket has more than 107 bytes
    write `redis://HOST:PORT`, `rediss://HOST:PORT`, or `unix:/FOLDER/redis.sock`
"#,
    );
}

#[test]
fn what_an_upstream_speaks() {
    let bare = |endpoint: &str| {
        let table =
            "[\"redis://localhost\"]\n[upstreams.cache.redis]\npassword_file = \"secret\"\n";
        config(&[(table, &format!("[\"{endpoint}\"]\n"))])
    };
    for endpoint in ["redis://localhost", "unix:/run/redis/redis.sock"] {
        assert_eq!(bare(endpoint).listeners[0].protocol(), "redis", "{endpoint}");
    }
    check(
        &[
            ("redis://localhost", "unix:/run/redis"),
            ("[upstreams.cache.redis]\npassword_file = \"secret\"\n", ""),
        ],
        r#"
3:1 error: [upstreams.cache] does not say who connects to PostgreSQL
    add `[upstreams.cache.postgres]` with `control_role`
8:12 error: upstream "cache" speaks PostgreSQL, not Redis
    name an upstream with `redis://` endpoints or a `redis` table
"#,
    );
    check(
        &[("protocol = \"redis\"", "protocol = \"postgres\"")],
        r#"
10:12 error: upstream "cache" speaks Redis, not PostgreSQL
    name an upstream that has a `postgres` table
17:8 error: `keys` is for `protocol = "redis"` only
    write `path`, such as `path = "/orders/{shard}/**"`
"#,
    );
    check(
        &[
            ("protocol = \"redis\"", "protocol = \"s3\""),
            ("keys = \"jobs:{queue}:*\"", "path = \"/{queue}/**\""),
        ],
        r#"
10:12 error: upstream "cache" speaks Redis, not HTTP
    write `protocol = "redis"`, or name another upstream
"#,
    );
}

#[test]
fn transport() {
    let plain = "\"redis://localhost\"";
    check(
        &[(plain, "\"redis://r-1\"")],
        r#"
4:14 warning: this is spoken to without TLS: whoever is on the way can read and change what is sent
    write `rediss://`
"#,
    );
    let tls = (
        "[upstreams.cache.redis]",
        "[upstreams.cache.tls]\nca = \"ca.pem\"\n[upstreams.cache.redis]",
    );
    check(&[(plain, "\"rediss://r-1\""), tls], "");
    let found = upstream(&[(plain, "\"rediss://r-1\""), tls]);
    assert!(found.tls.as_ref().is_some_and(|tls| tls.ca.is_some()));
    check(
        &[tls],
        r#"
4:14 error: this is spoken to without TLS, and there is [upstreams.cache.tls]
    write `rediss://` in each endpoint or in none
"#,
    );
    check(
        &[(plain, "\"unix:/run/redis.sock\""), tls],
        r#"
5:1 warning: [upstreams.cache.tls] has no effect: all endpoints are sockets
    name a host with `rediss://`, or leave the table out
"#,
    );
    let sentinels =
        ("[upstreams.cache.redis]\n", "[upstreams.cache.redis]\nsentinel.service = \"m\"\n");
    check(
        &[(plain, "\"rediss://s-1\", \"redis://s-2\""), sentinels],
        r#"
4:30 error: this is spoken to without TLS, and another endpoint with it
    write `rediss://` in each endpoint or in none
"#,
    );
    let broken = (
        "[upstreams.cache.redis]",
        "[upstreams.cache.tls]\nca = \"server.key\"\n[upstreams.cache.redis]",
    );
    check(
        &[(plain, "\"rediss://r-1\""), broken],
        r#"
6:6 error: DIR/server.key has no PEM `CERTIFICATE`
    `ca` takes a file with `-----BEGIN CERTIFICATE-----`
"#,
    );
    check(
        &[(plain, "\"rediss://r_1-:1\""), ("password_file", "#password_file")],
        r#"
4:13 error: r_1- is no name that a certificate can bear; set server_name
    write `server_name` in the `tls` table beside it
5:1 warning: upstream "cache" has no password, and Palisade shows no certificate: whoever reaches the server can write there, around the fence
    write `password_file` in `[upstreams.cache.redis]`
"#,
    );
}

#[test]
fn who_logs_in() {
    let password = "password_file = \"secret\"\n";
    check(
        &[(
            password,
            "password = \"hush\"\nuser = \"a b\"\nreplica = \"a b\"\nlogin_timeout = 5\n",
        )],
        r#"
5:1 warning: upstream "cache" has no password, and Palisade shows no certificate: whoever reaches the server can write there, around the fence
    write `password_file` in `[upstreams.cache.redis]`
6:1 error: unknown key `password` in [upstreams.cache.redis]
    passwords are not kept here: name a file with `..._file`, or an environment variable with `..._env`, and change the password if this file was ever shared
7:8 error: `user` cannot be used
    1 to 128 bytes without spaces
8:11 error: `replica` cannot be used
    1 to 20 letters, digits, `-`, `_` and `.`
9:17 error: `login_timeout` is a number
    it takes a duration with a unit such as `"30s"`
"#,
    );
    check(
        &[(password, "user = \"palisade\"\n")],
        r#"
6:8 error: [upstreams.cache.redis] has a `user` and no password
    add `password_file`, or leave `user` out
"#,
    );
    check(
        &[(password, "password_file = \"secret\"\npassword_env = \"SECRET\"\n")],
        r#"
7:16 error: `password_file` and `password_env` are both there
    leave one of them out
"#,
    );
    check(
        &[(password, "")],
        r#"
5:1 warning: upstream "cache" has no password, and Palisade shows no certificate: whoever reaches the server can write there, around the fence
    write `password_file` in `[upstreams.cache.redis]`
"#,
    );
    check(&[(password, ""), ("redis://localhost", "unix:/run/redis.sock")], "");
    let keys = "user = \"palisade\"\npassword_env = \"SECRET\"\nreplica = \"r1\"\n\
                login_timeout = \"1s\"\ncheck_interval = \"2s\"\n";
    let found = upstream(&[(password, keys)]);
    assert_eq!((found.user.as_deref(), &*found.replica), (Some("palisade"), "r1"));
    assert_eq!(found.password.0.as_ref().map(|secret| secret.as_str()), Some("hush"));
    assert_eq!(
        (found.login_timeout, found.check_interval),
        (Duration::from_secs(1), Duration::from_secs(2))
    );
    assert!(!format!("{found:?}").contains("hush"));
    let default = upstream(&[]);
    assert_eq!((default.user.as_deref(), &*default.replica), (None, "default"));
    assert_eq!(default.login_timeout, Duration::from_secs(10));
    assert_eq!(default.check_interval, Duration::from_secs(1));
}

#[test]
fn the_primary_is_found_through_sentinels() {
    let three = ("\"redis://localhost\"", "\"redis://127.0.0.1:1\", \"redis://127.0.0.1:2\"");
    check(
        &[three],
        r#"
4:13 error: `endpoints` has 2 servers, and nobody says which of them is the primary; shards of a cluster are not told apart either
    name the Sentinels instead and add `[upstreams.cache.redis.sentinel]` with `service`; or write an upstream and a listener for each shard
"#,
    );
    let table = |keys: &str| format!("[upstreams.cache.redis.sentinel]\n{keys}[listeners.redis]");
    let whole = table("service = \"main\"\nuser = \"s\"\npassword_env = \"SECRET\"\n");
    let found =
        upstream(&[("redis://localhost", "redis://127.0.0.1"), ("[listeners.redis]", &whole)]);
    let endpoint = Endpoint::Tcp { host: "127.0.0.1".into(), port: 26379 };
    assert_eq!(found.endpoints, [endpoint]);
    let Some(Sentinel { service, user, password }) = &found.sentinel else { panic!("{found:?}") };
    assert_eq!((&**service, user.as_deref()), ("main", Some("s")));
    assert!(password.0.is_some());
    check(&[three, ("[listeners.redis]", &whole)], "");
    check(
        &[(
            "[listeners.redis]",
            &table("master_name = \"m\"\nuser = \"s\"\npassword = \"hush\"\n"),
        )],
        r#"
7:1 error: [upstreams.cache.redis.sentinel] has no `service`
    add `service = "mymaster"`
8:1 error: unknown key `master_name` in [upstreams.cache.redis.sentinel]
    write `service`
9:8 error: [upstreams.cache.redis.sentinel] has a `user` and no password
    add `password_file`, or leave `user` out
10:1 error: unknown key `password` in [upstreams.cache.redis.sentinel]
    passwords are not kept here: name a file with `..._file`, or an environment variable with `..._env`, and change the password if this file was ever shared
"#,
    );
    let twin = |keys: &str| {
        format!(
            "[upstreams.two]\nendpoints = [\"redis://127.0.0.1:2\"]\nredis = {{ password_env = \"SECRET\"{keys} }}\n[listeners.redis]"
        )
    };
    let both = [
        three,
        (
            "[listeners.redis]",
            &whole.replace("[listeners.redis]", &twin(", sentinel = { service = \"main\" }")),
        ),
    ];
    check(
        &both,
        r#"
11:12 warning: no listener uses upstream "two"
    leave it out, or name it in a listener
11:12 error: this has a server of upstream "cache" and the same `replica`: each would end the sessions of the other
    name that upstream in both listeners, or write another `replica`
"#,
    );
}

#[test]
fn limits_and_keys_of_other_protocols() {
    let found = listener(&[(
        "[[resources]]",
        "[listeners.redis.limits]\ncommand_bytes_max = \"2MiB\"\nresources_max = 5\nunread_timeout = \"2s\"\n[[resources]]",
    )]);
    let redis::Limits { command_bytes_max, resources_max, unread_timeout, .. } = found.limits;
    assert_eq!((command_bytes_max, resources_max, unread_timeout.as_secs()), (2 << 20, 5, 2));
    assert_eq!(listener(&[]).limits, redis::Limits::default());
    check(
        &[
            (
                "[upstreams.cache.redis]",
                "idle_timeout = \"1s\"\npostgres = {}\n[upstreams.cache.redis]",
            ),
            (
                "upstream = \"cache\"",
                "upstream = \"cache\"\nprefix = \"/.x\"\ntoken_header = \"X\"",
            ),
            (
                "[[resources]]",
                "[listeners.redis.limits]\nheader_timeout = \"1s\"\nbody_bytes_max = \"1B\"\n\
                 statement_bytes_max = \"1B\"\ncommand_bytes_max = \"1B\"\nresources_max = 0\n\
                 [listeners.redis.unmatched]\nread = [\"a\"]\n[[resources]]",
            ),
        ],
        r#"
5:16 error: `idle_timeout` is for other upstreams only
    leave it out
6:12 error: `postgres` is for other upstreams only
    leave it out
13:10 error: `prefix` is for other protocols only
    leave it out: a client asks for its mark by `PALISADE STATUS`
14:16 error: `token_header` is for other protocols only
    leave it out: a client brings its token as the user name `token=42`, or by `PALISADE TOKEN 42`
20:18 error: `header_timeout` is for other protocols only
    leave it out
21:18 error: `body_bytes_max` is for other protocols only
    leave it out: values are passed on as they come, never held
22:23 error: `statement_bytes_max` is for other protocols only
    write `command_bytes_max`
23:21 error: `command_bytes_max` is out of bounds
    from 1KiB to 64MiB
24:17 error: `resources_max` is out of bounds
    from 1 to 100000
25:1 error: `unmatched` is for other protocols only
    leave it out: a key that no rule covers is refused
"#,
    );
    super::check(
        &[(
            "[[resources]]",
            "[listeners.objects.limits]\ncommand_bytes_max = \"1MiB\"\n[[resources]]",
        )],
        r#"
17:21 error: `command_bytes_max` is for `protocol = "redis"` only
    leave it out
"#,
    );
}
