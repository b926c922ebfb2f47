//! Writes in flight when a newer leader comes.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::rig::{Options, Rig, read_answer};

const SEAL: &str = "POST /.palisade/seal?path=/data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 34\r\nContent-Length: 0\r\n\r\n";

/// Starts an upload with this framing, and a takeover in the middle of it.
async fn cut(head: &str, part: &str, rest: &str) {
    let rig = Rig::new().await;
    let mut client = rig.connect("leader-a", false).await;
    let request =
        format!("PUT /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 33\r\n{head}\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    client.write_all(part.as_bytes()).await.unwrap();
    rig.wait_in_flight("data/1", (1, 0, 0)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;

    let sealed = rig.ask("leader-b", SEAL).await;
    assert_eq!(sealed.status, 200, "{}", sealed.body);
    assert_eq!(sealed.member("mark"), "34");
    assert_eq!(sealed.member("holder"), "leader-b");
    let document: serde_json::Value = serde_json::from_str(&sealed.body).unwrap();
    assert_eq!(document["takeover"]["cut"], 1, "{document}");

    let _ = client.write_all(rest.as_bytes()).await;
    let answer = read_answer(&mut client).await;
    assert_eq!(
        (answer.status, answer.header("fencing-refusal")),
        (412, Some("stale")),
        "{answer:?}"
    );
    assert_eq!(answer.member("mark"), "34");
    assert_eq!(answer.member("holder"), "leader-b");
    assert_eq!(answer.member("outcome"), "not_applied");
    for seen in rig.wait_seen(1).await {
        assert!(!seen.complete, "{head}: {seen:?}");
    }
}

#[tokio::test]
async fn an_upload_is_cut_before_its_last_byte() {
    cut("Content-Length: 10", "12345", "67890").await;
    cut("Content-Length: 10", "123456789", "0").await;
    cut("Transfer-Encoding: chunked", "5\r\n12345\r\n", "0\r\n\r\n").await;
    cut("Transfer-Encoding: chunked", "5\r\n12345\r\n", "5\r\n67890\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn an_upload_that_the_store_does_not_take_in_is_cut_at_once() {
    let rig = Rig::new().await;
    let mut client = rig.connect("leader-a", false).await;
    let len = 64 << 20;
    let head = format!(
        "PUT /data/1/slow HTTP/1.1\r\nHost: s\r\nFencing-Token: 33\r\nContent-Length: {len}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = client.into_split();
    let upload = tokio::spawn(async move {
        let chunk = vec![b'x'; 1 << 20];
        let mut sent = 0_usize;
        while sent < len {
            match tokio::time::timeout(Duration::from_secs(1), writer.write(&chunk)).await {
                Ok(Ok(count)) => sent += count,
                _ => break,
            }
        }
        (sent, writer)
    });
    rig.wait_arrived(1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(rig.ask("leader-b", SEAL).await.status, 200);
    let mut bytes = vec![0; 4096];
    let count = tokio::io::AsyncReadExt::read(&mut reader, &mut bytes).await.unwrap();
    assert!(
        bytes[..count].starts_with(b"HTTP/1.1 412"),
        "{}",
        String::from_utf8_lossy(&bytes[..count])
    );
    let (sent, _writer) = upload.await.unwrap();
    // Sockets, hyper's buffers and the linger, but nowhere near the whole.
    assert!(sent < len / 2, "{sent} bytes were taken from the client");
}

#[tokio::test]
async fn a_takeover_waits_for_a_write_past_its_commit_point() {
    for (name, body) in [("PUT", "Content-Length: 3\r\n\r\nabc"), ("DELETE", "\r\n")] {
        let rig = Rig::with(Options {
            response_timeout: Duration::from_secs(4),
            settle_timeout: Duration::from_secs(4),
            ..Options::default()
        })
        .await;
        let mut client = rig.connect("leader-a", false).await;
        let request =
            format!("{name} /data/1/hold HTTP/1.1\r\nHost: s\r\nFencing-Token: 33\r\n{body}");
        client.write_all(request.as_bytes()).await.unwrap();
        rig.wait_seen(1).await;
        let mut newer = rig.connect("leader-b", false).await;
        newer.write_all(SEAL.as_bytes()).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(200), newer.readable()).await;
        assert!(early.is_err(), "{name}: it was sealed over a write in flight");
        rig.record.release.notify_one();
        assert_eq!(read_answer(&mut client).await.status, 200);
        let sealed = read_answer(&mut newer).await;
        assert_eq!(sealed.status, 200);
        let document: serde_json::Value = serde_json::from_str(&sealed.body).unwrap();
        assert_eq!(document["takeover"]["awaited"], 1, "{name}: {document}");
        assert_eq!(document["takeover"]["unknown"], 0, "{name}: {document}");
    }
}

#[tokio::test]
async fn a_write_has_not_settled_before_the_answer_has_ended() {
    for hangs_up in [false, true] {
        let rig = Rig::new().await;
        let mut client = rig.connect("leader-a", false).await;
        let request = "PUT /data/1/dribble HTTP/1.1\r\nHost: s\r\nFencing-Token: 33\r\nContent-Length: 3\r\n\r\nabc";
        client.write_all(request.as_bytes()).await.unwrap();
        client.readable().await.unwrap(); // The head of the answer is there.
        let client = (!hangs_up).then_some(client);
        let mut newer = rig.connect("leader-b", false).await;
        newer.write_all(SEAL.as_bytes()).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(200), newer.readable()).await;
        assert!(early.is_err(), "it was sealed over half an answer");
        rig.record.release.notify_one();
        let sealed = read_answer(&mut newer).await;
        let document: serde_json::Value = serde_json::from_str(&sealed.body).unwrap();
        assert_eq!(document["takeover"]["awaited"], 1, "{document}");
        assert_eq!(document["takeover"]["unknown"], 0, "{document}");
        if let Some(mut client) = client {
            let answer = read_answer(&mut client).await;
            assert!(
                answer.status == 200 && answer.body.ends_with("red\r\n0\r\n\r\n"),
                "{answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn half_an_answer_is_not_passed_for_a_whole_one() {
    let rig =
        Rig::with(Options { settle_timeout: Duration::from_millis(300), ..Options::default() })
            .await;
    let mut client = rig.connect("leader-a", false).await;
    let request = "PUT /data/1/dribble HTTP/1.1\r\nHost: s\r\nFencing-Token: 33\r\nContent-Length: 3\r\n\r\nabc";
    client.write_all(request.as_bytes()).await.unwrap();
    client.readable().await.unwrap();
    let sealed = rig.ask("leader-b", SEAL).await;
    let document: serde_json::Value = serde_json::from_str(&sealed.body).unwrap();
    assert_eq!(document["takeover"]["unknown"], 1, "{document}");
    let mut text = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut client, &mut text).await;
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("200 OK") && !text.ends_with("0\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn a_write_that_the_store_never_answers_is_given_up_on() {
    let rig = Rig::with(Options {
        response_timeout: Duration::from_secs(4),
        settle_timeout: Duration::from_millis(300),
        ..Options::default()
    })
    .await;
    let mut client = rig.connect("leader-a", false).await;
    let request = "PUT /data/1/silent HTTP/1.1\r\nHost: s\r\nFencing-Token: 33\r\nContent-Length: 3\r\n\r\nabc";
    client.write_all(request.as_bytes()).await.unwrap();
    rig.wait_seen(1).await;
    let sealed = rig.ask("leader-b", SEAL).await;
    assert_eq!(sealed.status, 200);
    let document: serde_json::Value = serde_json::from_str(&sealed.body).unwrap();
    assert_eq!(document["takeover"]["unknown"], 1, "{document}");
    let answer = read_answer(&mut client).await;
    assert_eq!((answer.status, answer.member("outcome").as_str()), (424, "unknown"), "{answer:?}");
}

#[tokio::test]
async fn a_write_that_counts_from_its_head_is_past_its_commit_point_at_once() {
    let rig = Rig::new().await;
    let mut client = rig.connect("leader-a", false).await;
    let request =
        "PUT /head/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 33\r\nContent-Length: 10\r\n\r\n12345";
    client.write_all(request.as_bytes()).await.unwrap();
    rig.wait_in_flight("head", (0, 1, 0)).await;
    drop(client);
    rig.wait_in_flight("head", (0, 0, 1)).await;
}

#[tokio::test]
async fn a_stale_upload_is_refused_before_it_is_sent() {
    let rig = Rig::new().await;
    assert_eq!(rig.put("leader-b", "/data/1/x", 34, "b").await.status, 200);
    let mut client = rig.connect("leader-a", false).await;
    let head = "PUT /data/1/x HTTP/1.1\r\nHost: s\r\nExpect: 100-continue\r\nContent-Length: 5\r\nFencing-Token: ";
    client.write_all(format!("{head}33\r\n\r\n").as_bytes()).await.unwrap();
    let answer = read_answer(&mut client).await;
    assert_eq!(answer.status, 412, "{answer:?}");
    assert_eq!(answer.header("connection"), Some("close"), "its body was never asked for");
    assert_eq!(rig.seen().len(), 1);

    let mut client = rig.connect("leader-b", false).await;
    client.write_all(format!("{head}34\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut client).await.status, 100);
    client.write_all(b"12345").await.unwrap();
    assert_eq!(read_answer(&mut client).await.status, 200);
    assert!(!rig.seen()[1].headers.contains_key("expect"));
}

/// Without a session with the ledger nothing passes its commit point, and that is not the end of
/// the token.
#[tokio::test]
async fn a_session_with_the_ledger_that_is_lost_cuts_and_may_be_tried_again() {
    use crate::ledger::Ledger as _;

    for (path, is_told_at_once) in [("/data/1/x", false), ("/head/x", true)] {
        let rig = Rig::new().await;
        let mut client = rig.connect("leader-a", false).await;
        // Held, so that what is admitted is not committed yet.
        let request = format!(
            "PUT {path} HTTP/1.1\r\nHost: s\r\nFencing-Token: 33\r\nContent-Length: 6\r\n\r\n"
        );
        if is_told_at_once {
            rig.put("leader-a", path, 33, "abc").await;
            rig.ledger.lease().end();
        }
        client.write_all(request.as_bytes()).await.unwrap();
        client.write_all(b"abc").await.unwrap();
        if !is_told_at_once {
            rig.wait_in_flight("data/1", (1, 0, 0)).await;
            rig.wait_arrived(1).await;
            rig.ledger.lease().end();
        }
        let _ = client.write_all(b"def").await;
        let answer = read_answer(&mut client).await;
        assert_eq!(
            (answer.status, answer.header("fencing-refusal")),
            (503, Some("ledger_unavailable")),
            "{answer:?}"
        );
        assert!(answer.header("retry-after").is_some());
        assert_eq!(answer.member("outcome"), "not_applied");
        assert!(answer.member("detail").contains("session with the ledger"), "{answer:?}");
    }
}
