//! The tables of the process as a whole: ledger, gate, admin, log, audit; and TLS in front.

use std::net::SocketAddr;

use toml::Spanned;
use tracing_subscriber::EnvFilter;

use super::Ledger;
use super::files::{self, Pem};
use super::section::Section;
use crate::net::identity::Source;
use crate::net::tls::{self, Part, ServerTls};
use crate::telemetry::{LogFormat, LogSettings};
use crate::{admin, audit, gate};

const ADMIN_LISTEN: &str = "127.0.0.1:9470";
const ROTATE_BYTES: u64 = 100 << 20;
const KEEP: usize = 10;

pub(super) fn ledger(root: &Section<'_>) -> Option<Ledger> {
    let ledger = root.table("ledger");
    let embedded = ledger.table("embedded");
    if !root.has("ledger") || ledger.is_there() && !ledger.has("embedded") {
        let message = "no ledger is configured: marks have to be kept somewhere durable";
        root.error_at("ledger", message, "add `[ledger.embedded]` with `path`");
    }
    embedded.require("path", "\"palisade.redb\"");
    files::writable(&embedded, "path").map(|path| Ledger::Embedded { path })
}

pub(super) fn gate(root: &Section<'_>) -> gate::Settings {
    let gate = root.table("gate");
    let default = gate::Settings::default();
    gate::Settings {
        active_resources_max: gate
            .count("active_resources_max", 1..=100_000_000)
            .unwrap_or(default.active_resources_max),
        takeover_queue_max: gate
            .integer("takeover_queue_max", 1..=10_000_000)
            .and_then(|max| u32::try_from(max).ok())
            .unwrap_or(default.takeover_queue_max),
        ..default // The rules say the rest.
    }
}

/// With the place of its address.
pub(super) fn admin(root: &Section<'_>) -> Option<Spanned<admin::Settings>> {
    let section = root.table("admin");
    let operators = section.globs("operators");
    let tls = section.has("tls").then(|| server_tls(&section.table("tls")));
    let span = section.span_of("listen");
    let text = section.string("listen");
    let listen = if section.has("listen") {
        address(&section, "listen", &text?)?
    } else {
        ADMIN_LISTEN.parse().expect("the default address is an address")
    };
    let report = section.report();
    if tls.is_none() && !listen.ip().is_loopback() {
        let message = format!("without TLS, anyone who reaches {listen} could seal and reset");
        let mend = "listen on 127.0.0.1, or add `[admin.tls]`";
        report.error(&span, message, mend);
        return None;
    }
    if tls.is_none() && operators.is_some() {
        let message = "`operators` has no effect without `[admin.tls]`: nobody shows a certificate";
        let mend = "add `[admin.tls]`, or leave `operators` out";
        report.warn(&section.span_of("operators"), message, mend);
    }
    if tls.is_some() && operators.as_ref().is_none_or(|globs| globs.is_empty()) {
        let message = "nobody may seal or reset: `operators` is empty";
        report.warn(&section.span_of("operators"), message, "add `operators = [\"…\"]`");
    }
    let tls = match tls {
        Some(None) => return None,
        Some(tls) => tls,
        None => None,
    };
    let operators = operators.unwrap_or_default();
    Some(Spanned::new(span, admin::Settings { listen, tls, operators }))
}

pub(super) fn log(root: &Section<'_>) -> LogSettings {
    let section = root.table("log");
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let filter = section.string("filter");
    if let Some(Err(error)) = filter.as_ref().map(|text| EnvFilter::try_new(text.get_ref())) {
        let mend = "write a level such as `info`, or `palisade=debug,info`";
        section.error_at("filter", format!("`filter` cannot be used: {error}"), mend);
    }
    LogSettings {
        format: section.choice("format", &formats).unwrap_or_default(),
        filter: filter.map_or_else(|| "info".to_owned(), |text| text.into_inner().to_owned()),
    }
}

pub(super) fn audit(root: &Section<'_>) -> Option<audit::Target> {
    let section = root.table("audit");
    let stdout = section.boolean("stdout");
    let rotate_bytes = section.size("rotate").unwrap_or(ROTATE_BYTES);
    let keep = section.count("keep", 0..=10_000).unwrap_or(KEEP);
    if section.has("file") {
        if stdout == Some(true) {
            let message = "`file` and `stdout` are both there";
            section.error_at("stdout", message, "leave one of them out");
        }
        let path = files::writable(&section, "file")?;
        return Some(audit::Target::File { path, rotate_bytes, keep });
    }
    if stdout == Some(false) {
        let message = "the audit log goes nowhere";
        section.error_at("stdout", message, "name a `file`, or write `stdout = true`");
    }
    for key in ["rotate", "keep"].into_iter().filter(|key| section.has(key)) {
        let message = format!("`{key}` has no effect without `file`");
        section.report().warn(&section.span_of(key), message, "name a `file`, or leave it out");
    }
    Some(audit::Target::Stdout)
}

/// mTLS in front of a listener.
pub(super) fn server_tls(section: &Section<'_>) -> Option<ServerTls> {
    for (key, example) in
        [("certificate", "server.crt"), ("key", "server.key"), ("client_ca", "clients-ca.crt")]
    {
        section.require(key, &format!("\"{example}\""));
    }
    let certificate = files::pem(section, "certificate", Pem::Certificates);
    let key = files::pem(section, "key", Pem::Key);
    let client_ca = files::pem(section, "client_ca", Pem::Certificates);
    let crls = files::pems(section, "crls", Pem::Crl).unwrap_or_default();
    let identity = identity(section);
    let tls =
        ServerTls { certificate: certificate?, key: key?, client_ca: client_ca?, crls, identity };
    // Each file is there and is PEM; whether they also load together is another question.
    for problem in tls::check(&tls) {
        let span = section.span_of(match problem.part() {
            Part::Certificate => "certificate",
            Part::Key => "key",
            Part::ClientCa => "client_ca",
            Part::Crl => "crls",
        });
        let mend = "`palisade certs show FILE` says what is in a file";
        if problem.is_warning() {
            section.report().warn(&span, problem.to_string(), mend);
        } else {
            section.report().error(&span, problem.to_string(), mend);
        }
    }
    Some(tls)
}

fn identity(section: &Section<'_>) -> Vec<Source> {
    let words = [
        ("spiffe", Source::Spiffe),
        ("dns", Source::Dns),
        ("email", Source::Email),
        ("cn", Source::Cn),
    ];
    let Some(texts) = section.strings("identity") else {
        return words.iter().map(|(_, source)| *source).collect();
    };
    let mut sources = Vec::new();
    for text in &texts {
        let Some(source) = section.one_of("identity", text, &words) else { continue };
        if sources.contains(&source) {
            let message = format!("\"{}\" is there twice", text.get_ref());
            section.report().error(&text.span(), message, "leave one of them out");
        }
        sources.push(source);
    }
    if texts.is_empty() {
        let mend = "one or more of \"spiffe\", \"dns\", \"email\", \"cn\"";
        section.error_at("identity", "no client could have an identity", mend);
    }
    sources
}

/// A socket address.
pub(super) fn address(
    section: &Section<'_>,
    key: &str,
    text: &Spanned<&str>,
) -> Option<SocketAddr> {
    let parsed = text.get_ref().parse();
    if parsed.is_err() {
        let message = format!("`{key}` is not an address and a port");
        let mend = "write numbers, such as `127.0.0.1:9443`, `0.0.0.0:9443` or `[::]:9443`";
        section.report().error(&text.span(), message, mend);
    }
    parsed.ok()
}
