//! What became of the last thing that ran, as far as the server has said.

use super::codec::message::read::ErrorFields;
use super::refusal::Outcome;
use super::track::Tracker;

/// As a warning, this says that the transaction "has already committed locally" while the session
/// that waited for a standby is ended.
const ADMIN_SHUTDOWN: &str = "57P01";

/// What the server has said beyond what the [`Tracker`] sees by tags.
#[derive(Debug, Default)]
pub(super) struct Witness {
    has_ended: bool,
    is_committed: bool,
}

impl Witness {
    /// A message of the server, with its body where it is an error or a notice and is there.
    pub(super) fn server(&mut self, tag: u8, body: Option<&[u8]>) {
        let fields = || body.and_then(|body| ErrorFields::parse(body).ok());
        match tag {
            b'Z' => self.is_committed = false,
            b'E' => self.has_ended |= fields().is_none_or(|fields| fields.is_fatal()),
            // PostgreSQL ends the wait for a standby, not the commit that is done already.
            b'N' => {
                self.is_committed |= fields().is_some_and(|fields| {
                    let is_about_us = fields.severity == "WARNING" && fields.code == ADMIN_SHUTDOWN;
                    // Without a detail it says that the whole server stops at once.
                    is_about_us && !fields.detail.is_empty()
                });
            }
            _ => {}
        }
    }

    /// Whether the server itself has said that and why it ends the session.
    pub(super) fn is_told_of_the_end(&self) -> bool {
        self.has_ended
    }

    /// What became of what was forwarded last, now that the backend is gone or is being ended.
    pub(super) fn outcome(&self, tracker: &Tracker) -> Outcome {
        let progress = tracker.progress();
        if self.is_committed {
            Outcome::Committed
        } else if tracker.is_idle() {
            Outcome::Nothing
        } else if tracker.is_quiet()
            || tracker.is_copying_in()
            || progress.is_failed && !progress.is_completed
        {
            Outcome::RolledBack
        } else {
            Outcome::Unknown
        }
    }
}
