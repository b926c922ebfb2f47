//! What becomes of a session up to the moment when a fence is asked. For `palisade explain`.

use super::settings::Listener;
use super::sql::{Own, Setting, Verdict, own, verdict};
use super::upstream::Login;
use crate::fence::{Action, Token};
use crate::rules::{Matched, Reads};

/// What a client asks for in its start-up packet.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The database.
    pub database: &'a str,
    /// The user, who need not be the role that is logged in as.
    pub user: &'a str,
    /// `palisade.resource`.
    pub resource: Option<&'a str>,
    /// `palisade.token`.
    pub token: Option<Token>,
}

/// What becomes of it.
#[derive(Clone, Debug)]
pub struct Preview {
    /// What the rules are asked.
    pub path: String,
    /// The rule that decides, and the resource.
    pub found: Option<Matched>,
    /// The role to log in as.
    pub role: String,
    /// What the client gets, if its token is not stale.
    pub session: Session,
}

/// What a client gets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Session {
    /// Each of its batches is admitted before it is sent.
    Fenced,
    /// The server itself holds it to reading.
    ReadOnly,
    /// None.
    Refused(Refused),
}

/// How a statement counts, sent as one message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Statement {
    /// Palisade answers it: how. The server does not see it.
    Answered(String),
    /// The server gets it: what it is taken for.
    Sent(&'static str),
    /// It is refused, and the session goes on.
    Refused(Refused),
}

/// What a client is told instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// SQLSTATE.
    pub sqlstate: &'static str,
    /// What is wrong, and what to do.
    pub detail: String,
}

impl Preview {
    /// Of a session of that identity on that listener.
    ///
    /// # Errors
    /// When nothing of it can be a path, so it is refused whoever asks.
    pub fn new(listener: &Listener, identity: &str, asked: &Asked<'_>) -> Result<Self, Refused> {
        let path = path(asked)?;
        let no_rule = |detail| Session::Refused(Refused { sqlstate: "PF006", detail });
        let found = match listener.rules.find(&path) {
            Ok(found) => found,
            Err(error) => {
                let session = no_rule(format!("the rule names no resource: {error}"));
                return Ok(Self { path, found: None, role: asked.user.to_owned(), session });
            }
        };
        let role = found.as_ref().map(|found| found.rule.role(&path, asked.user));
        let role = role.unwrap_or_else(|| asked.user.to_owned());
        let session = match &found {
            None => no_rule("no rule matches; ask for another database or user".to_owned()),
            Some(found) => session(listener, identity, asked.token, found, &role),
        };
        Ok(Self { path, found, role, session })
    }
}

/// `/DATABASE/USER`, or `/DATABASE/USER/RESOURCE`, whose resource may have several segments.
fn path(asked: &Asked<'_>) -> Result<String, Refused> {
    let Asked { database, user, resource, .. } = *asked;
    let refused = |detail: &str| Refused { sqlstate: "08P01", detail: detail.to_owned() };
    if [database, user].iter().any(|name| name.is_empty() || name.contains('/')) {
        return Err(refused("the name of a database or a user is empty or has a `/`"));
    }
    let Some(resource) = resource else { return Ok(format!("/{database}/{user}")) };
    if resource.split('/').any(str::is_empty) {
        return Err(refused("`palisade.resource` is empty, or has an empty part between its `/`"));
    }
    Ok(format!("/{database}/{user}/{resource}"))
}

fn session(
    listener: &Listener,
    identity: &str,
    token: Option<Token>,
    found: &Matched,
    role: &str,
) -> Session {
    let rule = &found.rule;
    let refused = |sqlstate, detail: String| Session::Refused(Refused { sqlstate, detail });
    let may_write = rule.who.may(identity, Action::Write);
    let may_read = rule.who.may(identity, Action::Read);
    if !may_write && !may_read {
        return refused(
            "PF006",
            format!("{identity} may neither read nor write {}", found.resource),
        );
    }
    if let Login::Held { roles } = &listener.upstream.login
        && !roles.contains_key(role)
    {
        let known: Vec<_> = roles.keys().map(String::as_str).collect();
        let detail =
            format!("Palisade does not hold the role {role}; it holds {}", known.join(", "));
        return refused("PF006", detail);
    }
    match token {
        Some(token) if token.counter() > Token::MAX.counter() => {
            refused("PF003", format!("token {token} is implausible, whatever the mark"))
        }
        Some(_) if may_write => Session::Fenced,
        None if !may_read || rule.reads == Reads::Token => {
            refused("PF004", "a token is required; bring `palisade.token`".to_owned())
        }
        Some(_) | None => Session::ReadOnly,
    }
}

impl Statement {
    /// In a session of that kind; `None` where there is no session.
    pub fn new(listener: &Listener, session: &Session, text: &str) -> Option<Self> {
        let refused = |sqlstate, detail: String| Self::Refused(Refused { sqlstate, detail });
        let is_fenced = match session {
            Session::Fenced => true,
            Session::ReadOnly => false,
            Session::Refused(_) => return None,
        };
        let bytes_max = listener.limits.statement_bytes_max;
        if text.len() > bytes_max {
            return Some(match is_fenced {
                true => {
                    Self::Sent("it is longer than `statement_bytes_max`, so it is not looked at")
                }
                false => refused("PF009", format!("a statement is longer than {bytes_max} bytes")),
            });
        }
        match own(text) {
            Own::Not => {}
            Own::Refused(why) => return Some(refused("PF010", why.to_owned())),
            Own::Set { token } => {
                let token = token.escape_debug();
                return Some(Self::Answered(format!(
                    "once the resource is sealed with token {token}"
                )));
            }
            Own::Show(setting) => {
                let what = match setting {
                    Setting::Token => "the token of the session",
                    Setting::Resource => "the resource of the session",
                    Setting::Mark => "the high-water mark of the resource",
                };
                return Some(Self::Answered(format!("with {what}")));
            }
        }
        if is_fenced {
            return Some(Self::Sent(
                "it counts from the moment when it is sent; within a transaction COMMIT does",
            ));
        }
        Some(match verdict(text) {
            Verdict::Read => Self::Sent("a read"),
            Verdict::Begin => Self::Sent("it begins a transaction that only reads"),
            Verdict::End => Self::Sent("it ends the transaction"),
            Verdict::Write(reason) => {
                refused("PF009", format!("this session only reads, and {reason}"))
            }
        })
    }
}
