//! The evidence of a takeover.

use super::Mark;

/// What a takeover did to the writes of the leaders before: the evidence of a seal.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Takeover {
    /// The mark that was outranked.
    pub from: Mark,
    /// The mark now.
    pub to: Mark,
    /// Writes cut before their commit point: nothing of them is in the store.
    pub cut: u32,
    /// Writes past their commit point, of which the store's answer was awaited.
    pub awaited: u32,
    /// Of those, and of earlier ones, how many ended without an answer: outcome unknown.
    pub unknown: u32,
    /// What an earlier, uncleanly ended process may have left was waited out.
    pub leftovers: bool,
}
