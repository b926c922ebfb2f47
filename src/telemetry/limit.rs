//! A limit on how often a line of one kind is said, so that a stale leader in a loop
//! cannot fill a disk.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Kinds that are told apart; further ones share one allowance.
const KINDS_MAX: usize = 1_024;

/// At most so many lines of one kind in an interval. The others are counted, and the
/// count is told with the next line that is said.
#[derive(Debug)]
pub struct RateLimit<K> {
    lines_max: u32,
    interval: Duration,
    /// `None` is the kind of all that found no room.
    windows: Mutex<HashMap<Option<K>, Window>>,
}

#[derive(Debug)]
struct Window {
    started: Instant,
    said: u32,
    suppressed: u64,
}

impl<K: Clone + Eq + Hash> RateLimit<K> {
    /// `lines_max` lines of a kind in each `interval`.
    pub fn new(lines_max: u32, interval: Duration) -> Self {
        Self { lines_max, interval, windows: Mutex::default() }
    }

    /// Whether a line of this kind may be said now, and if so how many before it were not.
    pub fn say(&self, kind: &K, now: Instant) -> Option<u64> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kind = Some(kind.clone());
        if windows.len() >= KINDS_MAX && !windows.contains_key(&kind) {
            // Quiet kinds make room, but only those with nothing left to tell.
            windows
                .retain(|_, window| window.suppressed > 0 || !window.is_over(now, self.interval));
            if windows.len() >= KINDS_MAX {
                kind = None;
            }
        }
        let window = windows.entry(kind).or_insert_with(|| Window::new(now));
        if window.is_over(now, self.interval) {
            window.started = now;
            window.said = 0;
        }
        if window.said < self.lines_max {
            window.said += 1;
            Some(std::mem::take(&mut window.suppressed))
        } else {
            window.suppressed += 1;
            None
        }
    }

    /// What was not said of kinds whose interval is over and that have been quiet since:
    /// to be told by a timer, so that the end of a storm is not forgotten. `None` stands
    /// for all kinds that found no room.
    pub fn untold(&self, now: Instant) -> Vec<(Option<K>, u64)> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut untold = Vec::new();
        windows.retain(|kind, window| {
            let is_over = window.is_over(now, self.interval);
            if is_over && window.suppressed > 0 {
                untold.push((kind.clone(), window.suppressed));
            }
            !is_over
        });
        untold
    }
}

impl Window {
    fn new(now: Instant) -> Self {
        Self { started: now, said: 0, suppressed: 0 }
    }

    fn is_over(&self, now: Instant, interval: Duration) -> bool {
        now.saturating_duration_since(self.started) >= interval
    }
}
