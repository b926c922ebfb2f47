//! The files in `config/`.

use std::collections::BTreeSet;
use std::time::Duration;

use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use crate::config::Listener;
use crate::config::raw::{Kind, ROOT, Schema};
use crate::config::testing::Fixture;
use crate::fence::TokenRules;
use crate::protocol::http::s3::Mode;
use crate::protocol::http::{Flavor, Limits};
use crate::protocol::postgres::upstream::{Login, Password};
use crate::protocol::{postgres, redis};
use crate::rules::{CommitPoint, HolderKind, Reads, Sessions};
use crate::{audit, gate};

pub(super) const EXAMPLE: &str = include_str!("../../../config/palisade.toml");

#[test]
fn the_example_is_valid_and_shows_the_defaults() {
    let fixture = Fixture::new();
    for name in ["server", "admin", "palisade"] {
        fixture.put(&format!("tls/{name}.pem"), &fixture.read("server.pem"));
        fixture.put(&format!("tls/{name}.key"), &fixture.read("server.key"));
    }
    for name in ["operators-ca", "writers-ca", "store-ca", "database-ca", "redis-ca"] {
        fixture.put(&format!("tls/{name}.pem"), &fixture.read("ca.pem"));
    }
    fixture.put("tls/writers-crl.pem", &fixture.read("crl.pem"));
    fixture.put("secrets/access-key-id", "AKIA1\n");
    fixture.put("secrets/secret-access-key", "hush\n");
    fixture.put("secrets/palisade-password", "hush-palisade\n");
    fixture.put("secrets/orders-password", "hush-orders\n");
    fixture.put("secrets/redis-password", "hush-redis\n");
    fixture.put("secrets/sentinel-password", "hush-sentinel\n");
    let directory = fixture.directory().to_str().expect("a path");
    let text = ["/etc/palisade", "/var/lib/palisade", "/var/log/palisade"]
        .iter()
        .fold(EXAMPLE.to_owned(), |text, path| text.replace(path, directory));

    let (config, warnings) = fixture.parse(&text).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(|p| format!("{p}\n")).collect::<String>())
    });

    assert_eq!(warnings, []);
    assert_eq!(config.drain_timeout, Duration::from_secs(30));
    let gate = gate::Settings::default();
    assert_eq!(config.gate.active_resources_max, gate.active_resources_max);
    assert_eq!(config.gate.takeover_queue_max, gate.takeover_queue_max);
    assert_eq!(config.gate.writes_per_resource_max, gate.writes_per_resource_max);
    let path = fixture.path("audit.jsonl");
    assert_eq!(config.audit, audit::Target::File { path, rotate_bytes: 100 << 20, keep: 10 });
    let [Listener::Http(listener), Listener::Postgres(database), Listener::Redis(queue)] =
        &config.listeners[..]
    else {
        panic!("three listeners")
    };
    assert_eq!(listener.limits, Limits { body_bytes_max: Some(1 << 40), ..Limits::default() });
    assert!(listener.unmatched.write.is_empty());
    let Flavor::S3(s3) = &listener.flavor else { panic!("S3") };
    let Mode::ReSign { credentials, region } = &s3.mode else { panic!("re-sign") };
    assert_eq!((&*credentials.access_key_id, &**region), ("AKIA1", "us-east-1"));
    assert_eq!(&**credentials.secret_access_key, "hush");
    let rule = listener.rules.iter().next().expect("a rule");
    assert_eq!(rule.tokens, TokenRules::default());
    assert_eq!((rule.holder, rule.reads), (HolderKind::Identity, Reads::Open));
    assert_eq!(rule.commit_point, CommitPoint::LastByte);

    assert_eq!(database.limits, postgres::Limits::default());
    let upstream = &database.upstream;
    assert_eq!((upstream.endpoints.len(), &*upstream.replica), (2, "default"));
    assert!(upstream.tls.as_ref().is_some_and(|tls| tls.ca.is_some()));
    let password = |text: &str| Password(Some(Zeroizing::new(text.to_owned())));
    assert_eq!(upstream.control_password, password("hush-palisade"));
    let roles = [("orders".to_owned(), password("hush-orders"))].into();
    assert_eq!(upstream.login, Login::Held { roles });
    let rule = database.rules.iter().next().expect("a rule");
    assert_eq!((rule.settle_timeout, rule.commit_point), (Duration::ZERO, CommitPoint::Head));
    assert_eq!(rule.sessions.drain, Sessions::default().drain);
    assert_eq!(rule.role("/orders/anna", "anna"), "orders");
    assert_eq!(config.gate.settle_timeout_max, Duration::from_secs(30));

    assert_eq!(queue.limits, redis::Limits::default());
    let upstream = &queue.upstream;
    assert_eq!((upstream.endpoints.len(), &*upstream.replica), (2, "default"));
    assert!(upstream.tls.as_ref().is_some_and(|tls| tls.ca.is_some()));
    assert!(upstream.sentinel.as_ref().is_some_and(|sentinel| sentinel.service == "main"));
    let name = |key: &[u8]| queue.rules.find_key(0, key).expect("a name").map(|it| it.resource);
    let name = |key| name(key).expect("a match").as_str().to_owned();
    assert_eq!((&*name(b"jobs:mail:1"), &*name(b"else")), ("jobs/mail", "queue-server"));
    let ops = "spiffe://example.org/operator/anna";
    assert!(queue.rules.administered(ops).is_some() && queue.rules.administered("else").is_none());

    // What the file calls a default is what comes of leaving it out.
    let bare: String = text
        .lines()
        .filter(|line| {
            let key = line.split(" = ").next().unwrap_or_default();
            let shown_as_default = [
                "drain_delay",
                "drain_timeout",
                "verify_on_open",
                "cache",
                "active_resources_max",
                "takeover_queue_max",
                "writes_per_resource_max",
                "commit_stall_timeout",
                "rotate",
                "keep",
                "format",
                "filter",
                "http_version",
                "connections_max",
                "connect_timeout",
                "response_timeout",
                "idle_timeout",
                "mode",
                "region",
                "token_header",
                "prefix",
                "identity",
                "connections_per_identity_max",
                "streams_max",
                "header_bytes_max",
                "headers_max",
                "handshake_timeout",
                "header_timeout",
                "body_stall_timeout",
                "raise",
                "reads",
                "commit_point",
                "settle_timeout",
                "takeover_timeout",
                "max_jump",
                "incarnation",
                "share_token",
                "holder",
                "target_session_attrs",
                "login",
                "login_timeout",
                "control_database",
                "replica",
                "check_interval",
                "startup_timeout",
                "statement_bytes_max",
                "prepared_max",
                "drain",
                "replication",
                "command_bytes_max",
                "resources_max",
                "scripts",
            ];
            !shown_as_default.contains(&key)
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let (bare, _) = fixture.parse(&bare).expect("still valid");
    assert_eq!(format!("{bare:?}"), format!("{config:?}"));
}

#[test]
fn what_the_pages_show_is_valid() {
    let least = "ledger.embedded.path = \"ledger.redb\"\n";
    valid(least, include_str!("../../../docs/deploy.md"));
    valid("", include_str!("../../../docs/redis.md"));
    valid("", include_str!("../../../docs/replicas.md"));
}

/// The first configuration of a page, behind these lines.
fn valid(before: &str, page: &str) {
    let (_, block) = page.split_once("```toml\n").expect("a block");
    let (text, _) = block.split_once("```").expect("its end");
    let fixture = Fixture::new();
    for name in ["server.pem", "server.key", "ca.pem"] {
        fixture.put(&format!("tls/{name}"), &fixture.read(name));
    }
    for name in ["database-ca", "etcd-ca", "redis-ca"] {
        fixture.put(&format!("tls/{name}.pem"), &fixture.read("ca.pem"));
    }
    for kind in ["pem", "key"] {
        fixture.put(&format!("tls/palisade.{kind}"), &fixture.read(&format!("server.{kind}")));
    }
    for name in ["palisade", "orders", "redis", "access-key-id", "secret-access-key"] {
        fixture.put(&format!("secrets/{name}"), "hush\n");
    }
    let text = format!("{before}{text}");
    let (config, warnings) = fixture.parse(&text).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(|p| format!("{p}\n")).collect::<String>())
    });
    assert_eq!((config.listeners.len(), warnings), (1, Vec::new()));
}

#[test]
fn the_example_has_every_key_and_no_other() {
    let text = with_alternatives();
    let table = DeTable::parse(&text).expect("TOML");
    let mut seen = BTreeSet::new();
    collect(table.get_ref(), &ROOT, "", &mut seen);
    let known: BTreeSet<_> = ROOT.paths("").into_iter().collect();
    assert!(known.len() > 60, "{known:?}");
    assert_eq!(seen, known);
}

/// The example with every alternative: a comment without a space behind its `#`.
pub(super) fn with_alternatives() -> String {
    let is_key = |text: &str| text.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let line = |line: &str| match line.strip_prefix('#').filter(|text| is_key(text)) {
        Some(text) => format!("{text}\n"),
        None => format!("{line}\n"),
    };
    EXAMPLE.lines().map(line).collect()
}

/// The keys of a table in the form of [`Schema::paths`].
fn collect(table: &DeTable<'_>, schema: &Schema, prefix: &str, seen: &mut BTreeSet<String>) {
    for (key, value) in table.iter() {
        let path = format!("{prefix}{}", key.get_ref());
        match (schema.kind(key.get_ref()), value.get_ref()) {
            (Some(Kind::Table(schema)), DeValue::Table(table)) => {
                collect(table, schema, &format!("{path}."), seen);
            }
            (Some(Kind::Named(schema)), DeValue::Table(tables)) => {
                for (_, table) in tables.iter() {
                    let DeValue::Table(table) = table.get_ref() else { panic!("{path}") };
                    collect(table, schema, &format!("{path}.NAME."), seen);
                }
            }
            (Some(Kind::List(schema)), DeValue::Array(items)) => {
                for item in items.iter() {
                    let DeValue::Table(table) = item.get_ref() else { panic!("{path}") };
                    collect(table, schema, &format!("{path}."), seen);
                }
            }
            _ => {
                seen.insert(path);
            }
        }
    }
}
