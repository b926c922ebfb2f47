//! Keeps what goes wrong again and again from filling the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the same is said again.
const REMINDER_INTERVAL: Duration = Duration::from_secs(30);

/// What was said last of one upstream.
pub(super) struct Complaint {
    upstream: Arc<str>,
    said: Option<(String, Instant)>,
}

impl Complaint {
    pub(super) fn new(upstream: Arc<str>) -> Self {
        Self { upstream, said: None }
    }

    pub(super) fn say(&mut self, what: &str) {
        let known = self.said.as_ref().filter(|(said, _)| said == what);
        if known.is_none_or(|(_, at)| at.elapsed() >= REMINDER_INTERVAL) {
            tracing::error!(upstream = %self.upstream, "{what}");
            self.said = Some((what.to_owned(), Instant::now()));
        }
    }
}
