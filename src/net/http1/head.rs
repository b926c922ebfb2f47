//! The heads of messages, out of bytes.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version, request, response};
use httparse::{Header, Status};
use memchr::{memchr, memchr_iter};

/// Headers for which there is room on the stack.
const HEADERS_USUAL: usize = 100;
/// Headers that a proxy may add to a message.
const HEADERS_ADDED: usize = 8;

/// What a head may have.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes, the first line included.
    pub bytes_max: usize,
    /// Header lines.
    pub headers_max: usize,
}

/// Why a message cannot be read. The connection is of no use any more.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// It is no HTTP/1.1, or could be read in two ways.
    #[error("{0}")]
    Malformed(&'static str),
    /// It has more than its bound.
    #[error("the head has more than {bytes_max} bytes")]
    TooLarge {
        /// In bytes.
        bytes_max: usize,
    },
    /// It has more lines than its bound.
    #[error("the head has more than {headers_max} headers")]
    TooMany {
        /// How many.
        headers_max: usize,
    },
    /// It did not arrive in time.
    #[error("the head did not arrive in time")]
    Late,
}

/// Finds where a head ends, going on where it was the last time.
#[derive(Debug, Default)]
pub struct Search {
    /// Up to here there is no end.
    looked_at: usize,
    /// Bytes of empty lines before it.
    skipped: usize,
}

impl Search {
    /// Skips the empty lines that may come before a request (RFC 9112 section 2.2). They count
    /// towards its bytes: a stream of them never leaves time to look at the clock.
    pub fn skip_empty_lines(&mut self, input: &mut BytesMut, bounds: Bounds) -> Result<(), Fault> {
        while input.starts_with(b"\r\n") {
            input.advance(2);
            self.skipped += 2;
            self.looked_at = 0;
        }
        match self.skipped <= bounds.bytes_max {
            true => Ok(()),
            false => Err(Fault::TooLarge { bytes_max: bounds.bytes_max }),
        }
    }

    /// The length of the head with its empty line, once it is whole. A line may end with CR LF
    /// only: those who take a lone LF, too, see other lines than those who do not.
    pub fn end(&mut self, input: &[u8], bounds: Bounds) -> Result<Option<usize>, Fault> {
        for at in memchr_iter(b'\n', &input[self.looked_at..]) {
            let line = &input[..=self.looked_at + at];
            if !line.ends_with(b"\r\n") {
                return Err(Fault::Malformed("a line of the head does not end with CR LF"));
            }
            if line.len() == 2 || line.ends_with(b"\n\r\n") {
                self.looked_at = 0;
                return match line.len() <= bounds.bytes_max {
                    true => Ok(Some(line.len())),
                    false => Err(Fault::TooLarge { bytes_max: bounds.bytes_max }),
                };
            }
        }
        self.looked_at = input.len();
        match input.len() <= bounds.bytes_max {
            true => Ok(None),
            false => Err(Fault::TooLarge { bytes_max: bounds.bytes_max }),
        }
    }
}

/// A request's head, given from its first to its last byte.
pub fn request(bytes: &Bytes, bounds: Bounds) -> Result<request::Parts, Fault> {
    let mut head = Request::new(()).into_parts().0;
    with_lines(bounds, |lines| {
        let mut parsed = httparse::Request::new(&mut []);
        let status = parsed.parse_with_uninit_headers(bytes, lines);
        whole(status, bytes, bounds)?;
        head.method = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes())
            .map_err(|_| Fault::Malformed("the method is no word"))?;
        let target = parsed.path.unwrap_or_default().as_bytes();
        if memchr(b'#', target).is_some() {
            return Err(Fault::Malformed("the target has a fragment"));
        }
        head.uri = Uri::from_maybe_shared(bytes.slice_ref(target))
            .map_err(|_| Fault::Malformed("the target is no URI"))?;
        head.version = version(parsed.version);
        fill(&mut head.headers, bytes, parsed.headers)
    })?;
    Ok(head)
}

/// An answer's head, given from its first to its last byte.
pub fn response(bytes: &Bytes, bounds: Bounds) -> Result<response::Parts, Fault> {
    let mut head = Response::new(()).into_parts().0;
    with_lines(bounds, |lines| {
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let status = config.parse_response_with_uninit_headers(&mut parsed, bytes, lines);
        whole(status, bytes, bounds)?;
        head.status = StatusCode::from_u16(parsed.code.unwrap_or_default())
            .map_err(|_| Fault::Malformed("the status is none"))?;
        head.version = version(parsed.version);
        fill(&mut head.headers, bytes, parsed.headers)
    })?;
    Ok(head)
}

/// The lines behind the last chunk, up to their empty line.
pub fn trailers(bytes: &Bytes) -> Result<HeaderMap, Fault> {
    let mut lines = [httparse::EMPTY_HEADER; HEADERS_USUAL];
    let (end, lines) = match httparse::parse_headers(bytes, &mut lines) {
        Ok(Status::Complete(parsed)) => parsed,
        _ => return Err(Fault::Malformed("the trailers are no headers")),
    };
    if end != bytes.len() {
        return Err(Fault::Malformed("the trailers end before their empty line"));
    }
    let mut headers = HeaderMap::new();
    fill(&mut headers, bytes, lines)?;
    Ok(headers)
}

fn with_lines<'b, T>(
    bounds: Bounds,
    parse: impl FnOnce(&mut [MaybeUninit<Header<'b>>]) -> Result<T, Fault>,
) -> Result<T, Fault> {
    match bounds.headers_max {
        few @ 0..=HEADERS_USUAL => {
            parse(&mut [const { MaybeUninit::uninit() }; HEADERS_USUAL][..few])
        }
        many => parse(&mut vec![MaybeUninit::uninit(); many]),
    }
}

fn whole(
    status: Result<Status<usize>, httparse::Error>,
    bytes: &Bytes,
    bounds: Bounds,
) -> Result<(), Fault> {
    use httparse::Error;
    let what = match status {
        Ok(Status::Complete(len)) if len == bytes.len() => return Ok(()),
        Ok(_) => "the head ends before its empty line",
        Err(Error::TooManyHeaders) => {
            return Err(Fault::TooMany { headers_max: bounds.headers_max });
        }
        Err(Error::HeaderName) => "a header's name is no word",
        Err(Error::HeaderValue) => "a header's value has a byte that none may have",
        Err(Error::NewLine) => "a line of the head is not ended as it has to be",
        Err(Error::Status) => "the status line is none",
        Err(Error::Token) => "the first line is none of HTTP",
        Err(Error::Version) => "the version is none of HTTP/1",
    };
    Err(Fault::Malformed(what))
}

fn version(minor: Option<u8>) -> Version {
    match minor {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    }
}

/// The values stay where they were read.
fn fill(headers: &mut HeaderMap, bytes: &Bytes, lines: &[Header<'_>]) -> Result<(), Fault> {
    // With room for what is added on the way: to grow is to hash all of them again.
    headers.reserve(lines.len() + HEADERS_ADDED);
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes())
            .map_err(|_| Fault::Malformed("a header's name is no word"))?;
        let value = match line.value {
            b"" => HeaderValue::from_static(""),
            value => HeaderValue::from_maybe_shared(bytes.slice_ref(value))
                .map_err(|_| Fault::Malformed("a header's value has a byte that none may have"))?,
        };
        headers.append(name, value);
    }
    Ok(())
}
