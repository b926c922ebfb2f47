//! The way through a request that goes on as it comes, without being held.

use super::super::inline::InlineError;
use super::super::line::{Body, Partial};
use super::{COUNT, INLINE_BYTES_MAX, LENGTH, RequestError};

/// A walk over one request, which goes on wherever its bytes were cut. It finds the same end and
/// the same errors as [`super::Request`], but does not look at the quotes of a line.
#[derive(Clone, Debug, Default)]
pub struct Passing {
    place: Place,
    partial: Partial,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    Start,
    /// The line before an argument, or the rest of it: so many arguments are still to come.
    Argument {
        left: usize,
    },
    /// The rest of an argument; behind it come so many.
    Body {
        body: Body,
        left: usize,
    },
    /// The rest of a line of words, of which so much has come.
    Line {
        seen: usize,
    },
    Done,
}

impl Passing {
    /// Whether all of the request has been seen.
    pub fn is_done(&self) -> bool {
        matches!(self.place, Place::Done)
    }

    /// How many of these bytes, which follow those seen before, belong to the request: all of
    /// them while it is not done. CRLFs and lengths are checked.
    ///
    /// # Errors
    /// They cannot belong to one. Nothing may be asked after that.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, RequestError> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            if rest.is_empty() {
                return Ok(at);
            }
            at += match self.place {
                Place::Start => self.start(rest)?,
                Place::Argument { left } => self.argument(rest, left)?,
                Place::Body { mut body, left } => {
                    let count = body.advance(rest).map_err(RequestError::of_bulk)?;
                    self.place = match body.is_done() {
                        true => Self::behind(left),
                        false => Place::Body { body, left },
                    };
                    count
                }
                Place::Line { seen } => self.line(rest, seen)?,
                Place::Done => return Ok(at),
            };
        }
    }

    fn behind(left: usize) -> Place {
        if left == 0 { Place::Done } else { Place::Argument { left } }
    }

    fn start(&mut self, bytes: &[u8]) -> Result<usize, RequestError> {
        if self.partial.is_empty() && bytes[0] != b'*' {
            return self.line(bytes, 0);
        }
        let header = self.partial.header(bytes, COUNT).map_err(RequestError::of_count)?;
        let Some(header) = header else { return Ok(bytes.len()) };
        self.place = Self::behind(header.number.unwrap_or(0));
        Ok(header.bytes)
    }

    fn argument(&mut self, bytes: &[u8], left: usize) -> Result<usize, RequestError> {
        if self.partial.is_empty() && bytes[0] != b'$' {
            return Err(RequestError::Type { found: bytes[0] });
        }
        let header = self.partial.header(bytes, LENGTH).map_err(RequestError::of_bulk)?;
        let Some(header) = header else { return Ok(bytes.len()) };
        let (len, left) = (header.number.unwrap_or(0), left - 1);
        if let Some(b"\r\n") = bytes.get(header.bytes + len..header.bytes + len + 2) {
            self.place = Self::behind(left);
            return Ok(header.bytes + len + 2);
        }
        self.place = Place::Body { body: Body::new(len), left };
        Ok(header.bytes)
    }

    fn line(&mut self, bytes: &[u8], seen: usize) -> Result<usize, RequestError> {
        let window = &bytes[..bytes.len().min(INLINE_BYTES_MAX + 1 - seen)];
        let Some(found) = memchr::memchr2(b'\n', 0, window) else {
            let seen = seen + window.len();
            if seen > INLINE_BYTES_MAX {
                return Err(RequestError::Line);
            }
            self.place = Place::Line { seen };
            return Ok(window.len());
        };
        if window[found] == 0 {
            return Err(InlineError::Zero.into());
        }
        self.place = Place::Done;
        Ok(found + 1)
    }
}
