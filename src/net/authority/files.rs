//! The authority's folder: reading it, and writing without ever taking away what is there.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;
use zeroize::Zeroizing;

use super::{Authority, AuthorityError, Issued, Revoked};
use crate::net::identity::{self, SERIAL_BYTES_MAX};

/// The authority's certificate, in its folder.
pub const CERTIFICATE_FILE: &str = "ca.pem";
/// The authority's private key.
pub const KEY_FILE: &str = "ca.key";
/// The authority's revocation list.
pub const REVOCATION_FILE: &str = "crl.pem";

const PUBLIC: u32 = 0o644;
const SECRET: u32 = 0o600;

impl Authority {
    /// Writes a new authority into a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`AuthorityError::Exists`] unless `force`; nothing is written then.
    pub fn save(&self, dir: &Path, force: bool) -> Result<(), AuthorityError> {
        let key = Zeroizing::new(self.issuer.key().serialize_pem());
        let list = self.revocation_list_pem()?;
        let files = [
            (dir.join(KEY_FILE), key.as_str(), SECRET),
            (dir.join(CERTIFICATE_FILE), self.certificate_pem(), PUBLIC),
            (dir.join(REVOCATION_FILE), list.as_str(), PUBLIC),
        ];
        write_all(dir, &files, force)
    }

    /// Reads an authority from its folder.
    ///
    /// # Errors
    /// What is missing or malformed there. A missing revocation list is an error too: a fresh
    /// one would let every revoked certificate in again.
    pub fn load(dir: &Path) -> Result<Self, AuthorityError> {
        let part = |file: &'static str| -> Result<(PathBuf, Zeroizing<String>), AuthorityError> {
            let path = dir.join(file);
            match fs::read_to_string(&path) {
                Ok(text) => Ok((path, Zeroizing::new(text))),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    Err(AuthorityError::NotAnAuthority { dir: dir.to_owned(), file })
                }
                Err(error) => Err(AuthorityError::File { verb: "read", path, error }),
            }
        };
        let (key_path, key) = part(KEY_FILE)?;
        let key =
            KeyPair::from_pem(&key).map_err(|_| malformed(&key_path, "a private key in PEM"))?;
        let (path, pem) = part(CERTIFICATE_FILE)?;
        let wrong = || malformed(&path, "an authority's certificate in PEM");
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong())?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| wrong())?;
        if !certificate.is_ca() {
            return Err(wrong());
        }
        if certificate.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(malformed(&key_path, "the key of the ca.pem beside it"));
        }
        let (list_path, list) = part(REVOCATION_FILE)?;
        let (list_number, revoked) = revoked(&list, &certificate)
            .ok_or_else(|| malformed(&list_path, "the revocation list of the ca.pem beside it"))?;
        Ok(Self {
            not_after: identity::not_after(&certificate),
            issuer: Issuer::from_ca_cert_der(&der, key)?,
            certificate_pem: pem.to_string(),
            list_number,
            revoked,
        })
    }

    /// Revokes a certificate of the authority in a folder, and writes its list anew there.
    /// False if it was revoked already. Two calls at once wait for each other.
    ///
    /// # Errors
    /// What is wrong with the folder, or [`AuthorityError::Serial`].
    pub fn revoke_in(dir: &Path, serial: &str) -> Result<bool, AuthorityError> {
        let path = dir.join(KEY_FILE);
        // Without a lock, the slower of two would write a list without the other's entry.
        let lock = File::open(&path).ok();
        if let Some(lock) = &lock {
            lock.lock().map_err(|error| AuthorityError::File { verb: "lock", path, error })?;
        }
        let mut authority = Self::load(dir)?;
        if !authority.revoke(serial)? {
            return Ok(false);
        }
        let list = authority.revocation_list_pem()?;
        write(&dir.join(REVOCATION_FILE), list.as_bytes(), PUBLIC, true)?;
        Ok(true)
    }

    /// The serial number (hex) of a certificate file, if this authority issued it.
    ///
    /// # Errors
    /// [`AuthorityError::Foreign`], or what is wrong with the file.
    pub fn own_serial(&self, path: &Path) -> Result<String, AuthorityError> {
        let wrong = || malformed(path, "a certificate in PEM");
        let bytes = fs::read(path).map_err(|error| AuthorityError::File {
            verb: "read",
            path: path.to_owned(),
            error,
        })?;
        let der = CertificateDer::from_pem_slice(&bytes).map_err(|_| wrong())?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| wrong())?;
        let own =
            CertificateDer::from_pem_slice(self.certificate_pem.as_bytes()).map_err(|_| wrong())?;
        let (_, own) = X509Certificate::from_der(&own).map_err(|_| wrong())?;
        if certificate.issuer().as_raw() != own.subject().as_raw() {
            return Err(AuthorityError::Foreign(path.to_owned()));
        }
        Ok(identity::serial(&certificate)?)
    }
}

impl Issued {
    /// Writes `NAME.pem` and `NAME.key` into a folder, which is made if it is not there, and
    /// returns their paths.
    ///
    /// # Errors
    /// [`AuthorityError::Exists`] unless `force`; nothing is written then.
    pub fn save(
        &self,
        dir: &Path,
        name: &str,
        force: bool,
    ) -> Result<(PathBuf, PathBuf), AuthorityError> {
        let (certificate, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
        let files = [
            (key.clone(), self.key_pem.as_str(), SECRET),
            (certificate.clone(), self.certificate_pem.as_str(), PUBLIC),
        ];
        write_all(dir, &files, force)?;
        Ok((certificate, key))
    }
}

/// A serial number's bytes, from hex as `palisade certs show` and `openssl` print it.
pub(super) fn serial_bytes(text: &str) -> Result<Vec<u8>, AuthorityError> {
    let wrong = || AuthorityError::Serial(text.chars().take(80).collect());
    let digits: String = text.chars().filter(|&c| c != ':').collect();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() || digits.len() > 2 * SERIAL_BYTES_MAX {
        return Err(wrong());
    }
    let even = format!("{}{digits}", if digits.len() % 2 == 1 { "0" } else { "" });
    even.as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            pair.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect::<Option<_>>()
        .ok_or_else(wrong)
}

fn revoked(pem: &str, authority: &X509Certificate<'_>) -> Option<(u64, Vec<Revoked>)> {
    let der =
        rustls::pki_types::CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (_, list) = CertificateRevocationList::from_der(&der).ok()?;
    if list.issuer().as_raw() != authority.subject().as_raw() {
        return None;
    }
    let number = list.crl_number()?.iter_u64_digits().next().unwrap_or(0);
    let entries = list.iter_revoked_certificates().map(|entry| {
        let bytes = entry.raw_serial();
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        Revoked {
            serial: bytes[zeros..].to_vec(),
            unix_s: u64::try_from(entry.revocation_date.timestamp()).unwrap_or(0),
        }
    });
    Some((number, entries.collect()))
}

fn malformed(path: &Path, what: &'static str) -> AuthorityError {
    AuthorityError::Malformed { path: path.to_owned(), what }
}

fn write_all(
    dir: &Path,
    files: &[(PathBuf, &str, u32)],
    force: bool,
) -> Result<(), AuthorityError> {
    fs::create_dir_all(dir).map_err(|error| AuthorityError::File {
        verb: "write",
        path: dir.to_owned(),
        error,
    })?;
    if !force && let Some((path, ..)) = files.iter().find(|(path, ..)| path.exists()) {
        return Err(AuthorityError::Exists(path.clone()));
    }
    files.iter().try_for_each(|(path, text, mode)| write(path, text.as_bytes(), *mode, force))
}

/// Writes beside and renames, so that a listener that polls the file never sees half of it.
fn write(path: &Path, bytes: &[u8], mode: u32, force: bool) -> Result<(), AuthorityError> {
    let failed = |error| AuthorityError::File { verb: "write", path: path.to_owned(), error };
    let fresh = |path: &Path| -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    if !force {
        return fresh(path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => AuthorityError::Exists(path.to_owned()),
            _ => failed(error),
        });
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = fresh(&beside).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.map_err(failed)
}
