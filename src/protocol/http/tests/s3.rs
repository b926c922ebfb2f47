//! S3 on the data path: addressing, signing, chunks, batches, error documents.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;

use super::rig::{Answer, Options, Rig};
use crate::protocol::http::Flavor;
use crate::protocol::http::s3::{AwsChunked, Credentials, Mode, Settings};

async fn rig(mode: Mode) -> Rig {
    let settings =
        Settings { domains: vec!["s3.example".to_owned()], mode, aws_chunked: AwsChunked::Forward };
    Rig::with(Options { flavor: Flavor::S3(settings), ..Options::default() }).await
}

fn re_sign() -> Mode {
    let credentials = Credentials {
        access_key_id: "STORE".to_owned(),
        secret_access_key: "secret".to_owned().into(),
    };
    Mode::ReSign { credentials: Arc::new(credentials), region: "us-east-1".into() }
}

async fn put(rig: &Rig, target: &str, token: u64, headers: &str, body: &str) -> Answer {
    let len = body.len();
    let request = format!(
        "PUT {target} HTTP/1.1\r\nFencing-Token: {token}\r\nContent-Length: {len}\r\n{headers}\r\n{body}"
    );
    rig.ask("leader-a", &request).await
}

const CHUNKED: &str = "Host: s\r\nx-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\n\
    Content-Encoding: aws-chunked\r\nAuthorization: AWS4-HMAC-SHA256 Credential=CLIENT/x\r\n";

/// Decoded, it would have the declared length and no byte: the store would take the next request
/// on that connection for its body.
#[tokio::test]
async fn a_chunked_body_that_is_not_there_is_refused() {
    let rig = rig(re_sign()).await;
    for method in ["PUT", "DELETE", "GET"] {
        for length in ["", "Content-Length: 0\r\n"] {
            let request = format!(
                "{method} /data/1/x/early HTTP/1.1\r\nFencing-Token: 7\r\n{length}{CHUNKED}\
                 x-amz-decoded-content-length: 30\r\n\r\n"
            );
            let answer = rig.ask("leader-a", &request).await;
            assert_eq!((answer.status, rig.seen().len()), (400, 0), "{request}");
        }
    }
}

#[tokio::test]
async fn the_store_sees_its_own_signature_and_the_plain_body() {
    let rig = rig(re_sign()).await;
    let signed =
        "3;chunk-signature=ab\r\nabc\r\n2;chunk-signature=cd\r\nde\r\n0;chunk-signature=ef\r\n\r\n";
    let headers = format!("{CHUNKED}x-amz-decoded-content-length: 5\r\n");
    let answer = put(&rig, "/data/1/a%20b", 7, &headers, signed).await;
    assert_eq!(
        (answer.status, answer.header("fencing-resource")),
        (200, Some("data/1")),
        "{answer:?}"
    );
    let virtual_host = "Host: data.s3.example\r\n";
    assert_eq!(put(&rig, "/1/y", 7, virtual_host, "abc").await.status, 200);
    let empty = format!("{CHUNKED}x-amz-decoded-content-length: 0\r\n");
    assert_eq!(put(&rig, "/data/1/z", 7, &empty, "0;chunk-signature=ef\r\n\r\n").await.status, 200);

    let seen = rig.seen();
    let targets: Vec<_> = seen.iter().map(|seen| seen.target.as_str()).collect();
    assert_eq!(targets, ["/data/1/a%20b", "/data/1/y", "/data/1/z"]);
    let bodies: Vec<_> = seen.iter().map(|seen| seen.body.as_slice()).collect();
    assert_eq!(bodies, [&b"abcde"[..], b"abc", b""]);
    for (seen, len) in seen.iter().zip(["5", "3", "0"]) {
        assert!(seen.complete);
        let header = |name: &str| seen.headers.get(name).map_or("", |v| v.to_str().unwrap());
        assert!(header("authorization").contains("Credential=STORE/"), "{seen:?}");
        assert!(header("host").starts_with("127.0.0.1:"), "{seen:?}");
        assert_eq!((header("content-length"), header("content-encoding")), (len, ""));
        assert_eq!(header("x-amz-decoded-content-length"), "");
    }
}

/// The object ends inside the chunks, before the request's body does: what could make a store
/// apply it is held back all the same.
#[tokio::test]
async fn a_whole_object_in_a_body_that_is_not_whole_is_cut() {
    let rig = rig(re_sign()).await;
    let mut client = rig.connect("leader-a", false).await;
    let body = "5\r\nabcde\r\n0\r\nx-amz-checksum-crc32:hYfYZQ==\r\n\r\n";
    let len = body.len() + 1;
    let request = format!(
        "PUT /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 33\r\nContent-Length: {len}\r\n\
         x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n\
         x-amz-decoded-content-length: 5\r\nContent-Encoding: aws-chunked\r\n\
         x-amz-trailer: x-amz-checksum-crc32\r\n\r\n{body}"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    rig.wait_in_flight("data/1", (1, 0, 0)).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let seal = "POST /.palisade/seal?path=/data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 34\r\nContent-Length: 0\r\n\r\n";
    let sealed = rig.ask("leader-b", seal).await;
    let document: serde_json::Value = serde_json::from_str(&sealed.body).unwrap();
    assert_eq!(document["takeover"]["cut"], 1, "{document}");
    for seen in rig.wait_seen(1).await {
        assert!(!seen.complete && seen.bytes < "5\r\nabcde".len(), "{seen:?}");
    }
}

#[tokio::test]
async fn chunks_that_do_not_hold_leave_nothing_in_the_store() {
    let rig = rig(re_sign()).await;
    for (len, body) in [
        (6, "3;chunk-signature=ab\r\nabc\r\n0;chunk-signature=ef\r\n\r\n"),
        (3, "3;chunk-signature=ab\r\nabc\r\n"),
        (3, "3;chunk-signature=ab\r\nabc\r\n0;chunk-signature=ef\r\n\r\nmore"),
        (0, "3;chunk-signature=ab\r\nabc\r\n0;chunk-signature=ef\r\n\r\n"),
    ] {
        let headers = format!("{CHUNKED}x-amz-decoded-content-length: {len}\r\n");
        let answer = put(&rig, "/data/1/x", 7, &headers, body).await;
        assert_eq!(
            (answer.status, answer.header("fencing-refusal")),
            (400, Some("body_broken")),
            "{body:?}"
        );
        rig.wait_in_flight("data/1", (0, 0, 0)).await;
    }
    assert!(rig.seen().iter().all(|seen| !seen.complete), "{:?}", rig.seen());
}

#[tokio::test]
async fn a_batch_needs_to_be_admitted_for_every_key() {
    let rig = rig(re_sign()).await;
    let delete = async |identity: &str, token: u64, keys: &[&str]| {
        let keys: String =
            keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
        let body = format!("<Delete>{keys}</Delete>");
        let len = body.len();
        let request = format!(
            "POST /data?delete HTTP/1.1\r\nHost: s\r\nFencing-Token: {token}\r\nContent-Length: {len}\r\n\r\n{body}"
        );
        rig.ask(identity, &request).await
    };
    let answer = delete("leader-a", 5, &["2/b", "1/a", "1/c"]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let named: Vec<_> =
        answer.head.lines().filter(|line| line.starts_with("fencing-resource")).collect();
    assert_eq!(named, ["fencing-resource: data/1", "fencing-resource: data/2"]);
    assert_eq!(put(&rig, "/data/2/x", 6, "Host: s\r\n", "x").await.status, 200);
    let answer = delete("leader-a", 5, &["1/a", "2/b"]).await;
    assert_eq!((answer.status, answer.header("fencing-resource")), (412, Some("data/2")));
    assert!(answer.body.contains("<Code>FencingTokenStale</Code>"), "{}", answer.body);
    assert!(answer.body.contains("<Mark>6</Mark>"), "{}", answer.body);
    assert_eq!(rig.in_flight("data/1").await, (0, 0, 0));
    assert_eq!(delete("reader", 6, &["1/a"]).await.status, 403);
    assert_eq!(rig.seen().len(), 2);
    assert!(rig.seen()[0].body.starts_with(b"<Delete><Object>"));
}

#[tokio::test]
async fn a_copy_reads_what_it_copies() {
    let rig = rig(re_sign()).await;
    let source = "Host: s\r\nx-amz-copy-source: /data/2/x\r\n";
    let answer = put(&rig, "/data/1/x", 5, source, "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let named = answer.head.lines().filter(|line| line.starts_with("fencing-resource")).count();
    assert_eq!(named, 2);
}

#[tokio::test]
async fn the_clients_signature_is_kept_where_it_is_passed_through() {
    let rig = rig(Mode::PassThrough).await;
    let authorization = "AWS4-HMAC-SHA256 Credential=C/x, SignedHeaders=expect;fencing-token;host;x-amz-date, Signature=ab";
    let headers =
        format!("Host: data.s3.example\r\nAuthorization: {authorization}\r\nX-Amz-Date: 1\r\n");
    assert_eq!(put(&rig, "/1/x", 7, &headers, "abc").await.status, 200);
    let seen = &rig.seen()[0];
    for (name, expected) in [
        ("authorization", authorization),
        ("host", "data.s3.example"),
        ("fencing-token", "7"),
        ("x-amz-date", "1"),
    ] {
        assert_eq!(seen.headers[name], expected);
    }
    assert_eq!((seen.target.as_str(), seen.body.as_slice()), ("/1/x", &b"abc"[..]));
    let answer = put(&rig, "/data/1/x", 7, "Host: elsewhere\r\n", "abc").await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[tokio::test]
async fn refusals_are_error_documents_and_the_reserved_prefix_is_json() {
    let rig = rig(re_sign()).await;
    let answer =
        rig.ask("leader-a", "PUT /data/1/x HTTP/1.1\r\nHost: s\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!((answer.status, answer.header("content-type")), (428, Some("application/xml")));
    assert!(answer.body.contains("<Code>FencingTokenRequired</Code>"), "{}", answer.body);
    let answer = rig
        .ask("leader-a", "PUT /data/1//x HTTP/1.1\r\nHost: s\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("<Code>InvalidURI</Code>"), "{}", answer.body);
    let answer =
        rig.ask("leader-a", "GET /.palisade/status?path=/none HTTP/1.1\r\nHost: s\r\n\r\n").await;
    assert_eq!((answer.status, answer.member("reason").as_str()), (403, "no_rule"));
    assert!(rig.seen().is_empty());
}

/// Stores that read XML up to its last tag begin before the last byte is there.
#[tokio::test]
async fn a_body_that_is_a_command_is_past_its_commit_point_from_its_head_on() {
    let rig = rig(re_sign()).await;
    let mut client = rig.connect("leader-a", false).await;
    let request = "POST /data/1/x?uploadId=u HTTP/1.1\r\nHost: s\r\nFencing-Token: 33\r\nContent-Length: 52\r\n\r\n<CompleteMultipartUpload></CompleteMultipartUpload>";
    client.write_all(request.as_bytes()).await.unwrap();
    rig.wait_arrived(51).await;
    assert_eq!(rig.in_flight("data/1").await, (0, 1, 0));
}
