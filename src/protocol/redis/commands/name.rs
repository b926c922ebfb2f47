//! A command's name in upper case, without allocation.
//!
//! It is looked up for every request, so it is held as words of eight bytes: most names are one
//! word, and take no loop and no copy.

use std::hash::{Hash, Hasher};

/// Bytes of the longest name that is looked up. Redis's own have at most 28.
const NAME_BYTES_MAX: usize = 32;

const WORD_BYTES: usize = 8;

/// A name in upper case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Name {
    words: [u64; NAME_BYTES_MAX / WORD_BYTES],
    /// So that a name is another one than itself with zeroes behind it.
    length: usize,
}

impl Name {
    /// `None`: longer than any name.
    #[inline]
    pub(super) fn new(name: &[u8]) -> Option<Self> {
        let mut words = [0; NAME_BYTES_MAX / WORD_BYTES];
        if name.len() <= WORD_BYTES {
            words[0] = upper(short(name));
        } else if name.len() <= NAME_BYTES_MAX {
            for (word, bytes) in words.iter_mut().zip(name.chunks(WORD_BYTES)) {
                *word = upper(short(bytes));
            }
        } else {
            return None;
        }
        Some(Self { words, length: name.len() })
    }
}

impl Hash for Name {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [first, rest @ ..] = self.words;
        state.write_u64(first);
        if self.length > WORD_BYTES {
            rest.into_iter().for_each(|word| state.write_u64(word));
        }
    }
}

/// At most eight bytes, the first one lowest, with zeroes behind them. Loads that overlap bring the
/// same bytes twice to the same place.
#[inline]
fn short(bytes: &[u8]) -> u64 {
    if let Some(all) = bytes.first_chunk::<8>() {
        return u64::from_le_bytes(*all);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let behind = 8 * (bytes.len() - 4);
        return u64::from(u32::from_le_bytes(*first))
            | u64::from(u32::from_le_bytes(*last)) << behind;
    }
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// `to_ascii_uppercase` of eight bytes at once: the highest bit of each byte tells whether it lies
/// between `a` and `z`; moved down by two it is the bit by which they differ from `A` to `Z`.
#[inline]
fn upper(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low = word & (EACH * 0x7f);
    let from_a = low + EACH * (0x80 - b'a' as u64);
    let beyond_z = low + EACH * (0x7f - b'z' as u64);
    let is_lower = (from_a ^ beyond_z) & !word & (EACH * 0x80);
    word ^ (is_lower >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_its_bytes_in_upper_case() {
        for length in 0..=NAME_BYTES_MAX {
            for byte in 0..=u8::MAX {
                let mut name = b"abcdefghijklmnopqrstuvwxyz@[`{\0z"[..length].to_vec();
                if let Some(place) = name.len().checked_sub(1 + usize::from(byte) % 7) {
                    name[place] = byte;
                }
                let mut bytes = name.to_ascii_uppercase();
                bytes.resize(NAME_BYTES_MAX, 0);
                let made = Name::new(&name).expect("short enough");
                assert_eq!(made.words.map(u64::to_le_bytes).concat(), bytes);
                assert_eq!(Some(made), Name::new(&name.to_ascii_uppercase()));
                assert_eq!(made.length, length);
            }
        }
        assert_eq!(Name::new(&[b'A'; NAME_BYTES_MAX + 1]), None);
        assert_ne!(Name::new(b"GET"), Name::new(b"GET\0"));
    }
}
