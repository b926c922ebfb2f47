//! RESP2 and RESP3 on the wire: requests, replies, and what Palisade writes itself.
//!
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>. Pure, bounded and resumable:
//! values are walked, not held. It is read by the letter: where Redis is lenient (what stands
//! behind a bulk, numbers below zero, a line that ends in any way), the bytes are refused, so
//! that nothing is ever read here in another way than the server reads it.

pub mod inline;
mod line;
pub mod reply;
pub mod request;
pub mod write;
