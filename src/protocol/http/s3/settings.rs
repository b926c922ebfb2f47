//! What an S3 listener is told by the configuration.

use std::sync::Arc;

/// How S3 is spoken on both sides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Suffixes of host names in virtual-host style: `bucket.DOMAIN`. Others are path style.
    /// In pass-through mode they have to be the store's own, and all of them: see
    /// [`super::address::is_known_host`].
    pub domains: Vec<String>,
    /// Whose signature the store sees.
    pub mode: Mode,
    /// What happens to bodies in `aws-chunked` encoding that could go on as they are.
    pub aws_chunked: AwsChunked,
}

/// What happens to bodies in `aws-chunked` encoding without chunk signatures, when re-signing.
///
/// Bodies whose chunks the client signed are always decoded: their signatures would be wrong.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AwsChunked {
    /// Palisade decodes them and checks length and trailing checksum itself: for stores that do
    /// not know this encoding (Ceph before 18, Swift).
    Decode,
    /// The store gets them as they are, with the trailing checksum.
    #[default]
    Forward,
}

/// Whose signature the store sees.
#[derive(Clone, Debug)]
pub enum Mode {
    /// The client's own, kept valid: it holds credentials of the store.
    PassThrough,
    /// Palisade's: it holds the store's credentials, and clients have none.
    ReSign {
        /// Of the store.
        credentials: Arc<Credentials>,
        /// The region to sign for.
        region: Arc<str>,
    },
}

/// Credentials of a store. `Debug` shows no secret.
pub struct Credentials {
    /// The access key id, which is no secret.
    pub access_key_id: String,
    /// The secret key; wiped from memory when dropped.
    pub secret_access_key: zeroize::Zeroizing<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}
