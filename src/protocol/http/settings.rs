//! What a listener for HTTP or S3 is told by the configuration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::s3;
use crate::net::connect::Upstream;
use crate::net::tls::ServerTls;
use crate::rules::{Globs, Rules};

/// One `[listeners.NAME]` table.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Where it listens. Port 0 takes a free one.
    pub addresses: Vec<SocketAddr>,
    /// Who it is and whom it lets in.
    pub tls: ServerTls,
    /// What is spoken on it.
    pub flavor: Flavor,
    /// The store behind it.
    pub upstream: Arc<Upstream>,
    /// The header that carries the token.
    pub token_header: HeaderName,
    /// The reserved prefix for seal, status and who-am-I: begins with `/.`, ends without `/`.
    pub prefix: Arc<str>,
    /// The rules that hold on it, in the order of the file.
    pub rules: Rules,
    /// What happens to requests that no rule matches.
    pub unmatched: Unmatched,
    /// Its bounds.
    pub limits: Limits,
}

/// What is spoken on a listener.
#[derive(Clone, Debug)]
pub enum Flavor {
    /// Any HTTP: the method tells reads from writes.
    Http,
    /// S3.
    S3(s3::Settings),
}

/// Requests that no rule matches. By default every one is refused.
#[derive(Clone, Debug, Default)]
pub struct Unmatched {
    /// Whose reads are forwarded.
    pub read: Globs,
    /// Whose writes are forwarded **unfenced**.
    pub write: Globs,
}

/// The bounds of a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once of one identity.
    pub connections_per_identity_max: usize,
    /// Streams at once on one HTTP/2 connection.
    pub streams_max: u32,
    /// Bytes of a request's head.
    pub header_bytes_max: usize,
    /// Headers of a request.
    pub headers_max: usize,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a head may take to arrive; also how long an idle connection is kept.
    pub header_timeout: Duration,
    /// How long a body may stall.
    pub body_stall_timeout: Duration,
    /// Bytes of a request's body; `None` is unlimited (bodies are streamed, never held).
    pub body_bytes_max: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_identity_max: 1_000,
            streams_max: 100,
            header_bytes_max: 64 * 1024,
            headers_max: 100,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(60),
            body_stall_timeout: Duration::from_secs(60),
            body_bytes_max: None,
        }
    }
}
