//! What is explained, word by word.

use super::*;
use crate::net::authority::{AUTHORITY_LIFETIME, Authority, LEAF_LIFETIME};

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
tls = { certificate = "pem", key = "pem", client_ca = "pem" }
unmatched.write = ["z"]
[listeners.web]
protocol = "http"
listen = "127.0.0.1:9444"
upstream = "plain"
tls = { certificate = "pem", key = "pem", client_ca = "pem" }
[[resources]]
name = "orders"
path = "/orders/{shard}/**"
resource = "orders/{shard}"
write = ["db/*", "guest"]
raise = ["db/*"]
read = ["**"]
"#;

fn config() -> Config {
    let dir = tempfile::TempDir::new().expect("a directory");
    let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("a file");
    let authority = Authority::new("test", AUTHORITY_LIFETIME).expect("an authority");
    let issued = authority.issue_server(&["localhost".to_owned()], LEAF_LIFETIME);
    let issued = issued.expect("a certificate");
    put("pem", &(issued.certificate_pem + authority.certificate_pem() + &issued.key_pem));
    put("id", "AKIA1");
    put("p.toml", CONFIG);
    Config::load(&dir.path().join("p.toml")).expect("a valid configuration").0
}

fn args(request: &str, identity: &str, listener: &str, token: &str) -> Args {
    Args {
        file: PathBuf::new(),
        request: request.to_owned(),
        identity: identity.to_owned(),
        listener: (!listener.is_empty()).then(|| listener.to_owned()),
        token: (!token.is_empty()).then(|| token.parse().expect("a token")),
    }
}

#[test]
fn a_fenced_write() {
    let args = args("PUT /orders/7/a%20b?x=1", "db/a", "objects", "42");
    let expected = r#"
PUT /orders/7/a%20b?x=1 as db/a on listener objects (s3, upstream store)
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
  commit point  the last byte of its body: until then a takeover cuts it with certainty
  settled       once the store answers, or 30s after its last byte (outcome unknown); a new leader waits 10s a try
  guarantee     fenced: G1 to G4 and G6 are kept through pauses, partitions and crashes of writers and of Palisade; G5 does not arise: the embedded ledger serves one process
                not kept: a write that the store applies later than 30s after its last byte without having answered
                after an unclean restart, each resource's first takeover waits 30s once
                an invented token is bounded by `max_jump` (281474976710656) and by who may raise
                Palisade signs for the store: kept as long as no writer has credentials of its own
"#;
    assert_eq!(explain(&config(), &args).expect("text").trim(), expected.trim());
}

#[test]
fn what_decides() {
    let config = config();
    // Each of these is in one line of the answer, in this order.
    let check = |request: &str, identity: &str, listener: &str, token: &str, expected: &[&str]| {
        let text = explain(&config, &args(request, identity, listener, token)).expect("text");
        let mut left = text.as_str();
        for part in expected {
            let at = left.find(part).unwrap_or_else(|| panic!("no {part:?} in\n{text}"));
            left = &left[at + part.len()..];
        }
    };

    let refused = "guarantee     refused";
    check(
        "PUT /orders/7/a",
        "x",
        "objects",
        "1",
        &["may write     no: no glob", "forbidden", refused],
    );
    check("PUT /orders/7/a", "db/a", "objects", "", &["a token is required", refused]);
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
    check("GET /orders/7/a", "x", "objects", "", &["may come without", "open read"]);
    check("GET /orders/7/a", "db/a", "objects", "3", &["sealed, then", "sealed read"]);
    check("PUT /orders//a", "db/a", "objects", "1", &["none matches", "no: no glob", refused]);
    check("PUT /other", "z", "objects", "", &["yes, by z", "guarantee     NONE"]);
    check("GET /other", "z", "objects", "", &["no: nobody may", refused]);
    check("PUT /.palisade/seal", "z", "objects", "", &["seal, status"]);
    check("PUT /.palisades", "z", "objects", "", &["none matches"]);
    check("PUT /orders/a%0Ab/c", "db/a", "objects", "", &["control characters", refused]);
    check(
        "PUT /orders/7/a",
        "db/a",
        "web",
        "1",
        &["commit point  its head", "nobody but Palisade"],
    );
    check("PUT /orders/7/a", "db/a", "", "1", &["listener objects", "listener web"]);
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
    check("PUT orders", "", "begins with `/`");
    check("PUT /%ff", "", "not UTF-8");
    check("PUT /a", "nope", "there are: objects, web");
}
