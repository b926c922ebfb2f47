//! What the store and the client see of each other when all goes well.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::rig::{Rig, read_answer};

#[tokio::test]
async fn a_write_arrives_as_it_was_sent_and_its_answer_says_under_what() {
    let rig = Rig::new().await;
    let answer = rig
        .ask(
            "leader-a",
            "PUT /data/1/a%20b?x=%2F HTTP/1.1\r\nHost: store.example:9\r\nFencing-Token: 7\r\nContent-Length: 3\r\n\
             Connection: x-private\r\nX-Private: 1\r\nX-Kept: 1\r\nTE: gzip\r\nX-Forwarded-For: 6.6.6.6\r\n\
             Forwarded: for=6.6.6.6\r\n\r\nabc",
        )
        .await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "stored"), "{answer:?}");
    assert_eq!(answer.header("fencing-resource"), Some("data/1"));
    assert_eq!(answer.header("fencing-token"), Some("7"));
    assert_eq!(answer.header("fencing-refusal"), None, "a store cannot forge a refusal");
    assert_eq!(answer.header("x-hop"), None);
    let seen = &rig.seen()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PUT", "/data/1/a%20b?x=%2F"));
    assert_eq!((seen.bytes, seen.complete), (3, true));
    let header = |name: &str| seen.headers.get(name).map(|value| value.to_str().unwrap());
    for (name, expected) in [
        ("host", Some("store.example:9")),
        ("content-length", Some("3")),
        ("x-kept", Some("1")),
        ("x-private", None),
        ("connection", None),
        ("te", None),
        ("fencing-token", None),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-host", Some("store.example:9")),
        ("x-forwarded-proto", Some("https")),
        ("forwarded", Some("for=127.0.0.1;proto=https")),
        ("via", Some("1.1 palisade-main-test")),
    ] {
        assert_eq!(header(name), expected, "{name}");
    }
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let rig = Rig::new().await;
    let mut client = rig.connect("leader-a", false).await;
    for n in 0..20 {
        let request = match n % 3 {
            0 => {
                "PUT /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 7\r\nContent-Length: 3\r\n\r\nabc"
            }
            1 => "GET /data/1/x HTTP/1.1\r\nHost: s\r\n\r\n",
            _ => "DELETE /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 7\r\n\r\n",
        };
        client.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut client).await.status, 200);
    }
    assert_eq!(*rig.record.connections.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_refused_small_write_keeps_the_connection() {
    let rig = Rig::new().await;
    assert_eq!(rig.put("leader-b", "/data/1/x", 8, "b").await.status, 200);
    let mut client = rig.connect("leader-a", false).await;
    for _ in 0..3 {
        let request =
            "PUT /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 7\r\nContent-Length: 3\r\n\r\nabc";
        client.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut client).await.status, 412);
    }
}

#[tokio::test]
async fn reads_go_through_and_a_read_with_a_token_seals() {
    let rig = Rig::new().await;
    let answer = rig.ask("reader", "GET /data/1/x HTTP/1.1\r\nHost: s\r\n\r\n").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "stored"));
    let read = "GET /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 9\r\n\r\n";
    let answer = rig.ask("leader-b", read).await;
    assert_eq!((answer.status, answer.header("fencing-token")), (200, Some("9")));
    assert_eq!(rig.put("leader-a", "/data/1/x", 8, "a").await.status, 412);
    // HEAD has the length and no body, so the connection goes on.
    let mut client = rig.connect("reader", false).await;
    client.write_all(b"HEAD /data/1/x HTTP/1.1\r\nHost: s\r\n\r\nHEAD /data/1/x HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text.matches("HTTP/1.1 200").count(), 2, "{text}");
    assert_eq!(text.matches("content-length: 6").count(), 2, "{text}");
    assert!(!text.contains("stored"), "{text}");
}

#[tokio::test]
async fn what_no_rule_matches_goes_by_the_listener() {
    let rig = Rig::new().await;
    let get = "GET /none HTTP/1.1\r\nHost: s\r\n\r\n";
    assert_eq!(rig.ask("leader-a", get).await.status, 200);
    let put = "PUT /none HTTP/1.1\r\nHost: s\r\nContent-Length: 1\r\n\r\na";
    let answer = rig.ask("free", put).await;
    assert_eq!((answer.status, answer.header("fencing-resource")), (200, None));
    assert_eq!(rig.ask("leader-a", put).await.status, 403);
}

#[tokio::test]
async fn the_reserved_prefix_seals_and_tells() {
    let rig = Rig::new().await;
    let seal = |token: &str, more: &str| {
        format!(
            "POST /.palisade/seal?path=/data/1/a%20b HTTP/1.1\r\nHost: s\r\nContent-Length: 0\r\nFencing-Token: {token}\r\n{more}\r\n"
        )
    };
    let answer = rig.ask("leader-a", &seal("3", "Fencing-Wait: 5s\r\n")).await;
    assert_eq!((answer.status, answer.member("mark").as_str()), (200, "3"), "{answer:?}");
    assert_eq!(answer.header("fencing-resource"), Some("data/1"));
    assert_eq!(rig.ask("leader-b", &seal("2", "")).await.member("reason"), "stale");
    assert_eq!(rig.ask("reader", &seal("3", "")).await.member("reason"), "forbidden");
    let status = "GET /.palisade/status?path=/data/1/x HTTP/1.1\r\nHost: s\r\n\r\n";
    let answer = rig.ask("reader", status).await;
    assert_eq!((answer.member("mark"), answer.member("holder")), ("3".into(), "leader-a".into()));
    let answer = rig.ask("free", status).await;
    assert_eq!(answer.member("reason"), "forbidden");
    let answer = rig.ask("worker", "GET /.palisade/whoami HTTP/1.1\r\nHost: s\r\n\r\n").await;
    assert_eq!(answer.member("identity"), "worker");
    assert_eq!(answer.member("not_after"), "2096-10-02T07:06:40Z");
    let document: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(document["rules"][0]["may"], serde_json::json!(["write"]));
    assert!(rig.seen().is_empty(), "{:?}", rig.seen());
}

#[tokio::test]
async fn a_takeover_that_takes_longer_than_wanted_is_told_unsettled() {
    let rig = Rig::with(super::rig::Options {
        response_timeout: Duration::from_secs(4),
        settle_timeout: Duration::from_secs(4),
        ..Default::default()
    })
    .await;
    let mut client = rig.connect("leader-a", false).await;
    client
        .write_all(b"DELETE /data/1/hold HTTP/1.1\r\nHost: s\r\nFencing-Token: 1\r\n\r\n")
        .await
        .unwrap();
    rig.wait_seen(1).await;
    let request = "PUT /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 2\r\nFencing-Wait: 100ms\r\nContent-Length: 1\r\n\r\na";
    let answer = rig.ask("leader-b", request).await;
    assert_eq!((answer.status, answer.member("reason").as_str()), (503, "unsettled"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    rig.record.release.notify_one();
    assert_eq!(read_answer(&mut client).await.status, 200);
    assert_eq!(rig.ask("leader-b", request).await.status, 200);
}
