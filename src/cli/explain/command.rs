//! A command for Redis: what it touches, by which rules, and what is asked.

use std::fmt::Write;

use anyhow::{Context, bail};

use super::mark::Compared;
use super::target::rights;
use super::{Args, guarantee, line, lines, shown};
use crate::config::{Config, show_duration};
use crate::protocol::redis::codec::inline;
use crate::protocol::redis::commands::Act;
use crate::protocol::redis::{Asked, Becomes, Listener, Preview, Refused, Touched};
use crate::rules::Rule;

/// How many resources are told of one command.
const TOUCHED_MAX: usize = 10;

/// Adds what there is to say.
pub(super) fn write(
    text: &mut String,
    config: &Config,
    listener: &Listener,
    args: &Args,
) -> anyhow::Result<()> {
    if !args.headers.is_empty() {
        bail!("listener {} speaks Redis, which has no headers: leave --header out", listener.name);
    }
    let database = args.database.as_deref().map_or(Ok(0), str::parse);
    let database = database.context("the database of Redis is a number, such as --database 0")?;
    let words = inline::arguments(args.request.as_bytes())?;
    if words.is_empty() {
        bail!("write the command as one argument, such as 'SET jobs:a:1 x'");
    }
    let has_token = args.token.is_some();
    let asked = Asked { identity: &args.identity, database, has_token, args: &words };
    writeln!(
        text,
        "{} as {} on listener {} (redis, upstream {})",
        shown(&args.request),
        args.identity,
        listener.name,
        listener.upstream.name
    )?;
    let Preview { command, touched, becomes } = Preview::new(listener, &asked);
    let known = command.as_deref().unwrap_or("unknown, so it counts as a write to everything");
    line(text, "command", format!("{known}, in database {database}"))?;
    let is_refused = match &becomes {
        Becomes::Refused(Refused { word, detail, mend }) => {
            line(text, "refused", format!("-{word}: {detail}; {mend}"))?;
            true
        }
        becomes => {
            line(text, "becomes", told(becomes, &touched))?;
            false
        }
    };
    for one in touched.iter().take(TOUCHED_MAX) {
        resource(text, config, listener, args, one, is_refused)?;
    }
    match touched.len() {
        0 if is_refused => line(text, "guarantee", guarantee::NO_SESSION),
        0 if matches!(becomes, Becomes::KeysAsked { .. }) => line(
            text,
            "touches",
            "the keys that the server names, each as another command's would be",
        ),
        0 => line(text, "touches", "no resource: nothing is asked of a fence"),
        count if count > TOUCHED_MAX => line(text, "and", format!("{} more", count - TOUCHED_MAX)),
        _ => Ok(()),
    }
}

/// One that is touched, and what is asked of its fence.
fn resource(
    text: &mut String,
    config: &Config,
    listener: &Listener,
    args: &Args,
    Touched { matched, is_written }: &Touched,
    is_refused: bool,
) -> anyhow::Result<()> {
    let verb = match (is_refused, is_written) {
        (true, _) => "concerns",
        (false, true) => "writes",
        (false, false) => "reads",
    };
    line(text, verb, &matched.resource)?;
    rights(text, matched, "", &args.identity)?;
    if is_refused {
        return line(text, "guarantee", guarantee::NO_SESSION);
    }
    let rule = &*matched.rule;
    lines(text, "asked", compared(args, rule, *is_written))?;
    if *is_written {
        line(text, "takeover", takeover(rule))?;
    }
    lines(
        text,
        "guarantee",
        guarantee::command(&config.ledger, listener, rule, args.token, *is_written),
    )
}

fn compared(args: &Args, rule: &Rule, is_written: bool) -> Vec<String> {
    let Some(token) = args.token else {
        return vec!["nothing: a read may come without a token".to_owned()];
    };
    let verb = if is_written { "sealed, then admitted" } else { "sealed, then sent" };
    let below = "refused as stale, with -FENCED";
    Compared { rule, identity: &args.identity, token, below, verb }.lines()
}

fn told(becomes: &Becomes, touched: &[Touched]) -> String {
    let writes = touched.iter().any(|one| one.is_written);
    match becomes {
        Becomes::Sent { is_blocking: true } => {
            "sent, and it may wait there for others; a takeover ends the wait at once".to_owned()
        }
        Becomes::Sent { .. } if writes => {
            "sent, and it counts from then on until the server has answered; between MULTI and EXEC \
             it counts when EXEC is sent"
                .to_owned()
        }
        Becomes::Sent { .. } => "sent".to_owned(),
        Becomes::Handled(act) => handled(*act).to_owned(),
        Becomes::KeysAsked { is_write } => {
            let verb = if *is_write { "writes" } else { "reads" };
            format!("the server is asked which keys it {verb} (COMMAND GETKEYS)")
        }
        Becomes::Refused(_) => String::new(),
    }
}

fn handled(act: Act) -> &'static str {
    match act {
        Act::Auth | Act::Hello => {
            "Palisade looks at it: a user name `token=N` brings a token, passwords are not looked at"
        }
        Act::Palisade => "Palisade answers it; the server does not see it",
        Act::GetName => "Palisade answers it, with the name that the client has set",
        Act::SetName => "sent, with what this Palisade is called behind the name",
        Act::Reset => "sent; the token is gone with everything else",
        Act::ReplyMode => "sent if it is ON; OFF and SKIP are refused",
        Act::Select => "sent, when all before it is answered; not between MULTI and EXEC",
        Act::Multi | Act::Exec | Act::Discard => {
            "sent; what EXEC runs is admitted when EXEC is sent"
        }
        Act::Watch | Act::Unwatch => "sent",
        Act::Subscribe | Act::PatternSubscribe | Act::Unsubscribe => {
            "sent, when all before it is answered; a channel counts as a key"
        }
        Act::Monitor => "sent; from then on the connection can only QUIT",
        Act::Quit => "Palisade answers it and ends the connection",
    }
}

fn takeover(rule: &Rule) -> String {
    format!(
        "ends it: at once when it waits for no answer, or for others (CLIENT UNBLOCK); what runs is \
         given {}, then the server kills it (CLIENT KILL) and is waited for; a new leader waits {} a \
         try",
        show_duration(rule.sessions.drain),
        show_duration(rule.takeover_timeout)
    )
}

/// Whether a request is one for HTTP: a word and a target.
pub(super) fn is_request_line(request: &str) -> bool {
    let target = request.split(' ').nth(1).unwrap_or("/");
    target.starts_with('/') || target.contains("://")
}
