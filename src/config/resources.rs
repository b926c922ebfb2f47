//! `[[resources]]`: which paths or keys belong to which resource, and who may do what there.

use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::listeners::{self, Protocol};
use super::section::Section;
use super::{foreign, names, sessions};
use crate::fence::TokenRules;
use crate::rules::{
    CommitPoint, Covers, HolderKind, KeyPattern, Keys, Pattern, Reads, Rule, Template, Who,
};

const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest number of a database: Redis counts them in an `int`.
const DATABASE_MAX: u64 = 0x7fff_ffff;
/// What `keys` is where it is left out.
const EVERY_KEY: &str = "*";

/// An entry that could be read.
pub(super) struct Entry<'a> {
    pub(super) name: Spanned<&'a str>,
    pub(super) section: Section<'a>,
    /// The listeners it is on; `None` means all.
    listeners: Option<Vec<&'a str>>,
    /// For the protocol that it is asked in, unless it says so itself.
    commit_point: Option<CommitPoint>,
    /// As it is for a listener, but for what `rule_for` changes.
    pub(super) rule: Rule,
}

impl Entry<'_> {
    /// Whether it holds on a listener.
    pub(super) fn is_on(&self, listener: &str) -> bool {
        self.listeners.as_ref().is_none_or(|names| names.contains(&listener))
    }

    /// The rule for a listener that speaks this.
    pub(super) fn rule_for(&self, protocol: Protocol) -> Arc<Rule> {
        let commit_point = self.commit_point.unwrap_or(protocol.commit_point());
        let rule = Rule { commit_point, ..self.rule.clone() };
        Arc::new(match protocol {
            Protocol::Http | Protocol::S3 => rule,
            // What is sent counts, until the server says that the session is over.
            Protocol::Postgres | Protocol::Redis => {
                Rule { commit_point: CommitPoint::Head, settle_timeout: Duration::ZERO, ..rule }
            }
        })
    }

    /// Where its path or its keys are.
    pub(super) fn covers_span(&self) -> super::report::Span {
        let is_of_keys = self.rule.covers.keys().is_some();
        let key = match is_of_keys && !self.section.has("keys") {
            true => "databases",
            false if is_of_keys => "keys",
            false => "path",
        };
        self.section.span_of(key)
    }
}

/// Those that could be read, and whether that is all of them.
pub(super) fn read<'a>(root: &Section<'a>, listeners: &[listeners::Entry<'a>]) -> Vec<Entry<'a>> {
    let sections = root.list("resources");
    if sections.is_empty() && !root.has("resources") {
        let message = "there are no resources, so every request is refused";
        let mend = "add `[[resources]]` with `name`, `path` and `resource`";
        root.report().warn(&root.span, message, mend);
    }
    sections.into_iter().filter_map(|section| entry(section, listeners)).collect()
}

fn entry<'a>(section: Section<'a>, listeners: &[listeners::Entry<'a>]) -> Option<Entry<'a>> {
    section.require("name", "\"orders\"");
    let on = on(&section, listeners);
    let is_of_keys = is_of_keys(&section, on.as_deref(), listeners);
    let example = if is_of_keys { "\"jobs\"" } else { "\"orders/{shard}\"" };
    section.require("resource", example);
    let name = section.string("name").filter(|name| names::check(&section, name));
    let covers = match is_of_keys {
        true => keys(&section).map(Covers::Keys),
        false => pattern(&section).map(Covers::Paths),
    };
    let template = covers.as_ref().and_then(|covers| template(&section, covers));
    let who = who(&section);
    let reads = [("open", Reads::Open), ("token", Reads::Token)];
    let reads = section.choice("reads", &reads).unwrap_or_default();
    let points = [("head", CommitPoint::Head), ("last-byte", CommitPoint::LastByte)];
    let commit_point = section.choice("commit_point", &points);
    let (tokens, holder) = tokens(&section.table("tokens"));
    let settle_timeout = section.duration("settle_timeout").unwrap_or(SETTLE_TIMEOUT);
    let takeover_timeout = section.duration("takeover_timeout").unwrap_or(TAKEOVER_TIMEOUT);
    let sessions = sessions::read(&section, covers.as_ref().and_then(Covers::paths));
    let name = name?;
    let rule = Rule {
        name: (*name.get_ref()).into(),
        covers: covers?,
        resource: template?,
        who,
        reads,
        tokens,
        holder,
        commit_point: CommitPoint::LastByte,
        settle_timeout,
        takeover_timeout,
        sessions,
    };
    Some(Entry { name, section, listeners: on, commit_point, rule })
}

fn on<'a>(section: &Section<'a>, listeners: &[listeners::Entry<'a>]) -> Option<Vec<&'a str>> {
    let on = section.strings("listeners")?;
    if on.is_empty() {
        let mend = "leave `listeners` out for all of them";
        section.error_at("listeners", "it is on no listener, so it never matches", mend);
    }
    for name in &on {
        let known = listeners.iter().map(|listener| *listener.name.get_ref());
        if !known.clone().any(|known| known == *name.get_ref()) {
            names::unknown(section, "listener", name, known);
        }
    }
    Some(on.into_iter().map(Spanned::into_inner).collect())
}

/// Whether an entry is about keys, by the listeners that it is on. Where they do not tell, as it
/// is written; else what is written for the others is told.
fn is_of_keys(
    section: &Section<'_>,
    on: Option<&[&str]>,
    listeners: &[listeners::Entry<'_>],
) -> bool {
    let is_on = |listener: &&listeners::Entry<'_>| {
        on.is_none_or(|names| names.contains(listener.name.get_ref()))
    };
    let protocols: Vec<_> = listeners.iter().filter(is_on).map(|it| it.protocol).collect();
    let are_all = |is_redis| {
        let is_so = |protocol: &Option<_>| {
            protocol.is_some_and(|protocol| (protocol == Protocol::Redis) == is_redis)
        };
        !protocols.is_empty() && protocols.iter().all(is_so)
    };
    if are_all(true) {
        let mend = "write `keys`, such as `keys = \"jobs:{queue}:*\"`";
        foreign::refuse(section, "HTTP, S3 and PostgreSQL", &[("path", mend)]);
        return true;
    }
    if are_all(false) {
        let mend = "write `path`, such as `path = \"/orders/{shard}/**\"`";
        let keys = [("keys", mend), ("databases", ""), ("scripts", ""), ("administer", "")];
        foreign::refuse(section, "`protocol = \"redis\"`", &keys);
        return false;
    }
    let may_be = section.has("keys") || protocols.contains(&Some(Protocol::Redis));
    may_be && !section.has("path")
}

fn keys(section: &Section<'_>) -> Option<Keys> {
    let databases = section.numbers("databases", 0..=DATABASE_MAX).map(|numbers| {
        if numbers.is_empty() {
            let mend = "leave `databases` out for all of them";
            section.error_at("databases", "it is in no database, so it never matches", mend);
        }
        numbers.into_iter().filter_map(|number| u32::try_from(number).ok()).collect()
    });
    let pattern = match section.string("keys") {
        Some(text) => {
            let complain = |error: crate::rules::KeyPatternError| {
                section.error_at("keys", "`keys` is not a pattern", error.to_string());
            };
            KeyPattern::parse(text.get_ref()).map_err(complain).ok()
        }
        // Whoever writes something else means something else.
        None if section.has("keys") || section.has("path") => None,
        None => KeyPattern::parse(EVERY_KEY).ok(),
    };
    Some(Keys { pattern: pattern?, databases })
}

fn pattern(section: &Section<'_>) -> Option<Pattern> {
    if !section.has("keys") {
        section.require("path", "\"/orders/{shard}/**\"");
    }
    let text = section.string("path")?;
    let pattern = Pattern::parse(text.get_ref());
    let complain = |error: crate::rules::PatternError| {
        section.error_at("path", "`path` is not a pattern", error.to_string());
    };
    pattern.map_err(complain).ok()
}

fn template(section: &Section<'_>, covers: &Covers) -> Option<Template> {
    let text = section.string("resource")?;
    let template = match covers {
        Covers::Keys(keys) => Template::for_keys(text.get_ref(), &keys.pattern),
        Covers::Paths(pattern) => Template::parse(text.get_ref(), pattern),
    };
    let complain = |error: crate::rules::TemplateError| {
        section.error_at("resource", "`resource` is not a template", error.to_string());
    };
    template.map_err(complain).ok()
}

fn who(section: &Section<'_>) -> Who {
    let read = section.globs("read").unwrap_or_default();
    let write = section.globs("write");
    let raise = section.globs("raise");
    let administer = section.globs("administer").unwrap_or_default();
    let nobody = !section.has("write") || write.as_ref().is_some_and(|globs| globs.is_empty());
    if section.is_there() && nobody {
        let message = format!("nobody may write: {} has no `write`", section.title());
        let mend = "add `write = [\"…\"]` with globs on identities";
        section.report().warn(&section.span_of("write"), message, mend);
    } else if raise.as_ref().is_some_and(|globs| globs.is_empty()) {
        let message = "nobody may raise, so no leader can ever take over";
        let mend = "leave `raise` out to let every writer raise";
        section.report().warn(&section.span_of("raise"), message, mend);
    }
    let write = write.unwrap_or_default();
    Who { read, raise: raise.unwrap_or_else(|| write.clone()), write, administer }
}

fn tokens(section: &Section<'_>) -> (TokenRules, HolderKind) {
    let default = TokenRules::default();
    let largest = u64::try_from(i64::MAX).unwrap_or(u64::MAX);
    let tokens = TokenRules {
        max_jump: section.integer("max_jump", 1..=largest).unwrap_or(default.max_jump),
        incarnation: section
            .integer("incarnation", 0..=u64::from(u32::MAX))
            .and_then(|incarnation| u32::try_from(incarnation).ok())
            .unwrap_or(default.incarnation),
        share: section.boolean("share_token").unwrap_or(default.share),
    };
    let kinds = [("identity", HolderKind::Identity), ("certificate", HolderKind::Certificate)];
    let holder = section.choice("holder", &kinds).unwrap_or_default();
    if tokens.share && holder == HolderKind::Certificate {
        let message = "`share_token` lets several identities bring a token, \
                       `holder = \"certificate\"` lets only one certificate";
        section.error_at("share_token", message, "leave one of them out");
    }
    (tokens, holder)
}
