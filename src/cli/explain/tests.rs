//! What is explained, word by word.

mod command;
mod session;

use super::*;
use crate::config::testing::Fixture;

const CONFIG: &str = r#"
ledger.embedded.path = "ledger.redb"
upstreams.plain.endpoints = "http://127.0.0.1:9000"
[upstreams.store]
endpoints = "http://127.0.0.1:9000"
s3 = { access_key_id_file = "id", secret_access_key_file = "id" }
[listeners.objects]
protocol = "s3"
listen = "127.0.0.1:9443"
upstream = "store"
domains = ["s3.test"]
tls = { certificate = "server.pem", key = "server.key", client_ca = "ca.pem" }
unmatched.write = ["z"]
[listeners.web]
protocol = "http"
listen = "127.0.0.1:9444"
upstream = "plain"
tls = { certificate = "server.pem", key = "server.key", client_ca = "ca.pem" }
[[resources]]
name = "orders"
path = "/orders/{shard}/**"
resource = "orders/{shard}"
write = ["db/*", "guest"]
raise = ["db/*"]
read = ["**"]
"#;

fn config() -> Config {
    let fixture = Fixture::new();
    fixture.parse(CONFIG).expect("a valid configuration").0
}

fn args(request: &str, identity: &str, listener: &str, token: &str) -> Args {
    Args {
        file: PathBuf::new(),
        request: request.to_owned(),
        identity: identity.to_owned(),
        listener: (!listener.is_empty()).then(|| listener.to_owned()),
        token: (!token.is_empty()).then(|| token.parse().expect("a token")),
        headers: Vec::new(),
        database: None,
        user: None,
        resource: None,
    }
}

#[test]
fn a_fenced_write() {
    let args = args("PUT /orders/7/a%20b?x-id=PutObject", "db/a", "objects", "42");
    let expected = r#"
PUT /orders/7/a%20b?x-id=PutObject as db/a on listener objects (s3, upstream store)
  operation     PutObject
  commit point  the last byte of its body: until then a takeover cuts it with certainty
  write         /orders/7/a b
  rule          orders (path /orders/{shard}/**)
  resource      orders/7 (from orders/{shard}, shard = 7)
  may read      yes, by **
  may write     yes, by db/*
  may raise     yes, by db/*
  asked         token 42 against the mark
                  below it: refused as stale
                  equal: admitted if db/a brought it first, else refused as conflict
                  above it: a takeover: the mark is raised, older writes settle, then admitted (more than 281474976710656 above the mark: refused as implausible)
  settled       once the store has answered to the end, or 30s after its last byte (outcome unknown); a new leader waits 10s a try
  guarantee     fenced: G1 to G4 and G6 are kept through pauses, partitions and crashes of writers and of Palisade; G5 does not arise: the embedded ledger serves one process
                not kept: a write that the store applies later than 30s after its last byte without having answered
                after an unclean restart, each resource's first takeover waits 30s once
                an invented token is bounded by `max_jump` (281474976710656) and by who may raise
                Palisade signs for the store: kept as long as no writer has credentials of its own
"#;
    assert_eq!(explain(&config(), &args).expect("text").trim(), expected.trim());
}

#[test]
fn a_shared_ledger_is_told() {
    let etcd = "ledger.etcd.endpoints = 'http://127.0.0.1:2379'\nledger.session.replica = 'r1'";
    let text = CONFIG.replace("ledger.embedded.path = \"ledger.redb\"", etcd);
    let parse = |text: &str| {
        let fixture = Fixture::new();
        fixture.parse(text).unwrap_or_else(|problems| panic!("{problems:?}")).0
    };
    let expected = [
        "guarantee     fenced: G1 to G6 are kept",
        "does not reach the ledger (etcd at 127.0.0.1:2379, namespace default), it serves current \
         holders for 12s",
        "up to 15s",
        "frozen between its last look at the clock and sending them, for longer than 15s",
    ];
    find(&parse(&text), &args("PUT /orders/7/a", "db/a", "objects", "42"), &expected);
    let redis = etcd.replace("etcd", "redis").replace("http:", "redis:").replace("2379", "6379");
    for (accepts, told) in [(false, "takeovers wait for an operator"), (true, "NOT KEPT when")] {
        let redis = format!("{redis}\nledger.redis.accept_loss = {accepts}");
        let config = parse(&text.replace(etcd, &redis));
        find(&config, &args("PUT /orders/7/a", "db/a", "objects", "42"), &[told]);
    }
}

/// Each of these is in the answer, in this order.
fn find(config: &Config, args: &Args, expected: &[&str]) {
    let text = explain(config, args).expect("text");
    let mut left = text.as_str();
    for part in expected {
        let at = left.find(part).unwrap_or_else(|| panic!("no {part:?} in\n{text}"));
        left = &left[at + part.len()..];
    }
}

#[test]
fn what_decides() {
    let config = config();
    let check = |request: &str, identity: &str, listener: &str, token: &str, expected: &[&str]| {
        find(&config, &args(request, identity, listener, token), expected);
    };

    let refused = "guarantee     refused";
    check(
        "PUT /orders/7/a",
        "x",
        "objects",
        "1",
        &[
            "refused       403 forbidden",
            "may write     no: no glob",
            "asked         nothing",
            refused,
        ],
    );
    check("PUT /orders/7/a", "db/a", "objects", "", &["428 token_required", refused]);
    check(
        "PUT /orders/7/a",
        "guest",
        "objects",
        "1",
        &["above it: refused as forbidden", "fenced"],
    );
    check("PUT /orders/7/a", "db/a", "objects", "1.1", &["implausible unless", "fenced"]);
    check(
        "PUT /orders/7/a",
        "db/a",
        "objects",
        "9223372036854775808",
        &["whatever the mark", refused],
    );
    check("GET /orders/7/a", "x", "objects", "", &["GetObject", "may come without", "open read"]);
    check("GET /orders/7/a", "db/a", "objects", "3", &["sealed, then", "sealed read"]);
    check("DELETE /orders/7/a", "db/a", "objects", "1", &["commit point  its head, as it has no"]);
    check(
        "POST /orders/7/a?uploadId=x",
        "db/a",
        "objects",
        "1",
        &["commit point  its head, as stores"],
    );
    check("PUT /other/a", "z", "objects", "", &["yes, by z", "guarantee     NONE"]);
    check("GET /other/a", "z", "objects", "", &["403 no_rule", "no: nobody may", refused]);
    check("PUT /.palisade/seal", "z", "objects", "", &["itself, for \"seal\"", "nothing of it"]);
    check(
        "PUT /orders/7/a",
        "db/a",
        "web",
        "1",
        &["operation     PUT", "commit point  its head, by rule orders", "nobody but Palisade"],
    );
    check("PUT /orders/7/a", "db/a", "", "1", &["listener objects", "listener web"]);
    check(
        "POST /orders?delete",
        "db/a",
        "objects",
        "1",
        &["DeleteObjects", "every key that its body names", "'DELETE /orders/key'"],
    );
    check("POST /orders?delete", "db/a", "objects", "", &["428 token_required", "every key"]);
}

#[test]
fn what_the_proxy_refuses() {
    let config = config();
    let check = |request: &str, listener: &str, expected: &str| {
        let refused = format!("  refused       {expected}");
        let args = args(request, "db/a", listener, "1");
        find(&config, &args, &[&refused, "guarantee     refused: nothing reaches the store"]);
        assert!(!explain(&config, &args).expect("text").contains("  rule"), "{request}");
    };

    check("PUT /orders/a/../b", "web", "400 malformed: the path has a dot segment; send");
    check("PUT /orders//b", "web", "400 malformed: the path has an empty segment; send");
    check("PUT /%ff", "web", "400 malformed: the decoded path is not UTF-8; encode");
    check("TRACE /orders/7/a", "web", "405 malformed: the method TRACE is not taken");
    check("OPTIONS *", "web", "400 malformed: the target is no path");
    check("PUT /%2epalisade/seal", "web", "400 malformed: the reserved prefix is encoded");
    check("PUT /orders/7/../8/a", "objects", "400 malformed: a key with an empty, . or .. segment");
    check("PUT /orders/a%2Fb", "objects", "400 malformed: an encoded slash (%2F) is ambiguous");
    check("PUT /Orders/a", "objects", "400 malformed: a bucket has 3 to 63");
    check("GET /orders/a?acl&tagging", "objects", "400 malformed: the query selects two");
    check("POST /orders", "objects", "400 malformed: a POST that is no known operation");
    check("GET /orders?session", "objects", "400 malformed: ?session hands out credentials");
}

#[test]
fn what_headers_change() {
    let config = config();
    let check = |request: &str, listener: &str, headers: &[&str], expected: &[&str]| {
        let headers = headers.iter().map(|text| request::header(text).expect("a header"));
        let args = Args { headers: headers.collect(), ..args(request, "db/a", listener, "") };
        find(&config, &args, expected);
    };

    // All targets of a copy, each with its own rule.
    let token = "fencing-token: 42";
    check(
        "PUT /orders/8/b",
        "objects",
        &["x-amz-copy-source: /orders/7/a", token],
        &[
            "operation     CopyObject",
            "commit point  its head, as it has no body",
            "write         /orders/8/b",
            "resource      orders/8",
            "equal: admitted",
            "fenced: G1",
            "read          /orders/7/a",
            "resource      orders/7",
            "equal: sealed, then forwarded",
            "sealed read",
        ],
    );
    check(
        "PUT /orders/8/b",
        "objects",
        &["x-amz-copy-source: /orders/8/a", token],
        &["read          /orders/8/a", "asked         with the write of the same resource"],
    );
    // One that is refused takes the others with it.
    check(
        "PUT /orders/8/b",
        "objects",
        &["x-amz-copy-source: /other/a", token],
        &[
            "refused       403 no_rule",
            "write         /orders/8/b",
            "guarantee     refused",
            "read          /other/a",
            "none matches",
            "guarantee     refused",
        ],
    );
    check("PUT /orders/8/b", "objects", &[token, token], &["400 token_malformed: there are sev"]);
    check("PUT /orders/8/b", "objects", &["content-length: 0", token], &["its head, as it has no"]);
    check("GET /orders/8/b", "web", &["content-length: 1"], &["400 malformed: a read has a body"]);
    check("PUT /7/a", "objects", &["host: orders.s3.test", token], &["write         /orders/7/a"]);
    check("PUT /8/b", "objects", &["host: a b", token], &["400 malformed: Host is no name"]);
    check(
        "PUT /orders/8/b",
        "objects",
        &["x-amz-rename-source: /orders/8/a", token],
        &["400 malformed: header x-amz-rename-source: belongs to a PUT with ?renameObject"],
    );
    for text in ["x", "a b: c", ": c", "x: a\u{7f}b"] {
        assert!(request::header(text).is_err(), "{text:?}");
    }
}

#[test]
fn what_cannot_be_explained() {
    let config = config();
    let check = |request: &str, listener: &str, expected: &str| {
        let error = explain(&config, &args(request, "x", listener, "")).expect_err("an error");
        assert!(error.to_string().contains(expected), "{error}");
    };

    check("/orders", "", "as one argument");
    check("PUT /a HTTP/1.1", "", "as one argument");
    check("P(T /a", "", "is not a method");
    check("PUT <a>", "", "is not a target");
    check("PUT orders", "", "from its `/` on");
    check("PUT /a", "nope", "there are: objects, web");
}
