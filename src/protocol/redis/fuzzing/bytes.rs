//! Bytes as they come: requests, replies, and lines of words.

use redis::parse_redis_value;

use super::super::codec::inline::{self, InlineError};
use super::super::codec::reply::{Replies, ReplyError};
use super::super::codec::request::{Request, RequestError};
use super::super::codec::write;
use super::peers::{self, Heard};

/// One byte that says how long the pieces are, and what a client sends.
///
/// # Panics
/// When pieces change something, or what is understood is not what a server understands.
pub(crate) fn request(data: &[u8]) {
    let Some((&piece, mut bytes)) = data.split_first() else { return };
    while let Some(len) = one_request(bytes, usize::from(piece).max(1)) {
        bytes = &bytes[len..];
    }
}

/// How long the request at the front is, if all of it is there.
fn one_request(bytes: &[u8], piece: usize) -> Option<usize> {
    let mut request = Request::default();
    let read = request.read(bytes);
    let mut pieced = Request::default();
    let mut again = pieced.read(b"");
    let mut end = 0;
    while again.is_ok() && pieced.len().is_none() && end < bytes.len() {
        end = bytes.len().min(end + piece);
        again = pieced.read_on(&bytes[..end]);
    }
    assert_eq!(again, read);
    if read.is_ok() {
        assert_eq!((pieced.len(), pieced.here()), (request.len(), request.here()));
    }
    let passed = pass(bytes, piece);
    match read {
        Err(RequestError::Inline(InlineError::Quotes)) => {}
        Err(error) => assert_eq!(passed, Err(error)),
        Ok(_) => assert_eq!(passed, Ok(request.len().unwrap_or(bytes.len()))),
    }
    read.ok()?;
    let Some(len) = request.len() else {
        assert_eq!(peers::server(bytes), Heard::More, "{request:?}");
        return None;
    };
    let arguments: Vec<_> =
        (0..request.count()).map(|index| request.arg(bytes, index).expect("it is here")).collect();
    let same: Vec<_> = arguments.iter().map(|argument| argument.to_vec()).collect();
    assert_eq!(peers::server(bytes), Heard::Request(same, len), "{request:?}");
    let mut out = Vec::new();
    write::command(&mut out, &arguments);
    if !request.is_inline() && !request.is_empty() {
        assert_eq!(out, bytes[..len], "there is one way to write it");
    }
    assert_eq!(pieced.read(&out), Ok(true));
    let index = arguments.len();
    assert!((0..index).all(|index| pieced.arg(&out, index) == Some(arguments[index])));
    Some(len)
}

/// How many of the bytes belong to the request at their front.
fn pass(bytes: &[u8], piece: usize) -> Result<usize, RequestError> {
    let mut passing = Request::default().passing();
    let mut total = 0;
    for piece in bytes.chunks(piece) {
        let count = passing.advance(piece)?;
        assert!(count == piece.len() || passing.is_done());
        total += count;
        if passing.is_done() {
            break;
        }
    }
    Ok(total)
}

/// One byte that says how long the pieces are, and what a server sends.
///
/// # Panics
/// When pieces change something, or values end where they do not end for a client.
pub(crate) fn reply(data: &[u8]) {
    let Some((&piece, mut bytes)) = data.split_first() else { return };
    let piece = usize::from(piece).max(1);
    let mut replies = Replies::new();
    loop {
        let found = walk(&mut replies, bytes, piece);
        assert_eq!(found, walk(&mut Replies::new(), bytes, bytes.len().max(1)));
        match found {
            Ok(Some(end)) => {
                assert!(replies.is_between());
                assert_eq!(peers::client(bytes), Ok(Some(end)));
                assert!(parse_redis_value(&bytes[..end - 1]).is_err(), "it ends sooner");
                bytes = &bytes[end..];
            }
            Ok(None) => return assert_eq!(peers::client(bytes), Ok(None)),
            Err(_) => return,
        }
    }
}

/// Where the value at the front ends, if it does.
fn walk(replies: &mut Replies, bytes: &[u8], piece: usize) -> Result<Option<usize>, ReplyError> {
    let mut total = 0;
    for piece in bytes.chunks(piece) {
        let step = replies.advance(piece)?;
        assert!(step.is_end || step.bytes == piece.len());
        total += step.bytes;
        if step.is_end {
            return Ok(Some(total));
        }
    }
    Ok(None)
}

/// A line of words.
///
/// # Panics
/// When it is split in another way than a server splits it.
pub(crate) fn line(data: &[u8]) {
    let line = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = [b" ", line.strip_suffix(b"\r").unwrap_or(line)].concat();
    let found = inline::arguments(&line);
    let mut request = Request::default();
    let bytes = [&line[..], b"\r\n"].concat();
    let read = request.read(&bytes);
    let Ok(arguments) = found else {
        assert_eq!(read, found.map(|_| true).map_err(RequestError::Inline));
        return;
    };
    assert_eq!(Some(&arguments), peers::split(&line).as_ref());
    assert_eq!((read, request.len()), (Ok(true), Some(bytes.len())));
    let same = (0..request.count()).map_while(|index| request.arg(&bytes, index));
    assert!(same.eq(arguments.iter()), "{request:?}");
    let mut quoted = Vec::new();
    for argument in &arguments {
        quoted.extend_from_slice(b" \"");
        for &byte in argument {
            match byte {
                b'\n' => quoted.extend_from_slice(b"\\n"),
                0 => quoted.extend_from_slice(b"\\x00"),
                b'"' | b'\\' => quoted.extend_from_slice(&[b'\\', byte]),
                byte => quoted.push(byte),
            }
        }
        quoted.push(b'"');
    }
    assert_eq!(inline::arguments(&quoted), Ok(arguments));
}
