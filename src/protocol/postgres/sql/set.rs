//! SET and RESET, by their tokens.

use super::read::Verdict;
use super::scan::{Kind, Token};
use super::settings;
use super::utility::{are_plain, modes, of, read_if, unread, write};

pub(super) fn set(tokens: &[Token<'_>]) -> Verdict {
    match tokens {
        [session, characteristics, r#as, transaction, rest @ ..]
            if session.is("session")
                && characteristics.is("characteristics")
                && r#as.is("as")
                && transaction.is("transaction") =>
        {
            of(modes(rest))
        }
        [session, authorization, ..]
            if session.is("session") && authorization.is("authorization") =>
        {
            write("SET SESSION AUTHORIZATION changes who the session is")
        }
        [scope, rest @ ..] if scope.is_any(&["session", "local"]) => set_one(rest),
        _ => set_one(tokens),
    }
}

fn set_one(tokens: &[Token<'_>]) -> Verdict {
    match tokens {
        [transaction, snapshot, id] if transaction.is("transaction") && snapshot.is("snapshot") => {
            read_if(id.kind == Kind::Text, "SET TRANSACTION SNAPSHOT")
        }
        [transaction, rest @ ..] if transaction.is("transaction") => of(modes(rest)),
        [constraints, rest @ ..] if constraints.is("constraints") => {
            read_if(are_plain(rest, &[".", ","]), "SET CONSTRAINTS")
        }
        [time, zone, value @ ..] if time.is("time") && zone.is("zone") => {
            let plain = value.iter().all(|token| token.kind != Kind::Parameter);
            read_if(plain && !value.is_empty(), "SET TIME ZONE")
        }
        // What another role may do is the server's affair, and it may not write either.
        [role, value] if role.is("role") => {
            read_if(value.name().is_some() || value.text().is_some(), "SET ROLE")
        }
        [names] if names.is("names") => of(settings::assignment("client_encoding", None)),
        [names, value] if names.is("names") => match value.text() {
            Some(value) => of(settings::assignment("client_encoding", Some(&value))),
            None => unread("SET NAMES"),
        },
        [schema, value] if schema.is("schema") => match value.text() {
            Some(value) => of(settings::assignment("search_path", Some(&value))),
            None => unread("SET SCHEMA"),
        },
        [xml, option, value] if xml.is("xml") && option.is("option") => {
            read_if(value.is_any(&["document", "content"]), "SET XML OPTION")
        }
        _ => match setting(tokens) {
            Some((name, [sign, values @ ..])) if sign.is("to") || sign.is_sign("=") => match values
            {
                [default] if default.is("default") => of(settings::assignment(&name, None)),
                _ => match list(values) {
                    Some(values) => of(settings::assignment(&name, Some(&values))),
                    None => unread("SET"),
                },
            },
            _ => unread("SET"),
        },
    }
}

/// The name of a setting at the head of these tokens, in lower case, and what follows.
pub(super) fn setting<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<(String, &'t [Token<'a>])> {
    let [first, rest @ ..] = tokens else { return None };
    let mut name = first.name()?.to_ascii_lowercase();
    let mut rest = rest;
    while let [dot, part, after @ ..] = rest
        && dot.is_sign(".")
    {
        name.push('.');
        name.push_str(&part.name()?.to_ascii_lowercase());
        rest = after;
    }
    Some((name, rest))
}

/// A list of values as the server would store it, near enough to look for a name in it.
fn list(tokens: &[Token<'_>]) -> Option<String> {
    let mut values = String::new();
    for (at, token) in tokens.iter().enumerate() {
        match (token.name().or_else(|| token.text()), token.kind) {
            (Some(value), _) => values.push_str(&value),
            (None, Kind::Number) => values.push_str(token.raw),
            (None, Kind::Operator) if matches!(token.raw, "-" | "+") && at == 0 => {
                values.push_str(token.raw)
            }
            (None, Kind::Punctuation) if token.raw == "," => values.push(','),
            _ => return None,
        }
    }
    (!values.is_empty()).then_some(values)
}

pub(super) fn reset(tokens: &[Token<'_>]) -> Verdict {
    match tokens {
        // Back to how the session began: held to reading.
        [all] if all.is_any(&["all", "role"]) => Verdict::Read,
        [session, authorization] if session.is("session") && authorization.is("authorization") => {
            Verdict::Read
        }
        [time, zone] if time.is("time") && zone.is("zone") => Verdict::Read,
        [transaction, ..] if transaction.is("transaction") => unread("RESET TRANSACTION"),
        _ => match setting(tokens) {
            Some((name, [])) => of(settings::assignment(&name, None)),
            _ => unread("RESET"),
        },
    }
}
