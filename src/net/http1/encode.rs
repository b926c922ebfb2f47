//! Heads and bodies, into bytes.

use std::cell::RefCell;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, TRAILER, TRANSFER_ENCODING,
};
use http::{Method, StatusCode, request, response};

/// Room for a usual head.
const HEAD_BYTES: usize = 1024;

/// A request's head. `len` is that of its body; `None` is chunked.
pub fn request(head: &request::Parts, len: Option<u64>, out: &mut Vec<u8>) {
    out.reserve(HEAD_BYTES);
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(
        head.uri.path_and_query().map_or("/", |target| target.as_str()).as_bytes(),
    );
    out.extend_from_slice(b" HTTP/1.1\r\n");
    lines(&head.headers, out, |name| name == CONTENT_LENGTH || name == TRANSFER_ENCODING);
    let says_length = || {
        matches!(head.method, Method::PATCH | Method::POST | Method::PUT)
            || head.headers.contains_key(CONTENT_LENGTH)
    };
    match len {
        Some(0) if !says_length() => {}
        Some(len) => content_length(len, out),
        None => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    out.extend_from_slice(b"\r\n");
}

/// How the body of an answer is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AnswerFraming {
    /// None, whatever the head says about it: after HEAD, and with some statuses.
    Bare,
    /// So many bytes.
    Length(u64),
    /// By chunks.
    Chunked,
}

/// An answer's head.
pub fn response(head: &response::Parts, framing: AnswerFraming, closes: bool, out: &mut Vec<u8>) {
    out.reserve(HEAD_BYTES);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.status.canonical_reason().unwrap_or("").as_bytes());
    out.extend_from_slice(b"\r\n");
    let keeps_length = framing == AnswerFraming::Bare && head.status != StatusCode::NO_CONTENT;
    lines(&head.headers, out, |name| match *name {
        CONTENT_LENGTH => !keeps_length,
        CONNECTION | TRANSFER_ENCODING => true,
        TRAILER => framing != AnswerFraming::Chunked,
        _ => false,
    });
    match framing {
        AnswerFraming::Bare => {}
        AnswerFraming::Length(len) => content_length(len, out),
        AnswerFraming::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    if closes {
        out.extend_from_slice(b"connection: close\r\n");
    }
    if !head.headers.contains_key(DATE) {
        date(out);
    }
    out.extend_from_slice(b"\r\n");
}

/// The line before a chunk.
pub fn chunk_line(len: usize, out: &mut Vec<u8>) {
    // A vector takes whatever is written to it.
    let _ = write!(out, "{len:x}\r\n");
}

/// The end of a chunked body.
pub fn last_chunk(trailers: Option<&HeaderMap>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        lines(trailers, out, |_| false);
    }
    out.extend_from_slice(b"\r\n");
}

fn lines(headers: &HeaderMap, out: &mut Vec<u8>, is_left_out: impl Fn(&HeaderName) -> bool) {
    for (name, value) in headers {
        if is_left_out(name) {
            continue;
        }
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
}

fn content_length(len: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Of this second (RFC 9110 section 6.6.1), made once a second.
fn date(out: &mut Vec<u8>) {
    thread_local! {
        static LINE: RefCell<(Option<Duration>, String)> = const { RefCell::new((None, String::new())) };
    }
    let now = SystemTime::now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let second = Some(Duration::from_secs(since.as_secs()));
    LINE.with_borrow_mut(|(of, line)| {
        if *of != second {
            *of = second;
            *line = format!("date: {}\r\n", httpdate::fmt_http_date(now));
        }
        out.extend_from_slice(line.as_bytes());
    });
}
