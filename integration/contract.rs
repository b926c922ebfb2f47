//! The admission cases of the contract, one row each, over HTTP/1.1 and HTTP/2.

use http::Method;

use crate::rig::{Rig, Version};

/// The status of a write without a token.
pub const TOKEN_REQUIRED: u16 = 428;

/// A request: who, under which token (none where it is empty), what, where in the row's own shard.
type Step = (&'static str, &'static str, Method, &'static str);

/// One admission case.
struct Row {
    name: &'static str,
    bucket: &'static str,
    /// What has happened before, all of it admitted.
    before: &'static [(&'static str, &'static str)],
    step: Step,
    /// Status and reason; the reason of an admitted request is empty.
    want: (u16, &'static str),
}

const fn row(
    name: &'static str,
    bucket: &'static str,
    before: &'static [(&'static str, &'static str)],
    step: Step,
    want: (u16, &'static str),
) -> Row {
    Row { name, bucket, before, step, want }
}

const A33: &[(&str, &str)] = &[("leader-a", "33")];
const A33_B34: &[(&str, &str)] = &[("leader-a", "33"), ("leader-b", "34")];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("first-write", "fenced", &[], ("leader-a", "33", Method::PUT, "x"), (200, "")),
    row("same-token", "fenced", A33, ("leader-a", "33", Method::PUT, "x"), (200, "")),
    row("raise", "fenced", A33, ("leader-b", "34", Method::PUT, "x"), (200, "")),
    row("raise-by-read", "fenced", A33, ("leader-b", "34", Method::GET, "state"), (200, "")),
    row("read", "fenced", A33, ("reader", "", Method::GET, "state"), (200, "")),
    row("follower-writes", "fenced", A33, ("follower", "33", Method::PUT, "x"), (412, "conflict")),
    row("not-trusted", "fenced", A33, ("stranger", "33", Method::PUT, "x"), (403, "forbidden")),
    row("reader-writes", "fenced", A33, ("reader", "33", Method::PUT, "x"), (403, "forbidden")),
    row("stranger-reads", "fenced", A33, ("stranger", "", Method::GET, "state"), (403, "forbidden")),
    row("may-not-raise", "fenced", A33, ("follower", "34", Method::PUT, "x"), (403, "forbidden")),
    row("no-token", "fenced", A33, ("leader-a", "", Method::PUT, "x"), (TOKEN_REQUIRED, "token_required")),
    row("no-token-delete", "fenced", A33, ("leader-a", "", Method::DELETE, "state"), (TOKEN_REQUIRED, "token_required")),
    row("unreadable", "fenced", A33, ("leader-a", "thirty", Method::PUT, "x"), (400, "token_malformed")),
    row("two-in-one", "fenced", A33, ("leader-a", "33, 34", Method::PUT, "x"), (400, "token_malformed")),
    row("unreadable-read", "fenced", A33, ("leader-a", "-1", Method::GET, "state"), (400, "token_malformed")),
    row("stale-write", "fenced", A33_B34, ("leader-a", "33", Method::PUT, "x"), (412, "stale")),
    row("stale-delete", "fenced", A33_B34, ("leader-a", "33", Method::DELETE, "state"), (412, "stale")),
    row("stale-read", "fenced", A33_B34, ("leader-a", "33", Method::GET, "state"), (412, "stale")),
    row("conflict", "fenced", A33, ("leader-b", "33", Method::PUT, "x"), (412, "conflict")),
    row("implausible", "fenced", A33, ("leader-b", "1000034", Method::PUT, "x"), (422, "implausible")),
    row("plausible", "fenced", A33, ("leader-b", "1000033", Method::PUT, "x"), (200, "")),
    row("beyond-i64", "fenced", A33, ("leader-b", "9223372036854775808", Method::PUT, "x"), (422, "implausible")),
    row("incarnation", "fenced", A33, ("leader-b", "1.1", Method::PUT, "x"), (422, "implausible")),
    row("share", "shared", A33, ("leader-b", "33", Method::PUT, "x"), (200, "")),
    row("share-stale", "shared", A33_B34, ("leader-b", "33", Method::PUT, "x"), (412, "stale")),
    row("same-certificate", "bound", A33, ("leader-a", "33", Method::PUT, "x"), (200, "")),
    row("other-certificate", "bound", A33, ("leader-a2", "33", Method::PUT, "x"), (412, "conflict")),
    row("renewed", "fenced", A33, ("leader-a2", "33", Method::PUT, "x"), (200, "")),
    row("no-rule-write", "open", &[], ("leader-a", "33", Method::PUT, "x"), (403, "no_rule")),
];

async fn run(rig: &Rig, version: Version, row: &Row) -> Result<(), String> {
    let shard = format!("/{}/{}-{version:?}", row.bucket, row.name);
    let client = |who: &str, token: &str| {
        let client = rig.client(who).speaking(version);
        if token.is_empty() { client } else { client.token(token) }
    };
    for (who, token) in row.before {
        let reply = client(who, token).put(&format!("{shard}/state"), "before").await;
        if reply.status != 200 {
            return Err(format!(
                "{}: {who} with {token} before: {} {}",
                row.name,
                reply.status,
                reply.text()
            ));
        }
    }
    let (who, token, method, key) = &row.step;
    let body = if *method == Method::PUT { "body" } else { "" };
    let reply = client(who, token).send(method.clone(), &format!("{shard}/{key}"), body).await;
    let got = (reply.status.as_u16(), reply.header("fencing-refusal"));
    if got != row.want {
        return Err(format!(
            "{} over {version:?}: {got:?}, not {:?}: {}",
            row.name,
            row.want,
            reply.text()
        ));
    }
    // A refusal has a code and a sentence; and nothing of a refused write is in the store.
    if !row.want.1.is_empty() {
        if reply.element("Code").is_empty() || reply.element("Message").is_empty() {
            return Err(format!("{}: no S3 error document: {}", row.name, reply.text()));
        }
        let journal = std::fs::read_to_string(&rig.store.journal).unwrap();
        let leak = journal.contains(&format!("{shard}/{key}\"")) && *key == "x";
        if leak || (*method == Method::DELETE && journal.contains("\"DELETE\"")) {
            return Err(format!("{}: it was applied: {journal}", row.name));
        }
    } else if !token.is_empty() && reply.header("fencing-token") != *token {
        return Err(format!("{}: the answer names no token: {:?}", row.name, reply.headers));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_holds() {
    let rig = Rig::start().await;
    let mut failures = Vec::new();
    for version in [Version::Http1, Version::Http2] {
        for row in ROWS {
            failures.extend(run(&rig, version, row).await.err());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_token_headers_are_malformed() {
    let rig = Rig::start().await;
    let client = rig.client("leader-a").token("33").token("33");
    let reply = client.put("/fenced/two/x", "body").await;
    assert_eq!((reply.status.as_u16(), reply.header("fencing-refusal")), (400, "token_malformed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_audited() {
    let rig = Rig::start().await;
    rig.client("leader-b").token("34").put("/fenced/audit/x", "b").await;
    let stale = rig.client("leader-a").token("33").put("/fenced/audit/x", "a").await;
    assert_eq!(stale.status, 412);
    crate::rig::eventually("the audit log tells of it", async || {
        let audit = std::fs::read_to_string(rig.dir().join("audit.jsonl")).unwrap_or_default();
        let line = audit.lines().find(|line| line.contains("\"stale\"")).map(str::to_owned);
        line.is_some_and(|line| {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            event["identity"] == "leader-a" && event["token"] == "33" && event["mark"] == "34"
        })
    })
    .await;
}
