//! How long a session with a shared ledger lives, and when a process stops relying on it.
//!
//! ```text
//! keepalive sent                                              the ledger drops the session
//! |----------------- admits -----------------|---- drain ----|---- margin ----|
//! 0                                      suspended        hang up            ttl
//! ```

use std::sync::Arc;
use std::time::Duration;

/// The bounds of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// What this process is called: `r1`. Two that run at once have different names.
    pub replica: Arc<str>,
    /// How long the ledger keeps a session after the last keepalive.
    pub ttl: Duration,
    /// How long before the ledger may drop the session every connection with a write of unknown
    /// fate is closed: room for clocks of different speed, and for the closing itself.
    pub margin: Duration,
    /// How long writes that are under way may take to end once nothing is admitted any more:
    /// the longest `drain` of any rule for sessions with databases.
    pub drain: Duration,
    /// How long the ledger may take to answer one request.
    pub timeout: Duration,
}

/// How many keepalives fit at least into the time in which a process admits.
pub const KEEPALIVES_MIN: u32 = 3;

impl Settings {
    /// How long after a keepalive was sent a process still admits.
    pub fn admits_for(&self) -> Duration {
        self.ttl.saturating_sub(self.margin + self.drain)
    }

    /// How long after a keepalive was sent connections are closed.
    pub fn hangs_up_after(&self) -> Duration {
        self.ttl.saturating_sub(self.margin)
    }

    /// How often a keepalive is sent.
    pub fn keepalive_interval(&self) -> Duration {
        self.admits_for() / KEEPALIVES_MIN
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            replica: "default".into(),
            ttl: Duration::from_secs(15),
            margin: Duration::from_secs(2),
            drain: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
        }
    }
}
