//! Statements that are no queries, by their tokens: PostgreSQL's grammar of each is small.

use super::query;
use super::read::{Reason, Verdict};
use super::scan::{Kind, Token};
use super::set::{reset, set, setting};

/// Why the statements that begin with a word write.
const WRITES: &[(&str, &str)] = &[
    ("alter", "ALTER changes the database or the server"),
    ("analyze", "ANALYZE writes statistics"),
    ("analyse", "ANALYZE writes statistics"),
    ("call", "CALL runs a procedure that may do anything"),
    ("checkpoint", "CHECKPOINT makes the server write"),
    ("cluster", "CLUSTER rewrites a table"),
    ("comment", "COMMENT changes the catalog"),
    ("create", "CREATE changes the database, temporary tables included"),
    ("delete", "DELETE writes"),
    ("do", "DO runs code that may do anything"),
    ("drop", "DROP changes the database"),
    ("grant", "GRANT changes the catalog"),
    ("import", "IMPORT FOREIGN SCHEMA changes the catalog"),
    ("insert", "INSERT writes"),
    ("load", "LOAD runs code in the server"),
    ("merge", "MERGE writes"),
    ("notify", "NOTIFY tells all listeners"),
    ("reassign", "REASSIGN changes the catalog"),
    ("refresh", "REFRESH rewrites a materialized view"),
    ("reindex", "REINDEX rewrites an index"),
    ("revoke", "REVOKE changes the catalog"),
    ("security", "SECURITY LABEL changes the catalog"),
    ("truncate", "TRUNCATE empties a table"),
    ("update", "UPDATE writes"),
    ("vacuum", "VACUUM rewrites tables"),
];

/// Levels of EXPLAIN and PREPARE around a statement.
const NESTED_MAX: usize = 4;

/// Judges one statement of a text by its tokens (at least one).
pub(super) fn statement(text: &str, tokens: &[Token<'_>]) -> Verdict {
    nested(text, tokens, 0)
}

fn nested(text: &str, tokens: &[Token<'_>], depth: usize) -> Verdict {
    let Some(first) = tokens.first() else { return unread("a statement without words") };
    if depth > NESTED_MAX {
        return unread("a statement within too many others");
    }
    if first.is_sign("(") {
        return of(query::reads(text, tokens));
    }
    if first.kind != Kind::Word {
        return unread("it does not begin with a word");
    }
    let word = first.raw.to_ascii_lowercase();
    let rest = &tokens[1..];
    match word.as_str() {
        "select" | "values" | "with" | "table" => of(query::reads(text, tokens)),
        "begin" => begin(skip_any(rest, &["work", "transaction"])),
        "start" => match rest {
            [word, rest @ ..] if word.is("transaction") => begin(rest),
            _ => unread("START"),
        },
        "commit" | "end" => end(rest, &word),
        "rollback" | "abort" => rollback(rest, &word),
        "savepoint" => read_if(is_name(rest), "SAVEPOINT"),
        "release" => read_if(is_name(skip_any(rest, &["savepoint"])), "RELEASE"),
        "set" => set(rest),
        "reset" => reset(rest),
        "show" => read_if(are_plain(rest, &["."]), "SHOW"),
        "explain" => explain(text, rest, depth),
        "prepare" => prepare(text, rest, depth),
        "execute" => execute(text, rest),
        "deallocate" => read_if(is_name(skip_any(rest, &["prepare"])), "DEALLOCATE"),
        "declare" => declare(text, rest),
        "fetch" | "move" => read_if(are_plain(rest, &["-", "+"]), "FETCH"),
        "close" => read_if(is_name(rest), "CLOSE"),
        "copy" => copy(text, rest),
        "lock" => lock(rest),
        "listen" => read_if(is_name(rest), "LISTEN"),
        "unlisten" => {
            read_if(is_name(rest) || matches!(rest, [all] if all.is_sign("*")), "UNLISTEN")
        }
        "discard" => {
            const WHAT: &[&str] = &["all", "plans", "sequences", "temp", "temporary"];
            read_if(matches!(rest, [what] if what.is_any(WHAT)), "DISCARD")
        }
        _ => match WRITES.iter().find(|(start, _)| *start == word) {
            Some((_, why)) => Verdict::Write(Reason::fixed(why)),
            None => unread(&format!(
                "a statement that begins with {:?}",
                &word[..word.floor_char_boundary(32)]
            )),
        },
    }
}

pub(super) fn of(result: Result<(), Reason>) -> Verdict {
    match result {
        Ok(()) => Verdict::Read,
        Err(reason) => Verdict::Write(reason),
    }
}

pub(super) fn unread(what: &str) -> Verdict {
    Verdict::Write(Reason::unknown(what))
}

pub(super) fn write(why: &'static str) -> Verdict {
    Verdict::Write(Reason::fixed(why))
}

pub(super) fn read_if(understood: bool, what: &str) -> Verdict {
    if understood { Verdict::Read } else { unread(what) }
}

fn skip_any<'t, 'a>(tokens: &'t [Token<'a>], words: &[&str]) -> &'t [Token<'a>] {
    match tokens {
        [first, rest @ ..] if first.is_any(words) => rest,
        _ => tokens,
    }
}

fn is_name(tokens: &[Token<'_>]) -> bool {
    matches!(tokens, [name] if name.name().is_some())
}

/// Whether there is nothing but names, numbers and these signs.
pub(super) fn are_plain(tokens: &[Token<'_>], signs: &[&str]) -> bool {
    !tokens.is_empty()
        && tokens.iter().all(|token| {
            matches!(token.kind, Kind::Word | Kind::Quoted | Kind::Number)
                || signs.iter().any(|sign| token.is_sign(sign))
        })
}

/// The tokens after the parenthesis that the first one opens, and those within.
fn parenthesis<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<(&'t [Token<'a>], &'t [Token<'a>])> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        if token.is_sign("(") {
            depth += 1;
        } else if token.is_sign(")") {
            depth = depth.checked_sub(1)?;
        }
        if depth == 0 {
            return (at > 0).then(|| (&tokens[1..at], &tokens[at + 1..]));
        }
    }
    None
}

/// The modes of a transaction: whether they are all known and none lets it write.
pub(super) fn modes(tokens: &[Token<'_>]) -> Result<(), Reason> {
    let words: Vec<String> = tokens
        .iter()
        .filter(|token| !token.is_sign(","))
        .map(|token| token.raw.to_ascii_lowercase())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut rest = words.as_slice();
    loop {
        rest = match rest {
            [] => return Ok(()),
            ["read", "only", rest @ ..]
            | ["isolation", "level", "serializable", rest @ ..]
            | ["isolation", "level", "repeatable", "read", rest @ ..]
            | ["isolation", "level", "read", "committed" | "uncommitted", rest @ ..]
            | ["deferrable", rest @ ..]
            | ["not", "deferrable", rest @ ..] => rest,
            ["read", "write", ..] => {
                return Err(Reason::fixed("READ WRITE asks for a transaction that writes"));
            }
            _ => return Err(Reason::unknown("a mode of a transaction")),
        }
    }
}

fn begin(tokens: &[Token<'_>]) -> Verdict {
    match modes(tokens) {
        Ok(()) => Verdict::Begin,
        Err(reason) => Verdict::Write(reason),
    }
}

/// `[WORK | TRANSACTION] [AND [NO] CHAIN]`
fn is_whole(tokens: &[Token<'_>]) -> bool {
    match skip_any(tokens, &["work", "transaction"]) {
        [] => true,
        [and, chain] => and.is("and") && chain.is("chain"),
        [and, no, chain] => and.is("and") && no.is("no") && chain.is("chain"),
        _ => false,
    }
}

fn end(tokens: &[Token<'_>], word: &str) -> Verdict {
    match tokens {
        _ if is_whole(tokens) => Verdict::End,
        [prepared, ..] if prepared.is("prepared") => write("COMMIT PREPARED commits"),
        _ => unread(word),
    }
}

fn rollback(tokens: &[Token<'_>], word: &str) -> Verdict {
    match skip_any(tokens, &["work", "transaction"]) {
        _ if is_whole(tokens) => Verdict::End,
        [prepared, ..] if prepared.is("prepared") => {
            write("ROLLBACK PREPARED undoes a prepared transaction")
        }
        [to, rest @ ..] if to.is("to") => read_if(is_name(skip_any(rest, &["savepoint"])), word),
        _ => unread(word),
    }
}

fn explain(text: &str, tokens: &[Token<'_>], depth: usize) -> Verdict {
    let options = matches!(tokens, [open, word, ..] if open.is_sign("(") && word.kind == Kind::Word
        && !word.is_any(&["select", "with", "values", "table"]));
    let explained = if options {
        match parenthesis(tokens) {
            Some((_, rest)) => rest,
            None => return unread("EXPLAIN"),
        }
    } else {
        skip_any(skip_any(tokens, &["analyze", "analyse"]), &["verbose"])
    };
    match nested(text, explained, depth + 1) {
        Verdict::Begin | Verdict::End => unread("EXPLAIN"),
        verdict => verdict,
    }
}

fn prepare(text: &str, tokens: &[Token<'_>], depth: usize) -> Verdict {
    let (name, rest) = match tokens {
        [transaction, id] if transaction.is("transaction") && id.kind != Kind::Word => {
            return write("PREPARE TRANSACTION leaves a transaction behind");
        }
        [name, rest @ ..] => (name, rest),
        [] => return unread("PREPARE"),
    };
    let rest = match rest {
        [open, ..] if open.is_sign("(") => match parenthesis(rest) {
            Some((_, rest)) => rest,
            None => return unread("PREPARE"),
        },
        _ => rest,
    };
    match rest {
        [r#as, statement @ ..] if r#as.is("as") && name.name().is_some() => {
            match nested(text, statement, depth + 1) {
                Verdict::Begin | Verdict::End => unread("PREPARE"),
                verdict => verdict,
            }
        }
        _ => unread("PREPARE"),
    }
}

/// Its parameters are expressions.
fn execute(text: &str, tokens: &[Token<'_>]) -> Verdict {
    match tokens {
        [name] if name.name().is_some() => Verdict::Read,
        [name, rest @ ..] if name.name().is_some() => match parenthesis(rest) {
            Some((inner, [])) => match inner {
                [first, .., last] => {
                    of(query::text_reads(&format!("SELECT {}", &text[first.start..last.end()])))
                }
                [only] => of(query::text_reads(&format!("SELECT {}", only.raw))),
                [] => Verdict::Read,
            },
            _ => unread("EXECUTE"),
        },
        _ => unread("EXECUTE"),
    }
}

fn declare(text: &str, tokens: &[Token<'_>]) -> Verdict {
    const WORDS: &[&str] = &[
        "binary",
        "insensitive",
        "asensitive",
        "no",
        "scroll",
        "cursor",
        "with",
        "without",
        "hold",
    ];
    let [name, rest @ ..] = tokens else { return unread("DECLARE") };
    let head = rest.iter().take_while(|token| token.is_any(WORDS)).count();
    match &rest[head..] {
        [r#for, query @ ..]
            if r#for.is("for")
                && name.name().is_some()
                && rest[..head].iter().any(|token| token.is("cursor")) =>
        {
            of(query::reads(text, query))
        }
        _ => unread("DECLARE"),
    }
}

/// Only what goes to the client.
fn copy(text: &str, tokens: &[Token<'_>]) -> Verdict {
    let (source, rest) = match tokens {
        [open, ..] if open.is_sign("(") => match parenthesis(tokens) {
            Some((inner, rest)) => (of(query::reads(text, inner)), rest),
            None => return unread("COPY"),
        },
        _ => {
            let Some((_, rest)) = setting(tokens) else { return unread("COPY") };
            match rest {
                [open, ..] if open.is_sign("(") => match parenthesis(rest) {
                    Some((columns, rest)) if are_plain(columns, &[","]) => (Verdict::Read, rest),
                    _ => return unread("COPY"),
                },
                _ => (Verdict::Read, rest),
            }
        }
    };
    match rest {
        [to, stdout, options @ ..] if to.is("to") && stdout.is("stdout") => {
            let plain = options.iter().all(|token| {
                matches!(
                    token.kind,
                    Kind::Word
                        | Kind::Quoted
                        | Kind::Text
                        | Kind::Escaped
                        | Kind::Number
                        | Kind::Punctuation
                ) || token.is_sign("*")
            });
            if plain { source } else { unread("COPY") }
        }
        [from, ..] if from.is("from") => write("COPY FROM writes"),
        [to, ..] if to.is("to") => {
            write("COPY TO a file or a program writes there; only TO STDOUT reads")
        }
        _ => unread("COPY"),
    }
}

/// `[TABLE] [ONLY] name [*] [, ...] IN ACCESS SHARE MODE [NOWAIT]`, as pg_dump sends it.
fn lock(tokens: &[Token<'_>]) -> Verdict {
    let tokens = match tokens {
        [rest @ .., nowait] if nowait.is("nowait") => rest,
        _ => tokens,
    };
    match tokens {
        [tables @ .., r#in, access, share, mode]
            if r#in.is("in") && access.is("access") && share.is("share") && mode.is("mode") =>
        {
            read_if(are_plain(tables, &[".", ",", "*"]), "LOCK")
        }
        _ => write("LOCK keeps others from writing, in any mode but ACCESS SHARE"),
    }
}
