//! gRPC's framing over HTTP/2: one byte that says whether a message is compressed, four that
//! say how long it is, the message; and a status behind the last one. Pure, and bounded.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use prost::Message;

/// The longest message that is read. A request has at most 1.5 MiB at etcd, a fragment of a watch
/// little more; a page of rows stays below by how many rows it may have.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// How much is told of what a server says in an error.
const STATUS_CHARS_MAX: usize = 300;

const PREFIX_BYTES: usize = 5;

/// A method of etcd.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Method(pub(super) &'static str);

impl Method {
    pub(super) const RANGE: Self = Self("/etcdserverpb.KV/Range");
    pub(super) const TXN: Self = Self("/etcdserverpb.KV/Txn");
    pub(super) const WATCH: Self = Self("/etcdserverpb.Watch/Watch");
    pub(super) const LEASE_GRANT: Self = Self("/etcdserverpb.Lease/LeaseGrant");
    pub(super) const LEASE_REVOKE: Self = Self("/etcdserverpb.Lease/LeaseRevoke");
    pub(super) const LEASE_KEEP_ALIVE: Self = Self("/etcdserverpb.Lease/LeaseKeepAlive");
    pub(super) const AUTHENTICATE: Self = Self("/etcdserverpb.Auth/Authenticate");
    pub(super) const STATUS: Self = Self("/etcdserverpb.Maintenance/Status");
    pub(super) const MEMBER_LIST: Self = Self("/etcdserverpb.Cluster/MemberList");
}

/// How a call ended, as the server says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Status {
    pub(super) code: u32,
    pub(super) message: String,
}

impl Status {
    /// The status in headers or trailers, if there is one.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let code = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
        let message = headers.get("grpc-message").and_then(|value| value.to_str().ok());
        let message = percent_decode_str(message.unwrap_or_default()).decode_utf8_lossy();
        Some(Self { code, message: readable(&message) })
    }

    pub(super) fn is_ok(&self) -> bool {
        self.code == 0
    }
}

/// What a server says, for one line of a log.
pub(super) fn readable(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(STATUS_CHARS_MAX).collect()
}

/// Why an answer cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("a message of {0} bytes is longer than the {MESSAGE_BYTES_MAX} that are read")]
    TooLong(usize),
    #[error("a message is compressed, which was not asked for")]
    Compressed,
    #[error("a message is damaged: {0}")]
    Damaged(String),
}

/// A message as it goes over the wire.
pub(super) fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).expect("nothing here is near 4 GiB"));
    message.encode(&mut bytes).expect("there is room for it");
    bytes.freeze()
}

/// Cuts what arrives into messages.
#[derive(Debug, Default)]
pub(super) struct Frames {
    arrived: BytesMut,
}

impl Frames {
    /// Some more bytes: as many as the flow control of one stream lets in, at most.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.arrived.extend_from_slice(bytes);
    }

    /// The next message, once all of it has arrived.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        let Some(prefix) = self.arrived.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let [flag, length @ ..] = *prefix;
        if flag != 0 {
            return Err(Unreadable::Compressed);
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(Unreadable::TooLong(length));
        }
        if self.arrived.len() < PREFIX_BYTES + length {
            return Ok(None);
        }
        self.arrived.advance(PREFIX_BYTES);
        Ok(Some(self.arrived.split_to(length).freeze()))
    }
}

/// Reads a message.
pub(super) fn decoded<M: Message + Default>(bytes: Bytes) -> Result<M, Unreadable> {
    M::decode(bytes).map_err(|error| Unreadable::Damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::wire::{KeyValue, LeaseGrantRequest, RangeResponse};
    use super::*;

    #[test]
    fn messages_arrive_in_any_pieces() {
        let messages = [7, 1 << 40].map(|ttl| LeaseGrantRequest { ttl });
        let wire: Vec<u8> = messages.iter().flat_map(framed).collect();
        for piece in 1..=wire.len() {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for bytes in wire.chunks(piece) {
                frames.push(bytes);
                while let Some(message) = frames.next().unwrap() {
                    found.push(decoded::<LeaseGrantRequest>(message).unwrap());
                }
            }
            assert_eq!(found, messages, "in pieces of {piece}");
        }
    }

    #[test]
    fn what_cannot_be_read() {
        fn check(bytes: &[u8], expected: Unreadable) {
            let mut frames = Frames::default();
            frames.push(bytes);
            assert_eq!(frames.next(), Err(expected), "{bytes:?}");
        }

        check(&[1, 0, 0, 0, 0], Unreadable::Compressed);
        check(&[0, 255, 255, 255, 255], Unreadable::TooLong(u32::MAX as usize));
        check(&[0, 1, 0, 0, 1], Unreadable::TooLong(MESSAGE_BYTES_MAX + 1));
        let damaged = decoded::<KeyValue>(Bytes::from_static(&[0x0a, 0x7f, 1]));
        assert!(matches!(damaged, Err(Unreadable::Damaged(_))), "{damaged:?}");
    }

    /// No bytes bring the reading of an answer down.
    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..64)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state & 0x3f) as u8
                })
                .collect();
            let _ = decoded::<RangeResponse>(bytes.into());
        }
    }

    #[test]
    fn statuses() {
        let mut headers = HeaderMap::new();
        assert_eq!(Status::of(&headers), None);
        headers.insert("grpc-status", "0".parse().unwrap());
        assert!(Status::of(&headers).unwrap().is_ok());
        headers.insert("grpc-status", "14".parse().unwrap());
        headers.insert("grpc-message", "etcdserver%3A no%0A leader".parse().unwrap());
        let expected = Status { code: 14, message: "etcdserver: no leader".to_owned() };
        assert_eq!(Status::of(&headers), Some(expected));
        headers.insert("grpc-status", "x".parse().unwrap());
        assert_eq!(Status::of(&headers), None);
    }
}
