//! Bodies, out of bytes.

use bytes::{Buf, Bytes};
use http::HeaderMap;
use memchr::memchr;

use super::framing::Framing;
use super::head::{self, Fault};
use super::wire::Wire;

/// A chunk's first line: its size and its extensions, in bytes.
const CHUNK_LINE_BYTES_MAX: usize = 1024;
/// The lines behind the last chunk, in bytes.
const TRAILER_BYTES_MAX: usize = 16 * 1024;
/// What is looked for next in a chunked body, in bytes.
const CHUNKED_READ_BYTES: u64 = 64 * 1024;

/// Where in a body it is.
#[derive(Debug)]
pub struct Decoder {
    state: State,
}

#[derive(Debug)]
enum State {
    Length(u64),
    ChunkLine,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
    Ended,
}

/// What a body has next.
#[derive(Debug)]
pub enum Piece {
    /// Some of its bytes.
    Data(Bytes),
    /// What came behind it. Then it has ended.
    Trailers(HeaderMap),
    /// It has ended.
    End,
    /// Nothing, until more is read.
    Wanting,
}

impl Decoder {
    /// At the beginning of a body.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Ended,
            Framing::Length(len) => State::Length(len),
            Framing::Chunked => State::ChunkLine,
            Framing::UntilClose => State::UntilClose,
        };
        Self { state }
    }

    /// Whether all of it has been taken.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// How many bytes are still to come, where that is known.
    pub fn left(&self) -> Option<u64> {
        match self.state {
            State::Ended => Some(0),
            State::Length(left) => Some(left),
            _ => None,
        }
    }

    /// How many bytes it would be good to read at once.
    pub fn wanted(&self) -> u64 {
        match self.state {
            State::Length(left) => left,
            State::UntilClose => CHUNKED_READ_BYTES,
            // With the end of this chunk and the beginning of the next.
            State::ChunkData(left) => left.saturating_add(CHUNK_LINE_BYTES_MAX as u64),
            _ => 0,
        }
    }

    /// What has been read is all that there will be: the end, or not.
    pub fn close(&mut self) -> Result<(), Fault> {
        match self.state {
            State::Ended | State::UntilClose => {
                self.state = State::Ended;
                Ok(())
            }
            _ => Err(Fault::Malformed("the body ended too early")),
        }
    }

    /// Takes what there is.
    pub fn next(&mut self, wire: &mut Wire) -> Result<Piece, Fault> {
        loop {
            let input = &wire.input;
            match &mut self.state {
                State::Ended => return Ok(Piece::End),
                _ if input.is_empty() => return Ok(Piece::Wanting),
                State::UntilClose => return Ok(Piece::Data(wire.take(wire.input.len()))),
                State::Length(left) => {
                    let len = take_up_to(left, input.len());
                    if *left == 0 {
                        self.state = State::Ended;
                    }
                    return Ok(Piece::Data(wire.take(len)));
                }
                State::ChunkData(left) => {
                    let len = take_up_to(left, input.len());
                    if *left == 0 {
                        self.state = State::ChunkEnd;
                    }
                    return Ok(Piece::Data(wire.take(len)));
                }
                State::ChunkEnd => {
                    if !b"\r\n".starts_with(&input[..input.len().min(2)]) {
                        return Err(Fault::Malformed("a chunk is not as long as it says"));
                    }
                    if input.len() < 2 {
                        return Ok(Piece::Wanting);
                    }
                    wire.input.advance(2);
                    self.state = State::ChunkLine;
                }
                State::ChunkLine => {
                    let Some(len) = line(input, CHUNK_LINE_BYTES_MAX)? else {
                        return Ok(Piece::Wanting);
                    };
                    let size = chunk_size(&input[..len - 2])?;
                    wire.input.advance(len);
                    self.state = match size {
                        0 => State::Trailers,
                        size => State::ChunkData(size),
                    };
                }
                State::Trailers => {
                    if input.starts_with(b"\r\n") {
                        wire.take(2);
                        self.state = State::Ended;
                        return Ok(Piece::End);
                    }
                    let bounds = head::Bounds { bytes_max: TRAILER_BYTES_MAX, headers_max: 0 };
                    let Some(end) = head::Search::default().end(input, bounds)? else {
                        return Ok(Piece::Wanting);
                    };
                    let trailers = head::trailers(&wire.take(end))?;
                    self.state = State::Ended;
                    return Ok(Piece::Trailers(trailers));
                }
            }
        }
    }
}

/// How many of the bytes that are there belong to what is left, which has so many less then.
fn take_up_to(left: &mut u64, there: usize) -> usize {
    let len = usize::try_from(*left).map_or(there, |left| left.min(there));
    *left -= len as u64;
    len
}

/// The length of the first line with its end.
fn line(input: &[u8], bytes_max: usize) -> Result<Option<usize>, Fault> {
    let end = memchr(b'\n', &input[..input.len().min(bytes_max)]);
    match end {
        Some(at) if at > 0 && input[at - 1] == b'\r' => Ok(Some(at + 1)),
        Some(_) => Err(Fault::Malformed("a chunk's line does not end with CR LF")),
        None if input.len() >= bytes_max => Err(Fault::Malformed("a chunk's line is too long")),
        None => Ok(None),
    }
}

/// Hexadecimal digits and nothing else; extensions are skipped (RFC 9112 section 7.1.1).
fn chunk_size(line: &[u8]) -> Result<u64, Fault> {
    let end = memchr(b';', line).unwrap_or(line.len());
    let (digits, extensions) = line.split_at(end);
    // Blanks before an extension are bad, but allowed for.
    let digits = if extensions.is_empty() { digits } else { digits.trim_ascii_end() };
    let is_plain = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    if digits.is_empty() || digits.len() > 16 || !extensions.iter().all(is_plain) {
        return Err(Fault::Malformed("a chunk's size is none"));
    }
    let sum = digits.iter().try_fold(0, |sum: u64, digit| {
        Some(sum << 4 | u64::from(char::from(*digit).to_digit(16)?))
    });
    // Many count in signed numbers.
    sum.filter(|sum| *sum <= i64::MAX as u64).ok_or(Fault::Malformed("a chunk's size is none"))
}
