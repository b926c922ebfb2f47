//! What can be wrong with the files of a TLS listener, and how to mend it.

use std::fmt;
use std::path::{Path, PathBuf};

/// What a file is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// `certificate`
    Certificate,
    /// `key`
    Key,
    /// `client_ca`
    ClientCa,
    /// One of `crls`.
    Crl,
}

/// One thing that is wrong with one file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read.
    #[error("cannot read {} (`{part}`): {error}", path.display())]
    Unreadable {
        /// What it is for.
        part: Part,
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is too large to be what it should be.
    #[error(
        "{} (`{part}`) is larger than {bytes_max} bytes; is it the right file?", path.display()
    )]
    TooLarge {
        /// What it is for.
        part: Part,
        /// The file.
        path: PathBuf,
        /// How large it may be.
        bytes_max: u64,
    },
    /// It begins as PEM and then is not.
    #[error("{} (`{part}`) is damaged PEM: {detail}; copy it again", path.display())]
    Damaged {
        /// What it is for.
        part: Part,
        /// The file.
        path: PathBuf,
        /// Where it breaks.
        detail: String,
    },
    /// It has no section of the kind that is needed.
    #[error("{} (`{part}`) has no {}; {hint}", path.display(), part.section())]
    Absent {
        /// What it is for.
        part: Part,
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
    },
    /// A section is PEM of something else.
    #[error(
        "{} (`{part}`): {} number {number} cannot be used: {detail}",
        path.display(),
        part.section()
    )]
    Unusable {
        /// What it is for.
        part: Part,
        /// The file.
        path: PathBuf,
        /// Which section, from 1.
        number: usize,
        /// Why.
        detail: String,
    },
    /// The key is another certificate's.
    #[error(
        "{} is not the key of the first certificate in {}; install the two together, the \
         server's own certificate before those of its authorities",
        key.display(),
        certificate.display()
    )]
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// TLS could not be set up from files that are all right one by one.
    #[error("TLS cannot be set up from {}: {error}", path.display())]
    Setup {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        error: rustls::Error,
    },
    /// Warning: the certificate has ended.
    #[error(
        "{} (`{part}`) has expired on {on}: {effect}; renew it", path.display(), effect = part.expiry()
    )]
    Expired {
        /// What it is for.
        part: Part,
        /// The file.
        path: PathBuf,
        /// When, as a date.
        on: String,
    },
    /// Warning: the certificate has not begun.
    #[error(
        "{} (`{part}`) is not valid before {from}; check this machine's clock", path.display()
    )]
    NotYetValid {
        /// What it is for.
        part: Part,
        /// The file.
        path: PathBuf,
        /// When, as a date.
        from: String,
    },
    /// Warning: it ends soon.
    #[error("{} (`{part}`) expires on {on}; renew it", path.display())]
    ExpiresSoon {
        /// What it is for.
        part: Part,
        /// The file.
        path: PathBuf,
        /// When, as a date.
        on: String,
    },
    /// Warning: a server certificate without names.
    #[error(
        "{} (`certificate`) has no DNS name and no IP address among its subject alternative \
         names: no client will accept it; issue it with the names that clients use",
        path.display()
    )]
    Nameless {
        /// The file.
        path: PathBuf,
    },
    /// Warning: there are lists, but none of this authority.
    #[error(
        "no list in `crls` is from the authority {authority:?} in {}: its clients will be \
         refused; add its list",
        path.display()
    )]
    ListMissing {
        /// The authorities' file.
        path: PathBuf,
        /// The authority's subject.
        authority: String,
    },
}

impl TlsError {
    /// Whether the files load all the same.
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::Expired { .. }
                | Self::NotYetValid { .. }
                | Self::ExpiresSoon { .. }
                | Self::Nameless { .. }
                | Self::ListMissing { .. }
        )
    }

    /// What the file is for: the key in the configuration that names it.
    pub fn part(&self) -> Part {
        match self {
            Self::Unreadable { part, .. }
            | Self::TooLarge { part, .. }
            | Self::Damaged { part, .. }
            | Self::Absent { part, .. }
            | Self::Unusable { part, .. }
            | Self::Expired { part, .. }
            | Self::NotYetValid { part, .. }
            | Self::ExpiresSoon { part, .. } => *part,
            Self::KeyMismatch { .. } => Part::Key,
            Self::Setup { .. } | Self::Nameless { .. } => Part::Certificate,
            Self::ListMissing { .. } => Part::Crl,
        }
    }

    /// The file. Of a key that does not fit its certificate, the key's.
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. }
            | Self::TooLarge { path, .. }
            | Self::Damaged { path, .. }
            | Self::Absent { path, .. }
            | Self::Unusable { path, .. }
            | Self::Setup { path, .. }
            | Self::Expired { path, .. }
            | Self::NotYetValid { path, .. }
            | Self::ExpiresSoon { path, .. }
            | Self::Nameless { path }
            | Self::ListMissing { path, .. }
            | Self::KeyMismatch { key: path, .. } => path,
        }
    }
}

impl Part {
    pub(super) fn section(self) -> &'static str {
        match self {
            Self::Certificate | Self::ClientCa => "certificate",
            Self::Key => "private key",
            Self::Crl => "certificate revocation list",
        }
    }

    fn expiry(self) -> &'static str {
        match self {
            Self::Certificate => "clients refuse it",
            Self::Key => "",
            Self::ClientCa => "its clients are refused",
            Self::Crl => "its clients are refused, as nobody knows who was revoked since",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::ClientCa => "client_ca",
            Self::Crl => "crls",
        })
    }
}

/// Everything that keeps the files of a listener from being used.
#[derive(Debug)]
pub struct LoadError(
    /// At least one, none of them a warning.
    pub Vec<TlsError>,
);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}
