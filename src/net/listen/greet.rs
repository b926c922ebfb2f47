//! The beginning of a connection: the plain prelude, TLS, and who the client is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::{AlertDescription, CertificateError, InvalidMessage};
use tokio::net::TcpStream;

use super::meters::Refused;
use super::{Handler, Prelude};
use crate::net::identity::{Identity, Peer, Source};
use crate::net::tls::{Alpn, Loaded, ServerStream};

/// A client that was let in.
pub(super) struct Greeted {
    pub(super) stream: Box<ServerStream>,
    pub(super) peer: Peer,
    pub(super) alpn: Option<Alpn>,
    /// Its certificate and those it sent with it, for looking at them again.
    pub(super) chain: Box<[CertificateDer<'static>]>,
}

/// Lets a client in, or says why not; `None` when it wanted nothing but the prelude. Takes as
/// long as the client likes.
pub(super) async fn greet<H: Handler>(
    handler: &H,
    mut stream: TcpStream,
    address: SocketAddr,
    loaded: &Loaded,
    order: &[Source],
) -> Result<Option<Greeted>, (Refused, String)> {
    let failed = |error: io::Error| (Refused::Handshake, explain(&error));
    let prelude = handler.prelude(&mut stream).await.map_err(failed)?;
    if prelude == Prelude::Done {
        return Ok(None);
    }
    let stream = ServerStream::accept(stream, loaded.config.clone()).await.map_err(failed)?;
    let alpn = stream.alpn_protocol().and_then(Alpn::from_id);
    if prelude == Prelude::TlsWithAlpn && alpn.is_none() {
        let detail = "TLS without asking for it first needs ALPN; upgrade the client's library";
        return Err((Refused::Handshake, detail.to_owned()));
    }
    let chain: Box<[CertificateDer<'static>]> = stream.peer_certificates().into();
    let leaf = chain.first().ok_or_else(|| {
        // The verifier asks for one, so this is not reached; but nobody gets in without.
        (Refused::Identity, "no client certificate".to_owned())
    })?;
    let identity = Identity::from_certificate(leaf, order)
        .map_err(|error| (Refused::Identity, error.to_string()))?;
    // The verifier still accepts the second in which the certificate ends.
    if identity.not_after <= SystemTime::now() {
        return Err((Refused::Identity, "the client certificate ends now".to_owned()));
    }
    let peer = Peer { identity: Arc::new(identity), address };
    Ok(Some(Greeted { stream, peer, alpn, chain }))
}

/// What went wrong in a handshake, and what the client's side can do about it.
fn explain(error: &io::Error) -> String {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => "the client went away in the handshake".to_owned(),
            _ => error.to_string(),
        };
    };
    match hint(tls) {
        Some(hint) => format!("{tls}; {hint}"),
        None => tls.to_string(),
    }
}

fn hint(error: &rustls::Error) -> Option<&'static str> {
    Some(match error {
        rustls::Error::NoCertificatesPresented => "give the client a certificate and its key",
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the client does not speak TLS; use https://"
        }
        rustls::Error::NoApplicationProtocol => {
            "client and listener have no protocol (ALPN) in common"
        }
        rustls::Error::AlertReceived(
            AlertDescription::UnknownCA | AlertDescription::BadCertificate,
        ) => "the client does not trust the listener's certificate: give it the authority's",
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => "its authority is not in `client_ca`",
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the client needs a new certificate"
            }
            CertificateError::UnknownRevocationStatus => {
                "no list in `crls` is from the certificate's authority"
            }
            CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. } => {
                "renew the authority's list in `crls`"
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "it is not a client certificate: its extended key usage lacks clientAuth"
            }
            _ => return None,
        },
        _ => return None,
    })
}
