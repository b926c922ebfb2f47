//! What can go wrong on a wire to the store in memory.

use std::time::Duration;

/// What happens to what a process sends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Fate {
    /// It is done, and answered.
    #[default]
    Answered,
    /// Certainly not done.
    Refused,
    /// It never arrives.
    LostBefore,
    /// It is done, and the answer is lost.
    LostAfter,
    /// It arrives when [`Wire::land`] says, and is not answered.
    Late,
    /// It is done, and nothing is ever answered.
    Hangs,
}

#[derive(Clone, Debug)]
pub struct Faults {
    pub swaps: Fate,
    /// Everything but changes and the feed.
    pub others: Fate,
    /// Sessions cannot be asked for.
    pub is_census_lost: bool,
    /// The feed says nothing, and does not end.
    pub is_feed_mute: bool,
    /// The feed ends at once.
    pub is_feed_broken: bool,
    pub delay: Duration,
    pub frozen: Option<&'static str>,
    pub swaps_max: usize,
    /// A batch is done as a whole or not at all.
    pub is_atomic: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            swaps: Fate::Answered,
            others: Fate::Answered,
            is_census_lost: false,
            is_feed_mute: false,
            is_feed_broken: false,
            delay: Duration::ZERO,
            frozen: None,
            swaps_max: 64,
            is_atomic: true,
        }
    }
}
