//! `SET application_name`, made so that the name does not lose what says whose session it is.
//!
//! What is named where a session runs through here keeps its name from then on. What is renamed
//! from within the server (a function of the owner's, `DO`), or written so that it cannot be read
//! with certainty, is put right afterwards: see the name of a session.

use super::scan::{Kind, Token, scan, statements};
use super::set::setting;

const NAME: &str = "application_name";

/// The text with each name as `full` makes it; `None` where nothing has to be changed. Cheap where
/// the setting is not in it.
#[must_use]
pub fn renamed(text: &[u8], full: impl Fn(&str) -> String) -> Option<String> {
    if !mentions(text) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    // Without backslashes a text means the same, whatever `standard_conforming_strings` is.
    let tokens = scan(text).ok().filter(|_| !text.contains('\\'))?;
    let mut values: Vec<&Token<'_>> = statements(&tokens).iter().filter_map(|it| set(it)).collect();
    values.extend(configured(&tokens));
    values.sort_unstable_by_key(|value| value.start);
    let (mut changed, mut from) = (String::new(), 0);
    for value in &values {
        let name = match value.kind {
            Kind::Number => value.raw.into(),
            _ => value.text().or_else(|| value.name())?,
        };
        changed.push_str(&text[from..value.start]);
        changed.push_str(&format!("'{}'", full(&name).replace('\'', "''")));
        from = value.end();
    }
    changed.push_str(&text[from..]);
    (from > 0).then_some(changed)
}

/// The value of `SET [SESSION | LOCAL] application_name`. `DEFAULT` is what the session began with.
fn set<'t, 'a>(statement: &'t [Token<'a>]) -> Option<&'t Token<'a>> {
    let rest = match statement {
        [set, scope, rest @ ..] if set.is("set") && scope.is_any(&["session", "local"]) => rest,
        [set, rest @ ..] if set.is("set") => rest,
        _ => return None,
    };
    match setting(rest)? {
        (name, [sign, value]) if name == NAME && (sign.is("to") || sign.is_sign("=")) => {
            let is_value = value.text().or_else(|| value.name()).is_some();
            (is_value || value.kind == Kind::Number)
                .then_some(value)
                .filter(|value| !value.is("default"))
        }
        _ => None,
    }
}

/// The values of `set_config('application_name', '...', ...)`.
fn configured<'t, 'a>(tokens: &'t [Token<'a>]) -> impl Iterator<Item = &'t Token<'a>> {
    tokens.windows(5).filter_map(|it| {
        let [function, open, name, comma, value] = it else { return None };
        let is_it = function.name().is_some_and(|name| name == "set_config")
            && open.is_sign("(")
            && name.text().is_some_and(|text| text.eq_ignore_ascii_case(NAME))
            && comma.is_sign(",");
        (is_it && value.text().is_some()).then_some(value)
    })
}

/// Whether the setting is named, by the rarest of its letters.
fn mentions(text: &[u8]) -> bool {
    let before = NAME.len() - "_name".len();
    memchr::memchr_iter(b'_', text).any(|at| {
        let word = at.checked_sub(before).and_then(|from| text.get(from..from + NAME.len()));
        word.is_some_and(|word| word.eq_ignore_ascii_case(NAME.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_full_and_all_else_is_left() {
        fn check(text: &str, expected: Option<&str>) {
            let found = renamed(text.as_bytes(), |name| format!("<{name}>"));
            assert_eq!(found.as_deref(), expected, "{text}");
        }

        check("SET application_name = 'psql'", Some("SET application_name = '<psql>'"));
        check("set Session APPLICATION_NAME to 'a''b' ;", {
            Some("set Session APPLICATION_NAME to '<a''b>' ;")
        });
        check("SET LOCAL \"application_name\" TO job", {
            Some("SET LOCAL \"application_name\" TO '<job>'")
        });
        check("SET application_name = 7; SELECT 'ü'; SET application_name=$$x$$", {
            Some("SET application_name = '<7>'; SELECT 'ü'; SET application_name='<x>'")
        });
        check("SELECT pg_catalog.set_config('Application_Name', 'x', false), 1", {
            Some("SELECT pg_catalog.set_config('Application_Name', '<x>', false), 1")
        });
        for left in [
            "",
            "SELECT 1",
            "SET application_name = DEFAULT",
            "SET application_name TO default",
            "RESET application_name",
            "SHOW application_name",
            "SET other.application_name = 'x'",
            "SET search_path = application_name",
            "SELECT 'SET application_name = 1'",
            "SELECT application_name FROM pg_stat_activity",
            "SELECT set_config('application_name', $1, false)",
            "SELECT set_config('work_mem', 'application_name', false)",
            // Not to be read with certainty.
            "SET application_name = E'a\\'b'",
            "SET application_name = 'x",
            "SET application_name = 'a', 'b'",
        ] {
            check(left, None);
        }
        assert_eq!(renamed(b"SET application_name = '\xff'", str::to_owned), None);
    }
}
