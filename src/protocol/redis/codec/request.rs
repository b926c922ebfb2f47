//! What a client sends: arrays of bulk strings, or one line of words.

use std::fmt;

use smallvec::SmallVec;

use super::inline::{self, InlineError};
use super::line::{self, Bounds, Fault};

mod passing;
#[cfg(test)]
mod tests;

pub use passing::Passing;

/// Arguments that a request may have. Redis took no more before version 7.
pub const ARGUMENTS_MAX: usize = 1 << 20;
/// Bytes that one argument may have: the bound that Redis comes with (`proto-max-bulk-len`).
pub const BULK_BYTES_MAX: usize = 512 << 20;
/// Bytes that a line of words may have, without what ends it.
pub const INLINE_BYTES_MAX: usize = 64 << 10;

/// Memory for so many arguments, and for so many bytes of words, is kept from one request to the
/// next.
const KEPT_ARGUMENTS_MAX: usize = 1024;
const KEPT_BYTES_MAX: usize = 4096;

const COUNT: Bounds = Bounds { max: ARGUMENTS_MAX, has_null: true };
const LENGTH: Bounds = Bounds { max: BULK_BYTES_MAX, has_null: false };

/// Bytes that are no request. After them nobody knows where the next one begins, so the session
/// has to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// Not as many arguments as a number can say.
    #[error(
        "a request says its number of arguments with {} in it; that is digits alone, without \
         zeros in front; use a client that speaks RESP",
        Byte(*.found)
    )]
    Count {
        /// What stands there.
        found: u8,
    },
    /// More than [`ARGUMENTS_MAX`].
    #[error("a request has more than {ARGUMENTS_MAX} arguments; send several with fewer each")]
    Arguments,
    /// An argument is no bulk string.
    #[error(
        "an argument of a request begins with {} instead of '$'; use a client that sends arrays \
         of bulk strings",
        Byte(*.found)
    )]
    Type {
        /// What stands there.
        found: u8,
    },
    /// Not as long as a number can say.
    #[error(
        "an argument of a request says its length with {} in it; that is digits alone, without \
         zeros in front; use a client that speaks RESP",
        Byte(*.found)
    )]
    Length {
        /// What stands there.
        found: u8,
    },
    /// Longer than [`BULK_BYTES_MAX`].
    #[error("an argument of a request is longer than {BULK_BYTES_MAX} bytes; send less in one")]
    Bulk,
    /// A line or an argument ends in something else than CRLF, which Redis would overlook.
    #[error(
        "a request has {} where CRLF has to end a line or an argument; use a client that speaks \
         RESP, and nothing in between that changes bytes",
        Byte(*.found)
    )]
    Ending {
        /// What stands there.
        found: u8,
    },
    /// Longer than [`INLINE_BYTES_MAX`].
    #[error(
        "a command on one line is longer than {INLINE_BYTES_MAX} bytes; send it as an array of \
         bulk strings"
    )]
    Line,
    /// The line cannot be split.
    #[error(transparent)]
    Inline(#[from] InlineError),
}

impl RequestError {
    fn of_count(fault: Fault) -> Self {
        match fault {
            Fault::Number(found) => Self::Count { found },
            Fault::Large => Self::Arguments,
            Fault::Ending(found) => Self::Ending { found },
        }
    }

    fn of_bulk(fault: Fault) -> Self {
        match fault {
            Fault::Number(found) => Self::Length { found },
            Fault::Large => Self::Bulk,
            Fault::Ending(found) => Self::Ending { found },
        }
    }
}

/// A byte for people.
pub(super) struct Byte(pub(super) u8);

impl fmt::Display for Byte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_ascii_graphic() {
            write!(f, "'{}'", char::from(self.0))
        } else {
            write!(f, "{:#04x}", self.0)
        }
    }
}

/// Where an argument stands: in what was read, or in the words of a line.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

/// How the request that is being read is written.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Form {
    /// Nothing of it is known.
    #[default]
    Unknown,
    Array,
    Inline,
}

/// The request at the front of some bytes: which of its arguments are wholly there, and where.
/// One is used for request after request; up to eight arguments need no memory of their own.
#[derive(Default)]
pub struct Request {
    form: Form,
    /// Of a line: whether all of it was there.
    is_split: bool,
    count: usize,
    /// What has been understood; of a line that has not ended, what has been looked through.
    at: usize,
    spans: SmallVec<[Span; 8]>,
    /// The words of a line, unquoted.
    words: Vec<u8>,
}

/// Without what it says: that may be secret.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("is_inline", &self.is_inline())
            .field("count", &self.count())
            .field("here", &self.here())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Reads the request at the front of `bytes`, and forgets the one before. Returns false while
    /// not even its number of arguments and its first argument are there.
    ///
    /// # Errors
    /// As far as they are there, the bytes are none. The first byte that cannot be decides.
    #[inline]
    pub fn read(&mut self, bytes: &[u8]) -> Result<bool, RequestError> {
        self.form = Form::Unknown;
        (self.is_split, self.count, self.at) = (false, 0, 0);
        if self.spans.capacity() > KEPT_ARGUMENTS_MAX {
            self.spans = SmallVec::new();
        }
        self.spans.clear();
        self.read_on(bytes)
    }

    /// Reads on when more has come of the request that [`Request::read`] found: `bytes` begins
    /// with the same bytes as before. What has been understood is not looked at again, so a
    /// request that comes a byte at a time costs no more than one that comes whole.
    ///
    /// # Errors
    /// As [`Request::read`].
    #[inline]
    pub fn read_on(&mut self, bytes: &[u8]) -> Result<bool, RequestError> {
        if self.form == Form::Unknown {
            match bytes.first() {
                None => return Ok(false),
                Some(b'*') => {
                    let header = line::header(bytes, COUNT).map_err(RequestError::of_count)?;
                    let Some(header) = header else { return Ok(false) };
                    self.form = Form::Array;
                    self.count = header.number.unwrap_or(0);
                    self.at = header.bytes;
                }
                Some(_) => {
                    self.form = Form::Inline;
                    if self.words.capacity() > KEPT_BYTES_MAX {
                        self.words = Vec::new();
                    }
                    self.words.clear();
                }
            }
        }
        if self.form == Form::Inline {
            return self.read_line(bytes);
        }
        self.read_arguments(bytes)?;
        Ok(self.count == 0 || !self.spans.is_empty())
    }

    #[inline]
    fn read_arguments(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        while self.spans.len() < self.count {
            let rest = &bytes[self.at..];
            match rest.first() {
                None => break,
                Some(b'$') => {}
                Some(&found) => return Err(RequestError::Type { found }),
            }
            let header = line::header(rest, LENGTH).map_err(RequestError::of_bulk)?;
            let Some(header) = header else { break };
            let start = self.at + header.bytes;
            let end = start + header.number.unwrap_or(0);
            match bytes.get(end..).unwrap_or_default() {
                [b'\r', b'\n', ..] => {}
                [] | [b'\r'] => break,
                [b'\r', found, ..] | [found, ..] => {
                    return Err(RequestError::Ending { found: *found });
                }
            }
            self.spans.push(Span { start, end });
            self.at = end + 2;
        }
        Ok(())
    }

    #[cold]
    fn read_line(&mut self, bytes: &[u8]) -> Result<bool, RequestError> {
        if self.is_split {
            return Ok(true);
        }
        let window = &bytes[self.at..bytes.len().min(INLINE_BYTES_MAX + 1)];
        let Some(found) = memchr::memchr2(b'\n', 0, window) else {
            self.at += window.len();
            return if self.at > INLINE_BYTES_MAX { Err(RequestError::Line) } else { Ok(false) };
        };
        if window[found] == 0 {
            return Err(InlineError::Zero.into());
        }
        let line = &bytes[..self.at + found];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (spans, mut start) = (&mut self.spans, 0);
        inline::split(line, &mut self.words, |end| {
            spans.push(Span { start, end });
            start = end;
        })?;
        (self.is_split, self.count) = (true, self.spans.len());
        self.at += found + 1;
        Ok(true)
    }

    /// Arguments in all, the command's name included. 0: an empty request (`*0`, `*-1`, an empty
    /// line), to which the server answers nothing.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many of them, from the first on, are wholly there (with the CRLF behind them).
    pub fn here(&self) -> usize {
        self.spans.len()
    }

    /// Bytes of the whole request, once all of it is there.
    pub fn len(&self) -> Option<usize> {
        let is_whole = match self.form {
            Form::Unknown => false,
            Form::Array => self.spans.len() == self.count,
            Form::Inline => self.is_split,
        };
        is_whole.then_some(self.at)
    }

    /// Whether it is an empty request: see [`Request::count`].
    pub fn is_empty(&self) -> bool {
        self.count == 0 && self.len().is_some()
    }

    /// Whether it came as a line of words.
    pub fn is_inline(&self) -> bool {
        self.form == Form::Inline
    }

    /// An argument that is here; 0 is the command's name. `bytes` are those that were read last
    /// (or more); those of a line, unquoted, are not looked for in them.
    #[inline]
    pub fn arg<'b>(&'b self, bytes: &'b [u8], index: usize) -> Option<&'b [u8]> {
        let Span { start, end } = *self.spans.get(index)?;
        match self.form {
            Form::Inline => self.words.get(start..end),
            _ => bytes.get(start..end),
        }
    }

    /// A walk over the whole request from its first byte, for one that goes on as it comes.
    pub fn passing(&self) -> Passing {
        Passing::default()
    }
}
