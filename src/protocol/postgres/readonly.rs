//! What a session may do that brought no token: only what is proven to be a read is let through.
//!
//! The server holds such a session read-only, and says so whenever that changes. What the parser
//! cannot see (functions behind views) can change it only for a transaction that begins later.
//! So one batch goes on at a time, and nothing goes on behind the end of a transaction in the
//! same batch: whatever a batch has changed is known before the next begins.

use std::collections::HashMap;

use super::codec::frame::FrameError;
use super::codec::message::read::{self, Target};
use super::sql::{Verdict, function_call, verdict};

/// What a prepared statement does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Reads,
    Ends,
}

/// The state of a read-only session.
#[derive(Debug, Default)]
pub(super) struct ReadOnly {
    statements: HashMap<Box<[u8]>, Kind>,
    portals: HashMap<Box<[u8]>, Kind>,
    /// A transaction has been ended in this batch.
    has_ended: bool,
    /// The statement that was looked at last, as drivers repeat themselves.
    last: Option<(Box<str>, Verdict)>,
}

/// Why a message is not let through.
#[derive(Debug)]
pub(super) enum Denied {
    /// It may write.
    Write(String),
    /// It cannot be read.
    Malformed(FrameError),
}

impl From<FrameError> for Denied {
    fn from(error: FrameError) -> Self {
        Self::Malformed(error)
    }
}

impl ReadOnly {
    /// Whether a whole message may go on. Of tags that say nothing by their bodies, the body is
    /// not looked at.
    pub(super) fn check(
        &mut self,
        tag: u8,
        body: &[u8],
        prepared_max: usize,
    ) -> Result<(), Denied> {
        match tag {
            b'Q' => {
                let text = read::query_text(body)?;
                self.kind(text).map(drop)
            }
            b'P' => {
                let (name, text) = read::parse_text(body)?;
                let kind = self.kind(text)?;
                bound(&self.statements, name, prepared_max)?;
                self.statements.insert(name.into(), kind);
                Ok(())
            }
            b'B' => {
                let (portal, name) = read::bind(body)?;
                // One that SQL's own PREPARE has made is a read, or it would not be there.
                let kind = self.statements.get(name).copied().unwrap_or(Kind::Reads);
                bound(&self.portals, portal, prepared_max)?;
                self.portals.insert(portal.into(), kind);
                Ok(())
            }
            b'E' => {
                let portal = read::execute(body)?;
                if self.has_ended {
                    let why = "something follows the end of a transaction in the same batch";
                    return Err(Denied::Write(why.to_owned()));
                }
                self.has_ended = self.portals.get(portal) == Some(&Kind::Ends);
                Ok(())
            }
            b'C' => {
                match read::target(body)? {
                    Target::Statement(name) => self.statements.remove(name),
                    Target::Portal(name) => self.portals.remove(name),
                };
                Ok(())
            }
            b'S' => {
                self.has_ended = false;
                Ok(())
            }
            b'D' | b'H' | b'X' => Ok(()),
            b'F' => {
                let number = body.first_chunk().map(|number| u32::from_be_bytes(*number));
                match function_call(number.unwrap_or_default()) {
                    Verdict::Write(reason) => Err(Denied::Write(reason.to_string())),
                    _ => Ok(()),
                }
            }
            // COPY data outside of COPY, which cannot have begun; the server ignores it.
            b'd' | b'c' | b'f' => Ok(()),
            _ => Err(Denied::Write("this message may write".to_owned())),
        }
    }

    /// No transaction is open: portals are gone.
    pub(super) fn idle(&mut self) {
        self.portals.clear();
    }

    fn kind(&mut self, text: &[u8]) -> Result<Kind, Denied> {
        let Ok(text) = std::str::from_utf8(text) else {
            return Err(Denied::Write(
                "its text is not UTF-8, so it cannot be understood".to_owned(),
            ));
        };
        let known = self.last.as_ref().is_some_and(|(last, _)| **last == *text);
        if !known {
            self.last = Some((text.into(), verdict(text)));
        }
        match self.last.as_ref().map(|(_, verdict)| verdict) {
            Some(Verdict::Read | Verdict::Begin) => Ok(Kind::Reads),
            Some(Verdict::End) => Ok(Kind::Ends),
            Some(Verdict::Write(reason)) => Err(Denied::Write(reason.to_string())),
            None => Err(Denied::Write("it was not looked at".to_owned())),
        }
    }
}

fn bound(held: &HashMap<Box<[u8]>, Kind>, name: &[u8], prepared_max: usize) -> Result<(), Denied> {
    if held.len() >= prepared_max && !held.contains_key(name) {
        return Err(Denied::Write(
            "prepared_max statements or portals are there already".to_owned(),
        ));
    }
    Ok(())
}
