//! Decodes bodies in `aws-chunked` encoding, with or without chunk signatures.
//!
//! `SIZE[;chunk-signature=HEX]\r\n DATA \r\n` again and again, a chunk of size 0, trailers, an
//! empty line. The signatures are stripped and not checked: mutual TLS has shown who the client
//! is, and it holds no key that Palisade knows. Nothing is copied but broken lines.

use bytes::Bytes;

use super::checksum::{Algorithm, Verifier};
use super::encoding::hex;
use super::malformed::Malformed;

/// The longest line of a chunk's head or of a trailer, in bytes. A head with the longest
/// signature (ECDSA) has less than 200.
pub const LINE_MAX_BYTES: usize = 1024;
/// The most trailers, the signature of trailers included.
pub const TRAILERS_MAX: usize = 8;

/// What a decoder has for its caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// The next bytes of the plain body, a slice of the input; never empty.
    Data(Bytes),
    /// The body is whole: its length and its trailing checksum are as declared. Only now may
    /// its last byte go on.
    Done,
    /// The input is used up.
    More,
}

/// An incremental decoder of one body.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// Whether chunks and trailers carry signatures.
    is_signed: bool,
    /// A line of which only the beginning has arrived.
    line: Vec<u8>,
    /// Bytes of the plain body that have not arrived in a chunk's head yet.
    unannounced: u64,
    verifier: Option<Verifier>,
    /// The declared trailer, once it has arrived.
    trailer: Option<String>,
    trailers: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Data { left: u64 },
    DataEnd,
    Done,
    Failed,
    Head,
    Trailers,
}

impl Decoder {
    /// Before the first byte. `decoded_length` is in bytes; `trailer` is the one that
    /// `x-amz-trailer` declares.
    pub fn new(is_signed: bool, decoded_length: u64, trailer: Option<Algorithm>) -> Self {
        Self {
            state: State::Head,
            is_signed,
            line: Vec::new(),
            unannounced: decoded_length,
            verifier: trailer.map(Verifier::new),
            trailer: None,
            trailers: 0,
        }
    }

    /// The trailing checksum, to be sent on as a header where the body was held whole: its name
    /// and its value. There after [`Step::Done`].
    pub fn checksum(&self) -> Option<(&'static str, &str)> {
        let algorithm = self.verifier.as_ref()?.algorithm();
        Some((algorithm.header(), self.trailer.as_deref()?))
    }

    /// Takes what it can use from the front of `input`. To be called until it says
    /// [`Step::More`], then again with more input. A body that ends before [`Step::Done`] is
    /// cut short: it has to be refused.
    ///
    /// # Errors
    /// When the framing is broken, the length or the checksum is not as declared, or anything
    /// follows the end. The decoder stays failed.
    pub fn step(&mut self, input: &mut Bytes) -> Result<Step, Malformed> {
        let result = self.advance(input);
        if result.is_err() {
            self.state = State::Failed;
        }
        result
    }

    fn advance(&mut self, input: &mut Bytes) -> Result<Step, Malformed> {
        loop {
            match self.state {
                State::Failed => return Err(Malformed::Body("the body is broken")),
                State::Done if input.is_empty() => return Ok(Step::Done),
                State::Done => {
                    return Err(Malformed::Body(
                        "something follows the end of an aws-chunked body",
                    ));
                }
                _ if input.is_empty() => return Ok(Step::More),
                State::Data { left: 0 } => self.state = State::DataEnd,
                State::Data { left } => {
                    let size =
                        usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
                    let data = input.split_to(size);
                    self.state = State::Data { left: left - size as u64 };
                    if let Some(verifier) = &mut self.verifier {
                        verifier.update(&data);
                    }
                    return Ok(Step::Data(data));
                }
                State::DataEnd | State::Head | State::Trailers => {
                    let Some(line) = self.line(input)? else { return Ok(Step::More) };
                    self.take_line(&line)?;
                }
            }
        }
    }

    /// The next whole line without its end, once it is there.
    fn line(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, Malformed> {
        const LONG: Malformed =
            Malformed::Body("a line of an aws-chunked body has over 1024 bytes");
        let end = input.iter().take(LINE_MAX_BYTES + 1).position(|byte| *byte == b'\n');
        let taken = end.map_or(input.len(), |end| end + 1);
        if self.line.len() + taken > LINE_MAX_BYTES {
            return Err(LONG);
        }
        let part = input.split_to(taken);
        if end.is_none() {
            self.line.extend_from_slice(&part);
            return Ok(None);
        }
        let line = if self.line.is_empty() {
            part
        } else {
            self.line.extend_from_slice(&part);
            Bytes::from(std::mem::take(&mut self.line))
        };
        if !line.ends_with(b"\r\n") {
            return Err(Malformed::Body("a line of an aws-chunked body does not end in CR LF"));
        }
        Ok(Some(line.slice(..line.len() - 2)))
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        match self.state {
            State::DataEnd if line.is_empty() => self.state = State::Head,
            State::DataEnd => {
                return Err(Malformed::Body("a chunk is longer than its head says"));
            }
            State::Head => {
                let size = self.size(line)?;
                self.unannounced = self.unannounced.checked_sub(size).ok_or(Malformed::Body(
                    "the body is longer than x-amz-decoded-content-length",
                ))?;
                self.state = if size > 0 { State::Data { left: size } } else { State::Trailers };
            }
            State::Trailers if line.is_empty() => {
                self.check_whole()?;
                self.state = State::Done;
            }
            _ => self.take_trailer(line)?,
        }
        Ok(())
    }

    /// The size in a chunk's head.
    fn size(&self, line: &[u8]) -> Result<u64, Malformed> {
        const BAD: Malformed =
            Malformed::Body("the head of a chunk is not as aws-chunked asks for");
        let (digits, signature) = match line.iter().position(|byte| *byte == b';') {
            Some(at) => (&line[..at], Some(&line[at + 1..])),
            None => (line, None),
        };
        let signature_is_valid = match signature {
            None => !self.is_signed,
            Some(extension) => {
                self.is_signed
                    && extension.strip_prefix(b"chunk-signature=").is_some_and(|signature| {
                        // ECDSA signatures are padded with asterisks.
                        signature.iter().all(|byte| hex(*byte).is_some() || *byte == b'*')
                    })
            }
        };
        if !signature_is_valid || digits.is_empty() || digits.len() > 16 {
            return Err(BAD);
        }
        digits
            .iter()
            .try_fold(0, |size: u64, digit| Ok(size << 4 | u64::from(hex(*digit).ok_or(BAD)?)))
    }

    fn take_trailer(&mut self, line: &[u8]) -> Result<(), Malformed> {
        const BAD: Malformed = Malformed::Body("a trailer is not as x-amz-trailer declares");
        self.trailers += 1;
        if self.trailers > TRAILERS_MAX {
            return Err(Malformed::Body("a body has more than 8 trailers"));
        }
        let (name, value) = str::from_utf8(line).ok().and_then(|l| l.split_once(':')).ok_or(BAD)?;
        if self.is_signed && name.eq_ignore_ascii_case("x-amz-trailer-signature") {
            return Ok(());
        }
        let declared = self.verifier.as_ref().map(|verifier| verifier.algorithm());
        if declared.is_none() || Algorithm::by_header(name) != declared || self.trailer.is_some() {
            return Err(BAD);
        }
        self.trailer = Some(value.trim().to_owned());
        Ok(())
    }

    fn check_whole(&self) -> Result<(), Malformed> {
        if self.unannounced > 0 {
            return Err(Malformed::Body("the body is shorter than x-amz-decoded-content-length"));
        }
        match (&self.verifier, &self.trailer) {
            (None, _) => Ok(()),
            (Some(_), None) => {
                Err(Malformed::Body("the checksum that x-amz-trailer declares is missing"))
            }
            (Some(verifier), Some(declared)) => verifier.verify(declared),
        }
    }
}

#[cfg(test)]
mod tests;
