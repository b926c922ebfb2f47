//! `palisade explain`: what a request would be asked, by which rule, and what is guaranteed.

mod guarantee;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::check;
use crate::config::{Config, show_duration};
use crate::fence::{Action, Token};
use crate::protocol::http::operation::{Operation, Target};
use crate::protocol::http::{Flavor, Listener};
use crate::rules::{CommitPoint, Globs, HolderKind, Matched, Reads, Rule};

/// Arguments of `palisade explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration.
    file: PathBuf,
    /// The request line, such as 'PUT /bucket/key'.
    request: String,
    /// The identity that asks, as in its certificate.
    #[arg(long = "as", value_name = "IDENTITY")]
    identity: String,
    /// The listener that is asked; all of them by default.
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// The token that it brings.
    #[arg(long)]
    token: Option<Token>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match Config::load(&args.file) {
        Ok((config, warnings)) => {
            eprint!("{}", check::list(&warnings));
            print!("{}", explain(&config, &args)?);
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            eprint!("{}", check::refusal(&problems));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn explain(config: &Config, args: &Args) -> anyhow::Result<String> {
    let mut words = args.request.split(' ');
    let (Some(method), Some(target), None) = (words.next(), words.next(), words.next()) else {
        bail!("write the request as one argument, such as 'PUT /bucket/key'");
    };
    let chosen =
        |listener: &&Listener| args.listener.as_ref().is_none_or(|name| **name == *listener.name);
    let listeners: Vec<_> = config.listeners.iter().filter(chosen).collect();
    if listeners.is_empty() {
        let names: Vec<_> = config.listeners.iter().map(|listener| &*listener.name).collect();
        bail!("there is no such listener; there are: {}", names.join(", "));
    }
    let mut text = String::new();
    for listener in listeners {
        let operation = operation(listener, method, target)?;
        let protocol = match listener.flavor {
            Flavor::Http => "http",
            Flavor::S3(_) => "s3",
        };
        writeln!(
            text,
            "{} as {} on listener {} ({protocol}, upstream {})",
            args.request, args.identity, listener.name, listener.upstream.name
        )?;
        for target in &operation.targets {
            Explained { listener, target, args }.write(&mut text)?;
        }
    }
    Ok(text)
}

/// What a request line does.
///
/// LEAD: where the listener speaks S3, `protocol::http::s3::classify` belongs here, and for
/// both the path rules of `protocol::http`, once they are there. Until then the method tells,
/// and the path is only decoded.
fn operation(listener: &Listener, method: &str, target: &str) -> anyhow::Result<Operation> {
    let _ = &listener.flavor;
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .context("the path is not UTF-8 once it is decoded, so it is refused")?;
    if !path.starts_with('/') {
        bail!("the path begins with `/`, such as 'PUT /bucket/key'");
    }
    let (name, action) = match method {
        "GET" => ("GET", Action::Read),
        "HEAD" => ("HEAD", Action::Read),
        "OPTIONS" => ("OPTIONS", Action::Read),
        "PUT" => ("PUT", Action::Write),
        "POST" => ("POST", Action::Write),
        "PATCH" => ("PATCH", Action::Write),
        "DELETE" => ("DELETE", Action::Write),
        _ => ("other", Action::Write),
    };
    Ok(Operation { name, targets: vec![Target { path: path.into_owned(), action }] })
}

struct Explained<'a> {
    listener: &'a Listener,
    target: &'a Target,
    args: &'a Args,
}

impl Explained<'_> {
    fn write(&self, text: &mut String) -> anyhow::Result<()> {
        let path = &self.target.path;
        line(text, self.target.action.as_str(), path.escape_debug())?;
        let inside = path.strip_prefix(&*self.listener.prefix);
        if inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return line(text, "rule", "none: the prefix for seal, status and who-am-I");
        }
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
        self.may(text, self.target.action, globs)?;
        let allowed = globs.contains(&self.args.identity);
        line(text, "guarantee", guarantee::unmatched(self.target.action, allowed))
    }

    fn matched(&self, text: &mut String, found: &Matched) -> anyhow::Result<()> {
        let Matched { rule, resource } = found;
        line(text, "rule", format!("{} (path {})", rule.name, rule.pattern))?;
        let captures = rule.pattern.matches(&self.target.path);
        let names = rule.pattern.names().iter().enumerate();
        let values = names.filter_map(|(place, name)| {
            Some(format!("{name} = {}", captures.as_ref()?.at(place)?.escape_debug()))
        });
        let values: Vec<_> =
            [format!("from {}", rule.resource)].into_iter().chain(values).collect();
        line(text, "resource", format!("{resource} ({})", values.join(", ")))?;
        for action in [Action::Read, Action::Write, Action::Raise] {
            self.may(text, action, rule.who.globs(action))?;
        }
        for (at, asked) in self.asked(rule).into_iter().enumerate() {
            line(text, if at == 0 { "asked" } else { "" }, asked)?;
        }
        if self.target.action == Action::Write {
            line(text, "commit point", commit_point(rule.commit_point))?;
        }
        let settled = format!(
            "once the store answers, or {} after its last byte (outcome unknown); a new leader \
             waits {} a try",
            show_duration(rule.settle_timeout),
            show_duration(rule.takeover_timeout)
        );
        line(text, "settled", settled)?;
        if self.is_refused(rule) {
            return line(text, "guarantee", guarantee::REFUSED);
        }
        let fenced = guarantee::Route { listener: self.listener, rule, token: self.args.token };
        for (at, sentence) in fenced.sentences(self.target.action).into_iter().enumerate() {
            line(text, if at == 0 { "guarantee" } else { "" }, sentence)?;
        }
        Ok(())
    }

    fn may(&self, text: &mut String, action: Action, globs: &Globs) -> anyhow::Result<()> {
        let answer = match globs.matching(&self.args.identity) {
            Some(glob) => format!("yes, by {glob}"),
            None if globs.is_empty() => "no: nobody may".to_owned(),
            None => "no: no glob matches this identity".to_owned(),
        };
        line(text, &format!("may {}", action.as_str()), answer)
    }

    /// Whether it is refused whatever the mark is.
    fn is_refused(&self, rule: &Rule) -> bool {
        let action = self.target.action;
        let needs_token = action != Action::Read || rule.reads == Reads::Token;
        !rule.who.may(&self.args.identity, action)
            || self.args.token.is_none_or(is_beyond) && (needs_token || self.args.token.is_some())
    }

    /// What the gate compares, in the order of the contract's table.
    fn asked(&self, rule: &Rule) -> Vec<String> {
        let action = self.target.action;
        let identity = &self.args.identity;
        if !rule.who.may(identity, action) {
            return vec!["nothing: refused as forbidden before the token is looked at".to_owned()];
        }
        let Some(token) = self.args.token else {
            return vec![
                match (action, rule.reads) {
                    (Action::Read, Reads::Open) => "nothing: reads may come without a token",
                    _ => "nothing: refused, because a token is required (see --token)",
                }
                .to_owned(),
            ];
        };
        if is_beyond(token) {
            return vec![format!("token {token}: refused as implausible, whatever the mark")];
        }
        let verb = if action == Action::Read { "sealed, then forwarded" } else { "admitted" };
        let equal = match (rule.tokens.share, rule.holder) {
            (true, _) => format!("{verb}, whoever brought it first"),
            (false, HolderKind::Identity) => {
                format!("{verb} if {identity} brought it first, else refused as conflict")
            }
            (false, HolderKind::Certificate) => {
                format!(
                    "{verb} if this very certificate brought it first, else refused as conflict"
                )
            }
        };
        let above = if rule.who.may(identity, Action::Raise) {
            format!(
                "a takeover: the mark is raised, older writes settle, then {verb} (more than {} \
                 above the mark: refused as implausible)",
                rule.tokens.max_jump
            )
        } else {
            "refused as forbidden: this identity may not raise".to_owned()
        };
        let mut asked = vec![
            format!("token {token} against the mark"),
            "  below it: refused as stale".to_owned(),
            format!("  equal: {equal}"),
            format!("  above it: {above}"),
        ];
        if token.incarnation() > rule.tokens.incarnation {
            asked.push(format!(
                "  implausible unless the mark is in incarnation {} already: the rule says {}",
                token.incarnation(),
                rule.tokens.incarnation
            ));
        }
        asked
    }
}

/// Whether no mark makes it plausible.
fn is_beyond(token: Token) -> bool {
    token.counter() > Token::MAX.counter()
}

fn commit_point(point: CommitPoint) -> &'static str {
    match point {
        CommitPoint::Head => "its head: from then on a takeover waits for the store's answer",
        CommitPoint::LastByte => {
            "the last byte of its body: until then a takeover cuts it with certainty"
        }
    }
}

fn line(text: &mut String, label: &str, value: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(writeln!(text, "  {label:<13} {value}")?)
}
