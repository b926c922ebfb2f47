//! Names that the operator gives: of listeners, upstreams and rules.

use toml::Spanned;

use super::raw::nearest;
use super::section::Section;

/// The longest name, in bytes: it is a label of every metric.
const LEN_MAX_BYTES: usize = 64;

/// Reports a name that could not be shown everywhere.
pub(super) fn check(section: &Section<'_>, name: &Spanned<&str>) -> bool {
    let text = name.get_ref();
    let good = !text.is_empty()
        && text.len() <= LEN_MAX_BYTES
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if !good {
        let message = "that name cannot be used";
        let mend = format!("1 to {LEN_MAX_BYTES} letters, digits, `-`, `_` and `.`");
        section.report().error(&name.span(), message, mend);
    }
    good
}

/// Reports a name that stands for nothing.
pub(super) fn unknown<'a>(
    section: &Section<'_>,
    kind: &str,
    name: &Spanned<&str>,
    known: impl Iterator<Item = &'a str> + Clone,
) {
    let shown = name.get_ref().escape_debug();
    let mend = match nearest(name.get_ref(), known.clone()) {
        Some((near, _)) => format!("did you mean \"{near}\"?"),
        None => match known.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => format!("add `[{kind}s.{shown}]`"),
            names => format!("there are: {names}"),
        },
    };
    section.report().error(&name.span(), format!("there is no {kind} \"{shown}\""), mend);
}

/// The longest name that PostgreSQL knows, in bytes: it cuts longer ones.
const SQL_LEN_MAX_BYTES: usize = 63;

/// Reports what cannot be the name of a role or a database.
pub(super) fn check_sql(section: &Section<'_>, name: &Spanned<&str>, kind: &str) -> bool {
    let text = name.get_ref();
    let good =
        !text.is_empty() && text.len() <= SQL_LEN_MAX_BYTES && !text.contains(char::is_control);
    if !good {
        let message = format!("that cannot be the name of a {kind}");
        let mend = format!("1 to {SQL_LEN_MAX_BYTES} bytes without control characters");
        section.report().error(&name.span(), message, mend);
    }
    good
}
