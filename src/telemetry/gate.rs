//! The metrics of the gate: held handles, one set for each rule.
//!
//! Handles are looked up once and kept: that is ten times cheaper than the macros.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

use crate::fence::{Action, Token};

const ADMITTED_TOTAL: &str = "palisade_gate_admitted_total";
const REFUSED_TOTAL: &str = "palisade_gate_refused_total";
const TAKEOVERS_TOTAL: &str = "palisade_gate_takeovers_total";
const LEDGER_SECONDS: &str = "palisade_gate_takeover_ledger_seconds";
const QUIESCE_SECONDS: &str = "palisade_gate_takeover_quiesce_seconds";
pub(super) const TENURE_SECONDS: &str = "palisade_gate_tenure_seconds";
const WRITES_CUT_TOTAL: &str = "palisade_gate_writes_cut_total";
const WRITES_UNKNOWN_TOTAL: &str = "palisade_gate_writes_unknown_total";
const UNSETTLED_TOTAL: &str = "palisade_gate_unsettled_total";
const RESETS_TOTAL: &str = "palisade_gate_resets_total";
const PERMITS: &str = "palisade_gate_permits";
const MARK_MAX: &str = "palisade_gate_mark_max";
const ACTIVE_RESOURCES: &str = "palisade_gate_active_resources";

/// The words of `Refusal::reason`. Each has its counter from the start: a series that
/// begins at 1 shows Prometheus no increase, and the first stale write would raise no alert.
pub const REASONS: [&str; 7] = [
    "conflict",
    "forbidden",
    "implausible",
    "ledger_unavailable",
    "overloaded",
    "stale",
    "unsettled",
];

pub(super) fn describe() {
    describe_counter!(ADMITTED_TOTAL, "Requests admitted under a token, by action");
    describe_counter!(REFUSED_TOTAL, "Requests refused by the gate, by action and reason");
    describe_counter!(TAKEOVERS_TOTAL, "Takeovers by a larger token");
    describe_histogram!(LEDGER_SECONDS, Unit::Seconds, "What the ledger took of a takeover");
    describe_histogram!(
        QUIESCE_SECONDS,
        Unit::Seconds,
        "How long the writes before a takeover took to settle"
    );
    describe_histogram!(TENURE_SECONDS, Unit::Seconds, "How long a holder held, at its takeover");
    describe_counter!(WRITES_CUT_TOTAL, "Writes cut by a takeover before their commit point");
    describe_counter!(WRITES_UNKNOWN_TOTAL, "Writes whose outcome nobody can know");
    describe_counter!(UNSETTLED_TOTAL, "Requests that did not want to wait for a takeover");
    describe_counter!(RESETS_TOTAL, "Resets of a resource by an operator");
    describe_gauge!(PERMITS, "Admitted writes that have not settled");
    describe_gauge!(MARK_MAX, "The largest counter of a token admitted since the start");
    describe_gauge!(ACTIVE_RESOURCES, "Resources kept in memory");
}

/// All metrics of the gate.
#[derive(Clone, Debug)]
pub struct GateMetrics {
    /// Resources kept in memory.
    pub active_resources: Gauge,
    rules: Arc<DashMap<Arc<str>, Arc<RuleMetrics>>>,
}

/// Those of one rule.
#[derive(Debug)]
pub struct RuleMetrics {
    /// Takeovers by a larger token.
    pub takeovers: Counter,
    /// What the ledger took of a takeover, in seconds.
    pub takeover_ledger: Histogram,
    /// How long the writes before took to settle, in seconds.
    pub takeover_quiesce: Histogram,
    /// How long the holder before held, in seconds.
    pub tenure: Histogram,
    /// Writes cut before their commit point.
    pub writes_cut: Counter,
    /// Writes whose outcome nobody can know.
    pub writes_unknown: Counter,
    /// Requests that were told `unsettled`, of [`RuleMetrics::refused`].
    pub unsettled: Counter,
    /// Resets by an operator.
    pub resets: Counter,
    /// Admitted writes that have not settled: up at admission, down at the end.
    pub permits: Gauge,
    admitted: [Counter; 2],
    refused: [[Counter; REASONS.len()]; 2],
    mark: Gauge,
    mark_max: AtomicU64,
}

impl GateMetrics {
    /// After the recorder was installed: handles made before it go nowhere.
    pub fn new() -> Self {
        Self { active_resources: gauge!(ACTIVE_RESOURCES), rules: Arc::default() }
    }

    /// The metrics of a rule by its name. Their number is that of the configured rules.
    pub fn rule(&self, name: &Arc<str>) -> Arc<RuleMetrics> {
        if let Some(metrics) = self.rules.get(name) {
            return Arc::clone(&metrics);
        }
        let entry = self.rules.entry(Arc::clone(name));
        Arc::clone(&entry.or_insert_with(|| Arc::new(RuleMetrics::new(name))))
    }
}

impl Default for GateMetrics {
    fn default() -> Self {
        Self::new()
    }
}

/// A seal and a read that brings a token are the same to the gate.
const ACTIONS: [&str; 2] = ["write", "seal"];

fn index(action: Action) -> usize {
    usize::from(action != Action::Write)
}

impl RuleMetrics {
    fn new(name: &Arc<str>) -> Self {
        let rule = || Arc::clone(name);
        Self {
            takeovers: counter!(TAKEOVERS_TOTAL, "rule" => rule()),
            takeover_ledger: histogram!(LEDGER_SECONDS, "rule" => rule()),
            takeover_quiesce: histogram!(QUIESCE_SECONDS, "rule" => rule()),
            tenure: histogram!(TENURE_SECONDS, "rule" => rule()),
            writes_cut: counter!(WRITES_CUT_TOTAL, "rule" => rule()),
            writes_unknown: counter!(WRITES_UNKNOWN_TOTAL, "rule" => rule()),
            unsettled: counter!(UNSETTLED_TOTAL, "rule" => rule()),
            resets: counter!(RESETS_TOTAL, "rule" => rule()),
            permits: gauge!(PERMITS, "rule" => rule()),
            admitted: ACTIONS
                .map(|action| counter!(ADMITTED_TOTAL, "rule" => rule(), "action" => action)),
            refused: ACTIONS.map(|action| {
                REASONS.map(|reason| {
                    counter!(
                        REFUSED_TOTAL,
                        "rule" => rule(), "action" => action, "reason" => reason
                    )
                })
            }),
            mark: gauge!(MARK_MAX, "rule" => rule()),
            mark_max: AtomicU64::new(0),
        }
    }

    /// Of requests that were admitted: [`Action::Write`], or else a seal.
    pub fn admitted(&self, action: Action) -> &Counter {
        &self.admitted[index(action)]
    }

    /// Of requests that were refused for a reason, a word of [`REASONS`].
    pub fn refused(&self, action: Action, reason: &str) -> Option<&Counter> {
        let reason = REASONS.iter().position(|known| *known == reason)?;
        Some(&self.refused[index(action)][reason])
    }

    /// A takeover to this token has ended: its two parts, and for how long the holder
    /// before held, where that is known.
    pub fn took_over(
        &self,
        to: Token,
        ledger: Duration,
        quiesce: Duration,
        tenure: Option<Duration>,
    ) {
        self.takeovers.increment(1);
        self.takeover_ledger.record(ledger);
        self.takeover_quiesce.record(quiesce);
        if let Some(tenure) = tenure {
            self.tenure.record(tenure);
        }
        // Above 2^53 a gauge is not exact; nobody reads the last digit off a graph.
        if self.mark_max.fetch_max(to.counter(), Ordering::Relaxed) < to.counter() {
            self.mark.set(to.counter() as f64);
        }
    }
}
