//! A store that is down, dies, or does not take it: the writer is told the truth.

use std::net::SocketAddr;
use std::time::Duration;

use http::Method;

use crate::origin::{Manner, Origin};
use crate::rig::{Options, Reply, Rig, free_address};

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
    rig.one_is("streaming", "/fenced/early/state").await;
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
    rig.one_is("sent", "/fenced/late/state").await;
    // Its last bytes are on their way.
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.store.process.kill();
    assert_eq!(truth(&sent.await.unwrap()), told(424, "outcome_unknown", "unknown"));
}

/// What each misbehaviour means for a write, a bodiless write and a read. There is a second
/// endpoint that behaves the same: a write that was sent again would be counted there.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_misbehaves_is_told_truly_and_no_write_is_sent_again() {
    let dark = ("outcome_unknown", "unknown");
    let down = ("upstream_unavailable", "not_applied");
    // Status, reason and outcome; how many requests came whole.
    for (manner, put, delete) in [
        (Manner::Answers, ((200, "", ""), 1), ((200, "", ""), 1)),
        (Manner::AnswersEarly, ((403, "", ""), 0), ((403, "", ""), 0)),
        (Manner::HangsUpAtHead, ((503, down.0, down.1), 0), ((424, dark.0, dark.1), 0)),
        (Manner::HangsUp, ((424, dark.0, dark.1), 1), ((424, dark.0, dark.1), 1)),
        (Manner::Hangs, ((424, dark.0, dark.1), 1), ((424, dark.0, dark.1), 1)),
    ] {
        let origins = [Origin::start(manner).await, Origin::start(manner).await];
        let rig = behind(origins.iter().map(|origin| origin.address), "1s").await;
        let seen = || {
            let both = origins.iter().map(Origin::seen);
            both.fold((0, 0), |sum, (heads, whole, _)| (sum.0 + heads, sum.1 + whole))
        };
        let a = rig.client("leader-a").token(33);
        let before = seen();
        let ((status, reason, outcome), whole) = put;
        let mut upload = a.begin(Method::PUT, &format!("/fenced/{manner:?}/put"), 1 << 20);
        upload.send(vec![b'a'; 1 << 19]).await;
        // A body that is sent to its end may be on its way before the store is seen to be gone.
        let reply = if whole == 0 {
            upload.early().await.unwrap()
        } else {
            upload.send(vec![b'a'; 1 << 19]).await;
            upload.finish().await.unwrap()
        };
        assert_eq!(truth(&reply), told(status, reason, outcome), "PUT, {manner:?}");
        let retry = reply.headers.contains_key("retry-after");
        assert_eq!(retry, status == 503, "PUT, {manner:?}");
        let after = seen();
        assert_eq!((after.0 - before.0, after.1 - before.1), (1, whole), "PUT, {manner:?}");

        let reply = a.send(Method::DELETE, &format!("/fenced/{manner:?}/delete"), "").await;
        let ((status, reason, outcome), whole) = delete;
        assert_eq!(truth(&reply), told(status, reason, outcome), "DELETE, {manner:?}");
        let last = seen();
        assert_eq!((last.0 - after.0, last.1 - after.1), (1, whole), "DELETE, {manner:?}");
    }
}

/// Palisade before those endpoints, with a store that is not asked.
async fn behind(endpoints: impl Iterator<Item = SocketAddr>, response: &str) -> Rig {
    let endpoints = endpoints.map(|endpoint| format!("\"http://{endpoint}\"")).collect::<Vec<_>>();
    let edits = vec![
        ("[\"http://127.0.0.1:9\"]", format!("[{}]", endpoints.join(", "))),
        ("response_timeout = \"3s\"", format!("response_timeout = \"{response}\"")),
    ];
    let upstream = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
    Rig::with(Options { upstream, edits, ..Options::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_down_is_passed_over() {
    let up = Origin::start(Manner::Answers).await;
    let down = free_address();
    let rig = behind([down, up.address].into_iter(), "3s").await;
    for number in 0..12 {
        let a = rig.client("leader-a").token(33);
        let reply = a.put(&format!("/fenced/down/{number}"), "a").await;
        assert_eq!(reply.status, 200, "{number}: {}", reply.text());
    }
    assert_eq!(up.seen(), (12, 12, 12));
}

/// The store behind another Palisade, that speaks TLS and HTTP/2 and wants a certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_tls_and_http_2_is_written_to_fenced() {
    let far = Rig::with(Options {
        edits: vec![
            // It fences something else, and lets the near one through.
            ("path = \"/fenced/{shard}/**\"", "path = \"/elsewhere/{shard}/**\"".to_owned()),
            (
                "[listeners.main.unmatched]\nread = [\"leader-*\"]",
                "[listeners.main.unmatched]\nread = [\"follower\"]\nwrite = [\"follower\"]"
                    .to_owned(),
            ),
        ],
        ..Options::default()
    })
    .await;
    let (certificate, key) = far.certs.of("follower");
    for version in ["1.1", "2"] {
        let near = async |own: bool| {
            let own = match own {
                true => format!("certificate = {certificate:?}\nkey = {key:?}\n"),
                false => String::new(),
            };
            let port = far.address.port();
            let edits = vec![
                ("\"http://127.0.0.1:9\"", format!("\"https://localhost:{port}\"")),
                (
                    "[upstreams.store.s3]",
                    format!(
                        "http_version = \"{version}\"\n[upstreams.store.tls]\nca = {:?}\n{own}\
                         [upstreams.store.s3]",
                        far.certs.ca
                    ),
                ),
            ];
            let upstream = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
            Rig::with(Options { upstream, edits, settle_timeout: "60s", ..Options::default() })
                .await
        };
        let rig = near(true).await;
        let path = format!("/fenced/tls-{version}/state");
        let body = vec![b'a'; 4 << 20];
        let a = rig.client("leader-a").token(33);
        let reply = a.put(&path, body.clone()).await;
        assert_eq!(reply.status, 200, "{version}: {}", reply.text());
        assert_eq!(a.get(&path).await.body, body, "{version}");

        // Cut before its last byte, over that connection too.
        let cut = format!("/fenced/tls-{version}/cut");
        let mut upload = a.begin(Method::PUT, &cut, body.len());
        upload.send(body[..body.len() / 2].to_vec()).await;
        rig.one_is("streaming", &cut).await;
        let seal = rig.seal("leader-b", 34, &cut).await;
        assert_eq!(seal.json()["takeover"]["cut"], 1, "{version}: {}", seal.text());
        assert_eq!(upload.early().await.unwrap().status, 412, "{version}");
        let gone = rig.client("leader-b").token(34).get(&cut).await;
        assert_eq!(gone.status, 404, "{version}: {}", gone.text());

        // Without the certificate nobody is let in there.
        let bare = near(false).await;
        let reply = bare.client("leader-a").token(33).put(&path, "bare").await;
        // With TLS 1.3 that is told after the request was sent: so it may also be called unknown.
        let honest = [
            told(503, "upstream_unavailable", "not_applied"),
            told(424, "outcome_unknown", "unknown"),
        ];
        assert!(honest.contains(&truth(&reply)), "{version}: {}", reply.text());
        assert_eq!(rig.client("leader-b").token(34).get(&path).await.body, body, "{version}");
    }
    let journal = std::fs::read_to_string(&far.store.journal).unwrap();
    assert_eq!(journal.lines().count(), 2, "{journal}");
}
