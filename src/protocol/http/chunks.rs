//! Bodies in `aws-chunked` encoding on their way to the store: decoded, or passed on and watched.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::body::Decode;
use super::s3::chunked::{Decoder, Step};

/// Gives out the plain body.
pub struct Plain {
    decoder: Decoder,
    is_done: bool,
}

/// Gives out the encoded body as it is, except that what follows the last byte of data that has
/// come so far, and that byte itself, waits for more data or for the end.
///
/// The object ends inside the encoding, before the request's body does: a store that has the
/// last byte of data and the chunk of size 0 may apply the write, whatever bytes of the body are
/// still to come. So those are what is held back until the fence says go.
pub struct Watched {
    decoder: Decoder,
    /// From the last byte of data on. Bounded by the lines that a decoder takes between data.
    held: BytesMut,
    is_done: bool,
}

impl Plain {
    /// With a decoder before its first byte.
    pub fn new(decoder: Decoder) -> Self {
        Self { decoder, is_done: false }
    }
}

impl Watched {
    /// With a decoder before its first byte.
    pub fn new(decoder: Decoder) -> Self {
        Self { decoder, held: BytesMut::new(), is_done: false }
    }
}

impl Decode for Plain {
    fn push(&mut self, mut chunk: Bytes, out: &mut VecDeque<Bytes>) -> Result<(), String> {
        loop {
            match self.decoder.step(&mut chunk).map_err(|malformed| malformed.to_string())? {
                Step::Data(data) => out.push_back(data),
                Step::Done => {
                    self.is_done = true;
                    return Ok(());
                }
                Step::More => return Ok(()),
            }
        }
    }

    fn finish(&mut self, _: &mut VecDeque<Bytes>) -> Result<(), String> {
        whole(self.is_done)
    }

    fn checksum(&self) -> Option<(&'static str, String)> {
        self.decoder.checksum().map(|(name, value)| (name, value.to_owned()))
    }
}

impl Decode for Watched {
    fn push(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) -> Result<(), String> {
        let mut rest = chunk.clone();
        let mut last_data = None;
        loop {
            match self.decoder.step(&mut rest).map_err(|malformed| malformed.to_string())? {
                // It is never empty, and what is taken ends with it.
                Step::Data(_) => last_data = Some(chunk.len() - rest.len() - 1),
                Step::Done => {
                    self.is_done = true;
                    break;
                }
                Step::More => break,
            }
        }
        let Some(last_data) = last_data else {
            self.held.extend_from_slice(&chunk);
            return Ok(());
        };
        if !self.held.is_empty() {
            out.push_back(self.held.split().freeze());
        }
        if last_data > 0 {
            out.push_back(chunk.slice(..last_data));
        }
        self.held.extend_from_slice(&chunk[last_data..]);
        Ok(())
    }

    fn finish(&mut self, out: &mut VecDeque<Bytes>) -> Result<(), String> {
        whole(self.is_done)?;
        // In one piece: the relay holds the last piece back until the commit point.
        out.push_back(self.held.split().freeze());
        Ok(())
    }

    fn checksum(&self) -> Option<(&'static str, String)> {
        None // It is in the body still.
    }
}

fn whole(is_done: bool) -> Result<(), String> {
    if is_done { Ok(()) } else { Err("the aws-chunked body is cut short".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http::s3::checksum::Algorithm;

    const BODY: &[u8] = b"3\r\nabc\r\n4\r\ndefg\r\n0\r\nx-amz-checksum-crc32:MSpqpg==\r\n\r\n";

    fn decoder() -> Decoder {
        Decoder::new(false, 7, Some(Algorithm::Crc32))
    }

    /// Whatever pieces it comes in, nothing from the last byte of data on goes out before the
    /// end, and then all of it does.
    #[test]
    fn the_last_byte_of_data_and_all_behind_it_is_held_back() {
        let last_data = BODY.iter().position(|byte| *byte == b'g').unwrap();
        for size in 1..BODY.len() {
            let mut watched = Watched::new(decoder());
            let mut out = VecDeque::new();
            for piece in BODY.chunks(size) {
                watched.push(Bytes::copy_from_slice(piece), &mut out).unwrap();
                let gone: usize = out.iter().map(Bytes::len).sum();
                assert!(gone <= last_data, "{size}: {gone} bytes went out early");
            }
            let early = out.len();
            watched.finish(&mut out).unwrap();
            assert_eq!(out.len(), early + 1, "{size}: the end comes in one piece");
            assert_eq!(out.iter().flatten().copied().collect::<Vec<_>>(), BODY, "{size}");
        }
    }

    #[test]
    fn nothing_may_follow_the_end_and_the_end_may_not_be_missing() {
        for (body, is_whole) in [(&[BODY, b"\n"].concat()[..], false), (&BODY[..40], true)] {
            let mut watched = Watched::new(decoder());
            let mut out = VecDeque::new();
            let pushed = watched.push(Bytes::copy_from_slice(body), &mut out);
            assert_eq!(pushed.is_ok(), is_whole);
            assert!(pushed.and_then(|()| watched.finish(&mut out)).is_err());
        }
    }
}
