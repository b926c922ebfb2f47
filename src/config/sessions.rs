//! What a `[[resources]]` entry says of sessions with a database, and whether that fits the
//! listeners that it is on.

use super::foreign;
use super::listeners::{self, Protocol};
use super::names;
use super::report::Report;
use super::resources::Entry;
use super::section::Section;
use crate::protocol::postgres::upstream::{Login, Upstream};
use crate::rules::{Covers, Pattern, Scripts, Sessions, Template, TemplateError};

/// The keys of an entry that only sessions with PostgreSQL have.
const OF_POSTGRES: &[&str] = &["role", "replication"];
/// Those that all sessions have.
const OF_SESSIONS: &[&str] = &["drain"];
/// Those that only requests have.
const OF_REQUESTS: &[&str] = &["commit_point", "settle_timeout"];
/// `/DATABASE/USER`.
const SEGMENTS_MIN: usize = 2;

/// How what is written under an entry settles.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Settling {
    /// By the store's answer, or by time.
    Requests,
    /// By the word of the server that a session is over.
    Postgres,
    /// The same.
    Redis,
}

impl Settling {
    /// How writes under a rule settle.
    pub(super) fn of(rule: &Entry<'_>, listeners: &[listeners::Entry<'_>]) -> Self {
        let mut on = listeners.iter().filter(|listener| rule.is_on(listener.name.get_ref()));
        match rule.rule.covers {
            Covers::Keys(_) => Self::Redis,
            Covers::Paths(_) if on.any(|it| it.protocol == Some(Protocol::Postgres)) => {
                Self::Postgres
            }
            Covers::Paths(_) => Self::Requests,
        }
    }

    /// What is spoken there.
    pub(super) fn speaks(self) -> &'static str {
        match self {
            Self::Requests => "HTTP",
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis",
        }
    }
}

/// `pattern`: of the paths, if it is about paths.
pub(super) fn read(section: &Section<'_>, pattern: Option<&Pattern>) -> Sessions {
    let default = Sessions::default();
    let scripts = [("declared", Scripts::Declared), ("refuse", Scripts::Refuse)];
    Sessions {
        role: pattern.and_then(|pattern| role(section, pattern)),
        drain: section.delay("drain").unwrap_or(default.drain),
        replication: section.boolean("replication").unwrap_or(default.replication),
        scripts: section.choice("scripts", &scripts).unwrap_or(default.scripts),
    }
}

fn role(section: &Section<'_>, pattern: &Pattern) -> Option<Template> {
    let text = section.string("role")?;
    if text.get_ref().contains('{') {
        let template = Template::parse(text.get_ref(), pattern);
        let complain = |error: TemplateError| {
            section.error_at("role", "`role` is not a template", error.to_string());
        };
        return template.map_err(complain).ok();
    }
    let is_name = names::check_sql(section, &text, "role");
    is_name.then(|| Template::parse(text.get_ref(), pattern).ok()).flatten()
}

/// Whether an entry means the same on every listener that it is on.
pub(super) fn check(report: &Report<'_>, rule: &Entry<'_>, listeners: &[listeners::Entry<'_>]) {
    let on: Vec<_> =
        listeners.iter().filter(|listener| rule.is_on(listener.name.get_ref())).collect();
    if on.iter().any(|listener| listener.protocol.is_none()) {
        return;
    }
    let count = |protocol| on.iter().filter(|listener| listener.protocol == Some(protocol)).count();
    for (protocol, mixed) in [
        (
            Protocol::Redis,
            "this is on listeners for Redis, which has keys, and on others, which have paths",
        ),
        (
            Protocol::Postgres,
            "this is on listeners for PostgreSQL and on others, where writes settle differently",
        ),
    ] {
        if (1..on.len()).contains(&count(protocol)) {
            let mend = "write an entry for each, with `listeners` and resources of their own";
            let key = if rule.section.has("listeners") { "listeners" } else { "name" };
            rule.section.error_at(key, mixed, mend);
            return;
        }
    }
    let sessions = count(Protocol::Postgres);
    if sessions == 0 && !on.is_empty() {
        let mend = "leave it out, or name a listener with `protocol = \"postgres\"`";
        foreign::warn(&rule.section, "it is for sessions with PostgreSQL", OF_POSTGRES, mend);
    }
    let why = "the server itself says when a session is over";
    if let Some(keys) = rule.rule.covers.keys() {
        foreign::warn(&rule.section, why, OF_REQUESTS, "leave it out");
        if !keys.are_all(None) {
            let why = "this entry does not cover every key of every database";
            let mend = "write it in an entry without `keys` and `databases`";
            foreign::warn(&rule.section, why, &["administer"], mend);
        }
        return;
    }
    if sessions == 0 && !on.is_empty() {
        let why = "it is for sessions with PostgreSQL and Redis";
        foreign::warn(&rule.section, why, OF_SESSIONS, "leave it out");
    }
    if sessions == 0 {
        return;
    }
    foreign::warn(&rule.section, why, OF_REQUESTS, "leave it out");
    if !rule.rule.covers.paths().is_some_and(|it| it.fits(SEGMENTS_MIN)) {
        let message = "this never matches: a session asks for `/DATABASE/USER`, or for \
                       `/DATABASE/USER/RESOURCE`";
        let mend = "such as \"/orders/{user}\", or \"/orders/{user}/**\"";
        report.warn(&rule.covers_span(), message, mend);
    }
    for servers in on.iter().filter_map(|listener| listener.servers()) {
        held(rule, servers);
    }
}

/// Whether a role without places is one that Palisade has.
fn held(rule: &Entry<'_>, servers: &Upstream) {
    let role = rule.rule.sessions.role.as_ref().map(Template::as_str);
    let Login::Held { roles } = &servers.login else { return };
    let Some(role) = role.filter(|role| !role.contains('{') && !roles.contains_key(*role)) else {
        return;
    };
    let message = format!("upstream \"{}\" does not hold the role \"{role}\"", servers.name);
    let known: Vec<_> = roles.keys().map(String::as_str).collect();
    let mend = match super::raw::nearest(role, known.iter().copied()) {
        Some((near, _)) => format!("did you mean \"{near}\"?"),
        None => format!("it holds: {}", known.join(", ")),
    };
    rule.section.error_at("role", message, mend);
}
