//! HTTP/2 frames made by hand: header blocks of literals only, so that anything can be said.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::rig::{Client, Duplex, Version};

const PATIENCE: Duration = Duration::from_secs(20);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Of a HEADERS or DATA frame: nothing of this stream follows.
pub const END_STREAM: u8 = 1;
/// Of a HEADERS or CONTINUATION frame: no other part of the block follows.
pub const END_HEADERS: u8 = 4;

/// What became of the first stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// It was answered.
    Status(u16),
    /// It was reset, or the connection was ended over it.
    Broken,
    /// Nothing up to the answer to a PING.
    Nothing,
}

/// A frame of that type on that stream.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// DATA.
pub fn data(flags: u8, stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(0, flags, stream, bytes)
}

/// HEADERS with the whole block.
pub fn headers(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(1, flags | END_HEADERS, stream, &block(fields))
}

/// A header block: literals that nobody has to remember.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            length(&mut bytes, text.len());
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

fn length(bytes: &mut Vec<u8>, len: usize) {
    if len < 127 {
        bytes.push(u8::try_from(len).unwrap());
        return;
    }
    bytes.push(127);
    let mut rest = len - 127;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
}

/// Sends frames on a connection of their own and waits for what becomes of stream 1. An answer
/// counts once it is whole; what comes later is looked at by whoever asks the store.
pub async fn tell(client: &Client, frames: &[u8]) -> Told {
    let mut stream = client.clone().speaking(Version::Http2).connect().await.unwrap();
    let settings = frame(4, 0, 0, &[]);
    stream.write_all(&[PREFACE, &settings, frames].concat()).await.unwrap();
    timeout(PATIENCE, fate(&mut stream)).await.expect("the stream has an end")
}

async fn fate(stream: &mut Box<dyn Duplex>) -> Told {
    let mut status = None;
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return Told::Broken;
        }
        let len = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; len];
        if stream.read_exact(&mut payload).await.is_err() {
            return Told::Broken;
        }
        let of = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match (head[3], of) {
            (1, 1) => status = status.or(Some(status_of(&payload))),
            // It was answered before: then it is told to send no more.
            (3, 1) => return status.map_or(Told::Broken, Told::Status),
            (6, 0) if status.is_none() => return Told::Nothing,
            (7, 0) if payload[4..8] != [0; 4] => return Told::Broken,
            (4, 0) if head[4] == 0 => {
                let _ = stream.write_all(&frame(4, 1, 0, &[])).await;
            }
            _ => {}
        }
        if let (Some(status), (0 | 1, 1)) = (status, (head[3], of))
            && head[4] & END_STREAM != 0
        {
            return Told::Status(status);
        }
    }
}

/// `:status` is the first of a block: from the static table, or a literal with that name.
fn status_of(block: &[u8]) -> u16 {
    // A block may begin with changes of the table's size.
    let block = &block[block.iter().position(|byte| byte >> 5 != 1).unwrap()..];
    match block[0] {
        indexed @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        _ => {
            let (is_coded, text) = (block[1] & 128 != 0, &block[2..]);
            if !is_coded {
                return std::str::from_utf8(&text[..3]).unwrap().parse().unwrap();
            }
            // The code of digits (RFC 7541 appendix B): 0 to 2 have five bits, 3 to 9 six.
            let bits = u32::from_be_bytes([text[0], text[1], *text.get(2).unwrap_or(&255), 255]);
            let (mut at, mut status) = (0, 0);
            for _ in 0..3 {
                let five = bits << at >> 27;
                let digit = if five <= 2 { five } else { (bits << at >> 26) - 0x19 + 3 };
                at += if five <= 2 { 5 } else { 6 };
                status = status * 10 + u16::try_from(digit).unwrap();
            }
            status
        }
    }
}
