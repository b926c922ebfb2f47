//! What writers are told when things go wrong, and that it is the truth.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::rig::{Answer, Options, Rig, read_answer, until};
use crate::protocol::http::Limits;

fn check(answer: &Answer, status: u16, reason: &str, outcome: &str, retryable: bool) {
    let told = (answer.status, answer.member("reason"), answer.member("outcome"));
    assert_eq!(told, (status, reason.to_owned(), outcome.to_owned()), "{answer:?}");
    assert_eq!(answer.member("retryable"), retryable.to_string());
    assert_eq!(answer.header("retry-after").is_some(), retryable, "{answer:?}");
    assert_eq!(answer.header("fencing-refusal"), Some(reason));
}

#[tokio::test]
async fn nobody_listening_is_not_applied() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let rig = Rig::with(Options { endpoints: Some(vec![closed]), ..Options::default() }).await;
    let answer = rig.put("leader-a", "/data/1/x", 1, "a").await;
    check(&answer, 503, "upstream_unavailable", "not_applied", true);
    assert_eq!(rig.in_flight("data/1").await, (0, 0, 0));
}

#[tokio::test]
async fn a_store_that_hangs_up_after_the_whole_body_is_unknown() {
    let rig = Rig::new().await;
    let answer = rig.put("leader-a", "/data/1/reset", 1, "abc").await;
    check(&answer, 424, "outcome_unknown", "unknown", false);
    assert_eq!(rig.in_flight("data/1").await, (0, 0, 1));
    assert_eq!(rig.seen().len(), 1, "it was sent again");
    let answer = rig.ask("leader-a", "GET /data/1/reset HTTP/1.1\r\nHost: s\r\n\r\n").await;
    check(&answer, 502, "upstream_broken", "not_applied", true);
}

#[tokio::test]
async fn a_store_that_never_answers_is_unknown() {
    let rig = Rig::new().await;
    let answer = rig.put("leader-a", "/data/1/silent", 1, "abc").await;
    check(&answer, 424, "outcome_unknown", "unknown", false);
    assert_eq!(rig.in_flight("data/1").await, (0, 0, 1));
    // It may still land, so the next leader waits, and is told.
    let seal = "POST /.palisade/seal?path=/data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 2\r\nContent-Length: 0\r\n\r\n";
    let sealed = rig.ask("leader-b", seal).await;
    let document: serde_json::Value = serde_json::from_str(&sealed.body).unwrap();
    assert_eq!(document["takeover"]["unknown"], 1, "{document}");
    assert_eq!(rig.in_flight("data/1").await, (0, 0, 0));
}

#[tokio::test]
async fn a_store_that_hangs_up_in_the_middle_of_the_body_has_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = Some(vec![listener.local_addr().unwrap()]);
    let rig = Rig::with(Options { endpoints, ..Options::default() }).await;
    let mut client = rig.connect("leader-a", false).await;
    let head =
        "PUT /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 1\r\nContent-Length: 10\r\n\r\n12345";
    client.write_all(head.as_bytes()).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    socket.readable().await.unwrap();
    drop(socket);
    let answer = read_answer(&mut client).await;
    check(&answer, 503, "upstream_unavailable", "not_applied", true);
    assert_eq!(rig.in_flight("data/1").await, (0, 0, 0));
}

#[tokio::test]
async fn an_early_answer_is_passed_on_and_the_write_never_completes() {
    for path in ["/data/1/early", "/data/1/early-drop"] {
        let rig = Rig::new().await;
        let mut client = rig.connect("leader-a", false).await;
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: s\r\nFencing-Token: 1\r\nContent-Length: 10\r\n\r\n12345"
        );
        client.write_all(head.as_bytes()).await.unwrap();
        let answer = read_answer(&mut client).await;
        assert_eq!((answer.status, answer.body.as_str()), (403, "no"), "{answer:?}");
        assert_eq!(answer.header("fencing-refusal"), None);
        rig.wait_in_flight("data/1", (0, 0, 0)).await;
        let _ = client.write_all(b"67890").await;
        // The connection was left in the middle of a body, so the next write has its own.
        assert_eq!(rig.put("leader-a", "/data/1/x", 1, "abc").await.status, 200);
        assert_eq!(*rig.record.connections.lock().unwrap(), 2);
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_before_the_end_leaves_nothing() {
    let rig = Rig::new().await;
    let mut client = rig.connect("leader-a", false).await;
    let head =
        "PUT /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 1\r\nContent-Length: 10\r\n\r\n12345";
    client.write_all(head.as_bytes()).await.unwrap();
    rig.wait_in_flight("data/1", (1, 0, 0)).await;
    drop(client);
    rig.wait_in_flight("data/1", (0, 0, 0)).await;
    assert!(rig.wait_seen(1).await.iter().all(|seen| !seen.complete));
}

#[tokio::test]
async fn a_write_goes_on_when_its_client_hangs_up_after_the_end() {
    let rig =
        Rig::with(Options { response_timeout: Duration::from_secs(4), ..Options::default() }).await;
    for body in
        ["Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"]
    {
        let mut client = rig.connect("leader-a", false).await;
        let request = format!("PUT /data/1/hold HTTP/1.1\r\nHost: s\r\nFencing-Token: 1\r\n{body}");
        client.write_all(request.as_bytes()).await.unwrap();
        rig.wait_in_flight("data/1", (0, 1, 0)).await;
        drop(client);
        until(|| rig.service.detached().len() == 1).await;
        assert_eq!(rig.in_flight("data/1").await, (0, 1, 0));
        rig.record.release.notify_one();
        rig.wait_in_flight("data/1", (0, 0, 0)).await;
        until(|| rig.service.detached().is_empty()).await;
    }
    assert!(rig.seen().iter().all(|seen| seen.complete && seen.bytes == 3));
}

#[tokio::test]
async fn a_body_that_stalls_or_is_too_large_is_refused() {
    let limits = Limits {
        body_stall_timeout: Duration::from_millis(200),
        body_bytes_max: Some(8),
        ..Limits::default()
    };
    let rig = Rig::with(Options { limits, ..Options::default() }).await;
    let put =
        |rest: &str| format!("PUT /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 1\r\n{rest}");
    let answer = rig.ask("leader-a", &put("Content-Length: 8\r\n\r\n1234")).await;
    check(&answer, 408, "body_stalled", "not_applied", false);
    let answer = rig.ask("leader-a", &put("Content-Length: 9\r\n\r\n")).await;
    check(&answer, 413, "body_too_large", "not_applied", false);
    let answer =
        rig.ask("leader-a", &put("Transfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n")).await;
    check(&answer, 413, "body_too_large", "not_applied", false);
    let answer =
        rig.ask("leader-a", &put("Transfer-Encoding: chunked\r\n\r\n4\r\n1234\r\nzz\r\n")).await;
    check(&answer, 400, "body_broken", "not_applied", false);
    rig.wait_in_flight("data/1", (0, 0, 0)).await;
    assert!(rig.seen().iter().all(|seen| !seen.complete));
}

#[tokio::test]
async fn the_fence_refuses_as_the_contract_says() {
    let rig = Rig::new().await;
    assert_eq!(rig.put("leader-a", "/data/1/x", 5, "a").await.status, 200);
    let before = rig.seen().len();
    let head = "PUT /data/1/x HTTP/1.1\r\nHost: s\r\nContent-Length: 1\r\n";
    let with = |line: &str| format!("{head}{line}\r\nx");
    for (identity, request, status, reason) in [
        ("leader-a", with(""), 428, "token_required"),
        ("leader-a", with("Fencing-Token: x\r\n"), 400, "token_malformed"),
        ("leader-a", with("Fencing-Token: 5\r\nFencing-Token: 5\r\n"), 400, "token_malformed"),
        ("leader-a", with("Fencing-Token: 4\r\n"), 412, "stale"),
        ("leader-b", with("Fencing-Token: 5\r\n"), 412, "conflict"),
        ("leader-a", with("Fencing-Token: 18446744073709551615\r\n"), 422, "implausible"),
        ("worker", with("Fencing-Token: 6\r\n"), 403, "forbidden"),
        ("reader", with("Fencing-Token: 5\r\n"), 403, "forbidden"),
        ("leader-a", with("Fencing-Token: 5\r\n").replace("/data/", "/none/"), 403, "no_rule"),
        ("leader-a", "GET /sealed/x HTTP/1.1\r\nHost: s\r\n\r\n".to_owned(), 428, "token_required"),
        ("worker", "GET /data/1/x HTTP/1.1\r\nHost: s\r\n\r\n".to_owned(), 403, "forbidden"),
        (
            "leader-a",
            "GET /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 4\r\n\r\n".to_owned(),
            412,
            "stale",
        ),
        ("worker", "GET /none HTTP/1.1\r\nHost: s\r\n\r\n".to_owned(), 403, "no_rule"),
    ] {
        let answer = rig.ask(identity, &request).await;
        check(&answer, status, reason, "not_applied", false);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    assert_eq!(rig.seen().len(), before, "something reached the store");
    let answer = rig.put("leader-a", "/data/1/x", 4, "a").await;
    for (member, expected) in
        [("resource", "data/1"), ("token", "4"), ("mark", "5"), ("holder", "leader-a")]
    {
        assert_eq!(answer.member(member), expected);
    }
}

#[tokio::test]
async fn what_did_not_go_well_is_audited_once() {
    let rig = Rig::new().await;
    rig.put("leader-a", "/data/1/reset", 5, "a").await;
    rig.put("leader-a", "/data/1/x", 4, "a").await;
    let mut client = rig.connect("leader-a", false).await;
    let head =
        "PUT /data/2/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 5\r\nContent-Length: 9\r\n\r\nx";
    client.write_all(head.as_bytes()).await.unwrap();
    rig.wait_in_flight("data/2", (1, 0, 0)).await;
    rig.put("leader-b", "/data/2/x", 6, "b").await;
    assert_eq!(read_answer(&mut client).await.status, 412);
    let mut events = rig.audited(3).await;
    events.sort();
    let events: Vec<_> = events.iter().map(|event| event.each_ref().map(String::as_str)).collect();
    assert_eq!(
        events,
        [
            ["cut", "stale", "data/2", "not_applied"],
            ["refused", "stale", "data/1", "not_applied"],
            ["unknown", "outcome_unknown", "data/1", "unknown"],
        ]
    );
}

/// Nobody has said that the store waits for the last byte of what no rule covers.
#[tokio::test]
async fn an_unfenced_write_that_breaks_off_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = Some(vec![listener.local_addr().unwrap()]);
    let rig = Rig::with(Options { endpoints, ..Options::default() }).await;
    let mut client = rig.connect("free", false).await;
    let head = "PUT /none/x HTTP/1.1\r\nHost: s\r\nContent-Length: 10\r\n\r\n12345";
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut store, _) = listener.accept().await.unwrap();
    let mut seen = vec![0; 4096];
    let mut count = 0;
    while !seen[..count].ends_with(b"12345") {
        count += tokio::io::AsyncReadExt::read(&mut store, &mut seen[count..]).await.unwrap();
    }
    drop(store);
    let answer = read_answer(&mut client).await;
    check(&answer, 424, "outcome_unknown", "unknown", false);
}
