//! What a SCRAM exchange is bound to: the hash of the server's certificate (RFC 5929).

use aws_lc_rs::digest::{Algorithm, SHA224, SHA256, SHA384, SHA512, digest};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::signature_algorithm::RsaSsaPssParams;

use crate::net::stream::Stream;

/// The hash of the certificate that the server has shown in this connection; `None` without
/// TLS, and where the certificate's signature names no hash (Ed25519).
pub(super) fn end_point(stream: &Stream) -> Option<Vec<u8>> {
    let Stream::Tls(tls) = stream else { return None };
    let certificate = tls.get_ref().1.peer_certificates()?.first()?;
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let signature = &parsed.signature_algorithm;
    let oid = signature.algorithm.to_id_string();
    let hash = if oid == RSA_PSS {
        let parameters = RsaSsaPssParams::try_from(signature.parameters.as_ref()?).ok()?;
        of_hash(&parameters.hash_algorithm_oid().to_id_string())?
    } else {
        of_signature(&oid)?
    };
    Some(digest(hash, certificate).as_ref().to_vec())
}

const RSA_PSS: &str = "1.2.840.113549.1.1.10";

/// MD5 and SHA-1 are taken for SHA-256, by the RFC.
fn of_signature(oid: &str) -> Option<&'static Algorithm> {
    match oid {
        // RSA and ECDSA with MD5, SHA-1, SHA-256.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Some(&SHA256),
        "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" => Some(&SHA224),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(&SHA384),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(&SHA512),
        _ => None,
    }
}

fn of_hash(oid: &str) -> Option<&'static Algorithm> {
    match oid {
        "1.3.14.3.2.26" | "2.16.840.1.101.3.4.2.1" => Some(&SHA256),
        "2.16.840.1.101.3.4.2.4" => Some(&SHA224),
        "2.16.840.1.101.3.4.2.2" => Some(&SHA384),
        "2.16.840.1.101.3.4.2.3" => Some(&SHA512),
        _ => None,
    }
}
