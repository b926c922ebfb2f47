//! `[[resources]]`: which paths belong to which resource, and who may do what there.

use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::listeners::{self, Protocol};
use super::section::Section;
use super::{names, sessions};
use crate::fence::TokenRules;
use crate::rules::{CommitPoint, Covers, HolderKind, Pattern, Reads, Rule, Template, Who};

const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(10);

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
            Protocol::Postgres => {
                Rule { commit_point: CommitPoint::Head, settle_timeout: Duration::ZERO, ..rule }
            }
        })
    }

    /// Where its path is.
    pub(super) fn path_span(&self) -> super::section::Span {
        self.section.span_of("path")
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
    section.require("path", "\"/orders/{shard}/**\"");
    section.require("resource", "\"orders/{shard}\"");
    let name = section.string("name").filter(|name| names::check(&section, name));
    let on = on(&section, listeners);
    let pattern = pattern(&section);
    let template = pattern.as_ref().and_then(|pattern| template(&section, pattern));
    let who = who(&section);
    let reads = [("open", Reads::Open), ("token", Reads::Token)];
    let reads = section.choice("reads", &reads).unwrap_or_default();
    let points = [("head", CommitPoint::Head), ("last-byte", CommitPoint::LastByte)];
    let commit_point = section.choice("commit_point", &points);
    let (tokens, holder) = tokens(&section.table("tokens"));
    let settle_timeout = section.duration("settle_timeout").unwrap_or(SETTLE_TIMEOUT);
    let takeover_timeout = section.duration("takeover_timeout").unwrap_or(TAKEOVER_TIMEOUT);
    let sessions = sessions::read(&section, pattern.as_ref());
    let name = name?;
    let rule = Rule {
        name: (*name.get_ref()).into(),
        covers: Covers::Paths(pattern?),
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

fn pattern(section: &Section<'_>) -> Option<Pattern> {
    let text = section.string("path")?;
    let pattern = Pattern::parse(text.get_ref());
    let complain = |error: crate::rules::PatternError| {
        section.error_at("path", "`path` is not a pattern", error.to_string());
    };
    pattern.map_err(complain).ok()
}

fn template(section: &Section<'_>, pattern: &Pattern) -> Option<Template> {
    let text = section.string("resource")?;
    let template = Template::parse(text.get_ref(), pattern);
    let complain = |error: crate::rules::TemplateError| {
        section.error_at("resource", "`resource` is not a template", error.to_string());
    };
    template.map_err(complain).ok()
}

fn who(section: &Section<'_>) -> Who {
    let read = section.globs("read").unwrap_or_default();
    let write = section.globs("write");
    let raise = section.globs("raise");
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
    Who { read, raise: raise.unwrap_or_else(|| write.clone()), write, ..Who::default() }
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
