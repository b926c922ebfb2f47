//! Why a request is not understood well enough to be judged.

/// A request that would have to be guessed at, so it is refused. Nothing of it was applied.
///
/// The texts are whole sentences for the client: what is wrong, and the mend.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Malformed {
    /// The body does not have the checksum or the length that was declared for it.
    #[error("{0}")]
    Body(&'static str),
    /// The bucket is not a name of a bucket.
    #[error("{0}")]
    Bucket(&'static str),
    /// A header is unreadable, doubled, or out of place.
    #[error("header {name}: {why}")]
    Header {
        /// Which.
        name: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The path or the host is ambiguous.
    #[error("{0}")]
    Path(&'static str),
    /// The query is ambiguous.
    #[error("{0}")]
    Query(&'static str),
    /// Clear, but it cannot be fenced.
    #[error("{0}")]
    Unfenceable(&'static str),
    /// The XML of a batch delete is ambiguous.
    #[error("{0}")]
    Xml(&'static str),
}

impl Malformed {
    /// The code for the S3 error document. None of these is retried by botocore, save
    /// `BadDigest` in its legacy mode, which is harmless: nothing of such a body was applied.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Body(_) => "BadDigest",
            Self::Bucket(_) => "InvalidBucketName",
            Self::Header { .. } | Self::Query(_) => "InvalidArgument",
            Self::Path(_) => "InvalidURI",
            Self::Unfenceable(_) => "InvalidRequest",
            Self::Xml(_) => "MalformedXML",
        }
    }
}
