//! What is counted of HTTP: held handles, one set for each listener and rule.
//!
//! The fence's own numbers (admitted, cut, in flight, takeovers) are the gate's. Labels are
//! of bounded number: listeners, rules, reasons.

use std::collections::HashMap;
use std::sync::Arc;

use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

use crate::rules::{Rule, Rules};

const REQUESTS_TOTAL: &str = "palisade_http_requests_total";
const REFUSED_TOTAL: &str = "palisade_http_refused_total";
const UNKNOWN_TOTAL: &str = "palisade_http_outcome_unknown_total";
const ADDED_SECONDS: &str = "palisade_http_added_seconds";
const UPSTREAM_SECONDS: &str = "palisade_http_upstream_seconds";

/// Says what the metrics mean. Once, after the recorder was installed.
pub fn describe() {
    describe_counter!(REQUESTS_TOTAL, "Requests that the store has answered, by rule");
    describe_counter!(REFUSED_TOTAL, "Requests that Palisade itself answered, by reason");
    describe_counter!(UNKNOWN_TOTAL, "Writes that were told `unknown`, by rule");
    describe_histogram!(
        ADDED_SECONDS,
        Unit::Seconds,
        "From a request's head to that of its answer, without the time at the store"
    );
    describe_histogram!(
        UPSTREAM_SECONDS,
        Unit::Seconds,
        "From sending a request to the head of the store's answer, the client's upload included"
    );
}

/// The metrics of one listener.
#[derive(Debug)]
pub struct Metrics {
    listener: Arc<str>,
    rules: HashMap<Arc<str>, RuleMetrics, foldhash::fast::RandomState>,
    unmatched: RuleMetrics,
    /// Added latency in seconds.
    pub added: Histogram,
    /// Latency of the store in seconds.
    pub upstream: Histogram,
}

/// Those of one rule.
#[derive(Debug)]
pub struct RuleMetrics {
    /// Requests that the store has answered.
    pub requests: Counter,
    /// Writes that were told `unknown`.
    pub unknown: Counter,
}

impl RuleMetrics {
    fn new(listener: &Arc<str>, rule: Arc<str>) -> Self {
        let labels = [("listener", Arc::clone(listener)), ("rule", rule)];
        Self {
            requests: counter!(REQUESTS_TOTAL, &labels),
            unknown: counter!(UNKNOWN_TOTAL, &labels),
        }
    }
}

impl Metrics {
    /// After the recorder was installed: handles made before it go nowhere.
    pub fn new(listener: &Arc<str>, rules: &Rules) -> Self {
        let of_rule = |rule: &Arc<Rule>| {
            (Arc::clone(&rule.name), RuleMetrics::new(listener, Arc::clone(&rule.name)))
        };
        Self {
            rules: rules.iter().map(of_rule).collect(),
            unmatched: RuleMetrics::new(listener, "".into()),
            added: histogram!(ADDED_SECONDS, "listener" => Arc::clone(listener)),
            upstream: histogram!(UPSTREAM_SECONDS, "listener" => Arc::clone(listener)),
            listener: Arc::clone(listener),
        }
    }

    /// Those of a rule; `None` for requests that no rule matches.
    pub fn rule(&self, rule: Option<&Rule>) -> &RuleMetrics {
        rule.and_then(|rule| self.rules.get(&rule.name)).unwrap_or(&self.unmatched)
    }

    /// A request that Palisade itself answered. Not for the hot path.
    pub fn refused(&self, rule: Option<&Arc<str>>, reason: &'static str) {
        let rule = rule.map_or_else(|| "".into(), Arc::clone);
        counter!(
            REFUSED_TOTAL,
            "listener" => Arc::clone(&self.listener), "rule" => rule, "reason" => reason
        )
        .increment(1);
    }
}
