//! Keeps what goes wrong again and again from filling the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the same is said again.
const REMINDER_INTERVAL: Duration = Duration::from_secs(30);

/// What was said last of one server.
pub(super) struct Complaint {
    upstream: Arc<str>,
    server: String,
    said: Option<(String, Instant)>,
}

impl Complaint {
    pub(super) fn new(upstream: Arc<str>, server: String) -> Self {
        Self { upstream, server, said: None }
    }

    pub(super) fn say(&mut self, what: &str) {
        let is_known = self
            .said
            .as_ref()
            .is_some_and(|(said, at)| said == what && at.elapsed() < REMINDER_INTERVAL);
        if !is_known {
            tracing::error!(upstream = %self.upstream, server = self.server, "{what}");
            self.said = Some((what.to_owned(), Instant::now()));
        }
    }
}
