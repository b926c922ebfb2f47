//! Who a client is, by its certificate.
//!
//! A certificate is read only after the TLS handshake has verified it. The sources are tried
//! in the order that the listener sets, and the first one that is *there* decides: a
//! certificate with two DNS names is refused, not passed on to the next source, because a
//! guess here would be a guess at who writes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

mod syntax;
#[cfg(test)]
mod tests;

/// Bytes of an identity's name, at most: it stands in logs, audit lines and the ledger.
pub const NAME_BYTES_MAX: usize = 256;

/// Bytes of a serial number, at most. RFC 5280 allows 20; some authorities go a little over.
pub const SERIAL_BYTES_MAX: usize = 32;

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
    /// The name that rules match, as the certificate spells it: `spiffe://example.org/db/a`,
    /// `a.example.org`, `a`.
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

/// Why a certificate names nobody. The client has to get another certificate, or the
/// listener has to look at another field.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdentityError {
    /// Not one X.509 certificate.
    #[error("the client certificate cannot be read; issue it again")]
    Unreadable,
    /// An alternative name that is not of its own kind's form.
    #[error(
        "the client certificate has a malformed subject alternative name; issue it again without"
    )]
    MalformedAlternativeName,
    /// None of the sources is there.
    #[error(
        "the client certificate has none of the names that this listener looks for ({}); issue \
         one that has, or add its field to `identity`",
        list(.looked)
    )]
    Missing {
        /// What was looked for.
        looked: Vec<Source>,
    },
    /// More names than one where one is needed.
    #[error(
        "the client certificate has {count} names where one is needed ({source_name}); issue it \
         with one",
        source_name = .from.field()
    )]
    Ambiguous {
        /// The deciding source.
        from: Source,
        /// How many there are.
        count: usize,
    },
    /// A name that cannot be an identity.
    #[error("the {} {name:?} cannot be an identity: {why}", .from.field())]
    Malformed {
        /// The deciding source.
        from: Source,
        /// The name, cut to [`NAME_BYTES_MAX`].
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A serial number longer than [`SERIAL_BYTES_MAX`].
    #[error("the client certificate's serial number is longer than {SERIAL_BYTES_MAX} bytes")]
    SerialTooLong,
}

impl Source {
    /// Every source, the most specific first.
    pub const ALL: [Self; 4] = [Self::Spiffe, Self::Dns, Self::Email, Self::Cn];

    /// Its word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cn => "cn",
            Self::Dns => "dns",
            Self::Email => "email",
            Self::Spiffe => "spiffe",
        }
    }

    /// The source that a name was most likely meant for, by its form; `Cn` if by none.
    pub fn guess(name: &str) -> Self {
        if syntax::is_spiffe(name) {
            Self::Spiffe
        } else if name.contains('@') {
            Self::Email
        } else if name.contains('.') && syntax::check(Self::Dns, name).is_ok() {
            Self::Dns
        } else {
            Self::Cn
        }
    }

    /// Whether a name from this source can be an identity.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`].
    pub fn check(self, name: &str) -> Result<(), IdentityError> {
        syntax::check(self, name).map_err(|why| malformed(self, name, why))
    }

    fn field(self) -> &'static str {
        match self {
            Self::Cn => "common name",
            Self::Dns => "DNS name",
            Self::Email => "e-mail address",
            Self::Spiffe => "SPIFFE ID",
        }
    }
}

impl Identity {
    /// The identity that a certificate names, by the first of `order` that it has.
    ///
    /// The certificate must have been verified: nothing here checks a signature or a date.
    ///
    /// # Errors
    /// Why it names nobody, or could name several.
    pub fn from_certificate(
        der: &CertificateDer<'_>,
        order: &[Source],
    ) -> Result<Self, IdentityError> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| IdentityError::Unreadable)?;
        if !rest.is_empty() {
            return Err(IdentityError::Unreadable);
        }
        let alternatives = alternatives(&certificate)?;
        for &source in order {
            let names = names(&certificate, alternatives, source)?;
            let name = match names[..] {
                [] => continue,
                [name] => name,
                _ => return Err(IdentityError::Ambiguous { from: source, count: names.len() }),
            };
            source.check(name)?;
            return Ok(Self {
                name: name.into(),
                source,
                serial: serial(&certificate)?.into(),
                fingerprint: fingerprint(der).into(),
                not_after: not_after(&certificate),
            });
        }
        Err(IdentityError::Missing { looked: order.to_vec() })
    }
}

/// The SHA-256 of a certificate, lower-case hex.
pub fn fingerprint(der: &CertificateDer<'_>) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref())
}

/// A certificate's serial number in lower-case hex, as `openssl x509 -serial` shows it.
pub(crate) fn serial(certificate: &X509Certificate<'_>) -> Result<String, IdentityError> {
    let mut bytes = certificate.raw_serial();
    // The sign byte of the encoding is no part of the number.
    while let [0, rest @ ..] = bytes
        && !rest.is_empty()
    {
        bytes = rest;
    }
    if bytes.len() > SERIAL_BYTES_MAX {
        return Err(IdentityError::SerialTooLong);
    }
    Ok(hex(bytes))
}

/// When a certificate ends.
pub(crate) fn not_after(certificate: &X509Certificate<'_>) -> SystemTime {
    time(certificate.validity().not_after.timestamp())
}

/// A time by its seconds since 1970; what is earlier counts as 1970.
pub(crate) fn time(unix_s: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(unix_s).unwrap_or(0))
}

/// Bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

fn alternatives<'a>(
    certificate: &'a X509Certificate<'_>,
) -> Result<&'a [GeneralName<'a>], IdentityError> {
    // Two such extensions, and names that are not of their kind's encoding, could be read in
    // one way by us and in another by whoever issued the certificate.
    let extension = certificate
        .subject_alternative_name()
        .map_err(|_| IdentityError::MalformedAlternativeName)?;
    let names = extension.map_or(&[][..], |extension| &extension.value.general_names);
    if names.iter().any(|name| matches!(name, GeneralName::Invalid(..))) {
        return Err(IdentityError::MalformedAlternativeName);
    }
    Ok(names)
}

fn names<'a>(
    certificate: &'a X509Certificate<'_>,
    alternatives: &[GeneralName<'a>],
    source: Source,
) -> Result<Vec<&'a str>, IdentityError> {
    let of = |pick: fn(&GeneralName<'a>) -> Option<&'a str>| -> Vec<&'a str> {
        alternatives.iter().filter_map(pick).collect()
    };
    Ok(match source {
        Source::Cn => certificate
            .subject()
            .iter_common_name()
            .map(|name| name.as_str().map_err(|_| malformed(source, "", syntax::ENCODING)))
            .collect::<Result<_, _>>()?,
        Source::Dns => of(|name| match name {
            GeneralName::DNSName(name) => Some(name),
            _ => None,
        }),
        Source::Email => of(|name| match name {
            GeneralName::RFC822Name(name) => Some(name),
            _ => None,
        }),
        Source::Spiffe => {
            let uris = of(|name| match name {
                GeneralName::URI(name) => Some(name),
                _ => None,
            });
            // SPIFFE has it that a certificate with one SPIFFE ID has no other URI; so a
            // second URI of any kind is ambiguous, and other URIs alone are not a SPIFFE ID.
            if uris.iter().any(|uri| syntax::is_spiffe(uri)) { uris } else { Vec::new() }
        }
    })
}

fn malformed(from: Source, name: &str, why: &'static str) -> IdentityError {
    let end = name.floor_char_boundary(NAME_BYTES_MAX);
    IdentityError::Malformed { from, name: name[..end].to_owned(), why }
}

fn list(sources: &[Source]) -> String {
    let words: Vec<_> = sources.iter().map(|source| source.word()).collect();
    words.join(", ")
}
