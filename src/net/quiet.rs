//! Keeps a log line that a stranger can cause at will from filling a disk.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Lines let through in a window.
const LINES_MAX: u32 = 10;

/// How long a window is.
const WINDOW: Duration = Duration::from_secs(10);

/// Lets the first lines of each window through and counts the others.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    window: Mutex<Option<Window>>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    lines: u32,
    suppressed: u64,
}

impl Quiet {
    /// `Some` if the line may be written, with the number of lines held back before it.
    pub(super) fn pass(&self, now: Instant) -> Option<u64> {
        let mut window = self.window.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &mut *window {
            Some(open) if now.duration_since(open.began) < WINDOW => {
                if open.lines < LINES_MAX {
                    open.lines += 1;
                    return Some(0);
                }
                open.suppressed += 1;
                None
            }
            over => {
                let suppressed = over.as_ref().map_or(0, |window| window.suppressed);
                *over = Some(Window { began: now, lines: 1, suppressed: 0 });
                Some(suppressed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_a_window_and_the_rest_is_counted() {
        let quiet = Quiet::default();
        let start = Instant::now();
        let passed = (0..100).filter(|_| quiet.pass(start).is_some()).count();
        assert_eq!(passed, 10);
        assert_eq!(quiet.pass(start + WINDOW), Some(90));
        assert_eq!(quiet.pass(start + WINDOW), Some(0));
    }
}
