//! The verdict on the text of one message in a read-only session.

use std::borrow::Cow;
use std::fmt;

use super::scan::{scan, statements};
use super::utility;

/// What a message may do. Only [`Verdict::Write`] is not forwarded in a read-only session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It changes nothing that another session could see.
    Read,
    /// `BEGIN` or `START TRANSACTION`, not `READ WRITE`, alone.
    Begin,
    /// `COMMIT`, `END`, `ROLLBACK` or `ABORT` of the whole transaction, alone. With `AND CHAIN` a
    /// transaction with the same characteristics follows.
    End,
    /// It is not proven to be one of the others.
    Write(Reason),
}

/// What was found, and why it counts as a write: a clause to put after "this session only reads, and".
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reason(Cow<'static, str>);

/// Bytes of a name that a reason quotes.
const QUOTED_BYTES_MAX: usize = 80;

impl Reason {
    pub(super) const fn fixed(why: &'static str) -> Self {
        Self(Cow::Borrowed(why))
    }

    /// A reason about something that the client wrote.
    pub(super) fn about(name: &str, why: &str) -> Self {
        let cut = name.floor_char_boundary(QUOTED_BYTES_MAX);
        let shown: String =
            name[..cut].chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        Self(Cow::Owned(format!("{shown}{} {why}", if cut < name.len() { "..." } else { "" })))
    }

    /// Neither a read nor a write that is known.
    pub(super) fn unknown(what: &str) -> Self {
        Self(Cow::Owned(format!(
            "this is not understood, and what cannot be proven to be a read is a write: {what}"
        )))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Judges a whole message: the text of a Query or of a Parse.
///
/// Sound only while the server reads the text with `standard_conforming_strings` on and the
/// session's `client_encoding` is one that [`super::assignment`] allows.
#[must_use]
pub fn verdict(text: &str) -> Verdict {
    let tokens = match scan(text) {
        Ok(tokens) => tokens,
        Err(error) => return Verdict::Write(Reason::unknown(error.0)),
    };
    match statements(&tokens).as_slice() {
        [] => Verdict::Read,
        [statement] => utility::statement(text, statement),
        several => {
            for statement in several {
                match utility::statement(text, statement) {
                    Verdict::Read => {}
                    Verdict::Begin | Verdict::End => {
                        return Verdict::Write(Reason::fixed(
                            "BEGIN, COMMIT and ROLLBACK have to come in a message of their own: send the statements one by one",
                        ));
                    }
                    write @ Verdict::Write(_) => return write,
                }
            }
            Verdict::Read
        }
    }
}

/// Judges a FunctionCall message by the function's OID. Those of `pg_catalog` never change, and
/// libpq reads large objects this way (pg_dump does).
#[must_use]
pub fn function_call(oid: u32) -> Verdict {
    // lo_open, lo_close, loread, lo_lseek, lo_tell, lo_lseek64, lo_tell64
    const READS: [u32; 7] = [952, 953, 954, 956, 958, 3170, 3171];
    match READS.contains(&oid) {
        true => Verdict::Read,
        false => Verdict::Write(Reason::fixed(
            "only large objects are read by function call messages: use SELECT",
        )),
    }
}
