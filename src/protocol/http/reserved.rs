//! The reserved prefix: seal, status and who-am-I, for a leader that has only its client
//! certificate. JSON on every kind of listener.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, request};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::AnswerBody;
use super::asked::Wanted;
use super::malformed::Malformed;
use super::problem::{Denial, Problem};
use super::refusal::name_resource;
use super::session::{Session, wait};
use crate::fence::{Action, Mark, Refusal, Token};
use crate::gate::Evidence;
use crate::rules::Matched;

/// What follows the reserved prefix, where the path is under it.
pub fn name<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(prefix)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// Answers a request under the reserved prefix.
///
/// # Errors
/// Why not.
pub async fn serve(
    session: &Session,
    name: &str,
    head: &request::Parts,
    token: Option<Token>,
) -> Result<Response<AnswerBody>, Box<Problem>> {
    match (&head.method, name) {
        (&Method::POST, "seal") => seal(session, head, token).await,
        (&Method::GET, "status") => status(session, head).await,
        (&Method::GET, "whoami") => Ok(whoami(session)),
        _ => Err(Denial::NotFound.into()),
    }
}

async fn seal(
    session: &Session,
    head: &request::Parts,
    token: Option<Token>,
) -> Result<Response<AnswerBody>, Box<Problem>> {
    let front = &session.service.front;
    let matched = find(session, head)?;
    let wanted = Wanted { matched, action: Action::Raise };
    let problem = |denial| problem(&wanted.matched, "Seal", token, denial);
    let who = &wanted.matched.rule.who;
    let identity = &session.peer.identity.name;
    if !who.may(identity, Action::Raise) && !who.may(identity, Action::Write) {
        return Err(problem(Denial::Fence(Refusal::Forbidden { action: Action::Raise })));
    }
    let required = || problem(Denial::TokenRequired(front.listener.token_header.clone()));
    let token = token.ok_or_else(required)?;
    let bid = wanted.bid(&session.peer, token, wait(&head.headers)?);
    let sealed = front.gate.seal(&bid).await.map_err(|refusal| problem(Denial::Fence(refusal)))?;
    let mut document = marked(&wanted.matched, &sealed.mark);
    add_evidence(&mut document, sealed.evidence.as_ref());
    Ok(answer(&document, Some(&wanted.matched)))
}

async fn status(
    session: &Session,
    head: &request::Parts,
) -> Result<Response<AnswerBody>, Box<Problem>> {
    let matched = find(session, head)?;
    let problem = |denial| problem(&matched, "Status", None, denial);
    let identity = &session.peer.identity.name;
    let may = |action| matched.rule.who.may(identity, action);
    if ![Action::Read, Action::Write, Action::Raise].into_iter().any(may) {
        return Err(problem(Denial::Fence(Refusal::Forbidden { action: Action::Read })));
    }
    let status = session.service.front.gate.status(&matched.resource).await;
    let status = status.map_err(|refusal| problem(Denial::Fence(refusal)))?;
    let mut document = marked(&matched, &status.mark);
    document["busy"] = status.busy.into();
    document["streaming"] = status.streaming.into();
    document["sent"] = status.sent.into();
    document["unknown"] = status.unknown.into();
    add_evidence(&mut document, status.evidence.as_ref());
    Ok(answer(&document, Some(&matched)))
}

fn whoami(session: &Session) -> Response<AnswerBody> {
    #[derive(Serialize)]
    struct May<'a> {
        rule: &'a str,
        pattern: &'a str,
        may: Vec<&'static str>,
    }
    let identity = &session.peer.identity;
    let rules = session.service.front.listener.rules.iter();
    let rules: Vec<_> = rules
        .map(|rule| May {
            rule: &rule.name,
            pattern: rule.covers.as_str(),
            may: [Action::Read, Action::Write, Action::Raise]
                .into_iter()
                .filter(|&action| rule.who.may(&identity.name, action))
                .map(Action::as_str)
                .collect(),
        })
        .filter(|rule| !rule.may.is_empty())
        .collect();
    let not_after = identity.not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let not_after = jiff::Timestamp::from_second(i64::try_from(not_after.as_secs()).unwrap_or(0));
    let document = json!({
        "identity": &*identity.name,
        "source": format!("{:?}", identity.source).to_ascii_lowercase(),
        "serial": &*identity.serial,
        "not_after": not_after.map(|at| at.to_string()).unwrap_or_default(),
        "address": session.peer.address.to_string(),
        "rules": rules,
    });
    answer(&document, None)
}

/// The rule and the resource of `?path=`, percent-encoded once.
fn find(session: &Session, head: &request::Parts) -> Result<Matched, Box<Problem>> {
    let pairs = head.uri.query().unwrap_or("").split('&');
    let mut paths = pairs.filter_map(|pair| pair.strip_prefix("path="));
    let (Some(path), None) = (paths.next(), paths.next()) else {
        let mend = "say which resource by one path under it: ?path=/bucket/key";
        return Err(Malformed::new("the query has no path, or several", mend).into());
    };
    let path = percent_decode_str(path).decode_utf8();
    let path = path.map_err(|_| Malformed::new("the path is not UTF-8", "encode it as UTF-8"))?;
    let rules = &session.service.front.listener.rules;
    let matched = rules.find(&path).map_err(|error| {
        Malformed::new(error.to_string(), "use a path that its rule can name a resource by")
    })?;
    matched.ok_or_else(|| Denial::NoRule(Action::Raise).into())
}

fn problem(
    matched: &Matched,
    operation: &'static str,
    token: Option<Token>,
    denial: Denial,
) -> Box<Problem> {
    let mut problem = Box::<Problem>::from(denial);
    problem.resource = Some(matched.resource.clone());
    problem.rule = Some(matched.rule.name.clone());
    problem.token = token;
    problem.operation = Some(operation);
    problem
}

fn marked(matched: &Matched, mark: &Mark) -> Value {
    json!({
        "resource": matched.resource.as_str(),
        "rule": &*matched.rule.name,
        "mark": mark.token.to_string(),
        "holder": mark.holder.as_str(),
    })
}

fn add_evidence(document: &mut Value, evidence: Option<&Evidence>) {
    let Some(Evidence { takeover, ledger, quiesce }) = evidence else { return };
    let millis = |time: &std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    document["takeover"] = json!({
        "from": { "mark": takeover.from.token.to_string(), "holder": takeover.from.holder.as_str() },
        "to": { "mark": takeover.to.token.to_string(), "holder": takeover.to.holder.as_str() },
        "cut": takeover.cut,
        "awaited": takeover.awaited,
        "unknown": takeover.unknown,
        "leftovers": takeover.leftovers,
    });
    document["ledger_ms"] = millis(ledger).into();
    document["quiesce_ms"] = millis(quiesce).into();
}

fn answer(document: &Value, matched: Option<&Matched>) -> Response<AnswerBody> {
    let body = AnswerBody::Own(Bytes::from(document.to_string()));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(matched) = matched {
        name_resource(headers, &matched.resource);
    }
    response
}
