//! The checksums that S3 clients send after a body.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;

use super::malformed::Malformed;

/// An algorithm of `x-amz-checksum-*` that Palisade can compute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// `x-amz-checksum-crc32`
    Crc32,
    /// `x-amz-checksum-crc32c`
    Crc32c,
    /// `x-amz-checksum-crc64nvme`
    Crc64Nvme,
    /// `x-amz-checksum-sha1`
    Sha1,
    /// `x-amz-checksum-sha256`
    Sha256,
    /// `x-amz-checksum-sha512`
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256, Self::Sha512];

    /// The name of its header or trailer, in lower case.
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
            Self::Sha512 => "x-amz-checksum-sha512",
        }
    }

    /// By the name of its header or trailer, in any case.
    pub fn by_header(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| name.eq_ignore_ascii_case(algorithm.header()))
    }
}

/// Computes one checksum while a body passes.
pub struct Verifier {
    algorithm: Algorithm,
    state: State,
}

enum State {
    Crc(Box<crc_fast::Digest>),
    Sha(digest::Context),
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Verifier").field(&self.algorithm).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Before the first byte.
    pub fn new(algorithm: Algorithm) -> Self {
        let crc = |kind| State::Crc(Box::new(crc_fast::Digest::new(kind)));
        let sha = |kind| State::Sha(digest::Context::new(kind));
        let state = match algorithm {
            Algorithm::Crc32 => crc(CrcAlgorithm::Crc32IsoHdlc),
            Algorithm::Crc32c => crc(CrcAlgorithm::Crc32Iscsi),
            Algorithm::Crc64Nvme => crc(CrcAlgorithm::Crc64Nvme),
            Algorithm::Sha1 => sha(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            Algorithm::Sha256 => sha(&digest::SHA256),
            Algorithm::Sha512 => sha(&digest::SHA512),
        };
        Self { algorithm, state }
    }

    /// Which.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Takes the next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(digest) => digest.update(bytes),
            State::Sha(context) => context.update(bytes),
        }
    }

    /// The checksum so far, as S3 writes it: big-endian bytes in base64.
    pub fn value(&self) -> String {
        match &self.state {
            State::Crc(digest) => {
                let bytes = digest.finalize().to_be_bytes();
                let is_short = !matches!(self.algorithm, Algorithm::Crc64Nvme);
                STANDARD.encode(if is_short { &bytes[4..] } else { &bytes[..] })
            }
            State::Sha(context) => STANDARD.encode(context.clone().finish()),
        }
    }

    /// Compares the body with what was declared for it.
    ///
    /// # Errors
    /// When they differ.
    pub fn verify(&self, declared: &str) -> Result<(), Malformed> {
        if self.value() == declared.trim() {
            Ok(())
        } else {
            Err(Malformed::Body("the body does not have the checksum that was sent after it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `123456789`, from the catalogue of CRCs and from `sha*sum`.
    #[test]
    fn known_values() {
        for (algorithm, value) in [
            (Algorithm::Crc32, "y/Q5Jg=="),
            (Algorithm::Crc32c, "4waSgw=="),
            (Algorithm::Crc64Nvme, "rosUhgp5mIg="),
            (Algorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
            (Algorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ] {
            let mut verifier = Verifier::new(algorithm);
            verifier.update(b"1234");
            assert!(verifier.verify(value).is_err(), "{algorithm:?} of a part");
            verifier.update(b"56789");
            assert_eq!(verifier.value(), value, "{algorithm:?}");
            assert_eq!(verifier.verify(value), Ok(()));
            assert!(verifier.verify("AAAAAA==").is_err());
        }
    }

    #[test]
    fn names() {
        for algorithm in Algorithm::ALL {
            let shouted = algorithm.header().to_uppercase();
            assert_eq!(Algorithm::by_header(&shouted), Some(algorithm));
        }
        assert_eq!(Algorithm::by_header("x-amz-checksum-md5"), None);
    }
}
