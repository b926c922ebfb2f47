//! What happens to a request's body on its way to the store, and to the headers about it.
//!
//! A body goes on as it is, watched for the end of its data where it is in chunks, unless it is in `aws-chunked` encoding with the client's chunk
//! signatures (which mean nothing under Palisade's own), or the listener is told to decode. A
//! decoded body is checked against its length and its trailing checksum before its last byte
//! goes on; the checksum itself is dropped then, for it is known only after the head was sent.

use aws_lc_rs::digest;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};

use super::checksum::Algorithm;
use super::chunked::Decoder;
use super::classify::BodyRole;
use super::malformed::Malformed;
use super::settings::{AwsChunked, Mode, Settings};

/// SHA-256 of nothing.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const SHA256: &str = "x-amz-content-sha256";
const DECODED_LENGTH: &str = "x-amz-decoded-content-length";
const TRAILER: &str = "x-amz-trailer";

/// What `x-amz-content-sha256` tells the store about the body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Payload {
    /// Its SHA-256, in lower-case hexadecimal; the store checks it.
    Sha256(String),
    /// Nothing.
    Unsigned,
    /// Nothing; it is `aws-chunked` with a trailing checksum.
    UnsignedTrailer,
}

impl Payload {
    /// Of a body that is at hand.
    pub fn of(body: &[u8]) -> Self {
        let mut hex = String::new();
        super::sign::push_hex(&mut hex, digest::digest(&digest::SHA256, body).as_ref());
        Self::Sha256(hex)
    }

    /// The value of the header.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sha256(hex) => hex,
            Self::Unsigned => "UNSIGNED-PAYLOAD",
            Self::UnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }
}

/// What the relay does with the bytes of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transform {
    /// Puts them through a [`Decoder`].
    Decode {
        /// Whether chunks carry signatures.
        is_signed: bool,
        /// Bytes of the plain body.
        decoded_length: u64,
        /// The trailing checksum to verify.
        trailer: Option<Algorithm>,
    },
    /// Nothing.
    Verbatim,
    /// Passes them on as they are and looks with a [`Decoder`] where their data ends: the
    /// store may apply the write from there on.
    Watch {
        /// Whether chunks carry signatures.
        is_signed: bool,
        /// Bytes of the plain body.
        decoded_length: u64,
        /// The trailing checksum to verify.
        trailer: Option<Algorithm>,
    },
}

/// What happens to one body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// To its bytes.
    pub transform: Transform,
    /// What is signed of it when re-signing. Of a body that was held whole, [`Payload::of`] it
    /// is better.
    pub payload: Payload,
}

impl Plan {
    /// The decoder, where there is something to decode.
    pub fn decoder(&self) -> Option<Decoder> {
        match self.transform {
            Transform::Verbatim => None,
            Transform::Decode { is_signed, decoded_length, trailer }
            | Transform::Watch { is_signed, decoded_length, trailer } => {
                Some(Decoder::new(is_signed, decoded_length, trailer))
            }
        }
    }

    /// Changes the headers about a body that is decoded; others stay.
    pub fn apply(&self, headers: &mut HeaderMap) {
        let Transform::Decode { decoded_length, .. } = self.transform else { return };
        let rest: Vec<&str> = encodings(headers).filter(|coding| !is_aws_chunked(coding)).collect();
        let rest = rest.join(", ");
        headers.remove(CONTENT_ENCODING);
        // It was cut out of valid values, so it is one; without it the object would only lose
        // a description.
        if let Some(rest) = HeaderValue::from_str(&rest).ok().filter(|_| !rest.is_empty()) {
            headers.insert(CONTENT_ENCODING, rest);
        }
        // Stores refuse an algorithm without its checksum, and the checksum stays here.
        for name in [TRAILER, DECODED_LENGTH, "x-amz-sdk-checksum-algorithm"] {
            headers.remove(name);
        }
        headers.remove(TRANSFER_ENCODING);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(decoded_length));
    }
}

/// How the client framed the body inside HTTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Framing {
    Plain,
    SignedChunks,
    UnsignedChunks,
}

/// What happens to a body, by the head of its request.
///
/// # Errors
/// When the headers contradict each other, or a body that has to be decoded lacks its length or
/// ends with a checksum that Palisade cannot verify.
pub fn plan(headers: &HeaderMap, body: BodyRole, settings: &Settings) -> Result<Plan, Malformed> {
    let (framing, payload) = framing(headers, body)?;
    let is_batch = body == BodyRole::DeleteBatch;
    let goes_on = match settings.mode {
        Mode::PassThrough if is_batch && framing != Framing::Plain => {
            return Err(Malformed::Unfenceable(
                "a batch delete in aws-chunked encoding is refused where the client's signature \
                 is kept: send it plain",
            ));
        }
        Mode::PassThrough => true,
        Mode::ReSign { .. } => match framing {
            Framing::Plain => true,
            Framing::SignedChunks => false,
            Framing::UnsignedChunks => settings.aws_chunked == AwsChunked::Forward && !is_batch,
        },
    };
    if framing == Framing::Plain {
        return Ok(Plan { transform: Transform::Verbatim, payload });
    }
    let is_signed = framing == Framing::SignedChunks;
    let (decoded_length, trailer) = (decoded_length(headers)?, trailer(headers)?);
    if goes_on {
        let transform = Transform::Watch { is_signed, decoded_length, trailer };
        return Ok(Plan { transform, payload });
    }
    let transform = Transform::Decode { is_signed, decoded_length, trailer };
    Ok(Plan { transform, payload: Payload::Unsigned })
}

fn framing(headers: &HeaderMap, body: BodyRole) -> Result<(Framing, Payload), Malformed> {
    let is_chunked = match encodings(headers).filter(|coding| is_aws_chunked(coding)).count() {
        0 => false,
        1 => true,
        _ => {
            let why = "has aws-chunked twice";
            return Err(Malformed::Header { name: "content-encoding", why });
        }
    };
    let declared = single(headers, SHA256)?;
    Ok(match declared {
        Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER") => {
            (Framing::UnsignedChunks, Payload::UnsignedTrailer)
        }
        Some(
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
            | "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
            | "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
            | "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
        ) => (Framing::SignedChunks, Payload::Unsigned),
        // An SDK without credentials sends no such header, but chunks all the same.
        None if is_chunked => (Framing::UnsignedChunks, Payload::UnsignedTrailer),
        _ if is_chunked => {
            let why = "says aws-chunked where x-amz-content-sha256 does not";
            return Err(Malformed::Header { name: "content-encoding", why });
        }
        Some("UNSIGNED-PAYLOAD") => (Framing::Plain, Payload::Unsigned),
        Some(hex) if hex.len() == 64 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            (Framing::Plain, Payload::Sha256(hex.to_ascii_lowercase()))
        }
        Some(_) => {
            let why = "is no SHA-256 in hexadecimal and no value that is known";
            return Err(Malformed::Header { name: SHA256, why });
        }
        None if body == BodyRole::None => (Framing::Plain, Payload::Sha256(EMPTY_SHA256.into())),
        None => (Framing::Plain, Payload::Unsigned),
    })
}

fn decoded_length(headers: &HeaderMap) -> Result<u64, Malformed> {
    let bad = |why| Malformed::Header { name: DECODED_LENGTH, why };
    let value = single(headers, DECODED_LENGTH)?
        .ok_or(bad("is missing: a body that is decoded needs its length beforehand"))?;
    let is_plain = value.bytes().all(|digit| digit.is_ascii_digit());
    value.parse().ok().filter(|_| is_plain).ok_or(bad("is no number of bytes"))
}

fn trailer(headers: &HeaderMap) -> Result<Option<Algorithm>, Malformed> {
    let Some(name) = single(headers, TRAILER)? else { return Ok(None) };
    match Algorithm::by_header(name.trim()) {
        Some(algorithm) => Ok(Some(algorithm)),
        None => Err(Malformed::Header {
            name: TRAILER,
            why: "is none of x-amz-checksum-crc32, -crc32c, -crc64nvme, -sha1, -sha256, -sha512",
        }),
    }
}

/// The one value of a header.
fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Malformed> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Malformed::Header { name, why: "is there twice: it would be a guess" });
    }
    match value.to_str() {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(Malformed::Header { name, why: "is not ASCII" }),
    }
}

fn encodings(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|coding| !coding.is_empty())
}

fn is_aws_chunked(coding: &str) -> bool {
    coding.eq_ignore_ascii_case("aws-chunked")
}

#[cfg(test)]
mod tests;
