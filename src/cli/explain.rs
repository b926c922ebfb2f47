//! `palisade explain`: what a request would be asked, by which rule, and what is guaranteed.

mod command;
mod guarantee;
mod mark;
mod request;
mod session;
mod target;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use http::{HeaderName, HeaderValue, request::Parts};

use super::check;
use crate::config::{self, Config};
use crate::fence::{Action, Token};
use crate::protocol::http::operation::Operation;
use crate::protocol::http::{Flavor, Listener, Preview, Refused};
use crate::rules::{CommitPoint, Matched};
use target::Explained;

/// How much of a statement or a command is shown, in characters.
const SHOWN_MAX: usize = 100;

/// Arguments of `palisade explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration.
    file: PathBuf,
    /// The request line, such as 'PUT /bucket/key'; for PostgreSQL the statement; for Redis the
    /// command, such as 'SET jobs:a:1 x'.
    request: String,
    /// The identity that asks, as in its certificate.
    #[arg(long = "as", value_name = "IDENTITY")]
    identity: String,
    /// The listener that is asked; by default all that the request can be meant for.
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// The token that it brings.
    #[arg(long)]
    token: Option<Token>,
    /// A header that it has, such as 'x-amz-copy-source: /bucket/key'; repeat it for more.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = request::header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// PostgreSQL: the database that a client asks for; by default as the user is called. Redis:
    /// the number of the one that is selected; by default 0.
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// PostgreSQL: the user whom a client asks to be.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// PostgreSQL: the resource that a client names itself, as `palisade.resource`.
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
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
    let mut text = String::new();
    for listener in chosen(config, args)? {
        match listener {
            config::Listener::Http(listener) => {
                let head = request::head(args, listener)?;
                on_http(&mut text, config, listener, args, &head)?;
            }
            config::Listener::Postgres(listener) => {
                session::write(&mut text, config, listener, args)?
            }
            config::Listener::Redis(listener) => command::write(&mut text, config, listener, args)?,
        }
    }
    Ok(text)
}

/// What was typed can be meant for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Meant {
    Requests,
    Sessions,
    Commands,
}

impl Meant {
    /// By the options that are there and the look of the request; `has_redis`: some listener speaks it.
    fn of(args: &Args, has_redis: bool) -> Self {
        let is_number = args.database.as_ref().is_some_and(|name| name.parse::<u32>().is_ok());
        if args.user.is_some() || args.resource.is_some() {
            return Self::Sessions;
        }
        match &args.database {
            Some(_) if has_redis && is_number => Self::Commands,
            Some(_) => Self::Sessions,
            None if has_redis && !command::is_request_line(&args.request) => Self::Commands,
            None => Self::Requests,
        }
    }

    fn fits(self, listener: &config::Listener) -> bool {
        self == match listener {
            config::Listener::Http(_) => Self::Requests,
            config::Listener::Postgres(_) => Self::Sessions,
            config::Listener::Redis(_) => Self::Commands,
        }
    }
}

/// The listener that is named, or all that what was typed can be meant for.
fn chosen<'a>(config: &'a Config, args: &Args) -> anyhow::Result<Vec<&'a config::Listener>> {
    let of_sessions = [&args.user, &args.resource].iter().any(|arg| arg.is_some());
    if let Some(name) = &args.listener {
        let Some(found) = config.listeners.iter().find(|listener| **listener.name() == **name)
        else {
            let names: Vec<_> = config.listeners.iter().map(|l| &**l.name()).collect();
            bail!("there is no such listener; there are: {}", names.join(", "));
        };
        match found {
            config::Listener::Http(_) if of_sessions || args.database.is_some() => {
                let protocol = found.protocol();
                bail!(
                    "listener {name} speaks {protocol}: leave --database, --user and --resource out"
                );
            }
            config::Listener::Redis(_) if of_sessions => {
                bail!("listener {name} speaks redis: leave --user and --resource out");
            }
            _ => {}
        }
        return Ok(vec![found]);
    }
    let has_redis = config.listeners.iter().any(|listener| Meant::Commands.fits(listener));
    let meant = Meant::of(args, has_redis);
    let found: Vec<_> = config.listeners.iter().filter(|listener| meant.fits(listener)).collect();
    if found.is_empty() {
        match meant {
            Meant::Sessions => {
                bail!("no listener speaks PostgreSQL: leave --database, --user and --resource out")
            }
            Meant::Requests if has_redis => {
                bail!("no listener speaks HTTP: write a command such as 'SET jobs:a:1 x'")
            }
            Meant::Requests | Meant::Commands => {
                bail!("all listeners speak PostgreSQL: say whom a client asks to be with --user")
            }
        }
    }
    Ok(found)
}

fn on_http(
    text: &mut String,
    config: &Config,
    listener: &Listener,
    args: &Args,
    head: &Parts,
) -> anyhow::Result<()> {
    let protocol = match listener.flavor {
        Flavor::Http => "http",
        Flavor::S3(_) => "s3",
    };
    writeln!(
        text,
        "{} as {} on listener {} ({protocol}, upstream {})",
        args.request, args.identity, listener.name, listener.upstream.name
    )?;
    let preview = match Preview::new(listener, &args.identity, head) {
        Ok(preview) => preview,
        Err(refused) => {
            tell_refused(text, &refused)?;
            return line(text, "guarantee", guarantee::REFUSED);
        }
    };
    let (operation, is_named_by_body, body, token, refused) = match preview {
        Preview::Palisade(rest) => {
            line(text, "asks", format!("Palisade itself, for {rest:?}"))?;
            let answers = "POST seal, GET status and GET whoami are answered there";
            return line(text, "guarantee", format!("nothing of it reaches the store; {answers}"));
        }
        Preview::Store { operation, is_named_by_body, is_command, has_body, token, refused } => {
            (operation, is_named_by_body, (is_command, has_body), token, refused)
        }
    };
    line(text, "operation", operation.name)?;
    if let Some(refused) = &refused {
        tell_refused(text, refused)?;
    }
    if is_named_by_body {
        let keys = "every key that its body names, each as its own write would be";
        line(text, "touches", keys)?;
        let bucket = operation.targets.first().map_or("/bucket", |target| &*target.path);
        return line(text, "", format!("ask again for each, such as 'DELETE {bucket}/key'"));
    }
    let written = matched(listener, &operation, Some(Action::Write));
    let is_fenced = !matched(listener, &operation, None).is_empty();
    let is_refused = refused.is_some() || is_fenced && token.is_some_and(mark::is_beyond);
    if !is_refused && !written.is_empty() {
        line(text, "commit point", commit_point(&written, body))?;
    }
    for target in &operation.targets {
        let identity = &args.identity;
        let written = &written;
        let ledger = &config.ledger;
        Explained { ledger, listener, target, identity, token, is_refused, written }.write(text)?;
    }
    Ok(())
}

fn tell_refused(text: &mut String, refused: &Refused) -> anyhow::Result<()> {
    let Refused { status, reason, detail, mend } = refused;
    line(text, "refused", format!("{status} {reason}: {detail}; {mend}"))
}

/// The rules of what it touches, or only of what it writes or reads.
fn matched(listener: &Listener, operation: &Operation, action: Option<Action>) -> Vec<Matched> {
    let targets = operation.targets.iter();
    let targets = targets.filter(|target| action.is_none_or(|action| target.action == action));
    targets.filter_map(|target| listener.rules.find(&target.path).ok().flatten()).collect()
}

/// From when the request as a whole counts, and why: the earliest of its writes decides.
fn commit_point(written: &[Matched], (is_command, has_body): (bool, bool)) -> String {
    let waits = "from then on a takeover waits for the store's answer";
    if is_command && has_body {
        return format!("its head, as stores may obey a command before its last byte: {waits}");
    }
    if !has_body {
        return format!("its head, as it has no body: {waits}");
    }
    match written.iter().find(|found| found.rule.commit_point == CommitPoint::Head) {
        Some(found) => format!("its head, by rule {}: {waits}", found.rule.name),
        None => "the last byte of its body: until then a takeover cuts it with certainty".into(),
    }
}

fn line(text: &mut String, label: &str, value: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(writeln!(text, "  {label:<13} {value}")?)
}

fn lines(text: &mut String, label: &str, lines: Vec<String>) -> anyhow::Result<()> {
    let mut lines = lines.into_iter().enumerate();
    lines.try_for_each(|(at, value)| line(text, if at == 0 { label } else { "" }, value))
}

/// A statement or a command in one line.
fn shown(statement: &str) -> String {
    let words: Vec<_> = statement.split_whitespace().collect();
    let words = words.join(" ");
    match words.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words,
    }
}
