//! What is counted of Redis. The fence's own numbers (admitted, in flight, takeovers) are the
//! gate's.

use std::sync::Arc;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

use super::upstream::Upstream;
use crate::rules::Rules;

const SESSIONS: &str = "palisade_redis_sessions";
const SESSIONS_TOTAL: &str = "palisade_redis_sessions_total";
const ENDED_TOTAL: &str = "palisade_redis_sessions_ended_total";
const REFUSED_TOTAL: &str = "palisade_redis_refused_total";
const UNKNOWN_TOTAL: &str = "palisade_redis_outcomes_unknown_total";
const SWEPT: &str = "palisade_redis_swept";
const KILLED_TOTAL: &str = "palisade_redis_clients_killed_total";
const KILLING: &str = "palisade_redis_clients_killing";
const CONNECT_SECONDS: &str = "palisade_redis_connect_seconds";
const CHANGES_TOTAL: &str = "palisade_redis_primary_changes_total";
const LOST_BYTES_TOTAL: &str = "palisade_redis_lost_bytes_total";

/// Says what the metrics mean. Once, after the recorder was installed.
pub fn describe() {
    describe_gauge!(
        SESSIONS,
        "Connections that are open, by kind: fenced (a token was brought) or read_only"
    );
    describe_counter!(SESSIONS_TOTAL, "Connections that were opened");
    describe_counter!(
        ENDED_TOTAL,
        "Connections that Palisade ended, by reason: stale, ending, moved, malformed, outcome_unknown"
    );
    describe_counter!(REFUSED_TOTAL, "Commands and connections that Palisade refused, by reason");
    describe_counter!(
        UNKNOWN_TOTAL,
        "Connections of which nobody can tell whether what was sent last was done"
    );
    describe_gauge!(
        SWEPT,
        "Whether the connections that an earlier process left at the server have been ended: \
         before, nobody may bring a token"
    );
    describe_counter!(
        KILLED_TOTAL,
        "Clients killed at the server, because something of theirs could still run"
    );
    describe_gauge!(KILLING, "Clients whose end the server has not confirmed yet");
    describe_histogram!(
        CONNECT_SECONDS,
        Unit::Seconds,
        "From a client's connection to one at the server"
    );
    describe_counter!(
        CHANGES_TOTAL,
        "What changed at the server, by kind: restarted, other_primary, demoted, data_lost, \
         history_unknown"
    );
    describe_counter!(
        LOST_BYTES_TOTAL,
        Unit::Bytes,
        "Bytes of the replication stream, at least, that a new primary lacks"
    );
}

/// Those of one listener.
#[derive(Debug)]
pub(super) struct Metrics {
    listener: Arc<str>,
    fenced: Gauge,
    read_only: Gauge,
    opened: Counter,
    pub(super) killed: Counter,
    pub(super) killing: Gauge,
    pub(super) swept: Gauge,
    pub(super) unknown: Counter,
    pub(super) connect: Histogram,
}

/// A connection that is open, under its kind.
#[derive(Debug)]
pub(super) struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Metrics {
    /// After the recorder was installed: handles made before it go nowhere.
    pub(super) fn new(listener: &Arc<str>, rules: &Rules) -> Self {
        // What alerts look at is begun at zero, so that the first one shows as an increase.
        let refused = |rule: Arc<str>, reason: &'static str| {
            let labels =
                [("listener", listener.clone()), ("rule", rule), ("reason", reason.into())];
            counter!(REFUSED_TOTAL, &labels).increment(0);
        };
        for rule in rules.iter() {
            refused(rule.name.clone(), "stale");
        }
        for reason in ["login", "upstream_unavailable"] {
            refused("".into(), reason);
        }
        counter!(ENDED_TOTAL, "listener" => listener.clone(), "reason" => "stale").increment(0);
        let kind = |kind: &'static str| {
            let gauge = gauge!(SESSIONS, "listener" => listener.clone(), "kind" => kind);
            gauge.set(0.0);
            gauge
        };
        let swept = gauge!(SWEPT, "listener" => listener.clone());
        swept.set(0.0);
        let killing = gauge!(KILLING, "listener" => listener.clone());
        killing.set(0.0);
        Self {
            listener: listener.clone(),
            fenced: kind("fenced"),
            read_only: kind("read_only"),
            opened: counter!(SESSIONS_TOTAL, "listener" => listener.clone()),
            killed: counter!(KILLED_TOTAL, "listener" => listener.clone()),
            killing,
            swept,
            unknown: counter!(UNKNOWN_TOTAL, "listener" => listener.clone()),
            connect: histogram!(CONNECT_SECONDS, "listener" => listener.clone()),
        }
    }

    /// A connection is opened, without a token: counted until that is dropped.
    pub(super) fn opened(&self) -> Counted {
        self.opened.increment(1);
        Self::counted(&self.read_only)
    }

    /// A token was brought.
    pub(super) fn fenced(&self) -> Counted {
        Self::counted(&self.fenced)
    }

    /// The token was given up.
    pub(super) fn read_only(&self) -> Counted {
        Self::counted(&self.read_only)
    }

    fn counted(gauge: &Gauge) -> Counted {
        gauge.increment(1.0);
        Counted(gauge.clone())
    }

    /// A command or a connection was refused.
    pub(super) fn refused(&self, rule: Option<&Arc<str>>, reason: &'static str) {
        let labels = [
            ("listener", self.listener.clone()),
            ("rule", rule.cloned().unwrap_or_else(|| "".into())),
            ("reason", reason.into()),
        ];
        counter!(REFUSED_TOTAL, &labels).increment(1);
    }

    /// Palisade ended a connection.
    pub(super) fn ended(&self, reason: &'static str) {
        counter!(ENDED_TOTAL, "listener" => self.listener.clone(), "reason" => reason).increment(1);
    }
}

/// Those of one upstream.
#[derive(Debug)]
pub(super) struct UpstreamMetrics {
    upstream: Arc<str>,
    lost_bytes: Counter,
}

impl UpstreamMetrics {
    pub(super) fn new(upstream: &Upstream) -> Self {
        let name = &upstream.name;
        for kind in super::changes::KINDS.map(super::changes::word) {
            counter!(CHANGES_TOTAL, "upstream" => name.clone(), "kind" => kind).increment(0);
        }
        let lost_bytes = counter!(LOST_BYTES_TOTAL, "upstream" => name.clone());
        lost_bytes.increment(0);
        Self { upstream: name.clone(), lost_bytes }
    }

    pub(super) fn changed(&self, kind: &'static str, lost_bytes: u64) {
        counter!(CHANGES_TOTAL, "upstream" => self.upstream.clone(), "kind" => kind).increment(1);
        self.lost_bytes.increment(lost_bytes);
    }
}
