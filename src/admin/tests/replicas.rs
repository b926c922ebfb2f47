//! What is told of a ledger that several share, in each condition.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::rig::{Rig, peer};
use crate::admin::{Caller, OPERATOR_HEADER};
use crate::fence::{Granted, Mark, RaiseOutcome, Record, Resource, SessionId, Token};
use crate::ledger::embedded::Embedded;
use crate::ledger::lease::Lease;
use crate::ledger::{Condition, Entry, Ledger, Pending, Replica, Unavailable};

/// The embedded ledger, in the condition that a test wants.
struct Shared {
    inner: Embedded,
    condition: Mutex<Condition>,
    is_away: AtomicBool,
}

impl Shared {
    fn set(&self, condition: Condition) {
        *self.condition.lock().expect("no test panicked") = condition;
    }
}

impl Ledger for Shared {
    fn load<'a>(&'a self, resource: &'a Resource) -> Pending<'a, Result<Record, Unavailable>> {
        self.inner.load(resource)
    }

    fn raise<'a>(
        &'a self,
        resource: &'a Resource,
        to: &'a Mark,
        quiesced: bool,
    ) -> Pending<'a, RaiseOutcome> {
        self.inner.raise(resource, to, quiesced)
    }

    fn grant<'a>(&'a self, resource: &'a Resource, at: Token) -> Pending<'a, Granted> {
        self.inner.grant(resource, at)
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a str>,
        max: usize,
    ) -> Pending<'a, Result<Vec<Entry>, Unavailable>> {
        self.inner.list(after, max)
    }

    fn entry<'a>(
        &'a self,
        resource: &'a Resource,
    ) -> Pending<'a, Result<Option<Entry>, Unavailable>> {
        self.inner.entry(resource)
    }

    fn lease(&self) -> &Lease {
        self.inner.lease()
    }

    fn session(&self) -> Option<SessionId> {
        Some(SessionId::new("r1", 7))
    }

    fn condition(&self) -> Condition {
        self.condition.lock().expect("no test panicked").clone()
    }

    fn replicas(&self) -> Pending<'_, Result<Vec<Replica>, Unavailable>> {
        Box::pin(async {
            if self.is_away.load(Ordering::SeqCst) {
                return Err(Unavailable("no answer".to_owned()));
            }
            Ok(vec![Replica {
                session: "r1#7".to_owned(),
                is_this: true,
                version: "0.1.0".to_owned(),
                age_seconds: 5,
                grants: 2,
                lag_ms: 3,
                seen_ms_ago: 4,
                state: "serving".to_owned(),
            }])
        })
    }

    fn loses(&self) -> Option<String> {
        Some("the last second".to_owned())
    }

    fn confirm(&self) -> Pending<'_, Result<(), Unavailable>> {
        self.set(Condition::Serving);
        Box::pin(async { Ok(()) })
    }

    fn ended_uncleanly(&self) -> bool {
        self.inner.ended_uncleanly()
    }

    fn health(&self) -> Result<(), Unavailable> {
        self.inner.health()
    }

    fn close(&self) -> Pending<'_, Result<(), Unavailable>> {
        self.inner.close()
    }
}

async fn rig() -> (Rig, Arc<Shared>) {
    let mut shared = None;
    let rig = Rig::over(|inner| {
        let condition = Mutex::new(Condition::Serving);
        let ledger = Arc::new(Shared { inner, condition, is_away: AtomicBool::new(false) });
        shared = Some(Arc::clone(&ledger));
        ledger
    });
    let rig = rig.await;
    rig.readiness.listener_up("s3", &[]);
    (rig, shared.expect("made"))
}

#[tokio::test]
async fn the_conditions_are_told_apart() {
    let (rig, ledger) = rig().await;
    let why = || "etcd-1 does not answer".to_owned();
    let serves_for = Duration::from_millis(7_900);
    for (condition, name, status, told) in [
        (Condition::Serving, "serving", 200, "in reach, session r1#7"),
        (
            Condition::OutOfReach { why: why(), serves_for },
            "out_of_reach",
            200,
            "out of reach: current holders are served for 7s more, nobody can take over (etcd-1 does \
             not answer)",
        ),
        (
            Condition::Frozen { why: why() },
            "frozen",
            200,
            "frozen: current holders are served, nobody can take over until an operator confirms with \
             `palisade ledger confirm` (etcd-1 does not answer)",
        ),
        (
            Condition::Suspended { why: why() },
            "suspended",
            503,
            "suspended: writes are refused, reads go on (etcd-1 does not answer)",
        ),
    ] {
        ledger.set(condition);
        let answer = rig.get("/readyz").await;
        assert_eq!((answer.status, &answer.json()["checks"][0]["detail"]), (status, &told.into()));
        let replicas = rig.get("/api/replicas").await.json();
        assert_eq!((&replicas["condition"], &replicas["detail"]), (&name.into(), &told.into()));
        assert_eq!(replicas["loses"], "the last second");
        assert_eq!(replicas["replicas"][0]["session"], "r1#7");
    }
    assert!(rig.get("/").await.body.contains("<h2>Replicas</h2>"));
    ledger.is_away.store(true, Ordering::SeqCst);
    let answer = rig.get("/api/replicas").await;
    assert_eq!((answer.status, &answer.json()["condition"]), (200, &"suspended".into()));
    let problem = answer.json()["problem"].clone();
    assert!(problem.as_str().is_some_and(|text| text.contains("no answer")), "{problem}");
}

#[tokio::test]
async fn the_metric_has_each_condition() {
    let (rig, _) = rig().await;
    let text = rig.get("/metrics").await.body;
    // Other tests of this process write to the same recorder.
    for condition in ["serving", "out_of_reach", "frozen", "suspended"] {
        let line = format!("palisade_ledger_condition{{condition=\"{condition}\"}} ");
        assert!(text.contains(&line), "{text}");
    }
}

#[tokio::test]
async fn an_operator_confirms_with_a_reason_and_is_audited() {
    let (rig, ledger) = rig().await;
    ledger.set(Condition::Frozen { why: "a failover".to_owned() });
    let answer = rig.post("confirm", json!({ "reason": " " })).await;
    assert_eq!((answer.status, &answer.problem()["reason"]), (400, &"bad_request".into()));
    let nobody = Caller::Certificate(peer("writer"));
    let headers = [("content-type", "application/json"), (OPERATOR_HEADER, "test")];
    let body = json!({ "reason": "looked" }).to_string();
    let answer =
        rig.send_as(nobody, "POST", "/api/ledger/confirm", "localhost", &headers, &body).await;
    assert_eq!((answer.status, &answer.problem()["reason"]), (403, &"forbidden".into()));
    assert_eq!(rig.audited("refused")["operation"], "confirm");
    assert!(matches!(ledger.condition(), Condition::Frozen { .. }));

    let answer = rig.post("confirm", json!({ "reason": "marks imported" })).await;
    assert_eq!((answer.status, &answer.json()["was_frozen"]), (200, &"a failover".into()));
    let line = rig.audited("confirm");
    assert_eq!(line["detail"], json!({ "reason": "marks imported", "was_frozen": "a failover" }));
    assert_eq!(ledger.condition(), Condition::Serving);
}

#[tokio::test]
async fn the_embedded_ledger_has_nothing_to_confirm() {
    let rig = Rig::start().await;
    let answer = rig.post("confirm", json!({ "reason": "x" })).await;
    assert_eq!((answer.status, &answer.problem()["reason"]), (400, &"bad_request".into()));
    assert!(!rig.get("/").await.body.contains("<h2>Replicas</h2>"));
}
