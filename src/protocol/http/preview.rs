//! What becomes of a request up to the moment when a fence is asked, found by the code that
//! serves it. For `palisade explain`.

use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{Method, request};

use super::asked::Asked;
use super::head::{Asks, Head};
use super::operation::Operation;
use super::problem::Problem;
use super::settings::Listener;
use super::speech::{Speech, Understood};
use crate::fence::Token;

/// What becomes of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Preview {
    /// Palisade itself answers: the rest of the path behind the reserved prefix.
    Palisade(String),
    /// It is understood; the rules decide.
    Store {
        /// What it does.
        operation: Operation,
        /// Whether the operation's targets stand for others, which only the body names.
        is_named_by_body: bool,
        /// Whether the body is a command, which counts from its head on.
        is_command: bool,
        /// Whether it has a body; where no header says so, as the method usually has it.
        has_body: bool,
        /// The token that it brings.
        token: Option<Token>,
        /// Why it is refused before any fence is asked, if it is.
        refused: Option<Refused>,
    },
}

/// What the answer to a refused request says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// A short stable word.
    pub reason: &'static str,
    /// What is wrong.
    pub detail: String,
    /// What to do.
    pub mend: String,
}

impl Preview {
    /// Of the head of a request of that identity on that listener.
    ///
    /// # Errors
    /// When it is not understood, so it is refused whoever sent it.
    pub fn new(
        listener: &Listener,
        identity: &str,
        head: &request::Parts,
    ) -> Result<Self, Box<Refused>> {
        let refused = |problem: Box<Problem>| Box::new(Refused::from(&*problem));
        let speech = Speech::new(&listener.flavor, &listener.upstream);
        let declared = declared(&head.headers);
        let has_body = declared.is_some_and(|declared| declared != Declared::Length(0));
        let Head { host, token, asks } =
            Head::read(listener, &speech, head, has_body).map_err(refused)?;
        let (Understood { operation, s3 }, _) = match asks {
            Asks::Palisade(rest) => return Ok(Self::Palisade(rest.to_owned())),
            Asks::Store(understood, wait) => (understood, wait),
        };
        // Nothing is sent, but what cannot be signed is refused.
        let mut sent = head.clone();
        speech
            .rewrite(&mut sent, host, s3.as_deref(), None, |_, _| {})
            .map_err(|malformed| refused(malformed.into()))?;
        let takes_body = s3.as_ref().is_none_or(|s3| s3.takes_body());
        let usual = [Method::PATCH, Method::POST, Method::PUT].contains(&head.method);
        let is_named_by_body = s3.as_ref().is_some_and(|s3| s3.names_targets());
        let is_command = s3.as_ref().is_some_and(|s3| s3.is_command());
        let decided = if is_named_by_body {
            Asked::before_body(listener, identity, &operation, token)
        } else {
            Asked::new(listener, identity, &operation, token).and_then(|asked| {
                let len = match declared {
                    Some(Declared::Length(len)) => Some(len),
                    Some(Declared::Chunked) | None => None,
                };
                asked.bound(listener, len, &operation)
            })
        };
        Ok(Self::Store {
            is_named_by_body,
            is_command,
            has_body: if declared.is_some() { has_body } else { usual && takes_body },
            token,
            refused: decided.err().map(|problem| Refused::from(&*problem)),
            operation,
        })
    }
}

impl From<&Problem> for Refused {
    fn from(problem: &Problem) -> Self {
        let row = problem.denial.row();
        Self {
            status: row.status.as_u16(),
            reason: row.reason,
            detail: problem.denial.detail(),
            mend: row.mend.into_owned(),
        }
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Declared {
    Chunked,
    /// In bytes.
    Length(u64),
}

/// What the headers say about the body; the integrity check has the last word on them.
fn declared(headers: &HeaderMap) -> Option<Declared> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return Some(Declared::Chunked);
    }
    let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    length.parse().ok().map(Declared::Length)
}
