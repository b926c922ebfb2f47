//! From a start-up packet to a session: who wants what, with which token, and at which server.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::cancel::Target;
use super::codec::message::read::Status;
use super::codec::message::write::{self, Report, Severity};
use super::codec::startup::{Startup, StartupError};
use super::farewell::FAREWELL_TIMEOUT;
use super::name::SessionName;
use super::passing;
use super::readonly::ReadOnly;
use super::refusal::{Denial, Problem};
use super::server::{Front, farewell};
use super::session::{Fence, Kind, Session};
use super::sql::{Reason, assignment};
use super::upstream::{Backend, Login, LoginError};
use crate::fence::{Action, Claim, Refusal, Token};
use crate::gate::Bid;
use crate::net::identity::Peer;
use crate::net::listen::Drain;
use crate::net::tls::ServerStream;
use crate::rules::{Matched, Reads};

/// The highest minor version of the protocol that is spoken, and the secret of its keys, in bytes.
const MINOR_MAX: u16 = 2;
const SECRET_BYTES: usize = 32;
/// The secret of keys in 3.0, in bytes.
const SECRET_BYTES_3_0: usize = 4;

/// The setting by which a server holds a session read-only.
pub(super) const READ_ONLY: &str = "default_transaction_read_only";

/// Why nobody may write yet after a crash.
pub(super) const UNSWEPT: &str = "sessions of an earlier process have not been ended there yet";

/// What a client asks for.
struct Asked {
    startup: Startup,
    user: String,
    database: String,
    token: Option<Token>,
    matched: Matched,
    /// As the rule was asked.
    path: String,
}

/// Opens a session and serves it to its end.
pub(super) async fn open(
    front: Arc<Front>,
    mut stream: Box<ServerStream>,
    peer: Peer,
    startup: Startup,
    drain: Drain,
) {
    let began = Instant::now();
    // What is known of it, should it be refused.
    let mut known = Problem::from(Denial::Ending);
    let asked = match asked(&front, startup, &mut known) {
        Ok(asked) => asked,
        Err(denial) => return refuse(&front, &peer, stream, Problem { denial, ..known }).await,
    };
    let kind = tokio::select! {
        biased;
        kind = kind(&front, &peer, &asked) => kind,
        () = drain.requested() => Err(Denial::Ending),
    };
    let kind = match kind {
        Ok(kind) => kind,
        Err(denial) => return refuse(&front, &peer, stream, Problem { denial, ..known }).await,
    };
    if let Kind::ReadOnly { stale: Some(refusal), .. } = &kind {
        let denial = Denial::Fence(refusal.clone());
        front.tell_refused(&peer, &Problem { denial, ..known.clone() });
    }
    let (backend, mut name) = match log_in(&front, &mut stream, &asked, &kind).await {
        Ok(Ok(opened)) => opened,
        // The server's own words are worth more than ours.
        Ok(Err(error)) => return relay_refusal(&front, &peer, stream, error).await,
        Err(denial) => return refuse(&front, &peer, stream, Problem { denial, ..known }).await,
    };
    front.metrics.login.record(began.elapsed());
    let target = Target {
        identity: Arc::clone(&peer.identity.name),
        host: backend.host,
        pid: backend.pid,
        secret: backend.secret.clone(),
    };
    let is_new = asked.startup.version.minor >= MINOR_MAX;
    let secret_len = if is_new { SECRET_BYTES } else { SECRET_BYTES_3_0 };
    let registered = front.cancels.register(target, secret_len);
    let login = &front.listener.upstream.login;
    let greeting = greeting(login, &asked, &backend, &kind, &mut name, registered.key());
    let counted = front.metrics.opened(&kind);
    let Matched { rule, resource } = asked.matched;
    let session =
        Session::new(front, peer, (rule, resource), stream, backend, kind, name, greeting);
    session.run(drain).await;
    drop((registered, counted));
}

async fn refuse(front: &Arc<Front>, peer: &Peer, stream: Box<ServerStream>, problem: Problem) {
    front.tell_refused(peer, &problem);
    farewell(stream, &problem).await;
}

/// Reads a start-up packet, and finds the rule for it.
fn asked(front: &Front, mut startup: Startup, problem: &mut Problem) -> Result<Asked, Denial> {
    let malformed = |what: &str, mend| Denial::Protocol { what: what.to_owned(), mend };
    let twice = |name: &'static str| move |_: StartupError| Denial::Twice(name);
    let token = startup.take("palisade.token").map_err(twice("palisade.token"))?;
    let named = startup.take("palisade.resource").map_err(twice("palisade.resource"))?;
    let user = startup.parameter("user").filter(|user| !user.is_empty());
    let user = user.ok_or_else(|| malformed("no role is named", "add user=ROLE to the DSN"))?;
    let user = user.to_owned();
    let database = startup.parameter("database").filter(|name| !name.is_empty());
    let database = database.unwrap_or(&user).to_owned();
    if [&user, &database]
        .iter()
        .any(|name| name.contains('/') || name.chars().any(char::is_control))
    {
        let what = "a database or role with `/` or control characters in its name";
        return Err(malformed(what, "such names cannot be told apart in rules; rename it"));
    }
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    if [&user, &database].iter().any(|name| is_dots(name)) {
        return Err(malformed("a database or role that is only dots", "rename it"));
    }
    let path = match named.as_deref() {
        Some(name) if name.split('/').any(is_dots) => {
            return Err(malformed("palisade.resource has `.` or `..` in it", "name it without"));
        }
        Some("") => return Err(malformed("palisade.resource is empty", "name a resource")),
        Some(name) => format!("/{database}/{user}/{name}"),
        None => format!("/{database}/{user}"),
    };
    let matched = front.listener.rules.find(&path);
    let matched =
        matched.map_err(|error| malformed(&error.to_string(), "name another resource"))?;
    let matched = matched.ok_or_else(|| Denial::NoRule {
        database: database.clone(),
        role: user.clone(),
        resource: named,
    })?;
    problem.resource = Some(matched.resource.clone());
    problem.rule = Some(Arc::clone(&matched.rule.name));
    let token = token.map(|text| text.parse::<Token>()).transpose();
    let token = token.map_err(Denial::TokenMalformed)?;
    problem.token = token;
    Ok(Asked { startup, user, database, token, matched, path })
}

/// What kind of session it is to be. Bringing a token seals first.
async fn kind(front: &Front, peer: &Peer, asked: &Asked) -> Result<Kind, Denial> {
    let rule = &asked.matched.rule;
    let identity = &peer.identity.name;
    let [may_read, may_write] =
        [Action::Read, Action::Write].map(|action| rule.who.may(identity, action));
    let forbidden = |action| Denial::Fence(Refusal::Forbidden { action });
    let replicates = asked.startup.parameter("replication").is_some_and(is_wanted);
    if replicates && !rule.sessions.replication {
        return Err(Denial::Replication);
    }
    if !may_read && !may_write {
        return Err(forbidden(if asked.token.is_some() { Action::Write } else { Action::Read }));
    }
    let is_open = rule.reads == Reads::Open && may_read && !replicates;
    let read_only = |fence, stale| Kind::ReadOnly { state: ReadOnly::default(), fence, stale };
    let Some(token) = asked.token else {
        return match is_open {
            true => Ok(read_only(None, None)),
            false => Err(Denial::TokenRequired),
        };
    };
    if replicates && !may_write {
        return Err(forbidden(Action::Write));
    }
    let bid = Bid {
        resource: asked.matched.resource.clone(),
        claim: Claim { token, holder: rule.holder(&peer.identity) },
        peer: peer.clone(),
        wait: rule.takeover_timeout,
        rule: Arc::clone(rule),
    };
    match sealed(front, bid).await {
        Ok(fence) if may_write => Ok(Kind::Fenced(fence)),
        Ok(fence) => Ok(read_only(Some(fence), None)),
        Err(Denial::Fence(stale @ Refusal::Stale { .. })) if is_open => {
            Ok(read_only(None, Some(stale)))
        }
        Err(denial) => Err(denial),
    }
}

/// Seals, and watches the resource from then on.
pub(super) async fn sealed(front: &Front, bid: Bid) -> Result<Fence, Denial> {
    // What a process before this one left has to be gone before anything is raised.
    if timeout(bid.wait, front.control.swept()).await.is_err() {
        return Err(Denial::Unavailable(UNSWEPT.to_owned()));
    }
    front.gate.seal(&bid).await?;
    let watch = Arc::new(front.gate.watch(&bid)?);
    Ok(Fence { bid, watch })
}

/// As PostgreSQL reads a boolean, or the word `database`.
fn is_wanted(value: &str) -> bool {
    !["false", "off", "no", "0", "f", "n"].iter().any(|no| value.eq_ignore_ascii_case(no))
}

/// A session at the server; or its refusal.
async fn log_in(
    front: &Front,
    stream: &mut ServerStream,
    asked: &Asked,
    kind: &Kind,
) -> Result<Result<(Backend, SessionName), Vec<u8>>, Denial> {
    let settings = &front.listener.upstream;
    let name = front.session_name();
    let mut startup = asked.startup.clone();
    let twice = |_: StartupError| Denial::Twice("application_name");
    let shown = startup.take("application_name").map_err(twice)?.unwrap_or_default();
    if matches!(kind, Kind::ReadOnly { .. }) {
        for name in [READ_ONLY, "transaction_read_only"] {
            startup.take(name).map_err(|_| Denial::Twice(READ_ONLY))?;
        }
        let settings =
            startup.settings().ok_or_else(|| unreadable(&"its options have more than settings"))?;
        for (name, value) in settings {
            assignment(&name, Some(&value)).map_err(|reason| unreadable(&reason))?;
        }
    }
    let mut parameters: Vec<_> = startup.parameters;
    parameters.retain(|(name, _)| !matches!(name.as_str(), "user" | "database"));
    parameters.push(("application_name".to_owned(), name.full(&shown)));
    if matches!(kind, Kind::ReadOnly { .. }) {
        parameters.push((READ_ONLY.to_owned(), "on".to_owned()));
    }
    let role = asked.matched.rule.role(&asked.path, &asked.user);
    let backend = match &settings.login {
        Login::Held { .. } => front.connector.log_in(&role, &asked.database, &parameters).await,
        Login::PassThrough => {
            let startup = &asked.startup;
            passing::log_in(front, stream, startup, &role, &asked.database, &parameters).await
        }
    };
    let backend = match backend {
        Ok(backend) => backend,
        Err(LoginError::Refused { body, .. }) => return Ok(Err(body)),
        Err(error) => return Err(denied(error)),
    };
    if matches!(kind, Kind::Fenced(_)) && !front.control.is_host_swept(backend.host) {
        return Err(Denial::Unavailable(UNSWEPT.to_owned()));
    }
    if matches!(kind, Kind::ReadOnly { .. }) {
        let is_held =
            backend.parameters.iter().any(|(name, value)| name == READ_ONLY && value == "on");
        if !is_held {
            return Err(Denial::ServerTooOld);
        }
        for (name, value) in &backend.parameters {
            is_readable_with(name, value).map_err(|reason| unreadable(&reason))?;
        }
    }
    Ok(Ok((backend, name)))
}

/// Whether statements mean to the server what they mean here, as far as a setting goes that the
/// server reports.
pub(super) fn is_readable_with(name: &str, value: &str) -> Result<(), Reason> {
    match name {
        "client_encoding" | "standard_conforming_strings" => assignment(name, Some(value)),
        _ => Ok(()),
    }
}

fn unreadable(reason: &dyn std::fmt::Display) -> Denial {
    Denial::ReadOnly { reason: reason.to_string(), lacks_token: false }
}

fn denied(error: LoginError) -> Denial {
    match error {
        LoginError::Unreachable { .. } | LoginError::NoHost { .. } | LoginError::Timeout { .. } => {
            Denial::Unavailable(error.to_string())
        }
        _ => Denial::Login(error.to_string()),
    }
}

/// The server lets nobody in: its own words, and where standing in the middle is the reason, ours.
async fn relay_refusal(
    front: &Arc<Front>,
    peer: &Peer,
    mut stream: Box<ServerStream>,
    body: Vec<u8>,
) {
    front.metrics.refused(None, "server");
    if let Some(mend) = passing::mend(&body) {
        let what = "the server refuses the client's proof".to_owned();
        return refuse(front, peer, stream, Denial::Protocol { what, mend }.into()).await;
    }
    let telling = async {
        let mut error = Vec::new();
        write::message(&mut error, b'E', |out| out.extend_from_slice(&body));
        stream.write_all(&error).await?;
        stream.shutdown().await
    };
    let _ = timeout(FAREWELL_TIMEOUT, telling).await;
}

/// Says which version is spoken, where that is not the one that was asked for.
pub(super) fn negotiate(to: &mut Vec<u8>, startup: &Startup) {
    let (minor, unknown) = (startup.version.minor, &startup.unknown_options);
    if minor > MINOR_MAX || minor == 1 || !unknown.is_empty() {
        write::negotiate(to, if minor >= MINOR_MAX { MINOR_MAX } else { 0 }, unknown);
    }
}

/// Everything that a client hears before its first statement.
fn greeting(
    login: &Login,
    asked: &Asked,
    backend: &Backend,
    kind: &Kind,
    name: &mut SessionName,
    key: &super::cancel::Key,
) -> Vec<u8> {
    let mut greeting = Vec::new();
    if let Login::Held { .. } = login {
        negotiate(&mut greeting, &asked.startup);
    }
    write::authentication_ok(&mut greeting);
    for (parameter, value) in &backend.parameters {
        let shown = match parameter.as_str() {
            "application_name" => name.reported(value).unwrap_or(value).to_owned(),
            _ => value.clone(),
        };
        write::parameter_status(&mut greeting, parameter, &shown);
    }
    write::backend_key(&mut greeting, key.pid, &key.secret);
    for notice in &backend.notices {
        greeting.extend_from_slice(notice);
    }
    if let Kind::ReadOnly { stale: Some(refusal), .. } = kind {
        let row = Denial::Fence(refusal.clone()).row();
        let text = format!("palisade: {refusal}; this session may only read");
        let report = Report {
            severity: Severity::Warning,
            sqlstate: row.sqlstate,
            message: &text,
            detail: None,
            hint: Some(&row.mend),
        };
        write::notice(&mut greeting, &report);
    }
    write::ready(&mut greeting, Status::Idle);
    greeting
}
