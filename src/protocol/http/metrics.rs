//! What is counted of HTTP: held handles, one set for each listener and rule.
//!
//! The fence's own numbers (admitted, cut, in flight, takeovers) are the gate's. Labels are
//! of bounded number: listeners, rules, reasons.

use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

use crate::net::http1::server::End;
use crate::rules::{Rule, Rules};

const REQUESTS_TOTAL: &str = "palisade_http_requests_total";
const REFUSED_TOTAL: &str = "palisade_http_refused_total";
const UNKNOWN_TOTAL: &str = "palisade_http_outcome_unknown_total";
const ENDED_TOTAL: &str = "palisade_http_connections_ended_total";
const STREAMS_ENDED_TOTAL: &str = "palisade_http_streams_ended_total";
const ADDED_SECONDS: &str = "palisade_http_added_seconds";
const UPSTREAM_SECONDS: &str = "palisade_http_upstream_seconds";

/// Says what the metrics mean. Once, after the recorder was installed.
pub fn describe() {
    describe_counter!(REQUESTS_TOTAL, "Requests that the store has answered, by rule");
    describe_counter!(REFUSED_TOTAL, "Requests that Palisade itself answered, by reason");
    describe_counter!(UNKNOWN_TOTAL, "Writes that were told `unknown`, by rule");
    describe_counter!(
        ENDED_TOTAL,
        "Connections that Palisade ended: `idle`, which is also a head that does not come, \
         `malformed`, or `unread` by their clients"
    );
    describe_counter!(STREAMS_ENDED_TOTAL, "HTTP/2 streams ended because nobody read the answer");
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
    rules: HashMap<Arc<str>, RuleMetrics, foldhash::fast::RandomState>,
    unmatched: RuleMetrics,
    idle: Counter,
    malformed: Counter,
    unread: Counter,
    /// HTTP/2 streams whose answer nobody read.
    pub streams_unread: Counter,
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
    /// By reason, as they come up: there are about twenty.
    refused: Mutex<Vec<(&'static str, Counter)>>,
    labels: [(&'static str, Arc<str>); 2],
}

impl RuleMetrics {
    fn new(listener: &Arc<str>, rule: Arc<str>) -> Self {
        let labels = [("listener", Arc::clone(listener)), ("rule", rule)];
        Self {
            requests: counter!(REQUESTS_TOTAL, &labels),
            unknown: counter!(UNKNOWN_TOTAL, &labels),
            refused: Mutex::default(),
            labels,
        }
    }

    fn refused(&self, reason: &'static str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match refused.iter().find(|(known, _)| *known == reason) {
            Some((_, counter)) => counter.increment(1),
            None => {
                let [listener, rule] = self.labels.clone();
                let counter = counter!(REFUSED_TOTAL, &[listener, rule, ("reason", reason.into())]);
                counter.increment(1);
                refused.push((reason, counter));
            }
        }
    }
}

impl Metrics {
    /// After the recorder was installed: handles made before it go nowhere.
    pub fn new(listener: &Arc<str>, rules: &Rules) -> Self {
        let of_rule = |rule: &Arc<Rule>| {
            (Arc::clone(&rule.name), RuleMetrics::new(listener, Arc::clone(&rule.name)))
        };
        let ended = |reason: &'static str| counter!(ENDED_TOTAL, "listener" => Arc::clone(listener), "reason" => reason);
        Self {
            rules: rules.iter().map(of_rule).collect(),
            unmatched: RuleMetrics::new(listener, "".into()),
            idle: ended("idle"),
            malformed: ended("malformed"),
            unread: ended("unread"),
            streams_unread: counter!(
                STREAMS_ENDED_TOTAL, "listener" => Arc::clone(listener), "reason" => "unread"
            ),
            added: histogram!(ADDED_SECONDS, "listener" => Arc::clone(listener)),
            upstream: histogram!(UPSTREAM_SECONDS, "listener" => Arc::clone(listener)),
        }
    }

    /// Those of a rule; `None` for requests that no rule matches.
    pub fn rule(&self, rule: Option<&Rule>) -> &RuleMetrics {
        rule.and_then(|rule| self.rules.get(&rule.name)).unwrap_or(&self.unmatched)
    }

    /// A connection has ended.
    pub fn ended(&self, end: End) {
        match end {
            End::Client => {}
            End::Idle => self.idle.increment(1),
            End::Malformed => self.malformed.increment(1),
            End::Unread => self.unread.increment(1),
        }
    }

    /// An HTTP/2 connection has ended by itself.
    pub fn ended_http2(&self, end: &hyper::Result<()>) {
        let Err(error) = end else { return };
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                return self.ended(End::of(io));
            }
            source = cause.source();
        }
        if error.is_timeout() {
            self.ended(End::Idle);
        } else if !(error.is_incomplete_message() || error.is_closed() || error.is_canceled()) {
            self.ended(End::Malformed);
        }
    }

    /// A request that Palisade itself answered.
    pub fn refused(&self, rule: Option<&Arc<str>>, reason: &'static str) {
        let rule = rule.and_then(|rule| self.rules.get(rule)).unwrap_or(&self.unmatched);
        rule.refused(reason);
    }
}
