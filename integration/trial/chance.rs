//! Numbers that look random and are the same for the same seed, on every machine and for good.
//!
//! SplitMix64 (Steele, Lea and Flood, 2014), written out: a crate may change its algorithm with a
//! version, and a seed in a bug report has to mean the same plan next year.

use std::ops::RangeInclusive;

/// A sequence of numbers.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The sequence of a seed and of whatever else tells it from the others.
    pub fn of(seed: u64, parts: &[u64]) -> Self {
        let mut chance = Self(seed);
        for part in parts {
            chance.0 = chance.number().wrapping_add(*part);
        }
        chance
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number of that range.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.number() % (range.end() - range.start() + 1)
    }

    /// True in that many of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.within(0..=99) < percent
    }

    /// One of them.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.within(0..=all.len() as u64 - 1) as usize]
    }

    /// Another order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.within(0..=last as u64) as usize);
        }
    }
}
