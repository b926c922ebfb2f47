//! The second net under the tree, on tokens alone: what could be a call of a function.
//!
//! PostgreSQL calls a function where a name is followed by a parenthesis, and in two disguises:
//! `x.f` is `f(x)`, and `TREAT(x AS f)` is `f(x)`. Each of these has to be accounted for here,
//! whatever a parser made of it.

use sqlparser::keywords::ALL_KEYWORDS;

use super::read::Reason;
use super::scan::{Kind, Token};
use super::{functions, settings};

/// Keywords that a parenthesis may follow and that name no function there.
const SYNTAX: &[&str] = &[
    "all",
    "and",
    "any",
    "array",
    "as",
    "asymmetric",
    "between",
    "by",
    "case",
    "columns",
    "content",
    "cube",
    "distinct",
    "document",
    "else",
    "escape",
    "except",
    "exists",
    "filter",
    "first",
    "from",
    "group",
    "groups",
    "having",
    "ilike",
    "in",
    "intersect",
    "is",
    "join",
    "lateral",
    "like",
    "limit",
    "materialized",
    "next",
    "not",
    "offset",
    "on",
    "only",
    "or",
    "over",
    "overlaps",
    "passing",
    "range",
    "repeatable",
    "rollup",
    "row",
    "rows",
    "select",
    "sets",
    "similar",
    "some",
    "symmetric",
    "then",
    "to",
    "union",
    "using",
    "values",
    "when",
    "where",
    "with",
    "within",
    "xmlattributes",
    "xmlnamespaces",
    "zone",
];

/// Types that take modifiers and are no functions by that name.
const TYPES: &[&str] = &["character", "dec", "decimal", "float", "nchar", "varying"];

/// Functions of the grammar that may have a precision.
pub(super) const CLOCKS: &[&str] =
    &["current_time", "current_timestamp", "localtime", "localtimestamp"];

/// Methods of TABLESAMPLE.
const SAMPLES: &[&str] = &["bernoulli", "system"];

/// Whether everything that may be a call is one of a function that reads. `with_columns`: the
/// common table expressions written as `name (column, ...) AS`.
///
/// # Errors
/// The first that is not.
pub(super) fn reads(tokens: &[Token<'_>], with_columns: &[String]) -> Result<(), Reason> {
    let mut tables = with_columns.to_vec();
    for (at, token) in tokens.iter().enumerate() {
        let before = |back: usize| at.checked_sub(back).map(|index| &tokens[index]);
        let after = tokens.get(at + 1);
        if token.is_sign("(") {
            opened(tokens, at, &mut tables)?;
        }
        let Some(name) = token.name() else { continue };
        let dotted = before(1).is_some_and(|sign| sign.is_sign("."));
        let called = after.is_some_and(|sign| sign.is_sign("("));
        if dotted && !called && functions::is_doubtful_field(&name) {
            return Err(Reason::about(
                &name,
                "as a field may be a call of the function of that name",
            ));
        }
        if name == "pg_catalog" && !after.is_some_and(|sign| sign.is_sign(".")) {
            return Err(Reason::fixed("pg_catalog may not be the name of anything else"));
        }
        let label = dotted || before(1).is_some_and(|word| word.is("as"));
        if token.is("into") && !label {
            return Err(Reason::fixed("SELECT INTO creates a table"));
        }
    }
    Ok(())
}

/// Accounts for one opening parenthesis.
fn opened(tokens: &[Token<'_>], at: usize, tables: &mut Vec<String>) -> Result<(), Reason> {
    let Some(last) = at.checked_sub(1) else { return Ok(()) };
    let Some(name) = tokens[last].name() else { return Ok(()) };
    let mut path = vec![name];
    let mut start = last;
    while start >= 2 && tokens[start - 1].is_sign(".") {
        let Some(outer) = tokens[start - 2].name() else {
            return Err(Reason::unknown("a call of a field"));
        };
        path.insert(0, outer);
        start -= 2;
    }
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    let before = start.checked_sub(1).map(|index| &tokens[index]);
    let word = (path.len() == 1 && tokens[last].kind == Kind::Word).then(|| path[0]);

    if word == Some("operator") {
        return operator(&tokens[at + 1..]);
    }
    if before.is_some_and(|sign| sign.is_sign(".")) {
        return Err(Reason::unknown("a call of a field"));
    }
    let syntax = word.is_some_and(|word| {
        [SYNTAX, TYPES, CLOCKS, functions::SYNTAX].iter().any(|list| list.contains(&word))
    });
    if syntax || functions::reads(&path) {
        return Ok(());
    }
    let sampled = before.is_some_and(|before| before.is("tablesample"));
    if sampled && word.is_some_and(|word| SAMPLES.contains(&word)) {
        return Ok(());
    }
    if let ["set_config"] | ["pg_catalog", "set_config"] = path.as_slice() {
        return set_config(tokens, at);
    }
    let is_type = before.is_some_and(|before| before.is_sign("::") || before.is("as"));
    let is_alias = path.len() == 1 && before.is_some_and(names_a_table);
    if is_type || is_alias {
        return Ok(());
    }
    let listed = before.is_some_and(|sign| sign.is_sign(","));
    if let Some(index) = tables.iter().position(|table| listed && path == [table]) {
        tables.swap_remove(index);
        return Ok(());
    }
    Err(functions::refusal(&path))
}

/// Whether a name after this token can only be an alias: no expression begins there.
fn names_a_table(before: &Token<'_>) -> bool {
    match before.kind {
        Kind::Quoted => true,
        Kind::Punctuation => before.raw == ")",
        Kind::Word => {
            before.is_any(&["with", "recursive", "ordinality"]) || !is_keyword(before.raw)
        }
        _ => false,
    }
}

/// Keywords of PostgreSQL that sqlparser does not have.
const KEYWORDS: &[&str] = &[
    "ALSO",
    "ANALYSE",
    "ASSERTION",
    "ASSIGNMENT",
    "ATTRIBUTE",
    "BREADTH",
    "CHECKPOINT",
    "COMMENTS",
    "CONSTRAINTS",
    "CONTENT",
    "CONVERSION",
    "DELIMITERS",
    "DEPTH",
    "DOCUMENT",
    "EXPRESSION",
    "FINALIZE",
    "GREATEST",
    "HANDLER",
    "IMPLICIT",
    "INDEXES",
    "INLINE",
    "ISNULL",
    "LABEL",
    "MAPPING",
    "MOVE",
    "OIDS",
    "OTHERS",
    "OVERRIDING",
    "PREPARED",
    "PROCEDURAL",
    "PROCEDURES",
    "PUBLICATION",
    "REASSIGN",
    "RECHECK",
    "ROUTINE",
    "ROUTINES",
    "STANDALONE",
    "STRIP",
    "SUBSCRIPTION",
    "SYSID",
    "TRANSFORM",
    "TRUSTED",
    "TYPES",
    "UNENCRYPTED",
    "VALIDATOR",
    "WHITESPACE",
    "XMLATTRIBUTES",
    "XMLCONCAT",
    "XMLELEMENT",
    "XMLEXISTS",
    "XMLFOREST",
    "XMLPARSE",
    "XMLPI",
    "XMLROOT",
    "XMLSERIALIZE",
];

pub(super) fn is_keyword(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    ALL_KEYWORDS.binary_search(&upper.as_str()).is_ok() || KEYWORDS.contains(&upper.as_str())
}

/// `OPERATOR(pg_catalog.+)`.
fn operator(inner: &[Token<'_>]) -> Result<(), Reason> {
    match inner {
        [schema, dot, sign, close, ..]
            if schema.name().is_some_and(|name| name == "pg_catalog")
                && dot.is_sign(".")
                && sign.kind == Kind::Operator
                && close.is_sign(")") =>
        {
            Ok(())
        }
        _ => Err(Reason::fixed("only operators of pg_catalog are known to read")),
    }
}

/// `set_config('name', 'value', false)` of a setting that may be set, or what pg_dump sends.
fn set_config(tokens: &[Token<'_>], at: usize) -> Result<(), Reason> {
    const PLAIN: Reason =
        Reason::fixed("set_config() has to be given the name of the setting as a plain string");
    let [name, comma, value, next, ..] = &tokens[at + 1..] else { return Err(PLAIN) };
    if !comma.is_sign(",") {
        return Err(PLAIN);
    }
    let name = match name.text() {
        Some(name) => name,
        None if is_guarded_by_name(tokens) => "restrict_nonsystem_relation_kind".into(),
        None => return Err(PLAIN),
    };
    match value.text() {
        Some(value) if next.is_sign(",") => settings::assignment(&name, Some(&value)),
        // Which value is not known before it runs.
        _ => settings::any_assignment(&name),
    }
}

/// pg_dump sets what older servers do not have:
/// `SELECT set_config(name, '...', false) FROM pg_settings WHERE name = '...'`.
fn is_guarded_by_name(tokens: &[Token<'_>]) -> bool {
    const HEAD: [&str; 4] = ["SELECT", "set_config", "(", "name"];
    const TAIL: [&str; 9] = [
        ",",
        "false",
        ")",
        "FROM",
        "pg_settings",
        "WHERE",
        "name",
        "=",
        "'restrict_nonsystem_relation_kind'",
    ];
    tokens.len() == HEAD.len() + 2 + TAIL.len()
        && tokens.iter().zip(HEAD).all(|(token, raw)| token.raw == raw)
        && tokens[HEAD.len() + 2..].iter().zip(TAIL).all(|(token, raw)| token.raw == raw)
}
