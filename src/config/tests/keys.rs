//! Unknown keys, wrong types, bad values.

use super::{BASE, Fixture, check, said};
use crate::config::Ledger;

#[test]
fn unknown_keys_wrong_types_and_bad_values() {
    check(&[], "");
    check(
        &[(r#"name = "orders""#, r#"nmae = "orders""#)],
        r#"
16:1 error: [[resources]] has no `name`
    add `name = "orders"`
17:1 error: unknown key `nmae` in [[resources]]
    did you mean `name`?
"#,
    );
    check(
        &[(
            "[[resources]]",
            r#"[gate]
max_jump = 1
[[resources]]"#,
        )],
        r#"
17:1 error: unknown key `max_jump` in [gate]
    it belongs in [resources.tokens]
"#,
    );
    check(
        &[(
            "[[resources]]",
            r#"[[resources]]
max_jump = 1
zzz = 2"#,
        )],
        r#"
17:1 error: unknown key `max_jump` in [[resources]]
    it belongs in [resources.tokens]
18:1 error: unknown key `zzz` in [[resources]]
    known here: `name`, `listeners`, `path`, `keys`, `databases`, `resource`, `write`, `read`, `raise`, `reads`, `commit_point`, `settle_timeout`, `takeover_timeout`, `role`, `drain`, `replication`, `scripts`, `administer`, `tokens`
"#,
    );
    check(
        &[(
            "[ledger",
            r#"drain_timeout = 30
workers = "2"
[ledger"#,
        )],
        r#"
1:17 error: `drain_timeout` is a number
    it takes a duration with a unit such as `"30s"`
2:11 error: `workers` is a text
    it takes a whole number without quotes
"#,
    );
    check(
        &[(
            "[ledger",
            r#"drain_timeout = "30"
workers = 0
[ledger"#,
        )],
        r#"
1:17 error: `drain_timeout` cannot be "30"
    a unit is missing; write `30s`, or one of ms, s, m, h, d
2:11 error: `workers` is out of bounds
    from 1 to 1024
"#,
    );
    check(
        &[(
            "[ledger",
            r#"drain_timeout = "0s"
workers = -1
[ledger"#,
        )],
        r#"
1:17 error: `drain_timeout` is zero
    write a larger one, or leave `drain_timeout` out for its default
2:11 error: `workers` is out of bounds
    from 1 to 1024
"#,
    );
    check(
        &[(
            "[ledger",
            r#"drain_timeout = "8d"
workers = 1.5
[ledger"#,
        )],
        r#"
1:17 error: `drain_timeout` cannot be "8d"
    at most 7d
2:11 error: `workers` is a fraction
    it takes a whole number without quotes
"#,
    );
    check(
        &[(
            "[ledger",
            r#"log = 7
resource = 1
[gate]
active_resources_max=9_999_999_999
[ledger"#,
        )],
        r#"
1:7 error: `log` is a number
    it takes a table
2:1 error: unknown key `resource` in the top level
    write `[[resources]]`
4:22 error: `active_resources_max` is out of bounds
    from 1 to 100000000
"#,
    );
    check(&[("[ledger", "drain_delay = \"0s\"\n[ledger")], "");
    check(
        &[(
            "[ledger.embedded]",
            r#"drain_delay = "-1s"
[gate]
writes_per_resource_max = 0
[ledger.embedded]
commit_stall_timeout = "0s""#,
        )],
        r#"
1:15 error: `drain_delay` cannot be "-1s"
    write a whole number and a unit, such as `30s`
3:27 error: `writes_per_resource_max` is out of bounds
    from 1 to 1000000
5:24 error: `commit_stall_timeout` is zero
    write a larger one, or leave `commit_stall_timeout` out for its default
"#,
    );
    check(
        &[("[[resources]]", "[resources]")],
        r#"
16:1 error: `resources` is a table
    it takes a list of tables; write `[[resources]]` with two brackets
"#,
    );
    check(
        &[(
            r#"[ledger.embedded]
path"#,
            r#"[ledger.mysql]
url"#,
        )],
        r#"
1:2 error: no ledger is configured: marks have to be kept somewhere durable
    add `[ledger.embedded]` with `path` for one process, or `[ledger.etcd]` with `endpoints` for several replicas
1:9 error: unknown key `mysql` in [ledger]
    known here: `embedded`, `etcd`, `redis`, `session`
"#,
    );
    check(
        &[(
            r#"[ledger.embedded]
path = "ledger.redb""#,
            "",
        )],
        r#"
1:1 error: no ledger is configured: marks have to be kept somewhere durable
    add `[ledger.embedded]` with `path` for one process, or `[ledger.etcd]` with `endpoints` for several replicas
"#,
    );
    check(
        &[("ledger.redb", "nowhere/ledger.redb")],
        r#"
2:8 error: the directory DIR/nowhere is not there
    make the directory, and name a file in it
"#,
    );
    check(
        &[(
            "[[resources]]",
            r#"[listeners.objects.limits]
header_bytes_max = "64KB"
headers_max = 0
body_bytes_max="0B"
[[resources]]"#,
        )],
        r#"
17:20 error: `header_bytes_max` cannot be "64KB"
    the units are B, KiB, MiB, GiB, TiB; write it as in `64KiB`
18:15 error: `headers_max` is out of bounds
    from 1 to 1000
19:16 error: `body_bytes_max` is zero
    write a larger one, or leave `body_bytes_max` out for its default
"#,
    );
    check(
        &[(
            "[[resources]]",
            r#"[log]
format = "yaml"
level = "info"
filter = "palisade=loud=x"
[[resources]]"#,
        )],
        r#"
17:10 error: `format` cannot be "yaml"
    one of "text", "json"
18:1 error: unknown key `level` in [log]
    write `filter`, as in `filter = "info"`
19:10 error: `filter` cannot be used: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5
    write a level such as `info`, or `palisade=debug,info`
"#,
    );
    check(
        &[(
            "[[resources]]",
            r#"[audit]
file = "none/audit"
stdout = true
rotate = "1"
[[resources]]"#,
        )],
        r#"
17:8 error: the directory DIR/none is not there
    make the directory, and name a file in it
18:10 error: `file` and `stdout` are both there
    leave one of them out
19:10 error: `rotate` cannot be "1"
    a unit is missing; write `1KiB`, or one of B, KiB, MiB, GiB, TiB
"#,
    );
    check(
        &[(
            "[[resources]]",
            r#"[audit]
stdout = false
keep = 1
[[resources]]"#,
        )],
        r#"
17:10 error: the audit log goes nowhere
    name a `file`, or write `stdout = true`
18:8 warning: `keep` has no effect without `file`
    name a `file`, or leave it out
"#,
    );
    check(
        &[(r#"["127.0.0.1:9443"]"#, r#"[7, "localhost:9443"]"#)],
        r#"
10:11 error: `listen[0]` is a number
    it takes a text in quotes
10:14 error: `listen` is not an address and a port
    write numbers, such as `127.0.0.1:9443`, `0.0.0.0:9443` or `[::]:9443`
"#,
    );
    check(
        &[(r#"["**"]"#, "{}")],
        r#"
20:9 error: `write` is a table
    it takes a list of texts such as `["a", "b"]`
"#,
    );
}

#[test]
fn the_ledger_and_the_gate() {
    check(
        &[(
            "[upstreams.minio]",
            r#"cache = "1023KiB"
verify_on_open = 1
[gate]
takeover_queue_max = 0
[upstreams.minio]"#,
        )],
        r#"
3:9 error: `cache` is out of bounds
    from 1MiB to 1TiB
4:18 error: `verify_on_open` is a number
    it takes `true` or `false`
6:22 error: `takeover_queue_max` is out of bounds
    from 1 to 10000000
"#,
    );
    let fixture = Fixture::new();
    let keys = "cache = \"2MiB\"\nverify_on_open = false\n[upstreams.minio]\n";
    let text = BASE.replace("[upstreams.minio]\n", keys);
    let Ledger::Embedded { settings, .. } = fixture.parse(&text).expect("valid").0.ledger else {
        panic!("another ledger")
    };
    assert_eq!((settings.cache_bytes, settings.verify_on_open), (2 << 20, false));
}

#[test]
fn the_audit_log_stays_away_from_the_ledger() {
    for (file, is_apart) in [
        ("ledger.redb", false),
        ("./ledger.redb", false),
        ("sub/../ledger.redb", false),
        ("link/ledger.redb", false),
        ("ledger.redb.1", true),
        ("ledger", true),
    ] {
        let fixture = Fixture::new();
        fixture.put("sub/x", "");
        std::os::unix::fs::symlink(fixture.directory(), fixture.path("link")).expect("a link");
        let found = said(&fixture, &format!("audit.file = \"{file}\"\n{BASE}"));
        let expected = "1:14 error: the audit log would be written over the ledger, which is this \
                        file too\n    name another file";
        assert_eq!(found, if is_apart { "" } else { expected }, "{file}");
    }
    // The third file that is put aside.
    check(
        &[("ledger.redb\"", "a.log.3\"\n[audit]\nfile = \"a.log\"")],
        r#"
4:8 error: the audit log would be written over the ledger, which is this file too
    name another file
"#,
    );
}
