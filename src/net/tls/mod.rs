//! TLS in front: server certificates, client certificates, revocation, reload.
//!
//! [`check`] tells what is wrong with the files of a listener. [`TlsStore`] holds what they
//! say, follows them as they change, and keeps what it has when the new ones do not load.

use std::path::PathBuf;
use std::time::SystemTime;

use super::identity::Source;

mod error;
mod files;
mod load;
mod remember;
mod store;
mod stream;
#[cfg(test)]
mod tests;

pub use error::{LoadError, Part, TlsError};
pub(in crate::net) use files::damage;
pub use files::{CRL_BYTES_MAX, PEM_BYTES_MAX};
pub use load::{EXPIRY_NOTICE, Loaded};
pub use store::{POLL_INTERVAL, TlsStore};
pub use stream::ServerStream;

/// The files of a TLS listener, and where identities are looked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerTls {
    /// PEM chain of the server certificate, leaf first.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
    /// PEM bundle of the authorities that client certificates are issued by.
    pub client_ca: PathBuf,
    /// PEM certificate revocation lists; empty means that revocation is not checked.
    pub crls: Vec<PathBuf>,
    /// Which field of a client certificate names the identity; the first that is there decides.
    pub identity: Vec<Source>,
}

/// What is spoken inside TLS, as client and server agree on it in the handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Alpn {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// PostgreSQL's protocol, where TLS begins without a request for it.
    Postgres,
}

impl Alpn {
    /// Its name on the wire.
    pub fn id(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
            Self::Postgres => b"postgresql",
        }
    }

    /// The one of that name.
    pub fn from_id(id: &[u8]) -> Option<Self> {
        [Self::Http1, Self::Http2, Self::Postgres].into_iter().find(|alpn| alpn.id() == id)
    }
}

/// Everything that is wrong with the files of a listener, warnings included. Blocks.
pub fn check(tls: &ServerTls) -> Vec<TlsError> {
    let (loaded, mut found) = load::load(tls, &[], &files::Snapshot::take(tls), SystemTime::now());
    if let Err(LoadError(errors)) = loaded {
        found.splice(0..0, errors);
    }
    found
}
