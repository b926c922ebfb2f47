//! The handles of a shared ledger's metrics.

use metrics::{Counter, Gauge, Histogram, Unit};

use super::{
    BATCH_CHANGES, COMMITS_TOTAL, CONDITION, FEED_BREAKS_TOTAL, FEED_LAG_SECONDS, FREEZES_TOTAL,
    GRANTS_HELD, KEEPALIVES_FAILED_TOTAL, RAISES_TOTAL, REQUEST_SECONDS, SESSION_AGE_SECONDS, UP,
};
use crate::ledger::Condition;

pub(super) fn describe() {
    metrics::describe_gauge!(
        SESSION_AGE_SECONDS,
        Unit::Seconds,
        "How long the session with the shared ledger has been alive"
    );
    metrics::describe_counter!(
        KEEPALIVES_FAILED_TOTAL,
        "Keepalives of the session with the shared ledger that did not succeed"
    );
    metrics::describe_gauge!(
        FEED_LAG_SECONDS,
        Unit::Seconds,
        "How far the feed of the shared ledger's changes is behind"
    );
    metrics::describe_counter!(FEED_BREAKS_TOTAL, "How often that feed broke off");
    metrics::describe_gauge!(
        GRANTS_HELD,
        Unit::Count,
        "Resources that this replica has a grant in"
    );
    metrics::describe_gauge!(
        CONDITION,
        "1 for the condition that holds: serving, out_of_reach, suspended or frozen"
    );
    metrics::describe_counter!(
        FREEZES_TOTAL,
        "How often this process or its machine stood still for too long"
    );
    metrics::describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "How long the shared ledger took to answer, by operation"
    );
}

/// What a store is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::ledger) enum Operation {
    Begin,
    Confirm,
    End,
    Keep,
    List,
    Read,
    Sessions,
    Swap,
}

impl Operation {
    const ALL: [(Self, &str); 8] = [
        (Self::Begin, "begin"),
        (Self::Confirm, "confirm"),
        (Self::End, "end"),
        (Self::Keep, "keep"),
        (Self::List, "list"),
        (Self::Read, "read"),
        (Self::Sessions, "sessions"),
        (Self::Swap, "swap"),
    ];
}

/// Handles, resolved once. The recorder must be installed before, or nothing is counted.
pub(in crate::ledger) struct SharedMetrics {
    pub(in crate::ledger) raised: Counter,
    pub(in crate::ledger) unchanged: Counter,
    pub(in crate::ledger) failed: Counter,
    pub(in crate::ledger) unknown: Counter,
    pub(in crate::ledger) commits: Counter,
    pub(in crate::ledger) batch_changes: Histogram,
    pub(in crate::ledger) session_age_seconds: Gauge,
    pub(in crate::ledger) keepalives_failed: Counter,
    pub(in crate::ledger) feed_lag_seconds: Gauge,
    pub(in crate::ledger) feed_breaks: Counter,
    pub(in crate::ledger) grants_held: Gauge,
    pub(in crate::ledger) freezes: Counter,
    up: Gauge,
    conditions: [Gauge; 4],
    requests: [Histogram; Operation::ALL.len()],
}

impl SharedMetrics {
    pub(in crate::ledger) fn new() -> Self {
        let condition = |name: &'static str| metrics::gauge!(CONDITION, "condition" => name);
        let made = Self {
            raised: metrics::counter!(RAISES_TOTAL, "outcome" => "raised"),
            unchanged: metrics::counter!(RAISES_TOTAL, "outcome" => "unchanged"),
            failed: metrics::counter!(RAISES_TOTAL, "outcome" => "failed"),
            unknown: metrics::counter!(RAISES_TOTAL, "outcome" => "unknown"),
            commits: metrics::counter!(COMMITS_TOTAL),
            batch_changes: metrics::histogram!(BATCH_CHANGES),
            session_age_seconds: metrics::gauge!(SESSION_AGE_SECONDS),
            keepalives_failed: metrics::counter!(KEEPALIVES_FAILED_TOTAL),
            feed_lag_seconds: metrics::gauge!(FEED_LAG_SECONDS),
            feed_breaks: metrics::counter!(FEED_BREAKS_TOTAL),
            grants_held: metrics::gauge!(GRANTS_HELD),
            freezes: metrics::counter!(FREEZES_TOTAL),
            up: metrics::gauge!(UP),
            conditions: ["serving", "out_of_reach", "frozen", "suspended"].map(condition),
            requests: Operation::ALL
                .map(|(_, name)| metrics::histogram!(REQUEST_SECONDS, "operation" => name)),
        };
        made.show(&Condition::Serving);
        made
    }

    /// How long one operation took.
    pub(in crate::ledger) fn request(&self, operation: Operation) -> &Histogram {
        let at = Operation::ALL.iter().position(|(other, _)| *other == operation).unwrap_or(0);
        &self.requests[at]
    }

    /// The condition that holds now.
    pub(in crate::ledger) fn show(&self, condition: &Condition) {
        let holds = match condition {
            Condition::Serving => 0,
            Condition::OutOfReach { .. } => 1,
            Condition::Frozen { .. } => 2,
            Condition::Suspended { .. } => 3,
        };
        for (at, gauge) in self.conditions.iter().enumerate() {
            gauge.set(f64::from(u8::from(at == holds)));
        }
        self.up.set(f64::from(u8::from(holds < 2)));
    }
}
