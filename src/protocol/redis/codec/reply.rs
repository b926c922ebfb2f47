//! What a server sends: values of RESP2 and RESP3, walked to their ends and not held.

use smallvec::SmallVec;

use super::line::{self, Body, Bounds, Fault, Partial};
use super::request::{BULK_BYTES_MAX, Byte};

#[cfg(test)]
mod tests;

/// Values within values, at most.
pub const DEPTH_MAX: usize = 128;
/// Bytes that a value on one line may have (an error can be long), without its type and CRLF.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// Elements that a value may have: as many as hiredis takes.
pub const ELEMENTS_MAX: usize = u32::MAX as usize;

/// Bytes at the front of a line that are looked at one by one, because most lines end there.
const SHORT_LINE_BYTES: usize = 8;

const BULK: Bounds = Bounds { max: BULK_BYTES_MAX, has_null: true };

/// Bytes that are no reply. After them nobody knows where the next one begins, so the session has
/// to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReplyError {
    /// Nothing of RESP begins like that.
    #[error(
        "the server sent a value of type {}, which RESP does not have; check that the upstream \
         is Redis, and that nothing in between changes bytes",
        Byte(*.found)
    )]
    Type {
        /// The type.
        found: u8,
    },
    /// RESP3 has values of a length that is told at their end, but no server sends them.
    #[error(
        "the server sent a streamed value (type {}, no length in front), which Palisade does not \
         read; use Redis 6.2 or later, or Valkey, which send none",
        Byte(*.found)
    )]
    Streamed {
        /// The type.
        found: u8,
    },
    /// Not as long as a number can say.
    #[error(
        "the server sent a length with {} in it, which are digits alone; check that the upstream \
         is Redis, and that nothing in between changes bytes",
        Byte(*.found)
    )]
    Length {
        /// What stands there.
        found: u8,
    },
    /// More than [`BULK_BYTES_MAX`] bytes, or [`ELEMENTS_MAX`] elements.
    #[error(
        "the server sent a value of more than {BULK_BYTES_MAX} bytes or {ELEMENTS_MAX} elements; \
         ask for less at once, and keep proto-max-bulk-len as Redis comes with it"
    )]
    Large,
    /// Longer than [`LINE_BYTES_MAX`].
    #[error(
        "the server sent a line of more than {LINE_BYTES_MAX} bytes; check that the upstream is \
         Redis, and return long texts as bulk strings"
    )]
    Line,
    /// A line or a value ends in something else than CRLF.
    #[error(
        "the server sent {} where CRLF has to end a value; check that the upstream is Redis, and \
         that nothing in between changes bytes",
        Byte(*.found)
    )]
    Ending {
        /// What stands there.
        found: u8,
    },
    /// More than [`DEPTH_MAX`] values within values.
    #[error("the server sent more than {DEPTH_MAX} values within values; ask for a flatter reply")]
    Depth,
    /// What comes unasked stands between replies.
    #[error(
        "the server sent a push message within a reply; check that the upstream is Redis, and \
         that nothing in between changes bytes"
    )]
    Push,
}

impl From<Fault> for ReplyError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Number(found) => Self::Length { found },
            Fault::Large => Self::Large,
            Fault::Ending(found) => Self::Ending { found },
        }
    }
}

/// How far a walk has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// How many of the bytes given belong to the value: all of them while it has not ended.
    pub bytes: usize,
    /// Whether it has ended with them.
    pub is_end: bool,
}

/// A walk over replies, one after another, which goes on wherever their bytes were cut. What is
/// sent unasked (`>`) is a value of its own; attributes (`|`) are part of the value behind them.
#[derive(Clone, Debug, Default)]
pub struct Replies {
    place: Place,
    partial: Partial,
    /// Values still to come at each level that is open, the innermost last; never 0.
    open: SmallVec<[u64; 16]>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default)]
enum Place {
    /// A value's type, or the rest of the line that begins with it.
    #[default]
    Value,
    /// The rest of a value of known length.
    Body(Body),
    /// The rest of a line, of which so much has come.
    Line { seen: usize },
    /// The LF of a line.
    LineFeed,
}

impl Replies {
    /// At the front of the first value.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it stands between two values: the next byte is a type.
    pub fn is_between(&self) -> bool {
        matches!(self.place, Place::Value) && self.partial.is_empty() && self.open.is_empty()
    }

    /// Walks on from where it stood, to the end of the value or of `bytes`.
    ///
    /// # Errors
    /// They are no reply. Nothing may be asked after that.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Step, ReplyError> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            if rest.is_empty() {
                return Ok(Step { bytes: at, is_end: false });
            }
            let (count, is_end) = match self.place {
                Place::Value if rest[0] == b'$' && self.partial.is_empty() => {
                    match self.plain(rest) {
                        (0, _) => self.value(rest)?,
                        plain => plain,
                    }
                }
                Place::Value => self.value(rest)?,
                Place::Body(body) => self.body(body, rest)?,
                Place::Line { seen } => self.line(rest, seen)?,
                Place::LineFeed => match rest[0] {
                    b'\n' => (1, true),
                    found => return Err(ReplyError::Ending { found }),
                },
            };
            at += count;
            if is_end {
                self.place = Place::Value;
                if self.close() {
                    return Ok(Step { bytes: at, is_end: true });
                }
            }
        }
    }

    /// One value has ended. Returns whether all has that it was in.
    #[inline]
    fn close(&mut self) -> bool {
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return false;
            }
            self.open.pop();
        }
        true
    }

    /// The bulk strings at the front that are wholly there: all but the last of their level, or
    /// that one. The short way through most replies; where there is none (also for what is
    /// wrong), [`Replies::value`] decides.
    #[inline]
    fn plain(&mut self, bytes: &[u8]) -> (usize, bool) {
        let Some(left) = self.open.last_mut().filter(|left| **left > 1) else {
            let count = whole_bulk(bytes);
            return (count, count > 0);
        };
        let (mut at, mut count) = (0, *left);
        while count > 1 {
            match whole_bulk(&bytes[at..]) {
                0 => break,
                more => at += more,
            }
            count -= 1;
        }
        *left = count;
        (at, false)
    }

    #[inline]
    fn value(&mut self, bytes: &[u8]) -> Result<(usize, bool), ReplyError> {
        let tag = self.partial.first().unwrap_or(bytes[0]);
        match tag {
            b'$' => self.bulk(bytes, true),
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {
                let (count, is_end) = self.line(&bytes[1..], 0)?;
                Ok((1 + count, is_end))
            }
            b'*' => self.elements(bytes, true, |count| count),
            b'=' | b'!' => self.bulk(bytes, false),
            b'~' => self.elements(bytes, false, |count| count),
            b'%' => self.elements(bytes, false, |count| 2 * count),
            // And what they are about.
            b'|' => self.elements(bytes, false, |count| 2 * count + 1),
            b'>' if !self.open.is_empty() => Err(ReplyError::Push),
            b'>' => self.elements(bytes, false, |count| count),
            b';' | b'.' => Err(ReplyError::Streamed { found: tag }),
            found => Err(ReplyError::Type { found }),
        }
    }

    #[inline]
    fn bulk(&mut self, bytes: &[u8], has_null: bool) -> Result<(usize, bool), ReplyError> {
        let bounds = Bounds { has_null, ..BULK };
        let Some((number, count)) = self.header(bytes, bounds)? else {
            return Ok((bytes.len(), false));
        };
        let Some(len) = number else { return Ok((count, true)) };
        let (more, is_end) = self.body(Body::new(len), &bytes[count..])?;
        Ok((count + more, is_end))
    }

    fn elements(
        &mut self,
        bytes: &[u8],
        has_null: bool,
        values: impl Fn(u64) -> u64,
    ) -> Result<(usize, bool), ReplyError> {
        let bounds = Bounds { max: ELEMENTS_MAX, has_null };
        let Some((number, count)) = self.header(bytes, bounds)? else {
            return Ok((bytes.len(), false));
        };
        let values = number.map_or(0, |number| values(number as u64));
        if values > 0 {
            if self.open.len() == DEPTH_MAX {
                return Err(ReplyError::Depth);
            }
            self.open.push(values);
        }
        Ok((count, values == 0))
    }

    /// The number, and how many of `bytes` belong to its line.
    #[inline]
    fn header(
        &mut self,
        bytes: &[u8],
        bounds: Bounds,
    ) -> Result<Option<(Option<usize>, usize)>, ReplyError> {
        let first = self.partial.first();
        match self.partial.header(bytes, bounds) {
            Ok(found) => Ok(found.map(|header| (header.number, header.bytes))),
            Err(Fault::Number(b'?')) => {
                Err(ReplyError::Streamed { found: first.unwrap_or(bytes[0]) })
            }
            Err(fault) => Err(fault.into()),
        }
    }

    #[inline]
    fn body(&mut self, mut body: Body, bytes: &[u8]) -> Result<(usize, bool), ReplyError> {
        let count = body.advance(bytes)?;
        self.place = Place::Body(body);
        Ok((count, body.is_done()))
    }

    /// `bytes` follow the type and `seen` bytes of the line.
    #[inline]
    fn line(&mut self, bytes: &[u8], seen: usize) -> Result<(usize, bool), ReplyError> {
        let window = &bytes[..bytes.len().min(LINE_BYTES_MAX + 1 - seen)];
        let short = &window[..window.len().min(SHORT_LINE_BYTES)];
        let end = short.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let end = end.or_else(|| {
            let found = memchr::memchr2(b'\r', b'\n', &window[short.len()..])?;
            Some(short.len() + found)
        });
        let Some(end) = end else {
            let seen = seen + window.len();
            if seen > LINE_BYTES_MAX {
                return Err(ReplyError::Line);
            }
            self.place = Place::Line { seen };
            return Ok((window.len(), false));
        };
        match bytes[end..] {
            [b'\r', b'\n', ..] => Ok((end + 2, true)),
            [b'\r'] => {
                self.place = Place::LineFeed;
                Ok((end + 1, false))
            }
            [b'\r', found, ..] | [found, ..] => Err(ReplyError::Ending { found }),
            // `end` is the place of a byte.
            [] => Ok((end, false)),
        }
    }
}

/// Bytes of the bulk string at the front; 0 if it is none, or not plainly there.
#[inline]
fn whole_bulk(bytes: &[u8]) -> usize {
    if bytes.first() != Some(&b'$') {
        return 0;
    }
    let Ok(Some(header)) = line::header(bytes, BULK) else { return 0 };
    let end = header.bytes + header.number.unwrap_or(0);
    match bytes.get(end..end + 2) {
        Some(b"\r\n") if header.number.is_some() => end + 2,
        _ => 0,
    }
}
