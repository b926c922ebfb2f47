//! TLS in front: server certificates, client certificates, revocation, reload.

use std::path::PathBuf;

use super::identity::Source;

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
