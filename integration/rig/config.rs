//! The configuration that the rig runs Palisade with.

use std::net::SocketAddr;
use std::path::Path;

use super::certs::Certs;
use super::stores::{ACCESS_KEY, Kind, SECRET_KEY};

/// What a test may choose.
#[derive(Clone, Debug)]
pub struct Options {
    pub store: Kind,
    /// How long the store may still apply what it has not answered.
    pub settle_timeout: &'static str,
    /// How long a request waits for a takeover.
    pub takeover_timeout: &'static str,
    /// `re-sign` or `pass-through`.
    pub mode: &'static str,
    /// A store that is reached another way than at its own address.
    pub upstream: Option<SocketAddr>,
    /// Places in the configuration, and what to write there instead. Relative paths start at
    /// the folder of the test.
    pub edits: Vec<(&'static str, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            store: Kind::default(),
            settle_timeout: "3s",
            takeover_timeout: "10s",
            mode: "re-sign",
            upstream: None,
            edits: Vec::new(),
        }
    }
}

/// Writes the secrets beside it and returns the configuration.
pub fn text(
    options: &Options,
    certs: &Certs,
    store: SocketAddr,
    address: SocketAddr,
    admin: SocketAddr,
    dir: &Path,
) -> String {
    let at = |name: &str| dir.join(name).display().to_string();
    std::fs::write(at("access-key-id"), ACCESS_KEY).unwrap();
    std::fs::write(at("secret-access-key"), SECRET_KEY).unwrap();
    let Options { settle_timeout, takeover_timeout, mode, .. } = options;
    let upstream = options.upstream.unwrap_or(store);
    let credentials = match *mode {
        "pass-through" => String::new(),
        _ => format!(
            "region = \"us-east-1\"\naccess_key_id_file = {:?}\nsecret_access_key_file = {:?}\n",
            at("access-key-id"),
            at("secret-access-key")
        ),
    };
    let rule = |bucket: &str, more: &str| {
        format!(
            r#"
[[resources]]
name = "{bucket}"
path = "/{bucket}/{{shard}}/**"
resource = "{bucket}/{{shard}}"
read = ["leader-*", "follower", "reader"]
write = ["leader-*", "follower"]
raise = ["leader-*"]
settle_timeout = "{settle_timeout}"
takeover_timeout = "{takeover_timeout}"
[resources.tokens]
max_jump = 1000000
{more}
"#
        )
    };
    let mut text = format!(
        r#"
[ledger.embedded]
path = {ledger:?}

[admin]
listen = "{admin}"

[log]
filter = "info"

[audit]
file = {audit:?}

[listeners.main]
protocol = "s3"
listen = "{address}"
upstream = "store"
domains = ["localhost"]
[listeners.main.tls]
certificate = {certificate:?}
key = {key:?}
client_ca = {ca:?}
crls = [{crl:?}]
[listeners.main.unmatched]
read = ["leader-*"]

[upstreams.store]
endpoints = ["http://{upstream}"]
response_timeout = "{settle_timeout}"
[upstreams.store.s3]
mode = "{mode}"
{credentials}
{fenced}{shared}{bound}"#,
        ledger = at("ledger.redb"),
        audit = at("audit.jsonl"),
        certificate = certs.server.0,
        key = certs.server.1,
        ca = certs.ca,
        crl = certs.crl,
        fenced = rule("fenced", ""),
        shared = rule("shared", "share_token = true"),
        bound = rule("bound", "holder = \"certificate\""),
    );
    for (place, instead) in &options.edits {
        assert_eq!(text.matches(place).count(), 1, "{place:?} is not one place in {text}");
        text = text.replace(place, instead);
    }
    text
}
