//! Commands to copy while the demo goes on running.

use std::fmt::Write;
use std::path::Path;

use super::super::fenced::LEADERS;
use super::super::paint::{Paint, Tone};
use super::super::story::{TOKEN_A, TOKEN_B};
use super::database::TABLES;
use super::dsn::Dsn;
use super::fenced::Fenced;

/// What to try, with the addresses and files of this run.
pub(super) fn recipes(paint: Paint, dsn: &Dsn, fenced: &Fenced, dir: &Path) -> String {
    let [_, _, table] = TABLES;
    let psql = |leader: &str, token: Option<u64>, rest: &str| {
        // libpq knows no such parameter of its own; what `options` says it passes on.
        let options = |token| format!(" options='-c palisade.token={token}'");
        let options = token.map_or_else(String::new, options);
        let settings = format!(
            "host=localhost port={} user={} dbname={} sslmode=verify-full channel_binding=disable",
            fenced.address.port(),
            value(&dsn.role),
            value(&dsn.database),
        );
        let file = |name: String| value(&fenced.certs.join(name).display().to_string());
        let files = format!(
            "sslrootcert={} sslcert={} sslkey={}",
            file("ca.pem".to_owned()),
            file(format!("{leader}.pem")),
            file(format!("{leader}.key")),
        );
        let settings = shell(&format!("{settings} {files}{options}"));
        format!("psql {settings}{rest}")
    };
    let add = format!(" \\\n    -c \"UPDATE {table} SET accepted = accepted || 'mine'::text\"");
    let read = format!(" \\\n    -c 'SELECT unnest(accepted) FROM {table}'");
    let [a, b] = LEADERS;
    let marks = " \\\n    -c 'SHOW palisade.mark' -c 'SHOW palisade.resource'";
    let entries = [
        ("A write by the leader that holds the token:", psql(b, Some(TOKEN_B), &add)),
        ("The same by the leader before it, which is told PF001:", psql(a, Some(TOKEN_A), &add)),
        ("A read, which needs no token:", psql(a, None, &read)),
        ("What Palisade knows of this database:", psql(a, None, marks)),
        (
            "A session to leave open: BEGIN, write something, and do not COMMIT yet ...",
            psql(b, Some(TOKEN_B), ""),
        ),
        (
            "... and then, in another terminal, the next leader, which ends that one:",
            psql(a, Some(TOKEN_B + 1), &read),
        ),
        ("Marks, holders and takeovers, in a browser:", format!("http://{}/", fenced.admin())),
    ];
    let mut text = format!("{}\n", paint.paint(Tone::Bold, "Palisade goes on running. Try:"));
    if dsn.password.0.is_some() {
        let whose = format!("psql wants the password of role \"{}\" (or PGPASSWORD).", dsn.role);
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "{}", paint.paint(Tone::Faint, &whose));
    }
    text.push('\n');
    for (what, command) in entries {
        let _ = write!(text, "{}\n  {command}\n\n", paint.paint(Tone::Faint, what));
    }
    let _ = writeln!(text, "Files are in {}. Ctrl-C ends, and drops the schema.", dir.display());
    text
}

/// A value for libpq, in quotes where it needs them.
fn value(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./@:".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A word for the shell.
fn shell(text: &str) -> String {
    let mut word = String::from('"');
    for c in text.chars() {
        if matches!(c, '\\' | '"' | '$' | '`') {
            word.push('\\');
        }
        word.push(c);
    }
    word + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_kind_can_be_typed() {
        let check = |name: &str, typed: &str| assert_eq!(shell(&value(name)), typed);
        check("app", "\"app\"");
        check("two words", "\"'two words'\"");
        check("o'hara", "\"'o\\\\'hara'\"");
        check("$HOME`\"", "\"'\\$HOME\\`\\\"'\"");
    }
}
