//! Where the body of a message ends, by its head (RFC 9112 section 6.3).

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};

use super::head::Fault;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// So many bytes; 0 is none.
    Length(u64),
    /// By chunks.
    Chunked,
    /// It lasts until the connection ends: only answers do.
    UntilClose,
}

/// Of a request. Whatever has two lengths, or a length that is not just digits, or a coding
/// that is not just `chunked`, or both, has been read in different ways by different servers.
pub fn of_request(version: Version, headers: &HeaderMap) -> Result<Framing, Fault> {
    match (coding(headers)?, length(headers)?) {
        (true, Some(_)) => {
            Err(Fault::Malformed("Transfer-Encoding and Content-Length contradict each other"))
        }
        (true, None) if version != Version::HTTP_11 => {
            Err(Fault::Malformed("Transfer-Encoding is none of HTTP/1.0"))
        }
        (true, None) => Ok(Framing::Chunked),
        (false, len) => Ok(Framing::Length(len.unwrap_or(0))),
    }
}

/// Of the answer to a request with that method.
pub fn of_response(
    method: &Method,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Framing, Fault> {
    let is_bare = *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    match (coding(headers)?, length(headers)?) {
        (true, Some(_)) => {
            Err(Fault::Malformed("Transfer-Encoding and Content-Length contradict each other"))
        }
        _ if is_bare => Ok(Framing::Length(0)),
        (true, None) => Ok(Framing::Chunked),
        (false, Some(len)) => Ok(Framing::Length(len)),
        (false, None) => Ok(Framing::UntilClose),
    }
}

/// Whether the connection may be used again after a message, as far as its head says.
pub fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    let mut keeps = version == Version::HTTP_11;
    for value in headers.get_all(CONNECTION) {
        for option in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"close") {
                return false;
            }
            keeps |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    keeps
}

/// Whether there is a transfer coding, which then is `chunked`.
fn coding(headers: &HeaderMap) -> Result<bool, Fault> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(false),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(Fault::Malformed("the transfer coding is not just chunked")),
    }
}

fn length(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let fault = || Fault::Malformed("Content-Length is not one number");
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(None) };
    if lengths.next().is_some() {
        return Err(fault());
    }
    decimal(length.as_bytes()).map(Some).ok_or_else(fault)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let add = |sum: u64, digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    };
    // Many count in signed numbers: what is larger could be a negative length to them.
    let sum = if digits.is_empty() { None } else { digits.iter().try_fold(0, add) };
    sum.filter(|sum| *sum <= i64::MAX as u64)
}
