//! One line for each refusal, but not for each one of a stale leader in a loop.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// At most one line a second for each reason; the next one says how many were left out.
const INTERVAL: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub struct Told {
    lines: Mutex<HashMap<&'static str, (Instant, u64)>>,
}

impl Told {
    /// Whether a line may be written now, with the number of those left out before it.
    pub fn may_tell(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.get_mut(reason) {
            Some((last, left_out)) if now.duration_since(*last) < INTERVAL => {
                *left_out += 1;
                None
            }
            Some((last, left_out)) => {
                *last = now;
                Some(std::mem::take(left_out))
            }
            None => {
                lines.insert(reason, (now, 0));
                Some(0)
            }
        }
    }
}
