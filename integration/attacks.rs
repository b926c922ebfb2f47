//! Clients that hold on to what they can: each is stopped, and everybody else is served meanwhile.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::h2::{self, frame};
use crate::rig::{Version, eventually};
use crate::siege::{PATIENCE, ends, endure, metric, refused, rig};
use crate::wire::Wire;

/// Whoever says nothing, in TLS or as HTTP/1.1, and whoever drips.
#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_sent_away() {
    let mut rig =
        rig("connections_max = 120\nhandshake_timeout = \"2s\"\nheader_timeout = \"1s\"\n\
                       body_stall_timeout = \"1s\"")
        .await;
    let address = rig.address;
    endure(&mut rig, "a slow TLS handshake", async |rig| {
        // More than there are places, without a certificate: nobody is kept out by them.
        let silent = (0..180_u64).map(async |number| {
            // Not so fast that they all come during one handshake of somebody else.
            tokio::time::sleep(Duration::from_millis(5 * number)).await;
            let mut stream = TcpStream::connect(address).await.unwrap();
            if number % 2 == 0 {
                // The first bytes of a ClientHello of 512 bytes.
                stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await.unwrap();
            }
            let ended = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 64])).await;
            ended.expect("it is sent away").map_or(0, |count| count)
        });
        join_all(silent).await;
        let metrics = rig.metrics().await;
        for reason in ["evicted", "handshake_timeout"] {
            let series = format!(
                "palisade_connections_refused_total{{listener=\"main\",reason=\"{reason}\"}}"
            );
            assert!(metric(&metrics, &series) > 0.0, "{series} in {metrics}");
        }
    })
    .await;
    endure(&mut rig, "a slow head", async |rig| {
        let a = rig.client("leader-a");
        let drips = (0..20).map(async |_| {
            let mut wire = Wire::open(&a).await;
            let begun = Instant::now();
            wire.say("PUT /fenced/slow/x HTTP/1.1\r\nHost: localhost\r\n").await;
            while wire.try_say(b"X-Drip: 1\r\n").await && begun.elapsed() < PATIENCE {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        });
        join_all(drips).await;
        let idle = "palisade_http_connections_ended_total{listener=\"main\",reason=\"idle\"}";
        assert!(metric(&rig.metrics().await, idle) >= 20.0);
    })
    .await;
    endure(&mut rig, "a stalled body", async |rig| {
        for version in [Version::Http1, Version::Http2] {
            let a = rig.client("leader-a").speaking(version).token(33);
            let stalls = (0..20).map(async |number| {
                let mut upload = a.begin(http::Method::PUT, &format!("/fenced/slow/{number}"), 10);
                upload.send("12345").await;
                let told = upload.early().await.unwrap();
                assert_eq!(refused(&told), (408, "body_stalled"), "{version:?}");
            });
            join_all(stalls).await;
        }
    })
    .await;
    endure(&mut rig, "silence where HTTP/2 was promised", async |rig| {
        let a = rig.client("leader-a").speaking(Version::Http2);
        let begun = Instant::now();
        let silent = Wire::open(&a).await;
        let mut partial = Wire::open(&a).await;
        partial.say(&h2::PREFACE[..10]).await;
        let mut drip = h2::open(&a, &[]).await;
        let request = h2::request("PUT", "/fenced/slow/x", "33");
        drip.say(frame(h2::HEADERS, 0, 1, &request)).await;
        let dripping = async {
            let more = h2::block(&[("x-drip", "1")]);
            while drip.try_say(&frame(h2::CONTINUATION, 0, 1, &more)).await {
                assert!(begun.elapsed() < PATIENCE, "a dripping head is held open");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::join!(ends(silent, "silence"), ends(partial, "half a preface"), dripping);
    })
    .await;
}

/// A client that asks and does not read; one that holds a stream by its window.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_not_waited_for() {
    let mut rig = rig("body_stall_timeout = \"1s\"\nheader_timeout = \"2s\"").await;
    let b = rig.client("leader-b").token(7);
    assert_eq!(b.put("/fenced/neighbour/large", vec![b'x'; 8 << 20]).await.status, 200);
    endure(&mut rig, "answers that nobody reads", async |rig| {
        let deaf = (0..10).map(async |_| {
            let mut wire = Wire::open(&rig.client("leader-a")).await;
            wire.say("GET /fenced/neighbour/large HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            wire
        });
        let deaf = join_all(deaf).await;
        let unread = "palisade_http_connections_ended_total{listener=\"main\",reason=\"unread\"}";
        eventually("they are cut", async || metric(&rig.metrics().await, unread) == 10.0).await;
        drop(deaf);
    })
    .await;
    endure(&mut rig, "windows that stay shut", async |rig| {
        // SETTINGS_INITIAL_WINDOW_SIZE = 0.
        let mut wire = h2::open(&rig.client("leader-a"), &[(4, 0)]).await;
        let get = h2::block(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", "/fenced/neighbour/large"),
        ]);
        for stream in 0..50 {
            wire.say(frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, 1 + 2 * stream, &get))
                .await;
        }
        let mut reset = 0;
        while reset < 50 {
            let frame = h2::next(&mut wire).await.expect("only the streams end");
            reset += u32::from(frame.kind == h2::RST_STREAM);
        }
        let unread = "palisade_http_streams_ended_total{listener=\"main\",reason=\"unread\"}";
        assert_eq!(metric(&rig.metrics().await, unread), 50.0);
    })
    .await;
}

/// Frames without end: each flood is stopped, or costs nothing that grows.
#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_are_stopped() {
    const FLOOD: u32 = 20_000;
    let mut rig = rig("header_bytes_max = \"16KiB\"").await;
    assert_eq!(rig.client("leader-b").token(34).put("/fenced/flood/x", "b").await.status, 200);
    let head = h2::END_HEADERS;
    let put = h2::request("PUT", "/fenced/flood/x", "33");
    let resets = move |stream| {
        [frame(h2::HEADERS, head, stream, &put), frame(h2::RST_STREAM, 0, stream, &[0, 0, 0, 8])]
            .concat()
    };
    let admitted = h2::request("PUT", "/fenced/rapid/x", "33");
    let admitted_resets = move |stream| {
        [
            frame(h2::HEADERS, head, stream, &admitted),
            frame(h2::RST_STREAM, 0, stream, &[0, 0, 0, 8]),
        ]
        .concat()
    };
    let large = h2::block(&[("x-bomb", &"b".repeat(1_000))]);
    let begin = h2::request("PUT", "/fenced/flood/x", "33");
    type Make = Box<dyn Fn(u32) -> Vec<u8> + Send>;
    // What is sent over and over, and whether the connection may survive it.
    let floods: Vec<(&str, Make, bool)> = vec![
        ("rapid resets of what is refused", Box::new(resets), false),
        ("rapid resets of what is admitted", Box::new(admitted_resets), false),
        (
            "CONTINUATION",
            Box::new(move |stream| match stream {
                1 => frame(h2::HEADERS, 0, 1, &begin),
                _ => frame(h2::CONTINUATION, 0, 1, &large),
            }),
            false,
        ),
        (
            "empty CONTINUATION",
            Box::new(move |stream| match stream {
                1 => frame(h2::HEADERS, 0, 1, &[]),
                _ => frame(h2::CONTINUATION, 0, 1, &[]),
            }),
            false,
        ),
        ("PING", Box::new(|_| frame(h2::PING, 0, 0, b"12345678")), true),
        ("SETTINGS", Box::new(|_| frame(h2::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9])), true),
        ("WINDOW_UPDATE", Box::new(|_| frame(h2::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])), true),
    ];
    for (name, make, may_survive) in floods {
        endure(&mut rig, name, async |rig| {
            let client = rig.client("leader-a");
            let mut wire = h2::open(&client, &[]).await;
            let mut taken = true;
            for chunk in 0..FLOOD / 100 {
                let frames: Vec<_> =
                    (0..100).flat_map(|at| make(1 + 2 * (chunk * 100 + at))).collect();
                taken = wire.try_say(&frames).await;
                if !taken {
                    break;
                }
            }
            assert!(may_survive || !taken, "{name} was taken to its end");
        })
        .await;
    }
    let malformed = "palisade_http_connections_ended_total{listener=\"main\",reason=\"malformed\"}";
    assert!(metric(&rig.metrics().await, malformed) >= 4.0, "those that were ended");
    let status = rig.client("leader-a").get("/.palisade/status?path=/fenced/rapid/x").await.json();
    assert_eq!((&status["streaming"], &status["sent"]), (&0.into(), &0.into()), "{status}");
}
