//! The configuration that the rig runs Palisade with before a Redis.

use std::net::SocketAddr;
use std::path::Path;

use super::server::PASSWORD;
use crate::rig::Certs;

/// How resources are made of keys.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Layout {
    /// The instance is one: `redis`.
    #[default]
    Whole,
    /// `jobs:{queue}:*` is `jobs/{queue}`; nothing else is any.
    Queues,
    /// `jobs:{queue}:*` is `jobs/{queue}`, and the rest is `rest`.
    QueuesAndRest,
    /// `alpha:*` is `alpha`, all the rest is `rest`: they can be counted.
    Prefixes,
    /// Database 0 is `db/0`, database 1 is `db/1`; there are no others.
    Databases,
}

/// How the server is reached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum By {
    #[default]
    Tcp,
    Socket,
    Tls,
    /// A Sentinel says which of two servers is the primary.
    Sentinel,
}

/// What a test may choose.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    pub layout: Layout,
    pub by: By,
    /// Lines for `redis.conf`.
    pub server: &'static str,
    /// Places in the configuration, and what to write there instead.
    pub edits: Vec<(&'static str, String)>,
}

/// Where everything is.
pub struct Places<'a> {
    pub certs: &'a Certs,
    pub endpoints: &'a [String],
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub dir: &'a Path,
}

/// Writes the secrets beside it and returns the configuration.
pub fn text(choice: &Choice, places: &Places<'_>) -> String {
    let Places { certs, endpoints, address, admin, dir } = places;
    let at = |name: &str| dir.join(name).display().to_string();
    std::fs::write(at("redis-password"), PASSWORD).unwrap();
    let mut text = format!(
        r#"
drain_timeout = "3s"

[ledger.embedded]
path = {ledger:?}

[admin]
listen = "{admin}"

[log]
filter = "info"

[audit]
file = {audit:?}

[listeners.main]
protocol = "redis"
listen = "{address}"
upstream = "store"
[listeners.main.tls]
certificate = {certificate:?}
key = {key:?}
client_ca = {ca:?}
crls = [{crl:?}]

[upstreams.store]
endpoints = {endpoints:?}
[upstreams.store.redis]
password_file = {password:?}
replica = "rig"
check_interval = "200ms"
{more}{rules}"#,
        ledger = at("ledger.redb"),
        audit = at("audit.jsonl"),
        certificate = certs.server.0,
        key = certs.server.1,
        ca = certs.ca,
        crl = certs.crl,
        password = at("redis-password"),
        more = more(choice.by, certs),
        rules = rules(choice.layout),
    );
    for (place, instead) in &choice.edits {
        assert_eq!(text.matches(place).count(), 1, "{place:?} is not one place in {text}");
        text = text.replace(place, instead);
    }
    text
}

fn more(by: By, certs: &Certs) -> String {
    match by {
        By::Tcp | By::Socket => String::new(),
        By::Tls => format!("[upstreams.store.tls]\nca = {:?}\n", certs.ca),
        By::Sentinel => "[upstreams.store.redis.sentinel]\nservice = \"store\"\n".to_owned(),
    }
}

fn rules(layout: Layout) -> String {
    let rule = |name: &str, what: &str, resource: &str| {
        format!(
            r#"
[[resources]]
name = "{name}"
{what}
resource = "{resource}"
read = ["leader-*", "follower", "reader"]
write = ["leader-*", "follower"]
raise = ["leader-*"]
drain = "1s"
takeover_timeout = "10s"
[resources.tokens]
max_jump = 1000000
"#
        )
    };
    let queues = rule("jobs", "keys = \"jobs:{queue}:*\"", "jobs/{queue}");
    match layout {
        Layout::Whole => rule("whole", "", "redis"),
        Layout::Queues => queues,
        Layout::QueuesAndRest => queues + &rule("rest", "keys = \"*\"", "rest"),
        Layout::Prefixes => {
            rule("alpha", "keys = \"alpha:*\"", "alpha") + &rule("rest", "", "rest")
        }
        Layout::Databases => rule("databases", "databases = [0, 1]", "db/{database}"),
    }
}
