//! The edges of HTTP: what is no request, what is told before the body, and very large bodies.

use std::time::{Duration, Instant};

use http::Method;

use crate::origin::{Manner, Origin};
use crate::rig::{Kind, Options, Rig, Version, eventually};
use crate::wire::Wire;

/// A body that nobody should hold.
const LARGE_BYTES: usize = 300 << 20;
const CHUNK_BYTES: usize = 1 << 20;
/// What the memory of Palisade may grow by meanwhile.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn no_tunnel_is_made_through_the_fence() {
    let origin = Origin::start(Manner::Answers).await;
    let rig = before(&origin).await;
    let a = rig.client("leader-a");
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    for (request, more, status) in [
        ("GET /fenced/edge/x", socket, 400),
        ("GET /fenced/edge/x", h2c, 400),
        ("CONNECT 127.0.0.1:9", "", 405),
        ("CONNECT /fenced/edge/x", "", 405),
        ("TRACE /fenced/edge/x", "", 405),
        ("PRI *", "", 405),
    ] {
        let mut wire = Wire::open(&a).await;
        let head =
            format!("{request} HTTP/1.1\r\nHost: localhost\r\nFencing-Token: 33\r\n{more}\r\n");
        wire.say(&head).await;
        let answer = wire.answer().await;
        // What goes on after it is not read as a request of its own.
        let told = answer.as_ref().map(|answer| answer.status.as_u16());
        assert_eq!(told, Some(status), "{head}: {answer:?}");
        assert_eq!(wire.rest().await, b"", "{head}");
    }
    assert_eq!(origin.seen(), (0, 0, 0));
}

/// `Expect: 100-continue` is answered by the fence, and only after it has admitted the write.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_asked_for_only_once_its_write_is_admitted() {
    let origin = Origin::start(Manner::Answers).await;
    let rig = before(&origin).await;
    assert_eq!(rig.seal("leader-b", 34, "/fenced/expect/x").await.status, 200);
    let put = |token: u64, bytes: u64| {
        format!(
            "PUT /fenced/expect/x HTTP/1.1\r\nHost: localhost\r\nFencing-Token: {token}\r\n\
             Expect: 100-continue\r\nContent-Length: {bytes}\r\n\r\n"
        )
    };
    let mut stale = Wire::open(&rig.client("leader-a")).await;
    stale.say(put(33, 5 << 30)).await;
    let told = stale.answer().await.unwrap();
    assert_eq!((told.status.as_u16(), told.header("fencing-refusal")), (412, "stale"));
    // Nobody could tell what comes next on it, so it is not kept, and the client is told.
    assert_eq!(told.header("connection"), "close");
    assert_eq!(stale.rest().await, b"");
    assert_eq!(origin.seen(), (0, 0, 0));

    let mut admitted = Wire::open(&rig.client("leader-b")).await;
    admitted.say(put(34, 3)).await;
    assert_eq!(admitted.answer().await.unwrap().status, 100);
    admitted.say("abc").await;
    assert_eq!(admitted.answer().await.unwrap().status, 200);
    assert_eq!(origin.seen(), (1, 1, 3));

    // As a client does it that people have: a sparse file of 5 GiB.
    let file = rig.dir().join("large");
    std::fs::File::create(&file).unwrap().set_len(5 << 30).unwrap();
    let (chain, key) = rig.certs.of("leader-a");
    let mut curl = std::process::Command::new("curl");
    curl.args(["-sS", "--http1.1", "--expect100-timeout", "30", "-H", "Fencing-Token: 33"])
        .args(["-H", "Expect: 100-continue", "-w", "\n%{http_code} %{size_upload}", "--cacert"])
        .arg(&rig.certs.ca)
        .arg("--cert")
        .arg(chain)
        .arg("--key")
        .arg(key)
        .arg("-T")
        .arg(&file)
        .arg(format!("https://localhost:{}/fenced/expect/x", rig.address.port()));
    let (_, said) = crate::rig::run(curl, rig.dir());
    assert!(said.contains("\n412 0"), "{said}");
    assert_eq!(origin.seen(), (1, 1, 3));
}

/// Those of an answer reach the client; those of a request are dropped, so that nothing behind
/// a body counts that was not looked at before it.
#[tokio::test(flavor = "multi_thread")]
async fn trailers_of_answers_go_through_and_those_of_requests_do_not() {
    let origin = Origin::start(Manner::Answers).await;
    let rig = Rig::with(Options {
        upstream: Some(origin.address),
        edits: vec![
            ("protocol = \"s3\"", "protocol = \"http\"".to_owned()),
            ("domains = [\"localhost\"]\n", String::new()),
        ],
        ..Options::default()
    })
    .await;
    for version in [Version::Http1, Version::Http2] {
        let a = rig.client("leader-a").speaking(version).token(33).with("te", "trailers");
        let reply = a.put("/fenced/trailers/x", "abc").await;
        assert_eq!((reply.status.as_u16(), reply.text()), (200, "abc".to_owned()), "{version:?}");
        let checksum = reply.trailers.get("x-checksum").map(http::HeaderValue::as_bytes);
        assert_eq!(checksum, Some(&b"900150"[..]), "{version:?}: {reply:?}");
    }
    let put = |token: &str, trailer: &str| {
        format!(
            "PUT /fenced/trailers/x HTTP/1.1\r\nHost: localhost\r\n{token}Trailer: x-checksum\r\n\
             Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n{trailer}\r\n"
        )
    };
    let mut wire = Wire::open(&rig.client("leader-a")).await;
    let token = "Fencing-Token: 33\r\n";
    wire.say(put(token, "x-checksum: 900150\r\nFencing-Token: 99\r\n")).await;
    let answer = wire.answer().await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("fencing-token")), (200, "33"));
    assert_eq!(origin.seen().0, 3);
    // A token behind the body comes too late to be one.
    wire.say(put("", token)).await;
    assert_eq!(wire.answer().await.unwrap().header("fencing-refusal"), "token_required");
    assert_eq!(origin.seen().0, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_never_held() {
    let mut rig = Rig::with(Options { store: Kind::S3s, ..Options::default() }).await;
    let path = "/fenced/large/object";
    let a = rig.client("leader-a").token(33);
    assert_eq!(a.put("/fenced/large/warm", vec![b'w'; 4 << 20]).await.status, 200);
    let before = rig.palisade().rss_bytes();
    let mut highest = before;

    let mut upload = a.begin(Method::PUT, path, LARGE_BYTES);
    let chunk = bytes::Bytes::from(vec![b'a'; CHUNK_BYTES]);
    for _ in 0..LARGE_BYTES / CHUNK_BYTES {
        upload.send(chunk.clone()).await;
        highest = highest.max(rig.palisade().rss_bytes());
    }
    assert_eq!(upload.finish().await.unwrap().status, 200);
    let up = highest - before;
    assert!(up < GROWTH_BYTES_MAX, "an upload took {} MiB", up >> 20);

    // A reader that does not read.
    let mut wire = Wire::open(&a).await;
    wire.say(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
    let head = wire.head().await;
    assert!(head.contains(&format!("content-length: {LARGE_BYTES}")), "{head}");
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        highest = highest.max(rig.palisade().rss_bytes());
    }
    wire.skip(LARGE_BYTES).await;
    highest = highest.max(rig.palisade().rss_bytes());
    let all = highest - before;
    assert!(all < GROWTH_BYTES_MAX, "upload and download took {} MiB", all >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_takeover_cuts_fifty_uploads_at_once() {
    const UPLOADS: u32 = 50;
    const AT_ONCE: Duration = Duration::from_secs(5);
    // So long that a test which waited for it would fail.
    let rig = Rig::with(Options { settle_timeout: "60s", ..Options::default() }).await;
    let mut uploads = Vec::new();
    for number in 0..UPLOADS {
        let version = if number % 2 == 0 { Version::Http1 } else { Version::Http2 };
        let a = rig.client("leader-a").speaking(version).token(33);
        let mut upload = a.begin(Method::PUT, &format!("/fenced/many/{number}"), 256 << 10);
        upload.send(vec![b'a'; 200 << 10]).await;
        uploads.push(upload);
    }
    let status = "/.palisade/status?path=/fenced/many/x";
    eventually("all are under way", async || {
        rig.client("leader-a").get(status).await.json()["streaming"] == UPLOADS
    })
    .await;
    let begun = Instant::now();
    let seal = rig.seal("leader-b", 34, "/fenced/many/x").await;
    let took = begun.elapsed();
    assert_eq!(seal.json()["takeover"]["cut"], UPLOADS, "{}", seal.text());
    assert!(took < AT_ONCE, "it took {took:?}");
    for mut upload in uploads {
        let told = upload.early().await.unwrap();
        assert_eq!((told.status.as_u16(), told.header("fencing-refusal")), (412, "stale"));
    }
    let took = begun.elapsed();
    assert!(took < AT_ONCE, "the last of them was told after {took:?}");
    let after = rig.client("leader-b").get(status).await.json();
    assert_eq!((&after["streaming"], &after["sent"]), (&0.into(), &0.into()), "{after}");
    assert_eq!(rig.client("leader-b").token(34).put("/fenced/many/7", "b").await.status, 200);
    let journal = std::fs::read_to_string(&rig.store.journal).unwrap();
    assert_eq!(journal.lines().count(), 1, "{journal}");
}

/// Under the reserved prefix, with nothing but a certificate, whatever field names its owner.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_with_only_its_certificate_seals_and_asks() {
    let edits = vec![(
        "name = \"fenced\"\npath = \"/fenced/{shard}/**\"\nresource = \"fenced/{shard}\"\n\
         read = [\"leader-*\"",
        "name = \"fenced\"\npath = \"/fenced/{shard}/**\"\nresource = \"fenced/{shard}\"\n\
         read = [\"spiffe://example.org/leader/*\", \"leader-*\""
            .to_owned(),
    )];
    let rig = Rig::with(Options { edits, ..Options::default() }).await;
    let spiffe = "spiffe://example.org/leader/c";
    rig.certs.issue_client("c", spiffe);
    rig.certs.issue_client("d", "leader-d.example.org");
    rig.certs.issue_client("e", "leader-e@example.org");
    for (file, name, source, may) in [
        ("leader-a", "leader-a", "cn", vec!["read", "write", "raise"]),
        ("c", spiffe, "spiffe", vec!["read"]),
        ("d", "leader-d.example.org", "dns", vec!["read", "write", "raise"]),
        ("e", "leader-e@example.org", "email", vec!["read", "write", "raise"]),
    ] {
        let who = rig.client(file).get("/.palisade/whoami").await.json();
        assert_eq!((&who["identity"], &who["source"]), (&name.into(), &source.into()), "{who}");
        assert_eq!(who["rules"][0]["may"], serde_json::json!(may), "{who}");
        assert!(who["serial"].is_string() && who["not_after"].is_string(), "{who}");
    }
    let path = "/fenced/prefix/x";
    let status = format!("/.palisade/status?path={path}");
    assert_eq!(rig.client("reader").get(&status).await.json()["mark"], "0");
    for (who, token, told) in [
        ("leader-a", 33, (200, "")),
        ("leader-b", 33, (412, "conflict")),
        ("leader-b", 34, (200, "")),
        ("leader-a", 33, (412, "stale")),
        ("reader", 35, (403, "forbidden")),
        ("follower", 35, (403, "forbidden")),
        ("c", 35, (403, "forbidden")),
    ] {
        let seal = rig.seal(who, token, path).await;
        assert_eq!((seal.status.as_u16(), seal.header("fencing-refusal")), told, "{}", seal.text());
    }
    let seal = rig.seal("leader-b", 34, path).await.json();
    assert_eq!((&seal["mark"], &seal["holder"]), (&"34".into(), &"leader-b".into()), "{seal}");
    assert_eq!(seal["takeover"]["from"]["mark"], "33", "{seal}");
    for key in ["cut", "awaited", "unknown", "leftovers"] {
        assert!(!seal["takeover"][key].is_null(), "no {key} in {seal}");
    }
    assert!(seal["ledger_ms"].is_u64() && seal["quiesce_ms"].is_u64(), "{seal}");
    let seen = rig.client("reader").get(&status).await.json();
    assert_eq!((&seen["mark"], &seen["holder"]), (&"34".into(), &"leader-b".into()), "{seen}");
    let stranger = rig.client("stranger").get(&status).await;
    assert_eq!(stranger.status, 403, "{}", stranger.text());
    // Nothing of it goes to the store.
    assert_eq!(rig.client("leader-b").token(34).put("/.palisade/x", "x").await.status, 404);
    assert_eq!(std::fs::read_to_string(&rig.store.journal).unwrap(), "");
}

async fn before(origin: &Origin) -> Rig {
    Rig::with(Options { upstream: Some(origin.address), ..Options::default() }).await
}
