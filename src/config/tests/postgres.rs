//! What is wrong with listeners, upstreams and rules for PostgreSQL.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Fixture, check_in, said};
use crate::config::Listener;
use crate::protocol::postgres::upstream::{Endpoint, Login, TargetSessionAttrs, Upstream};

pub(super) const BASE: &str = r#"[ledger.embedded]
path = "ledger.redb"
[upstreams.db]
endpoints = ["postgres://localhost"]
[upstreams.db.postgres]
control_role = "palisade"
control_password_env = "SECRET"
[upstreams.db.postgres.roles.app]
password_file = "secret"
[listeners.pg]
protocol = "postgres"
listen = ["127.0.0.1:6432"]
upstream = "db"
[listeners.pg.tls]
certificate = "server.pem"
key = "server.key"
client_ca = "ca.pem"
[[resources]]
name = "orders"
path = "/orders/{user}"
resource = "orders"
write = ["**"]
"#;

fn check(edits: &[(&str, &str)], expected: &str) {
    check_in(BASE, edits, expected);
}

/// The upstream of the base with the edits in place.
fn upstream(edits: &[(&str, &str)]) -> Arc<Upstream> {
    let text = edits.iter().fold(BASE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "there is no {from}");
        text.replacen(from, to, 1)
    });
    let fixture = Fixture::new();
    let (config, _) = fixture.parse(&text).unwrap_or_else(|_| panic!("{}", said(&fixture, &text)));
    match &config.listeners[..] {
        [Listener::Postgres(listener)] => Arc::clone(&listener.upstream),
        listeners => panic!("{listeners:?}"),
    }
}

#[test]
fn endpoints() {
    let tcp = |host: &str, port| Endpoint::Tcp { host: host.into(), port };
    let unix = |path: &str| Endpoint::Unix(Path::new(path).to_owned());
    for (text, expected) in [
        ("postgres://db-1", tcp("db-1", 5432)),
        ("postgresql://db-1:5433", tcp("db-1", 5433)),
        ("postgres://[::1]:1", tcp("::1", 1)),
        ("unix:/run/postgresql", unix("/run/postgresql/.s.PGSQL.5432")),
        ("unix:/run/postgresql:5433", unix("/run/postgresql/.s.PGSQL.5433")),
    ] {
        assert_eq!(upstream(&[("postgres://localhost", text)]).endpoints, [expected], "{text}");
    }
    check(
        &[(
            r#"["postgres://localhost"]"#,
            r#"["http://h", "postgres://u:hush@h",
"postgres://h/db", "postgres:h", "postgres://h:x", "postgres://h:0", "postgres://",
"unix:", "unix:/a:x", "unix:/a/.s.PGSQL.5432", "unix:/a", "unix:/a:5432"]"#,
        )],
        r#"
4:14 error: an endpoint cannot be used: `http` is not spoken to PostgreSQL
    write `postgres://HOST:PORT`, or `unix:/FOLDER` of its socket
4:26 error: an endpoint cannot be used: it has a user name; roles have a table of their own
    write `postgres://HOST:PORT`, or `unix:/FOLDER` of its socket
5:1 error: an endpoint cannot be used: it has a database or parameters; each session names its own
    write `postgres://HOST:PORT`, or `unix:/FOLDER` of its socket
5:20 error: an endpoint cannot be used: it does not begin with `postgres://` or `unix:`
    write `postgres://HOST:PORT`, or `unix:/FOLDER` of its socket
5:34 error: an endpoint cannot be used: its port is not a port
    write `postgres://HOST:PORT`, or `unix:/FOLDER` of its socket
5:52 error: an endpoint cannot be used: port 0 cannot be connected to
    write `postgres://HOST:PORT`, or `unix:/FOLDER` of its socket
5:70 error: an endpoint cannot be used: it is not a host and a port
    write `postgres://HOST:PORT`, or `unix:/FOLDER` of its socket
6:1 error: an endpoint cannot be used: it names no folder
    write `postgres://HOST:PORT`, or `unix:/FOLDER` of its socket
6:10 error: an endpoint cannot be used: its port is not a port
    write `postgres://HOST:PORT`, or `unix:/FOLDER` of its socket
6:23 error: an endpoint cannot be used: it names a socket, not the folder that the socket is in
    write `postgres://HOST:PORT`, or `unix:/FOLDER` of its socket
6:59 error: an endpoint cannot be used: it is there twice
    leave one of them out
"#,
    );
    let long = format!("unix:/{}", "a".repeat(100));
    check(
        &[("postgres://localhost", &long)],
        r#"
4:14 error: an endpoint cannot be used: the path of its socket has more than 107 bytes
    write `postgres://HOST:PORT`, or `unix:/FOLDER` of its socket
"#,
    );
}

#[test]
fn transport() {
    let far = ("\"postgres://localhost\"", "\"unix:/run\", \"postgres://db-1\"");
    check(
        &[far],
        r#"
4:27 warning: this is spoken to without TLS: whoever is on the way can read and change what is sent
    add `[upstreams.db.tls]`
"#,
    );
    let tls =
        ("[upstreams.db.postgres]", "[upstreams.db.tls]\nca = \"ca.pem\"\n[upstreams.db.postgres]");
    check(&[far, tls], "");
    assert!(upstream(&[far, tls]).tls.as_ref().is_some_and(|tls| tls.ca.is_some()));
    check(
        &[("postgres://localhost", "unix:/run"), tls],
        r#"
5:1 warning: [upstreams.db.tls] has no effect: all endpoints are sockets
    name a host with `postgres://`, or leave the table out
"#,
    );
    check(
        &[(
            "[upstreams.db.postgres]",
            "[upstreams.db.tls]\ncertificate = \"server.pem\"\nkey = \"ca.pem\"\n[upstreams.db.postgres]",
        )],
        r#"
7:7 error: DIR/ca.pem has no PEM `PRIVATE KEY`
    `certificate` and `key` may be exchanged
"#,
    );
}

#[test]
fn files_of_tls_are_loaded() {
    let fixture = Fixture::new();
    let ca = fixture.read("ca.pem");
    fixture.put("cut.pem", &ca[..ca.len() / 2]);
    let tls = "[upstreams.db.tls]\nca = \"cut.pem\"\n[upstreams.db.postgres]";
    let expected = "6:6 error: cannot read DIR/cut.pem: its last section has no end; give a PEM file\n    \
                    make or copy the file again";
    assert_eq!(said(&fixture, &BASE.replace("[upstreams.db.postgres]", tls)), expected);
}

#[test]
fn who_logs_in() {
    let control = "control_role = \"palisade\"\n";
    check(
        &[(control, "target_session_attrs = \"master\"\nlogin = \"maybe\"\nreplica = \"a b\"\n")],
        r#"
5:1 error: [upstreams.db.postgres] has no `control_role`
    add `control_role = "palisade"`
6:24 error: `target_session_attrs` cannot be "master"
    one of "primary", "any", "read-write", "read-only", "standby", "prefer-standby"
7:9 error: `login` cannot be "maybe"
    one of "held", "pass-through"
8:11 error: `replica` cannot be used
    1 to 20 letters, digits, `-`, `_` and `.`
"#,
    );
    check(
        &[
            ("control_password_env = \"SECRET\"", "control_password = \"hush\""),
            ("\"palisade\"", "\"\""),
        ],
        r#"
5:1 warning: [upstreams.db.postgres] has no password, and Palisade shows no certificate: the server would have to trust whoever asks
    add `control_password_file`
6:16 error: that cannot be the name of a role
    1 to 63 bytes without control characters
7:1 error: unknown key `control_password` in [upstreams.db.postgres]
    passwords are not kept here: name a file with `..._file`, or an environment variable with `..._env`, and change the password if this file was ever shared
"#,
    );
    check(
        &[("[upstreams.db.postgres.roles.app]\npassword_file = \"secret\"\n", "")],
        r#"
5:1 error: Palisade holds no role that sessions could log in as
    add [upstreams.db.postgres.roles.NAME] with `password_file`, or write `login = "pass-through"`
"#,
    );
    check(
        &[("password_file = \"secret\"", "password_file = \"none\"\npassword_env = \"SECRET\"")],
        r#"
10:16 error: `password_file` and `password_env` are both there
    leave one of them out
"#,
    );
    check(
        &[("password_file = \"secret\"", "")],
        r#"
8:1 warning: [upstreams.db.postgres.roles.app] has no password, and Palisade shows no certificate: the server would have to trust whoever asks
    add `password_file`
"#,
    );
    check(&[("password_file = \"secret\"", ""), ("postgres://localhost", "unix:/run")], "");
    check(
        &[(control, "control_role = \"palisade\"\nlogin = \"pass-through\"\n")],
        r#"
9:24 warning: `roles` has no effect: `pass-through` lets clients log in themselves
    leave it out, or write `login = "held"`
"#,
    );
    let found = upstream(&[(
        control,
        "control_role = \"p\"\nlogin = \"pass-through\"\nreplica = \"a-1\"\n\
         target_session_attrs = \"prefer-standby\"\ncontrol_database = \"x\"\n",
    )]);
    assert_eq!((&found.login, &*found.replica), (&Login::PassThrough, "a-1"));
    assert_eq!(found.target, TargetSessionAttrs::PreferStandby);
    assert_eq!((&*found.control_role, &*found.control_database), ("p", "x"));
    assert!(!format!("{found:?}").contains("hush"));
    assert_eq!(found.check_interval, Duration::from_secs(2));
}

#[test]
fn keys_of_other_protocols() {
    let upstream = "http_version = \"2\"\nidle_timeout = \"1s\"\ns3 = {}\n[upstreams.db.postgres]";
    let limits = "[listeners.pg.limits]\nstreams_max = 1\nheader_timeout = \"1s\"\n\
                  startup_timeout = \"1s\"\nstatement_bytes_max = \"1B\"\nprepared_max = 0\n\
                  [listeners.pg.unmatched]\nread = [\"a\"]\n[[resources]]";
    let listener = "upstream = \"db\"\nprefix = \"/.x\"\ntoken_header = \"X\"";
    check(
        &[
            ("[upstreams.db.postgres]", upstream),
            ("upstream = \"db\"", listener),
            ("[[resources]]", limits),
        ],
        r#"
5:16 error: `http_version` is for upstreams that speak HTTP only
    leave it out
6:16 error: `idle_timeout` is for upstreams that speak HTTP only
    leave it out
7:6 error: `s3` is for upstreams that speak HTTP only
    leave it out
17:10 error: `prefix` is for `protocol = "http"` and `"s3"` only
    leave it out: a session asks for its mark by `SHOW palisade.mark`
18:16 error: `token_header` is for `protocol = "http"` and `"s3"` only
    leave it out: a session brings its token as `palisade.token`
24:15 error: `streams_max` is for `protocol = "http"` and `"s3"` only
    leave it out
25:18 error: `header_timeout` is for `protocol = "http"` and `"s3"` only
    leave it out: the start-up packet has `startup_timeout`
27:23 error: `statement_bytes_max` is out of bounds
    from 1KiB to 16MiB
28:16 error: `prepared_max` is out of bounds
    from 1 to 1000000
29:1 error: `unmatched` is for `protocol = "http"` and `"s3"` only
    leave it out: a session that no rule matches is refused
"#,
    );
    super::check(
        &[("[[resources]]", "[listeners.objects.limits]\nprepared_max = 1\n[[resources]]")],
        r#"
17:16 error: `prepared_max` is for `protocol = "postgres"` only
    leave it out
"#,
    );
}

#[test]
fn upstreams_and_their_tables() {
    check(
        &[("[upstreams.db.postgres]", "[upstreams.db.postgrse]")],
        r#"
5:15 error: unknown key `postgrse` in [upstreams.db]
    did you mean `postgres`?
8:15 error: [upstreams.db.postgres] has no `control_role`
    add `control_role = "palisade"`
8:15 warning: [upstreams.db.postgres] has no password, and Palisade shows no certificate: the server would have to trust whoever asks
    add `control_password_file`
"#,
    );
    check(
        &[(
            r#"[upstreams.db.postgres]
control_role = "palisade"
control_password_env = "SECRET"
[upstreams.db.postgres.roles.app]
password_file = "secret"
"#,
            "",
        )],
        r#"
3:1 error: [upstreams.db] does not say who connects to PostgreSQL
    add `[upstreams.db.postgres]` with `control_role`
"#,
    );
    let twin = |replica: &str| {
        let keys = "control_role = \"p\", control_password_env = \"SECRET\", \
                    login = \"pass-through\"";
        let endpoints = "[\"unix:/run\", \"postgres://localhost:5432\"]";
        format!(
            "[upstreams.db2]\nendpoints = {endpoints}\n\
             postgres = {{ {keys}, replica = \"{replica}\" }}\n[[resources]]"
        )
    };
    let unused = "18:12 warning: no listener uses upstream \"db2\"\n    \
                  leave it out, or name it in a listener";
    let both = "18:12 error: this has a server of upstream \"db\" and the same `replica`: each would \
                end the sessions of the other\n    \
                name that upstream in both listeners, or write another `replica`";
    check(&[("[[resources]]", &twin("other"))], unused);
    check(&[("[[resources]]", &twin("default"))], &format!("{unused}\n{both}"));
}
