//! HTTP/2 by hand: frames as a hostile client sends them.

use crate::rig::{Client, Version};
use crate::wire::Wire;

/// What a client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames.
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Flags of them.
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame as it came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Headers, each a literal that is not indexed.
pub fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            // An integer with a prefix of seven bits.
            match text.len() {
                short @ 0..127 => block.push(u8::try_from(short).unwrap()),
                long => {
                    block.push(127);
                    let mut rest = long - 127;
                    while rest >= 128 {
                        block.push(u8::try_from(rest % 128).unwrap() | 128);
                        rest /= 128;
                    }
                    block.push(u8::try_from(rest).unwrap());
                }
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// The headers of a request with that token.
pub fn request(method: &str, path: &str, token: &str) -> Vec<u8> {
    block(&[
        (":method", method),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", path),
        ("fencing-token", token),
    ])
}

/// A connection on which the preface and these settings were sent: pairs of a name and a value.
pub async fn open(client: &Client, settings: &[(u16, u32)]) -> Wire {
    let mut wire = Wire::open(&client.clone().speaking(Version::Http2)).await;
    let mut payload = Vec::new();
    for (name, value) in settings {
        payload.extend_from_slice(&name.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    wire.say([PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat()).await;
    wire
}

/// The next frame; `None` at the end of the connection.
pub async fn next(wire: &mut Wire) -> Option<Frame> {
    let head = wire.exactly(9).await?;
    let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & (u32::MAX >> 1);
    let payload = wire.exactly(len).await?;
    Some(Frame { kind: head[3], flags: head[4], stream, payload })
}

/// Reads until a frame is of that kind; `None` when the connection ends before.
pub async fn until(wire: &mut Wire, kind: u8) -> Option<Frame> {
    loop {
        let frame = next(wire).await?;
        if frame.kind == kind {
            return Some(frame);
        }
    }
}
