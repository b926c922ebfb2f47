//! The names of the ledger's metrics, and the handles that write them.

use metrics::{Counter, Gauge, Histogram, Unit};

mod shared;

pub(super) use shared::{Operation, SharedMetrics};

/// Answers to raises, by `outcome`: `raised`, `unchanged`, `failed`, `unknown`.
pub const RAISES_TOTAL: &str = "palisade_ledger_raises_total";
/// Commits that reached the disk.
pub const COMMITS_TOTAL: &str = "palisade_ledger_commits_total";
/// How long a commit took, with its fsync.
pub const COMMIT_SECONDS: &str = "palisade_ledger_commit_seconds";
/// How long the commit that runs has been running, as of the last look at the ledger's health.
pub const COMMIT_RUNNING_SECONDS: &str = "palisade_ledger_commit_running_seconds";
/// How many raises and grants shared a commit.
pub const BATCH_CHANGES: &str = "palisade_ledger_batch_changes";
/// The size of the file.
pub const FILE_BYTES: &str = "palisade_ledger_file_bytes";
/// 1 while raises can be taken, 0 once the ledger has to be opened again.
pub const UP: &str = "palisade_ledger_up";

/// How long the session with a shared ledger has been alive.
pub const SESSION_AGE_SECONDS: &str = "palisade_ledger_session_age_seconds";
/// Keepalives of the session that did not succeed.
pub const KEEPALIVES_FAILED_TOTAL: &str = "palisade_ledger_keepalives_failed_total";
/// How far the feed of changes is behind.
pub const FEED_LAG_SECONDS: &str = "palisade_ledger_feed_lag_seconds";
/// How often the feed broke off.
pub const FEED_BREAKS_TOTAL: &str = "palisade_ledger_feed_breaks_total";
/// In how many resources this process has a grant.
pub const GRANTS_HELD: &str = "palisade_ledger_grants_held";
/// 1 for the condition that holds, 0 for the others, by `condition`.
pub const CONDITION: &str = "palisade_ledger_condition";
/// How often the process or its machine stood still for too long.
pub const FREEZES_TOTAL: &str = "palisade_ledger_freezes_total";
/// How long a shared ledger took to answer, by `operation`.
pub const REQUEST_SECONDS: &str = "palisade_ledger_request_seconds";

/// Tells the recorder what the metrics mean. Once, after the recorder is installed.
pub fn describe() {
    metrics::describe_counter!(RAISES_TOTAL, "Answers to raises of a high-water mark, by outcome");
    metrics::describe_counter!(COMMITS_TOTAL, "Commits of the embedded ledger");
    metrics::describe_histogram!(
        COMMIT_SECONDS,
        Unit::Seconds,
        "Time of a commit of the embedded ledger, with its fsync"
    );
    metrics::describe_gauge!(
        COMMIT_RUNNING_SECONDS,
        Unit::Seconds,
        "How long the commit of the embedded ledger that runs has been running"
    );
    metrics::describe_histogram!(
        BATCH_CHANGES,
        Unit::Count,
        "Raises and grants that shared a commit of the embedded ledger"
    );
    metrics::describe_gauge!(FILE_BYTES, Unit::Bytes, "Size of the file of the embedded ledger");
    metrics::describe_gauge!(UP, "1 while the ledger takes raises, 0 once it must be opened again");
    shared::describe();
}

/// Handles, resolved once: looking one up by name costs ten times as much as using it.
/// The recorder must be installed before, or nothing is counted.
pub(super) struct Metrics {
    pub(super) raised: Counter,
    pub(super) unchanged: Counter,
    pub(super) failed: Counter,
    pub(super) unknown: Counter,
    pub(super) commits: Counter,
    pub(super) commit_seconds: Histogram,
    pub(super) commit_running_seconds: Gauge,
    pub(super) batch_changes: Histogram,
    pub(super) file_bytes: Gauge,
    pub(super) up: Gauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            raised: metrics::counter!(RAISES_TOTAL, "outcome" => "raised"),
            unchanged: metrics::counter!(RAISES_TOTAL, "outcome" => "unchanged"),
            failed: metrics::counter!(RAISES_TOTAL, "outcome" => "failed"),
            unknown: metrics::counter!(RAISES_TOTAL, "outcome" => "unknown"),
            commits: metrics::counter!(COMMITS_TOTAL),
            commit_seconds: metrics::histogram!(COMMIT_SECONDS),
            commit_running_seconds: metrics::gauge!(COMMIT_RUNNING_SECONDS),
            batch_changes: metrics::histogram!(BATCH_CHANGES),
            file_bytes: metrics::gauge!(FILE_BYTES),
            up: metrics::gauge!(UP),
        }
    }
}
