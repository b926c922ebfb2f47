//! What has to hold between a client's bytes, the store's, and the answers.

use super::origin::{SERIAL, Seen};
use super::rig::{Exchange, HTTP, PASSED_THROUGH, TOKEN};
use super::wire::{self, Ends, Manner, Message};

/// What a client's bytes say, read leniently: the requests up to where they stop to be any.
pub fn requests(mut bytes: &[u8]) -> Vec<Message> {
    let mut found = Vec::new();
    while let Ok(Some((message, taken))) = wire::first(bytes, Manner::Lenient, Ends::ByHead) {
        bytes = &bytes[taken..];
        let is_last = !message.is_whole;
        found.push(message);
        if is_last {
            break;
        }
    }
    found
}

/// The answers in a client's bytes, informational ones left out.
///
/// # Errors
/// What is no answer, or one to nothing.
pub fn answers(bytes: &[u8], requests: &[Message]) -> Result<Vec<Message>, String> {
    let (answers, rest) = answers_cut(bytes, requests)?;
    if rest { Err("the last answer is cut short".to_owned()) } else { Ok(answers) }
}

/// The same where the last one may be cut short, and whether it is.
///
/// # Errors
/// As before.
pub fn answers_cut(mut bytes: &[u8], requests: &[Message]) -> Result<(Vec<Message>, bool), String> {
    let mut methods = requests.iter().map(|request| request.line[0].as_str());
    let mut found: Vec<Message> = Vec::new();
    while !bytes.is_empty() {
        // Behind the last request stands what was none, which has its answer, too.
        let ends = match methods.clone().next() {
            Some("HEAD") => Ends::Bodiless,
            _ => Ends::ByHead,
        };
        let Some((answer, taken)) = wire::first(bytes, Manner::Strict, ends)? else {
            return Ok((found, true));
        };
        bytes = &bytes[taken..];
        if let Some(fault) = answer.fault {
            return Err(fault);
        }
        if answer.line[1].starts_with('1') {
            continue;
        }
        if methods.next().is_none() && found.len() > requests.len() {
            return Err(format!("an answer to nothing: {answer:?}"));
        }
        let is_whole = answer.is_whole;
        found.push(answer);
        if !is_whole {
            return Ok((found, true));
        }
    }
    Ok((found, false))
}

/// Everything that has to hold of HTTP/1.1, whatever the client sent.
///
/// # Panics
/// When something does not.
pub fn http1(bytes: &[u8], exchange: &Exchange, service: usize) {
    let is_plain_http = service == HTTP;
    let told = || {
        let answers = String::from_utf8_lossy(&exchange.answers).into_owned();
        format!(
            "client {:?}\nstore {:?}\nanswers {answers:?}",
            String::from_utf8_lossy(bytes),
            exchange.seen
        )
    };
    assert!(exchange.faults.is_empty(), "the store saw {:?}\n{}", exchange.faults, told());
    let asked = requests(bytes);
    let mut left = asked.iter();
    for seen in &exchange.seen {
        // In the client's order, none twice, none that the client did not send.
        // Over S3 what was sent is not told from what was refused but by what may pass.
        let mut why = "nobody asked";
        let mut is_cause = |asked: &Message| {
            is_same(asked, seen, is_plain_http)
                && may_pass(asked).map_err(|refused| why = refused).is_ok()
        };
        let is_asked = left.any(&mut is_cause);
        assert!(is_asked, "{why} for {seen:?}\n{}", told());
        check_sent(&seen.message, service, &told);
    }
    let answers = answers(&exchange.answers, &asked);
    let answers = answers.unwrap_or_else(|why| panic!("{why}\n{}", told()));
    let serials: Vec<_> = answers.iter().filter_map(serial).collect();
    let seen: Vec<_> = exchange.seen.iter().map(|seen| seen.serial).collect();
    let mut order = seen.iter();
    for serial in &serials {
        assert!(order.any(|seen| seen == serial), "{serials:?} for {seen:?}\n{}", told());
    }
}

/// What has to hold of what a store gets, whoever asked.
pub fn check_sent(sent: &Message, service: usize, told: &dyn Fn() -> String) {
    assert_eq!(sent.all("host").count(), 1, "Host in {sent:?}\n{}", told());
    assert_eq!(sent.line[2], "HTTP/1.1");
    assert!(sent.line[1].starts_with('/'), "the target of {sent:?}\n{}", told());
    // What the client signed goes on as it is, where its signature is kept.
    let signed = if service == PASSED_THROUGH { 3 } else { 0 };
    for name in &["keep-alive", "proxy-connection", "expect", "upgrade", "trailer"][signed..] {
        assert!(sent.one(name).is_none(), "{name} in {sent:?}\n{}", told());
    }
    assert!(sent.all("via").count() > 0, "{sent:?}\n{}", told());
}

fn serial(answer: &Message) -> Option<u64> {
    std::str::from_utf8(answer.one(SERIAL)?).ok()?.parse().ok()
}

/// Whether the store's request is what became of the client's. S3 is written anew, its body too.
fn is_same(asked: &Message, seen: &Seen, is_plain_http: bool) -> bool {
    let sent = &seen.message;
    if asked.line[0] != sent.line[0] {
        return false;
    }
    if !is_plain_http {
        return true;
    }
    let target = origin_form(&asked.line[1]);
    let is_whole = match sent.is_whole {
        true => asked.is_whole && asked.body == sent.body,
        false => asked.body.starts_with(&sent.body),
    };
    target == sent.line[1] && is_whole
}

/// A target without what goes before its path, and without a fragment.
fn origin_form(target: &str) -> &str {
    let target = target.split('#').next().unwrap_or_default();
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            rest.find('/').map_or("", |at| &rest[at..])
        }
        _ => target,
    }
}

/// Whether anything of a request may reach a store at all.
fn may_pass(asked: &Message) -> Result<(), &'static str> {
    let is_write = !["GET", "HEAD", "OPTIONS"].contains(&asked.line[0].as_str());
    let tokens: Vec<_> = asked.all("fencing-token").collect();
    let is_current = |token: &[u8]| {
        let text = std::str::from_utf8(token).unwrap_or_default();
        let digits = text.strip_prefix("0.").filter(|_| text.starts_with("0.")).unwrap_or(text);
        digits.trim_start_matches('0') == TOKEN
            || digits.split_once('.').is_some_and(|(incarnation, counter)| {
                incarnation.trim_start_matches('0').is_empty()
                    && !incarnation.is_empty()
                    && counter.trim_start_matches('0') == TOKEN
            })
    };
    match tokens[..] {
        [] if is_write => return Err("a write without a token"),
        [] => {}
        [token] if is_current(token) => {}
        [_] => return Err("a token that is not the mark"),
        _ => return Err("two tokens"),
    }
    if asked.line[2] != "HTTP/1.1" {
        return Err("another version");
    }
    if asked.all("host").count() != 1 {
        return Err("not one Host");
    }
    if asked.one("upgrade").is_some() {
        return Err("an upgrade");
    }
    if !is_write && (!asked.body.is_empty() || !asked.is_whole) {
        return Err("a read with a body");
    }
    if asked.all("transfer-encoding").count() > 1 {
        return Err("framed twice");
    }
    Ok(())
}
