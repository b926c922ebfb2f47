//! What is counted of PostgreSQL. The fence's own numbers (admitted, in flight, takeovers) are
//! the gate's.

use std::sync::Arc;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

use super::session;
use crate::rules::Rules;

const SESSIONS: &str = "palisade_postgres_sessions";
const SESSIONS_TOTAL: &str = "palisade_postgres_sessions_total";
const ENDED_TOTAL: &str = "palisade_postgres_sessions_ended_total";
const REFUSED_TOTAL: &str = "palisade_postgres_refused_total";
const UNKNOWN_TOTAL: &str = "palisade_postgres_outcomes_unknown_total";
const CANCELS_TOTAL: &str = "palisade_postgres_cancels_total";
const SWEPT: &str = "palisade_postgres_swept";
const REAPED_TOTAL: &str = "palisade_postgres_backends_reaped_total";
const REAPING: &str = "palisade_postgres_backends_reaping";
const LOGIN_SECONDS: &str = "palisade_postgres_login_seconds";

/// Says what the metrics mean. Once, after the recorder was installed.
pub fn describe() {
    describe_gauge!(
        SESSIONS,
        "Sessions that are open, by the kind as which they began: fenced or read_only"
    );
    describe_counter!(SESSIONS_TOTAL, "Sessions that were opened, by kind");
    describe_counter!(
        ENDED_TOTAL,
        "Sessions that Palisade ended, by reason: stale, ending, moved, malformed, outcome_unknown"
    );
    describe_counter!(REFUSED_TOTAL, "Sessions and statements that Palisade refused, by reason");
    describe_counter!(
        UNKNOWN_TOTAL,
        "Sessions of which nobody can tell whether the last statement was committed"
    );
    describe_counter!(CANCELS_TOTAL, "CancelRequests, by outcome: sent, unknown_key, failed");
    describe_gauge!(
        SWEPT,
        "Whether the sessions that an earlier process left at the server have been ended: before, \
         nobody may bring a token"
    );
    describe_counter!(
        REAPED_TOTAL,
        "Backends ended at the server, because something of theirs could still run"
    );
    describe_gauge!(REAPING, "Backends whose end the server has not confirmed yet");
    describe_histogram!(LOGIN_SECONDS, Unit::Seconds, "From a start-up packet to a session");
}

/// Those of one listener.
#[derive(Debug)]
pub(super) struct Metrics {
    listener: Arc<str>,
    pub(super) fenced: Kind,
    pub(super) read_only: Kind,
    pub(super) reaped: Counter,
    pub(super) reaping: Gauge,
    pub(super) swept: Gauge,
    pub(super) unknown: Counter,
    pub(super) login: Histogram,
}

/// Those of one kind of session.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) open: Gauge,
    pub(super) opened: Counter,
}

impl Kind {
    fn new(listener: &Arc<str>, kind: &'static str) -> Self {
        let open = gauge!(SESSIONS, "listener" => listener.clone(), "kind" => kind);
        open.set(0.0);
        let opened = counter!(SESSIONS_TOTAL, "listener" => listener.clone(), "kind" => kind);
        Self { open, opened }
    }
}

/// A session that is open.
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
            for reason in ["stale", "login", "upstream_unavailable"] {
                refused(rule.name.clone(), reason);
            }
        }
        refused("".into(), "server");
        counter!(ENDED_TOTAL, "listener" => listener.clone(), "reason" => "stale").increment(0);
        let swept = gauge!(SWEPT, "listener" => listener.clone());
        swept.set(0.0);
        Self {
            swept,
            listener: listener.clone(),
            fenced: Kind::new(listener, "fenced"),
            read_only: Kind::new(listener, "read_only"),
            reaped: counter!(REAPED_TOTAL, "listener" => listener.clone()),
            reaping: gauge!(REAPING, "listener" => listener.clone()),
            unknown: counter!(UNKNOWN_TOTAL, "listener" => listener.clone()),
            login: histogram!(LOGIN_SECONDS, "listener" => listener.clone()),
        }
    }

    /// A session is opened: counted until that is dropped.
    pub(super) fn opened(&self, kind: &session::Kind) -> Counted {
        let kind = match kind {
            session::Kind::Fenced(_) => &self.fenced,
            session::Kind::ReadOnly { .. } => &self.read_only,
        };
        kind.opened.increment(1);
        kind.open.increment(1.0);
        Counted(kind.open.clone())
    }

    /// A session or a statement was refused.
    pub(super) fn refused(&self, rule: Option<&Arc<str>>, reason: &'static str) {
        let labels = [
            ("listener", self.listener.clone()),
            ("rule", rule.cloned().unwrap_or_else(|| "".into())),
            ("reason", reason.into()),
        ];
        counter!(REFUSED_TOTAL, &labels).increment(1);
    }

    /// Palisade ended a session.
    pub(super) fn ended(&self, reason: &'static str) {
        counter!(ENDED_TOTAL, "listener" => self.listener.clone(), "reason" => reason).increment(1);
    }

    /// A CancelRequest came.
    pub(super) fn cancelled(&self, outcome: &'static str) {
        counter!(CANCELS_TOTAL, "listener" => self.listener.clone(), "outcome" => outcome)
            .increment(1);
    }
}
