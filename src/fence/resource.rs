//! The name of a unit of exclusivity.

use std::fmt;
use std::sync::Arc;

/// A named unit of exclusivity: a bucket prefix, a database, a key prefix.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Resource(Arc<str>);

/// Why a text is not the name of a resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResourceError {
    /// Control characters would make logs and file listings lie.
    #[error("the name of a resource has no control characters")]
    ControlCharacter,
    /// Nothing was given.
    #[error("the name of a resource is not empty")]
    Empty,
    /// What was to be part of it is not UTF-8.
    #[error("the name of a resource is text, and this is not UTF-8")]
    NotText,
    /// The ledger keeps names; their size has a bound.
    #[error("the name of a resource has at most {} bytes", Resource::LEN_MAX_BYTES)]
    TooLong,
}

impl Resource {
    /// The longest name, in bytes.
    pub const LEN_MAX_BYTES: usize = 512;

    /// A resource by its name.
    ///
    /// # Errors
    /// When the name is empty, too long, or has control characters.
    pub fn new(name: &str) -> Result<Self, ResourceError> {
        if name.is_empty() {
            Err(ResourceError::Empty)
        } else if name.len() > Self::LEN_MAX_BYTES {
            Err(ResourceError::TooLong)
        } else if name.chars().any(char::is_control) {
            Err(ResourceError::ControlCharacter)
        } else {
            Ok(Self(name.into()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Resource {
    fn borrow(&self) -> &str {
        &self.0
    }
}
