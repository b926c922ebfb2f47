//! What is too large or too many, and what its client is told.

use tokio::io::AsyncReadExt;

use crate::h2::{self, frame};
use crate::rig::{Client, Options, Rig, eventually};
use crate::siege::{PATIENCE, endure, metric, refused, rig};
use crate::wire::Wire;

/// What is too large is told so, and nothing of it is kept.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused() {
    let mut rig =
        rig("header_bytes_max = \"16KiB\"\nheaders_max = 50\nbody_bytes_max = \"1MiB\"").await;
    let a = rig.client("leader-a");
    let put = |path: &str, more: &str| {
        format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nFencing-Token: 33\r\n{more}\r\n")
    };
    let length = "Content-Length: 0\r\n";
    let many: String = (0..60).map(|number| format!("X-{number}: y\r\n")).collect();
    let long = "y".repeat(20 << 10);
    let ask = async |bytes: String| {
        let mut wire = Wire::open(&a).await;
        wire.try_say(bytes.as_bytes()).await;
        wire.answer().await.map_or(0, |reply| reply.status.as_u16())
    };
    assert_eq!(ask(put("/fenced/large/x", length)).await, 200);
    assert_eq!(ask(put("/fenced/large/x", &format!("{length}{many}"))).await, 431);
    assert_eq!(ask(put("/fenced/large/x", &format!("{length}X-Long: {long}\r\n"))).await, 431);
    assert_eq!(ask(put(&format!("/fenced/large/{long}"), length)).await, 431);
    let told = a.clone().token(33).put("/fenced/large/x", vec![b'x'; (1 << 20) + 1]).await;
    assert_eq!(refused(&told), (413, "body_too_large"));

    let block = h2::block(&[("x-long", &long)]);
    let h2_head = [h2::request("PUT", "/fenced/large/x", "33"), block].concat();
    endure(&mut rig, "large heads over HTTP/2", async |rig| {
        let mut wire = h2::open(&rig.client("leader-a"), &[]).await;
        let (first, rest) = h2_head.split_at(16_000);
        wire.say(frame(h2::HEADERS, h2::END_STREAM, 1, first)).await;
        wire.say(frame(h2::CONTINUATION, h2::END_HEADERS, 1, rest)).await;
        let answer = h2::until(&mut wire, h2::HEADERS).await.expect("an answer");
        assert_eq!((answer.stream, answer.flags & h2::END_STREAM), (1, h2::END_STREAM));
        // A bomb: one long header is put into the table, and then named again and again.
        let mut wire = h2::open(&rig.client("leader-a"), &[]).await;
        let long = "b".repeat(3_900);
        let mut bomb = h2::request("PUT", "/fenced/large/x", "33");
        let mut indexed = h2::block(&[("x", &long)]);
        indexed[0] = 0x40;
        bomb.extend_from_slice(&indexed);
        bomb.extend(std::iter::repeat_n(0x80 | 62, 12_000 - bomb.len()));
        for stream in 0..20 {
            let again = vec![0x80 | 62; 12_000];
            let block = if stream == 0 { &bomb } else { &again };
            let flags = h2::END_HEADERS | h2::END_STREAM;
            if !wire.try_say(&frame(h2::HEADERS, flags, 1 + 2 * stream, block)).await {
                break;
            }
        }
        let answer = h2::next(&mut wire).await;
        assert!(answer.is_some());
    })
    .await;
    let journal = std::fs::read_to_string(&rig.store.journal).unwrap();
    assert!(
        journal.lines().all(|line| line.contains("/x") || line.contains("neighbour")),
        "{journal}"
    );
}

/// In all, and of each identity; streams; and writes of one resource.
#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_too_many_of_is_told_to_come_again() {
    let place = "[listeners.main.unmatched]";
    let limits = "[listeners.main.limits]\nconnections_max = 8\n\
                  connections_per_identity_max = 5\nstreams_max = 3\n";
    let edits = vec![
        (place, format!("{limits}{place}")),
        ("\n[admin]", "\n[gate]\nwrites_per_resource_max = 2\n[admin]".to_owned()),
    ];
    let rig = Rig::with(Options { edits, ..Options::default() }).await;
    let (a, b) = (rig.client("leader-a"), rig.client("leader-b"));
    let mut wires = Vec::new();
    // Each is known by its answer: a handshake ends for the client before it does for Palisade.
    for _ in 0..5 {
        wires.push(Wire::open(&a).await);
        wires.last_mut().unwrap().ask("GET /.palisade/whoami", "").await;
    }
    assert!(is_shut_out(&a).await, "a sixth of one identity");
    for _ in 0..3 {
        wires.push(Wire::open(&b).await);
        wires.last_mut().unwrap().ask("GET /.palisade/whoami", "").await;
    }
    assert!(is_shut_out(&b).await, "a ninth of all");
    let metrics = rig.metrics().await;
    for reason in ["full", "identity_full"] {
        let series =
            format!("palisade_connections_refused_total{{listener=\"main\",reason=\"{reason}\"}}");
        assert!(metric(&metrics, &series) > 0.0, "{series} in {metrics}");
    }
    drop(wires);
    let open = "palisade_connections_open{listener=\"main\"}";
    eventually("they are gone", async || metric(&rig.metrics().await, open) == 0.0).await;

    let writer = a.clone().token(33);
    let mut uploads = Vec::new();
    for _ in 0..2 {
        let mut upload = writer.begin(http::Method::PUT, "/fenced/many/x", 4);
        upload.send("ab").await;
        uploads.push(upload);
    }
    let status = "/.palisade/status?path=/fenced/many/x";
    eventually("both are under way", async || a.get(status).await.json()["streaming"] == 2).await;
    let third = writer.put("/fenced/many/y", "abc").await;
    assert_eq!(refused(&third), (503, "overloaded"));
    assert_eq!(third.header("retry-after"), "1");
    assert!(third.text().contains("writes_per_resource_max"), "{}", third.text());
    assert_eq!(writer.put("/fenced/other/y", "abc").await.status, 200);
    for mut upload in uploads {
        upload.send("cd").await;
        assert_eq!(upload.finish().await.unwrap().status, 200);
    }
    assert_eq!(writer.put("/fenced/many/y", "abc").await.status, 200);

    // A fourth stream is refused before anybody looks at it, so that it may be tried again.
    let mut wire = h2::open(&a, &[]).await;
    let block = h2::request("PUT", "/fenced/streams/x", "33");
    for stream in [1, 3, 5, 7] {
        wire.say(frame(h2::HEADERS, h2::END_HEADERS, stream, &block)).await;
    }
    let reset = h2::until(&mut wire, h2::RST_STREAM).await.expect("a stream is refused");
    assert_eq!((reset.stream, &reset.payload[..]), (7, &[0, 0, 0, 7][..]), "REFUSED_STREAM");
}

/// Whether a connection is refused, which with TLS 1.3 shows only after the client's handshake.
async fn is_shut_out(client: &Client) -> bool {
    match client.connect().await {
        Err(_) => true,
        Ok(mut stream) => {
            let mut bytes = [0; 16];
            let read = tokio::time::timeout(PATIENCE, stream.read(&mut bytes));
            !matches!(read.await.expect("it is told at once"), Ok(1..))
        }
    }
}
