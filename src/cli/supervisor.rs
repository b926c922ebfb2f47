//! What the service manager is told: that Palisade serves, and how long its end may take.
//!
//! systemd names a socket in `NOTIFY_SOCKET` when the unit has `Type=notify`. Without one
//! nothing is told, and nothing is missing.

use std::time::Duration;

use sd_notify::NotifyState;

/// All listeners accept connections.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// It drains, and has ended after that time at the latest: so no `TimeoutStopSec` has to be
/// kept above what the configuration says of draining.
pub(super) fn draining(longest: Duration) {
    let usec = u32::try_from(longest.as_micros()).unwrap_or(u32::MAX);
    let status = NotifyState::Status("draining");
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(usec), status]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told; see NOTIFY_SOCKET");
    }
}
