//! A small certificate authority: for development, for tests, and for installations that
//! have no other.
//!
//! It is three files in a folder: `ca.pem`, `ca.key` and `crl.pem`. The revocation list is
//! its only memory of what was revoked; of what was issued it keeps none. Its lists stay valid
//! as long as the authority, because nobody is there to sign fresh ones every week.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, RevokedCertParams, SanType, SerialNumber,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::identity::{IdentityError, Source, hex};

mod files;
#[cfg(test)]
mod tests;

pub use files::{CERTIFICATE_FILE, KEY_FILE, REVOCATION_FILE};

/// How long an authority lives by default.
pub const AUTHORITY_LIFETIME: Duration = Duration::from_secs(3650 * 86_400);

/// How long what it issues lives by default.
pub const LEAF_LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// No certificate lives longer.
pub const LIFETIME_MAX: Duration = Duration::from_secs(36_500 * 86_400);

/// Names of one server certificate, at most.
pub const SERVER_NAMES_MAX: usize = 100;

/// Certificates begin this much earlier, for clients whose clock is behind.
const BACKDATING: Duration = Duration::from_secs(300);

/// A certificate authority with its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    not_after: SystemTime,
    list_number: u64,
    revoked: Vec<Revoked>,
}

/// A certificate with its key, as PEM.
pub struct Issued {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: Zeroizing<String>,
    /// Its serial number, lower-case hex.
    pub serial: String,
}

#[derive(Clone)]
struct Revoked {
    serial: Vec<u8>,
    unix_s: u64,
}

/// Why the authority did not do it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file is there already.
    #[error("{} is there already; choose another folder or name, or overwrite it with --force", .0.display())]
    Exists(std::path::PathBuf),
    /// A file could not be read or written.
    #[error("cannot {verb} {}: {error}", path.display())]
    File {
        /// `read`, `write`, `lock`.
        verb: &'static str,
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A folder that is not an authority's.
    #[error(
        "{} has no {file}; name the folder that `palisade certs ca --out` wrote, or put the file back",
        dir.display()
    )]
    NotAnAuthority {
        /// The folder.
        dir: std::path::PathBuf,
        /// What is missing.
        file: &'static str,
    },
    /// A file that is not what it should be.
    #[error("{} is not {what}", path.display())]
    Malformed {
        /// Which.
        path: std::path::PathBuf,
        /// What it should be.
        what: &'static str,
    },
    /// A name that a server certificate cannot bear.
    #[error(
        "{0:?} is neither a DNS name nor an IP address; examples: localhost, *.example.org, 127.0.0.1"
    )]
    ServerName(String),
    /// No names for a server certificate, or too many.
    #[error("a server certificate needs from 1 to {SERVER_NAMES_MAX} names, not {0}")]
    ServerNames(usize),
    /// A name that Palisade itself would refuse.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What is not a serial number.
    #[error("{0:?} is no serial number; give the certificate's file, or its serial number in hex")]
    Serial(String),
    /// A certificate of another authority.
    #[error("{} was issued by another authority; revoke it there", .0.display())]
    Foreign(std::path::PathBuf),
    /// A certificate that would outlive its authority.
    #[error(
        "the authority ends in {left_days} days; issue for fewer days, or make a new authority"
    )]
    OutlivesAuthority {
        /// What is left.
        left_days: u64,
    },
    /// A lifetime of nothing, or beyond [`LIFETIME_MAX`].
    #[error("a certificate must be valid for at least a second, and at most 100 years")]
    Lifetime,
    /// The cryptographic library failed.
    #[error("cannot make a key or certificate: {0}")]
    Crypto(#[from] rcgen::Error),
}

impl Authority {
    /// A new authority, in memory: [`Authority::save`] writes it.
    ///
    /// # Errors
    /// [`AuthorityError::Lifetime`], [`AuthorityError::Crypto`].
    pub fn new(name: &str, lifetime: Duration) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let not_after = after(lifetime)?;
        let mut params = params(not_after)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, certificate_pem, not_after, list_number: 1, revoked: Vec::new() })
    }

    /// Its certificate, as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A certificate for a listener that is reached by these DNS names and IP addresses.
    ///
    /// # Errors
    /// A name that cannot be in it, or a lifetime longer than the authority's.
    pub fn issue_server(
        &self,
        names: &[String],
        lifetime: Duration,
    ) -> Result<Issued, AuthorityError> {
        if names.is_empty() || names.len() > SERVER_NAMES_MAX {
            return Err(AuthorityError::ServerNames(names.len()));
        }
        let alternatives = names.iter().map(|name| server_name(name)).collect::<Result<_, _>>()?;
        self.issue(alternatives, None, ExtendedKeyUsagePurpose::ServerAuth, lifetime)
    }

    /// A certificate for a client of that identity, which stands in the field where `source`
    /// looks for it, and nowhere else.
    ///
    /// # Errors
    /// A name that Palisade would not accept as an identity, or a lifetime longer than the
    /// authority's.
    pub fn issue_client(
        &self,
        source: Source,
        name: &str,
        lifetime: Duration,
    ) -> Result<Issued, AuthorityError> {
        source.check(name)?;
        let ia5 = || name.try_into();
        let (alternatives, common_name) = match source {
            Source::Cn => (vec![], Some(name)),
            Source::Dns => (vec![SanType::DnsName(ia5()?)], None),
            Source::Email => (vec![SanType::Rfc822Name(ia5()?)], None),
            Source::Spiffe => (vec![SanType::URI(ia5()?)], None),
        };
        self.issue(alternatives, common_name, ExtendedKeyUsagePurpose::ClientAuth, lifetime)
    }

    /// Puts a serial number (hex) on the revocation list; false if it is there already.
    ///
    /// # Errors
    /// [`AuthorityError::Serial`].
    pub fn revoke(&mut self, serial: &str) -> Result<bool, AuthorityError> {
        let serial = files::serial_bytes(serial)?;
        if self.revoked.iter().any(|entry| entry.serial == serial) {
            return Ok(false);
        }
        self.revoked.push(Revoked { serial, unix_s: unix_s(SystemTime::now()) });
        self.list_number += 1;
        Ok(true)
    }

    /// Its revocation list, signed now, as PEM.
    ///
    /// # Errors
    /// [`AuthorityError::Crypto`].
    pub fn revocation_list_pem(&self) -> Result<String, AuthorityError> {
        let revoked_certs = self.revoked.iter().map(|entry| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&entry.serial),
                revocation_time: date(entry.unix_s)?,
                reason_code: None,
                invalidity_date: None,
            })
        });
        let list = CertificateRevocationListParams {
            this_update: date(unix_s(SystemTime::now() - BACKDATING))?,
            next_update: date(unix_s(self.not_after))?,
            crl_number: SerialNumber::from(self.list_number),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect::<Result<_, AuthorityError>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }

    fn issue(
        &self,
        alternatives: Vec<SanType>,
        common_name: Option<&str>,
        purpose: ExtendedKeyUsagePurpose,
        lifetime: Duration,
    ) -> Result<Issued, AuthorityError> {
        let not_after = after(lifetime)?;
        if not_after > self.not_after {
            let left = self.not_after.duration_since(SystemTime::now()).unwrap_or_default();
            return Err(AuthorityError::OutlivesAuthority { left_days: left.as_secs() / 86_400 });
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = params(not_after)?;
        params.subject_alt_names = alternatives;
        match common_name {
            Some(name) => params.distinguished_name.push(DnType::CommonName, name),
            // An empty subject is allowed, but not every tool bears it.
            None => params.distinguished_name.push(DnType::OrganizationName, "palisade certs"),
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let serial = params.serial_number.as_ref().map(|serial| hex(&serial.to_bytes()));
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate_pem: certificate.pem(),
            key_pem: Zeroizing::new(key.serialize_pem()),
            serial: serial.unwrap_or_default(),
        })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("revoked", &self.revoked.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("serial", &self.serial).finish_non_exhaustive()
    }
}

fn params(not_after: SystemTime) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = date(unix_s(SystemTime::now() - BACKDATING))?;
    params.not_after = date(unix_s(not_after))?;
    params.serial_number = Some(random_serial()?);
    Ok(params)
}

fn random_serial() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| rcgen::Error::RingUnspecified)?;
    // Positive, and never with leading zeros, so that every tool shows the same digits.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn server_name(name: &str) -> Result<SanType, AuthorityError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let bare = name.strip_prefix("*.").unwrap_or(name);
    let refused = || AuthorityError::ServerName(name.to_owned());
    Source::Dns.check(bare).map_err(|_| refused())?;
    Ok(SanType::DnsName(name.try_into().map_err(|_| refused())?))
}

fn unix_s(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn date(unix_s: u64) -> Result<OffsetDateTime, AuthorityError> {
    i64::try_from(unix_s)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or(AuthorityError::Lifetime)
}

fn after(lifetime: Duration) -> Result<SystemTime, AuthorityError> {
    let too_short = lifetime < Duration::from_secs(1);
    if too_short || lifetime > LIFETIME_MAX {
        return Err(AuthorityError::Lifetime);
    }
    Ok(SystemTime::now() + lifetime)
}
