//! Reading the files of a TLS listener, and nothing else.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::ServerTls;
use super::error::{Part, TlsError};

/// Bytes of a file with certificates or a key, at most.
pub const PEM_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Bytes of a file with revocation lists, at most.
pub const CRL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The bytes of all files of a listener, at one moment.
pub(super) struct Snapshot {
    pub(super) files: Vec<Read>,
}

/// One file that was read, or could not be.
pub(super) struct Read {
    pub(super) part: Part,
    pub(super) path: PathBuf,
    bytes: Result<Zeroizing<Vec<u8>>, io::Error>,
}

impl Snapshot {
    /// Reads them. Blocks.
    pub(super) fn take(tls: &ServerTls) -> Self {
        let fixed = [
            (Part::Certificate, &tls.certificate),
            (Part::Key, &tls.key),
            (Part::ClientCa, &tls.client_ca),
        ];
        let lists = tls.crls.iter().map(|path| (Part::Crl, path));
        let files = fixed.into_iter().chain(lists).map(|(part, path)| Read {
            part,
            path: path.clone(),
            bytes: read(path, bytes_max(part)),
        });
        Self { files: files.collect() }
    }

    /// A digest of the files of these parts, and of which of them could not be read.
    pub(super) fn digest(&self, parts: &[Part]) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        for file in self.files.iter().filter(|file| parts.contains(&file.part)) {
            match &file.bytes {
                Ok(bytes) => {
                    context.update(&(bytes.len() as u64).to_be_bytes());
                    context.update(bytes);
                }
                Err(_) => context.update(&u64::MAX.to_be_bytes()),
            }
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

impl Read {
    /// The certificates in it: at least one, or an error was added.
    pub(super) fn certificates(&self, errors: &mut Vec<TlsError>) -> Vec<CertificateDer<'static>> {
        self.sections(errors)
    }

    /// The revocation lists in it: at least one, or an error was added.
    pub(super) fn lists(
        &self,
        errors: &mut Vec<TlsError>,
    ) -> Vec<CertificateRevocationListDer<'static>> {
        self.sections(errors)
    }

    /// The first private key in it, or an error was added.
    pub(super) fn key(&self, errors: &mut Vec<TlsError>) -> Option<PrivateKeyDer<'static>> {
        self.sections(errors).into_iter().next()
    }

    fn sections<T: PemObject>(&self, errors: &mut Vec<TlsError>) -> Vec<T> {
        let (part, path) = (self.part, self.path.clone());
        let bytes = match &self.bytes {
            Ok(bytes) if bytes.len() as u64 > bytes_max(part) => {
                errors.push(TlsError::TooLarge { part, path, bytes_max: bytes_max(part) });
                return Vec::new();
            }
            Ok(bytes) => bytes,
            Err(error) => {
                let error = io::Error::new(error.kind(), error.to_string());
                errors.push(TlsError::Unreadable { part, path, error });
                return Vec::new();
            }
        };
        match T::pem_slice_iter(bytes).collect::<Result<Vec<T>, _>>() {
            Ok(sections) if sections.is_empty() => {
                errors.push(TlsError::Absent { part, path, hint: hint(part, bytes) });
                Vec::new()
            }
            Ok(sections) => sections,
            Err(error) => {
                let detail = damage(&error);
                errors.push(TlsError::Damaged { part, path, detail });
                Vec::new()
            }
        }
    }
}

fn bytes_max(part: Part) -> u64 {
    if part == Part::Crl { CRL_BYTES_MAX } else { PEM_BYTES_MAX }
}

/// At most one byte more than `bytes_max`, which shows that there is more.
fn read(path: &Path, bytes_max: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    // Opening a pipe would wait for a writer.
    let metadata = path.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    // Reserved at once, so that no half of a key is left behind by growing.
    let size = metadata.len().min(bytes_max) as usize + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What is wrong with PEM. Never the lines themselves: they may be a key's.
pub(in crate::net) fn damage(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its last section has no end".into(),
        pem::Error::IllegalSectionStart { .. } => "a `-----BEGIN` line is odd".into(),
        pem::Error::Base64Decode(_) => "a section is not Base64".into(),
        error => error.to_string(),
    }
}

fn hint(part: Part, bytes: &[u8]) -> &'static str {
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    match part {
        Part::Key if has("ENCRYPTED") => {
            "it is encrypted with a password; decrypt it with `openssl pkey -in FILE -out FILE`"
        }
        Part::Key if has("BEGIN CERTIFICATE") => {
            "it has a certificate; are `certificate` and `key` swapped?"
        }
        Part::Certificate if has("PRIVATE KEY") => {
            "it has a private key; are `certificate` and `key` swapped?"
        }
        _ if bytes.is_empty() => "it is empty",
        Part::Crl if bytes.starts_with(&[0x30]) => {
            "it is DER; write it as PEM with `openssl crl -inform DER -in FILE -out FILE.pem`"
        }
        Part::Certificate | Part::ClientCa if bytes.starts_with(&[0x30]) => {
            "it is DER; write it as PEM with `openssl x509 -inform DER -in FILE -out FILE.pem`"
        }
        Part::Key if bytes.starts_with(&[0x30]) => {
            "it is DER; write it as PEM with `openssl pkey -inform DER -in FILE -out FILE.pem`"
        }
        _ => "name a PEM file that has one",
    }
}
