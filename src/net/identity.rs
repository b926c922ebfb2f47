//! Who a client is, by its certificate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

/// Where in a certificate an identity is looked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Source {
    /// The subject's common name.
    Cn,
    /// The one DNS name among the subject's alternative names.
    Dns,
    /// The one e-mail address among them.
    Email,
    /// The one `spiffe://` URI among them.
    Spiffe,
}

/// Who a client is: what its verified certificate says, in the order the listener looks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The name that rules match: `spiffe://example.org/db/a`, `a.example.org`, `a`.
    pub name: Arc<str>,
    /// Which field the name is from.
    pub source: Source,
    /// The certificate's serial number, lower-case hex.
    pub serial: Arc<str>,
    /// SHA-256 of the certificate, lower-case hex.
    pub fingerprint: Arc<str>,
    /// When the certificate ends.
    pub not_after: SystemTime,
}

/// An authenticated client connection: whom a request is from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer {
    /// Who.
    pub identity: Arc<Identity>,
    /// From where.
    pub address: SocketAddr,
}
