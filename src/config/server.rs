//! The tables of the process as a whole: gate, admin, log, audit.

use std::net::SocketAddr;
use std::path::Path;

use toml::Spanned;
use tracing_subscriber::EnvFilter;

use super::section::Section;
use super::{files, tls};
use crate::telemetry::{LogFormat, LogSettings};
use crate::{admin, audit, gate};

const ADMIN_LISTEN: &str = "127.0.0.1:9470";
const ROTATE_BYTES: u64 = 100 << 20;
const KEEP: usize = 10;

/// The ledger's file and those of the audit log are not the same.
pub(super) fn files_apart(root: &Section<'_>, ledger: &Path, audit: &audit::Target) {
    let audit::Target::File { path: audit, .. } = audit else { return };
    let (ledger, audit) = (files::whereabouts(ledger), files::whereabouts(audit));
    // The files that the audit log puts aside have a number behind its name.
    let is_put_aside = ledger.parent() == audit.parent()
        && ledger
            .file_name()
            .zip(audit.file_name())
            .and_then(|(ledger, audit)| ledger.to_str()?.strip_prefix(audit.to_str()?))
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|number| number.parse::<usize>().is_ok());
    if ledger == audit || is_put_aside {
        let message = "the audit log would be written over the ledger, which is this file too";
        root.table("audit").error_at("file", message, "name another file");
    }
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
        writes_per_resource_max: gate
            .integer("writes_per_resource_max", 1..=1_000_000)
            .and_then(|max| u32::try_from(max).ok())
            .unwrap_or(default.writes_per_resource_max),
        ..default // The rules say the rest.
    }
}

/// With the place of its address.
pub(super) fn admin(root: &Section<'_>) -> Option<Spanned<admin::Settings>> {
    let section = root.table("admin");
    let operators = section.globs("operators");
    let tls = section.has("tls").then(|| tls::server(&section.table("tls")));
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
