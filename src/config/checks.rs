//! What can only be seen by looking at several tables at once.

use std::net::SocketAddr;

use toml::Spanned;

use super::listeners::{self, Protocol};
use super::report::Report;
use super::resources::Entry;
use super::sessions::Settling;
use super::upstreams;
use super::values::show_duration;
use crate::admin;
use crate::rules::{CommitPoint, Pattern, Rule};

/// More tries than that, and a takeover is a nuisance.
const TAKEOVER_TRIES_MAX: u128 = 10;

/// No two sockets on one address.
pub(super) fn addresses(
    report: &Report<'_>,
    listeners: &[listeners::Entry<'_>],
    admin: Option<&Spanned<admin::Settings>>,
) {
    let mut taken: Vec<(String, SocketAddr)> = Vec::new();
    let on_listeners = listeners.iter().flat_map(|listener| {
        let owner = format!("[listeners.{}]", listener.name.get_ref());
        listener.addresses.iter().map(move |at| (owner.clone(), at.span(), *at.get_ref()))
    });
    let of_admin = admin.map(|it| ("[admin]".to_owned(), it.span(), it.get_ref().listen));
    // The admin address may be the default, so whoever collides with it is at fault.
    for (owner, span, address) in of_admin.into_iter().chain(on_listeners) {
        if let Some((other, at)) = taken.iter().find(|(_, other)| collide(*other, address)) {
            let message = format!("{other} listens on {at} already");
            report.error(&span, message, "write another port");
        }
        taken.push((owner, address));
    }
}

/// Port 0 takes a free one, so it never collides. An IPv6 wildcard is not held against
/// IPv4 addresses: that depends on the system.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let same_ip = a.ip() == b.ip()
        || a.is_ipv4() == b.is_ipv4() && (a.ip().is_unspecified() || b.ip().is_unspecified());
    a.port() != 0 && a.port() == b.port() && same_ip
}

/// Upstreams that no listener names. Nothing is said while a listener names one that is not
/// there: it may be this one.
pub(super) fn unused(
    report: &Report<'_>,
    upstreams: &[upstreams::Entry],
    listeners: &[listeners::Entry<'_>],
) {
    if !listeners.iter().all(listeners::Entry::has_upstream) {
        return;
    }
    for upstream in upstreams.iter().filter(|upstream| !upstream.used.get()) {
        let message = format!("no listener uses upstream \"{}\"", upstream.name.get_ref());
        report.warn(&upstream.name.span(), message, "leave it out, or name it in a listener");
    }
}

/// No two upstreams with one server and one `replica`: each ends the sessions of the other when
/// it starts.
pub(super) fn replicas(report: &Report<'_>, upstreams: &[upstreams::Entry]) {
    for (at, entry) in upstreams.iter().enumerate() {
        let Some(ours) = entry.server.swept() else { continue };
        let twin = upstreams[..at].iter().filter_map(|other| other.server.swept()).find(|theirs| {
            theirs.replica == ours.replica
                && ours.servers.iter().any(|server| theirs.servers.contains(server))
        });
        if let Some(theirs) = twin {
            let message = format!(
                "this has a server of upstream \"{}\" and the same `replica`: each would end the \
                 sessions of the other",
                theirs.name
            );
            let mend = "name that upstream in both listeners, or write another `replica`";
            report.error(&entry.name.span(), message, mend);
        }
    }
}

/// Names that are there twice, rules that never match, resources shared by accident.
pub(super) fn rules(report: &Report<'_>, rules: &[Entry<'_>], listeners: &[listeners::Entry<'_>]) {
    for (at, rule) in rules.iter().enumerate() {
        let earlier = &rules[..at];
        if let Some(other) = earlier.iter().find(|other| other.rule.name == rule.rule.name) {
            let message = format!("the name \"{}\" is there twice", other.rule.name);
            report.error(&rule.name.span(), message, "give each rule its own name");
        }
        unreachable(report, rule, earlier, listeners);
        for other in earlier.iter().filter(|o| o.rule.resource.overlaps(&rule.rule.resource)) {
            shared(report, rule, other, listeners);
        }
    }
}

/// A rule is an error when it can match on none of its listeners: an earlier rule takes all
/// of it there, or the reserved prefix does.
fn unreachable(
    report: &Report<'_>,
    rule: &Entry<'_>,
    earlier: &[Entry<'_>],
    listeners: &[listeners::Entry<'_>],
) {
    let covers = &rule.rule.covers;
    let mut reason = None;
    for listener in listeners.iter().filter(|listener| rule.is_on(listener.name.get_ref())) {
        let name = listener.name.get_ref();
        let cover = earlier
            .iter()
            .find(|other| other.is_on(name) && other.rule.covers.covers(covers))
            .map(|other| (format!("rule \"{}\"", other.rule.name), "put the narrower rule first"));
        let reserved = listener.prefix().map(|prefix| format!("{prefix}/**"));
        let reserved = reserved
            .and_then(|reserved| Pattern::parse(&reserved).ok())
            .filter(|reserved| covers.paths().is_some_and(|pattern| reserved.covers(pattern)))
            .map(|_| ("the reserved prefix".to_owned(), "write another `path` or `prefix`"));
        match cover.or(reserved) {
            Some(found) => reason = Some(found),
            None => return,
        }
    }
    if let Some((cover, mend)) = reason {
        let what = if rule.rule.covers.keys().is_some() { "keys" } else { "paths" };
        let message = format!("this never matches: {cover} takes all of its {what} before it");
        report.error(&rule.covers_span(), message, mend);
    }
}

/// Two rules may guard one resource only when that is plainly meant (the very same
/// template), and when they agree on what holds for the resource as a whole. The commit
/// point is of each write, so there they may differ.
fn shared(
    report: &Report<'_>,
    rule: &Entry<'_>,
    other: &Entry<'_>,
    listeners: &[listeners::Entry<'_>],
) {
    let span = rule.section.span_of("resource");
    let (ours, theirs) = (&rule.rule, &other.rule);
    if ours.resource.as_str() != theirs.resource.as_str() {
        let message = format!(
            "this can name the same resource as `{}` of rule \"{}\"",
            theirs.resource, theirs.name
        );
        let mend = "begin them differently, or write the very same template to share resources";
        report.error(&span, message, mend);
        return;
    }
    let (of_ours, of_theirs) = (Settling::of(rule, listeners), Settling::of(other, listeners));
    if of_ours != of_theirs {
        let of_sessions = if of_ours == Settling::Requests { of_theirs } else { of_ours };
        let message = format!(
            "this shares its resources with rule \"{}\", but only one of them is on listeners for \
             {}: writes settle differently there",
            theirs.name,
            of_sessions.speaks()
        );
        report.error(&span, message, "write another template");
        return;
    }
    let has_sessions = of_ours != Settling::Requests;
    let differing: Vec<_> = [
        ("tokens.max_jump", ours.tokens.max_jump == theirs.tokens.max_jump),
        ("tokens.incarnation", ours.tokens.incarnation == theirs.tokens.incarnation),
        ("tokens.share_token", ours.tokens.share == theirs.tokens.share),
        ("tokens.holder", ours.holder == theirs.holder),
        ("settle_timeout", has_sessions || ours.settle_timeout == theirs.settle_timeout),
    ]
    .into_iter()
    .filter(|(_, same)| !same)
    .map(|(key, _)| format!("`{key}`"))
    .collect();
    if !differing.is_empty() {
        let message = format!(
            "this shares its resources with rule \"{}\", but not {}",
            theirs.name,
            differing.join(", ")
        );
        report.error(&span, message, "write the same there, or another template");
    }
}

/// Whether the times of a rule fit each other and those of the store.
pub(super) fn times(report: &Report<'_>, rule: &Entry<'_>, listeners: &[listeners::Entry<'_>]) {
    let Rule { settle_timeout: settle, takeover_timeout: takeover, .. } = rule.rule;
    let drain = rule.rule.sessions.drain;
    let (longest, whom) = match Settling::of(rule, listeners) {
        Settling::Postgres => (drain, "for a statement"),
        Settling::Redis => (drain, "for the answer to a command"),
        Settling::Requests => (settle, "for the store"),
    };
    let tries = longest.as_millis().div_ceil(takeover.as_millis().max(1));
    if tries > TAKEOVER_TRIES_MAX {
        let message = format!(
            "a takeover may wait {} {whom}, and a new leader waits {} a try: it may be told \
             `unsettled` {} times",
            show_duration(longest),
            show_duration(takeover),
            tries - 1
        );
        let mend = "write a longer `takeover_timeout`";
        report.warn(&rule.section.span_of("takeover_timeout"), message, mend);
    }
    for listener in listeners.iter().filter(|listener| rule.is_on(listener.name.get_ref())) {
        let Some(upstream) = listener.store() else { continue };
        if settle < upstream.response_timeout {
            let message = format!(
                "upstream \"{}\" may take {} to answer, and after {} a takeover does not wait any \
                 more: a write that is applied in the {} between is not fenced",
                upstream.name,
                show_duration(upstream.response_timeout),
                show_duration(settle),
                show_duration(upstream.response_timeout - settle)
            );
            let mend = "write a `settle_timeout` at least as long as `response_timeout`";
            report.warn(&rule.section.span_of("settle_timeout"), message, mend);
        }
        let head = listener.protocol.is_some_and(|protocol| {
            protocol == Protocol::S3 && rule.rule_for(protocol).commit_point == CommitPoint::Head
        });
        if head {
            let message = format!(
                "on [listeners.{}] an upload counts from its head on, so a takeover cannot cut it \
                 and waits for it",
                listener.name.get_ref()
            );
            let mend = "leave `commit_point` out: S3 applies a write at its last byte";
            report.warn(&rule.section.span_of("commit_point"), message, mend);
        }
    }
}
