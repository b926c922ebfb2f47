//! Every mistake is told with its place and its mend, all of them in one go.

mod examples;
mod keys;
mod ledger;
mod limits;
mod listeners;
mod messages;
mod postgres;
mod redis;
mod resources;
mod sessions;
mod tls;

use super::testing::Fixture;
use super::*;

const BASE: &str = r#"[ledger.embedded]
path = "ledger.redb"
[upstreams.minio]
endpoints = ["http://127.0.0.1:9000"]
[upstreams.minio.s3]
access_key_id_env = "ID"
secret_access_key_env = "SECRET"
[listeners.objects]
protocol = "s3"
listen = ["127.0.0.1:9443"]
upstream = "minio"
[listeners.objects.tls]
certificate = "server.pem"
key = "server.key"
client_ca = "ca.pem"
[[resources]]
name = "orders"
path = "/orders/{shard}/**"
resource = "orders/{shard}"
write = ["**"]
"#;

/// What is said about a text: `line:column severity: message`, and the mend below it.
fn said(fixture: &Fixture, text: &str) -> String {
    let problems = match fixture.parse(text) {
        Ok((_, problems)) | Err(problems) => problems,
    };
    let line = |problem: &Problem| {
        let severity = if problem.is_error() { "error" } else { "warning" };
        let Problem { line, column, message, mend, .. } = problem;
        format!("{line}:{column} {severity}: {message}\n    {mend}")
            .replace(fixture.directory().to_str().expect("a path"), "DIR")
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// With the edits in place, exactly that is said.
fn check(edits: &[(&str, &str)], expected: &str) {
    check_in(BASE, edits, expected);
}

fn check_in(base: &str, edits: &[(&str, &str)], expected: &str) {
    let fixture = Fixture::new();
    let mut text = base.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "there is no {from}");
        text = text.replacen(from, to, 1);
    }
    assert_eq!(said(&fixture, &text), expected.trim(), "{edits:?}");
}
