//! A command's name in upper case, without allocation.

use std::hash::{Hash, Hasher};

/// Bytes of the longest name that is looked up. Redis's own have at most 23.
pub(super) const NAME_BYTES_MAX: usize = 32;

/// A name in upper case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Name {
    bytes: [u8; NAME_BYTES_MAX],
    /// So that a name is another one than itself with zeroes behind it.
    length: usize,
}

impl Name {
    /// `None`: longer than any name.
    #[inline]
    pub(super) fn new(name: &[u8]) -> Option<Self> {
        let mut bytes = [0; NAME_BYTES_MAX];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        bytes.make_ascii_uppercase();
        Some(Self { bytes, length: name.len() })
    }
}

impl Hash for Name {
    /// Always all bytes: a length that is known when it is compiled is faster than a short one.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.bytes);
    }
}
