//! The five bytes that open every message: its tag and its length.

use std::fmt;
use std::ops::RangeInclusive;

#[cfg(test)]
mod tests;

/// Bytes of a header: the tag and the length.
pub const HEADER_BYTES: usize = 5;
/// The longest body of a message that carries statements, values or COPY data. PostgreSQL
/// itself takes and makes nothing above 1 GiB.
pub const LONG_BYTES_MAX: usize = (1 << 30) - 1;
/// The longest body of any other message.
pub const SHORT_BYTES_MAX: usize = 64 * 1024;
/// A key for cancelling: a process id, and 4 to 256 bytes of secret.
const KEY_BYTES: RangeInclusive<usize> = 8..=260;

/// What a message is, and how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Its kind.
    pub tag: u8,
    /// Bytes of its body: without the tag and the length field.
    pub len: usize,
}

/// Who sent a message: the same tag means one thing from a client and another from a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// A client ("frontend").
    Client,
    /// A server ("backend").
    Server,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// A message that is not one of the protocol. After it nobody knows where the next one begins,
/// so the session has to end.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// No such message.
    #[error(
        "the {side} sent a message of type {}, which protocol 3 does not have; use a driver that \
         speaks it, and nothing in between that changes bytes",
        Tag(*.tag)
    )]
    Unknown {
        /// Who sent it.
        side: Side,
        /// Its first byte.
        tag: u8,
    },
    /// The length cannot be right.
    #[error(
        "the {side} sent a message of type {} with a length of {length}, which is outside of \
         {min} to {max}; send less in one message, or use a driver that speaks protocol 3",
        Tag(*.tag)
    )]
    Length {
        /// Who sent it.
        side: Side,
        /// Its first byte.
        tag: u8,
        /// The length field: the body's and its own four bytes.
        length: u32,
        /// The smallest that is right.
        min: usize,
        /// The largest that is right.
        max: usize,
    },
    /// The body is not what its kind has.
    #[error("a {message} message is malformed: {what}; use a driver that speaks protocol 3")]
    Body {
        /// The message's name in PostgreSQL's documentation.
        message: &'static str,
        /// What is wrong.
        what: &'static str,
    },
}

struct Tag(u8);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_ascii_graphic() {
            write!(f, "'{}'", char::from(self.0))
        } else {
            write!(f, "{:#04x}", self.0)
        }
    }
}

/// Reads the header that `bytes` begins with. `None`: fewer than [`HEADER_BYTES`] are there.
/// A tag that is wrong is told at its first byte.
pub fn header(side: Side, bytes: &[u8]) -> Result<Option<Header>, FrameError> {
    let Some(&tag) = bytes.first() else { return Ok(None) };
    let bounds = match side {
        Side::Client => client_bounds(tag),
        Side::Server => server_bounds(tag),
    };
    let (min, max) = bounds.ok_or(FrameError::Unknown { side, tag })?.into_inner();
    let Some(&[a, b, c, d]) = bytes.get(1..HEADER_BYTES) else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]);
    match (length as usize).checked_sub(4) {
        Some(len) if (min..=max).contains(&len) => Ok(Some(Header { tag, len })),
        _ => Err(FrameError::Length { side, tag, length, min: min + 4, max: max + 4 }),
    }
}

/// The bodies that a client may send. Those of Sync, Flush, CopyDone and Terminate are empty: a
/// Sync with a body would be answered with an error of its own, which [`super::super::track`]
/// counts on not to happen.
fn client_bounds(tag: u8) -> Option<RangeInclusive<usize>> {
    match tag {
        b'Q' | b'P' | b'B' | b'd' | b'F' => Some(0..=LONG_BYTES_MAX),
        b'D' | b'C' | b'E' | b'f' | b'p' => Some(0..=SHORT_BYTES_MAX),
        b'H' | b'S' | b'c' | b'X' => Some(0..=0),
        _ => None,
    }
}

/// The bodies that a server may send. Rows, COPY data, what functions return, descriptions of
/// many columns, and errors that quote what they are about can be long.
fn server_bounds(tag: u8) -> Option<RangeInclusive<usize>> {
    match tag {
        b'D' | b'd' | b'V' | b'T' | b't' | b'E' | b'N' => Some(0..=LONG_BYTES_MAX),
        b'Z' => Some(1..=1),
        b'1' | b'2' | b'3' | b'n' | b's' | b'I' | b'c' => Some(0..=0),
        b'K' => Some(KEY_BYTES),
        b'R' | b'S' | b'C' | b'A' | b'G' | b'H' | b'W' | b'v' => Some(0..=SHORT_BYTES_MAX),
        _ => None,
    }
}
