//! A session with PostgreSQL: its rule and resource, the role that it has, and what is asked.

use std::fmt::Write;

use anyhow::{Context, bail};

use super::mark::Compared;
use super::target::rights;
use super::{Args, guarantee, line, lines, shown};
use crate::config::{Config, show_duration};
use crate::protocol::postgres::upstream::Login;
use crate::protocol::postgres::{Asked, Listener, Preview, Refused, Session, Statement};
use crate::rules::{Matched, Reads};

/// Adds what there is to say.
pub(super) fn write(
    text: &mut String,
    config: &Config,
    listener: &Listener,
    args: &Args,
) -> anyhow::Result<()> {
    if !args.headers.is_empty() {
        bail!(
            "listener {} speaks PostgreSQL, which has no headers: leave --header out",
            listener.name
        );
    }
    let user = args.user.as_deref().with_context(|| {
        format!(
            "listener {} speaks PostgreSQL: say whom a client asks to be with --user, and for which \
             database with --database where that is another name",
            listener.name
        )
    })?;
    let asked = Asked {
        database: args.database.as_deref().unwrap_or(user),
        user,
        resource: args.resource.as_deref(),
        token: args.token,
    };
    writeln!(
        text,
        "{} as {} on listener {} (postgres, upstream {})",
        shown(&args.request),
        args.identity,
        listener.name,
        listener.upstream.name
    )?;
    let preview = match Preview::new(listener, &args.identity, &asked) {
        Ok(preview) => preview,
        Err(refused) => {
            tell_refused(text, &refused)?;
            return line(text, "guarantee", guarantee::NO_SESSION);
        }
    };
    line(text, "asks for", preview.path.escape_debug())?;
    if let Session::Refused(refused) = &preview.session {
        tell_refused(text, refused)?;
    }
    match &preview.found {
        Some(found) => rights(text, found, &preview.path, &args.identity)?,
        None => line(text, "rule", "none")?,
    }
    let found = match (&preview.found, &preview.session) {
        (Some(found), Session::Fenced | Session::ReadOnly) => found,
        _ => return line(text, "guarantee", guarantee::NO_SESSION),
    };
    line(text, "role", role(listener, &preview.role))?;
    let is_fenced = preview.session == Session::Fenced;
    line(text, "session", if is_fenced { FENCED } else { READ_ONLY })?;
    lines(text, "asked", compared(args, found, is_fenced))?;
    let statement = |session| Statement::new(listener, session, &args.request);
    if let Some(here) = statement(&preview.session) {
        line(text, "statement", told(&here))?;
        if let Some(otherwise) = statement(&Session::ReadOnly).filter(|other| *other != here) {
            line(text, "", format!("in a session that may only read: {}", told(&otherwise)))?;
        }
    }
    if is_fenced {
        line(text, "takeover", takeover(found))?;
    }
    lines(
        text,
        "guarantee",
        guarantee::session(&config.ledger, listener, &found.rule, args.token, is_fenced),
    )
}

const FENCED: &str = "fenced: each batch is admitted before it is sent, and has settled when the \
                      server is idle again";
const READ_ONLY: &str = "may only read: the server itself holds it to that, and what is not proven \
                         to be a read is refused before";

fn role(listener: &Listener, role: &str) -> String {
    match listener.upstream.login {
        Login::Held { .. } => format!("{role}: Palisade logs in as it; the client has no password"),
        Login::PassThrough => format!("{role}: the client logs in itself"),
    }
}

fn compared(args: &Args, found: &Matched, is_fenced: bool) -> Vec<String> {
    let (rule, identity) = (&*found.rule, args.identity.as_str());
    let Some(token) = args.token else {
        return vec!["nothing: a session that only reads may come without a token".to_owned()];
    };
    let may_read = rule.who.may(identity, crate::fence::Action::Read);
    let below = match (is_fenced && may_read, rule.reads) {
        (true, Reads::Open) => "stale: a session that may only read",
        _ => "refused as stale",
    };
    let verb = if is_fenced { "sealed, then logged in" } else { "sealed, then let in to read" };
    Compared { rule, identity, token, below, verb }.lines()
}

fn takeover(found: &Matched) -> String {
    format!(
        "ends it: at once when it runs nothing, and an open transaction is rolled back; what runs is \
         given {}, then cancelled, then ended by the server, and waited for; a new leader waits {} a \
         try",
        show_duration(found.rule.sessions.drain),
        show_duration(found.rule.takeover_timeout)
    )
}

fn told(statement: &Statement) -> String {
    match statement {
        Statement::Answered(how) => {
            format!("Palisade answers it, {how}; the server does not see it")
        }
        Statement::Sent(what) => format!("goes to the server: {what}"),
        Statement::Refused(Refused { sqlstate, detail }) => {
            format!("refused, {sqlstate}: {detail}")
        }
    }
}

fn tell_refused(text: &mut String, refused: &Refused) -> anyhow::Result<()> {
    line(text, "refused", format!("FATAL {}: {}", refused.sqlstate, refused.detail))
}
