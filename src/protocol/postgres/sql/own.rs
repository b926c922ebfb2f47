//! The settings that only Palisade knows: `palisade.token`, `palisade.resource`, `palisade.mark`.

use super::scan::{Kind, Token, scan, statements};
use super::set::setting;

/// What a statement about `palisade.*` asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Own {
    /// `SET [SESSION] palisade.token = '43'`: what was brought, not yet read as a token.
    Set {
        /// The text between the quotes.
        token: String,
    },
    /// `SHOW palisade.token`.
    Show(Setting),
    /// It names such a setting in a way that is not understood: why, and the mend.
    Refused(&'static str),
    /// It is none of this: it goes its way.
    Not,
}

/// A setting that can be shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Setting {
    /// The token of the session.
    Token,
    /// Its resource.
    Resource,
    /// The high-water mark of its resource.
    Mark,
}

const PREFIX: &str = "palisade.";

const ALONE: &str =
    "statements about palisade.* have to come alone: send each in a message of its own";
const FORM: &str =
    "a token is brought by SET palisade.token = '43', with nothing else in the message";
const LOCAL: &str = "a token holds for the whole session: say SET palisade.token, without LOCAL";
const TAKEN_BACK: &str = "a token cannot be taken back: end the session";
const FIXED: &str =
    "only palisade.token can be set in a session: give palisade.resource in the start-up options";
const UNKNOWN: &str = "there are palisade.token, palisade.resource and palisade.mark, and no other setting of this name";
const FUNCTION: &str =
    "functions do not see palisade.*: say SET palisade.token = '43' or SHOW palisade.token";
const STORED: &str = "palisade.* cannot be stored in the database: bring the token in each session";

/// What a whole message asks of Palisade. Cheap where the text has no `palisade` in it, and meant
/// to be called only where it has.
#[must_use]
pub fn own(text: &str) -> Own {
    let Ok(tokens) = scan(text) else {
        return match begins_about_settings(text) {
            true => Own::Refused(FORM),
            // PostgreSQL reads it otherwise or not at all.
            false => Own::Not,
        };
    };
    let statements = statements(&tokens);
    let mut found = Own::Not;
    for statement in &statements {
        match one(statement) {
            Own::Not => {}
            other => found = other,
        }
        if matches!(found, Own::Refused(_)) {
            break;
        }
    }
    match found {
        Own::Set { .. } | Own::Show(_) if statements.len() > 1 => Own::Refused(ALONE),
        found => found,
    }
}

/// Whether a text that cannot be read may be about a setting of Palisade's.
fn begins_about_settings(text: &str) -> bool {
    let text = text.trim_start().to_ascii_lowercase();
    let names = text.contains(PREFIX) || text.contains("\"palisade\"");
    names && ["set", "show", "reset"].iter().any(|word| text.starts_with(word))
}

fn one(tokens: &[Token<'_>]) -> Own {
    if asks_a_function(tokens) {
        return Own::Refused(FUNCTION);
    }
    match tokens {
        [set, session, rest @ ..] if set.is("set") && session.is("session") => set_one(rest, None),
        [set, local, rest @ ..] if set.is("set") && local.is("local") => set_one(rest, Some(LOCAL)),
        [set, rest @ ..] if set.is("set") => set_one(rest, None),
        [show, rest @ ..] if show.is("show") => match named(rest) {
            Some((name, [])) => match name.as_str() {
                "palisade.token" => Own::Show(Setting::Token),
                "palisade.resource" => Own::Show(Setting::Resource),
                "palisade.mark" => Own::Show(Setting::Mark),
                _ => Own::Refused(UNKNOWN),
            },
            Some(_) => Own::Refused(FORM),
            None => Own::Not,
        },
        [reset, rest @ ..] if reset.is("reset") => match named(rest) {
            Some(_) => Own::Refused(TAKEN_BACK),
            None => Own::Not,
        },
        [first, rest @ ..] if first.is_any(&["alter", "create"]) => {
            let what = ["database", "function", "procedure", "role", "routine", "system", "user"];
            let of_settings = rest.iter().take(3).any(|token| token.is_any(&what));
            let sets = rest.iter().enumerate().any(|(at, token)| {
                token.is_any(&["set", "reset"]) && named(&rest[at + 1..]).is_some()
            });
            if of_settings && sets { Own::Refused(STORED) } else { Own::Not }
        }
        _ => Own::Not,
    }
}

/// A setting of Palisade's at the head of these tokens.
fn named<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<(String, &'t [Token<'a>])> {
    setting(tokens).filter(|(name, _)| name.starts_with(PREFIX))
}

fn set_one(tokens: &[Token<'_>], objection: Option<&'static str>) -> Own {
    let Some((name, rest)) = named(tokens) else { return Own::Not };
    if name != "palisade.token" {
        return Own::Refused(if ["palisade.resource", "palisade.mark"].contains(&name.as_str()) {
            FIXED
        } else {
            UNKNOWN
        });
    }
    if let Some(objection) = objection {
        return Own::Refused(objection);
    }
    let [sign, value] = rest else { return Own::Refused(FORM) };
    if !sign.is("to") && !sign.is_sign("=") {
        return Own::Refused(FORM);
    }
    if value.is("default") {
        return Own::Refused(TAKEN_BACK);
    }
    let token = match value.kind {
        Kind::Number => Some(value.raw.to_owned()),
        _ => value.text().or_else(|| value.name()).map(|text| text.into_owned()),
    };
    token.map_or(Own::Refused(FORM), |token| Own::Set { token })
}

/// `set_config('palisade.token', ...)` and `current_setting('palisade.token')`, anywhere.
fn asks_a_function(tokens: &[Token<'_>]) -> bool {
    tokens.windows(2).enumerate().any(|(at, pair)| {
        let asks = pair[1].is_sign("(")
            && pair[0]
                .name()
                .is_some_and(|name| ["set_config", "current_setting"].contains(&&*name));
        let named = match tokens.get(at + 3) {
            Some(sign) if matches!(sign.raw, "=>" | ":=") => tokens.get(at + 4),
            _ => tokens.get(at + 2),
        };
        asks && named.is_some_and(|name| {
            name.text().is_some_and(|text| text.to_ascii_lowercase().starts_with(PREFIX))
                || name.kind == Kind::Escaped && name.text().is_none()
        })
    })
}
