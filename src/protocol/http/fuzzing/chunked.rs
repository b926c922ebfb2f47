//! `aws-chunked`: the decoder against a reader that has the whole body at once.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::protocol::http::body::Decode;
use crate::protocol::http::chunks::{Plain, Watched};
use crate::protocol::http::s3::checksum::Algorithm;
use crate::protocol::http::s3::chunked::{Decoder, LINE_MAX_BYTES, TRAILERS_MAX};

/// Four bytes of settings, then the body.
///
/// # Panics
/// When the pieces that a body comes in change what is read, when the decoder and the reader
/// differ, or when the last byte of data goes out before the end is known.
pub fn aws_chunked(data: &[u8]) {
    let [flags, low, high, size, body @ ..] = data else { return };
    let is_signed = flags & 1 != 0;
    let trailer = (flags & 2 != 0).then_some(Algorithm::Crc32);
    let length = u64::from(u16::from_le_bytes([*low, *high]));
    let decoder = || Decoder::new(is_signed, length, trailer);
    let expected = reference(body, is_signed, length, trailer.is_some());
    let size = usize::from(*size % 64) + 1;
    for size in [body.len().max(1), size, 1] {
        let decoded = run(&mut Plain::new(decoder()), body, size, |_| {});
        match (&expected, decoded) {
            (Some(read), Ok(decoded)) => assert_eq!(read.data, decoded, "in pieces of {size}"),
            (None, Err(_)) => {}
            (read, decoded) => {
                // The reader leaves the checksum alone.
                let is_checksum = read.is_some() && trailer.is_some() && decoded.is_err();
                assert!(is_checksum, "{read:?} and {decoded:?} in pieces of {size}");
            }
        }
        let watched = run(&mut Watched::new(decoder()), body, size, |gone| {
            if let Some(last) = expected.as_ref().and_then(|read| read.last_data) {
                assert!(gone <= last, "{gone} bytes went out in pieces of {size}: {last}");
            }
        });
        if let Ok(watched) = watched {
            assert_eq!(watched, body, "in pieces of {size}");
            assert!(expected.is_some());
        }
    }
}

/// Everything that comes out; `gone` is told how much before the end.
fn run(
    decode: &mut impl Decode,
    body: &[u8],
    size: usize,
    mut gone: impl FnMut(usize),
) -> Result<Vec<u8>, String> {
    let mut out = VecDeque::new();
    for piece in body.chunks(size) {
        decode.push(Bytes::copy_from_slice(piece), &mut out)?;
        gone(out.iter().map(Bytes::len).sum());
    }
    decode.finish(&mut out)?;
    Ok(out.iter().flatten().copied().collect())
}

#[derive(Debug)]
struct Read {
    data: Vec<u8>,
    /// Where the last byte of data is.
    last_data: Option<usize>,
}

fn reference(body: &[u8], is_signed: bool, length: u64, has_trailer: bool) -> Option<Read> {
    let mut read = Read { data: Vec::new(), last_data: None };
    let mut at = 0;
    let line = |at: &mut usize| {
        let rest = &body[*at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        *at += end + 2;
        let line = &rest[..end];
        (end + 2 <= LINE_MAX_BYTES && !line.contains(&b'\n')).then_some(line)
    };
    loop {
        let head = std::str::from_utf8(line(&mut at)?).ok()?;
        let (digits, signature) = match head.split_once(";chunk-signature=") {
            Some((digits, signature)) => (digits, Some(signature)),
            None => (head, None),
        };
        let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
        let signature_is_fine = match signature {
            Some(signature) => is_signed && is_hex(&signature.replace('*', "")),
            None => !is_signed,
        };
        if !signature_is_fine || digits.is_empty() || digits.len() > 16 || !is_hex(digits) {
            return None;
        }
        let size = usize::try_from(u64::from_str_radix(digits, 16).ok()?).ok()?;
        if size == 0 {
            break;
        }
        let end = at.checked_add(size)?;
        read.data.extend_from_slice(body.get(at..end)?);
        if read.data.len() as u64 > length || body.get(end..end + 2)? != b"\r\n" {
            return None;
        }
        read.last_data = Some(end - 1);
        at = end + 2;
    }
    let (mut trailers, mut checksums) = (0, 0);
    loop {
        let trailer = line(&mut at)?;
        if trailer.is_empty() {
            break;
        }
        let (name, _) = std::str::from_utf8(trailer).ok()?.split_once(':')?;
        trailers += 1;
        match name.to_ascii_lowercase().as_str() {
            "x-amz-trailer-signature" if is_signed => {}
            "x-amz-checksum-crc32" if has_trailer => checksums += 1,
            _ => return None,
        }
    }
    let is_whole = at == body.len() && read.data.len() as u64 == length;
    let trailers_are_fine = trailers <= TRAILERS_MAX && checksums == usize::from(has_trailer);
    (is_whole && trailers_are_fine).then_some(read)
}
