//! One path that a request touches: its rule, its resource, who may, and what is asked.

use super::mark::{Compared, is_beyond};
use super::{guarantee, line};
use crate::config::{Ledger, show_duration};
use crate::fence::{Action, Token};
use crate::protocol::http::Listener;
use crate::protocol::http::operation::Target;
use crate::rules::{Globs, Matched, Reads};

/// A target of a request on a listener.
pub(super) struct Explained<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) listener: &'a Listener,
    pub(super) target: &'a Target,
    pub(super) identity: &'a str,
    pub(super) token: Option<Token>,
    /// Whether the request is refused as a whole, for this target or another.
    pub(super) is_refused: bool,
    /// The resources that the request writes.
    pub(super) written: &'a [Matched],
}

impl Explained<'_> {
    /// Adds what there is to say.
    pub(super) fn write(&self, text: &mut String) -> anyhow::Result<()> {
        let path = &self.target.path;
        line(text, self.target.action.as_str(), path.escape_debug())?;
        match self.listener.rules.find(path) {
            Ok(Some(found)) => self.matched(text, &found),
            Ok(None) => self.unmatched(text),
            Err(error) => {
                line(text, "rule", format!("matches, but names no resource: {error}"))?;
                line(text, "guarantee", guarantee::REFUSED)
            }
        }
    }

    fn unmatched(&self, text: &mut String) -> anyhow::Result<()> {
        line(text, "rule", "none matches")?;
        let unmatched = &self.listener.unmatched;
        let globs = match self.target.action {
            Action::Read => &unmatched.read,
            Action::Raise | Action::Write => &unmatched.write,
        };
        may(text, self.target.action, globs, self.identity)?;
        let is_let_through = globs.contains(self.identity) && !self.is_refused;
        line(text, "guarantee", guarantee::unmatched(self.target.action, is_let_through))
    }

    fn matched(&self, text: &mut String, found: &Matched) -> anyhow::Result<()> {
        let rule = &found.rule;
        rights(text, found, &self.target.path, self.identity)?;
        for (at, asked) in self.asked(found).into_iter().enumerate() {
            line(text, if at == 0 { "asked" } else { "" }, asked)?;
        }
        let settled = format!(
            "once the store has answered to the end, or {} after its last byte (outcome unknown); a new leader \
             waits {} a try",
            show_duration(rule.settle_timeout),
            show_duration(rule.takeover_timeout)
        );
        line(text, "settled", settled)?;
        if self.is_refused {
            return line(text, "guarantee", guarantee::REFUSED);
        }
        let fenced = guarantee::Route {
            ledger: self.ledger,
            listener: self.listener,
            rule,
            token: self.token,
        };
        for (at, sentence) in fenced.sentences(self.target.action).into_iter().enumerate() {
            line(text, if at == 0 { "guarantee" } else { "" }, sentence)?;
        }
        Ok(())
    }

    /// What the gate compares, in the order of the contract's table.
    fn asked(&self, found: &Matched) -> Vec<String> {
        let action = self.target.action;
        let (identity, rule) = (self.identity, &found.rule);
        if !rule.who.may(identity, action) {
            return vec!["nothing: refused as forbidden before the token is looked at".to_owned()];
        }
        let Some(token) = self.token else {
            return vec![
                match (action, rule.reads) {
                    (Action::Read, Reads::Open) => "nothing: reads may come without a token",
                    _ => "nothing: refused, because a token is required (see --token)",
                }
                .to_owned(),
            ];
        };
        let is_same = |other: &Matched| other.resource == found.resource;
        let is_plain = !is_beyond(token);
        if is_plain && action == Action::Read && self.written.iter().any(is_same) {
            return vec!["with the write of the same resource, which stands for it".to_owned()];
        }
        let verb = if action == Action::Read { "sealed, then forwarded" } else { "admitted" };
        Compared { rule, identity, token, below: "refused as stale", verb }.lines()
    }
}

/// The rule of a path, the resource, and what an identity may do with it.
pub(super) fn rights(
    text: &mut String,
    found: &Matched,
    path: &str,
    identity: &str,
) -> anyhow::Result<()> {
    let Matched { rule, resource } = found;
    line(text, "rule", format!("{} ({})", rule.name, rule.covers))?;
    let pattern = rule.covers.paths();
    let captures = pattern.and_then(|pattern| pattern.matches(path));
    let names = pattern.into_iter().flat_map(|pattern| pattern.names().iter().enumerate());
    let values = names.filter_map(|(place, name)| {
        Some(format!("{name} = {}", captures.as_ref()?.at(place)?.escape_debug()))
    });
    let values: Vec<_> = [format!("from {}", rule.resource)].into_iter().chain(values).collect();
    line(text, "resource", format!("{resource} ({})", values.join(", ")))?;
    let actions = [Action::Read, Action::Write, Action::Raise];
    actions.into_iter().try_for_each(|action| may(text, action, rule.who.globs(action), identity))
}

fn may(text: &mut String, action: Action, globs: &Globs, identity: &str) -> anyhow::Result<()> {
    let answer = match globs.matching(identity) {
        Some(glob) => format!("yes, by {glob}"),
        None if globs.is_empty() => "no: nobody may".to_owned(),
        None => "no: no glob matches this identity".to_owned(),
    };
    line(text, &format!("may {}", action.as_str()), answer)
}
