//! A store that is down, dies, or does not take it: the writer is told the truth.

use std::time::Duration;

use http::Method;

use crate::rig::{Reply, Rig};

fn truth(reply: &Reply) -> (u16, String, String) {
    let reason = reply.header("fencing-refusal").to_owned();
    (reply.status.as_u16(), reason, reply.element("Outcome"))
}

fn told(status: u16, reason: &str, outcome: &str) -> (u16, String, String) {
    (status, reason.to_owned(), outcome.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_has_not_applied_it() {
    let mut rig = Rig::start().await;
    rig.store.process.kill();
    let a = rig.client("leader-a").token(33);
    for method in [Method::PUT, Method::DELETE, Method::GET] {
        let body = if method == Method::PUT { "a" } else { "" };
        let reply = a.send(method, "/fenced/down/state", body).await;
        assert_eq!(truth(&reply), told(503, "upstream_unavailable", "not_applied"));
        assert!(!reply.header("retry-after").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_dies_before_the_last_byte_has_not_applied_it() {
    let mut rig = Rig::start().await;
    let a = rig.client("leader-a").token(33);
    let mut upload = a.begin(Method::PUT, "/fenced/early/state", 1 << 20);
    upload.send(vec![b'a'; 1 << 19]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.store.process.kill();
    upload.send(vec![b'a'; 1 << 19]).await;
    let reply = upload.finish().await.unwrap();
    assert_eq!(truth(&reply), told(503, "upstream_unavailable", "not_applied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_dies_over_a_whole_request_leaves_it_unknown() {
    let mut rig = Rig::start().await;
    let a = rig.writer("leader-a", 33, "unknown").with("x-amz-meta-delay-ms", 20_000);
    let sent = tokio::spawn(async move { a.put("/fenced/late/state", "a").await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    rig.store.process.kill();
    assert_eq!(truth(&sent.await.unwrap()), told(520, "outcome_unknown", "unknown"));
}
