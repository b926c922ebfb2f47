//! HTTP/1.1 on a byte stream, as RFC 9112 has it and nothing beyond: the server's side and the
//! client's.
//!
//! A proxy needs less of HTTP/1.1 than a general library gives, and can be stricter: what
//! another parser on the way could read differently is refused, not mended. No task and no
//! channel stands between a connection and whoever serves it, which is most of what it gains
//! over hyper; hyper's own HTTP/1.1 is the oracle that it is fuzzed against.
//!
//! ```text
//! server, client ─▶ wire (sockets, buffers)
//!                ─▶ head (parsing) ─▶ framing ─▶ decode (bodies)
//!                ─▶ encode
//! ```

pub mod client;
mod decode;
mod encode;
mod framing;
mod head;
mod incoming;
pub mod server;
#[cfg(test)]
mod tests;
mod wire;

pub use head::{Bounds, Fault};
pub use incoming::{Broken, Incoming};
pub use wire::Io;
