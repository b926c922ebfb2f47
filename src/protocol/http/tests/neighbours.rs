//! What one stream of an HTTP/2 connection does to the others.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::rig::{Options, PATIENCE, Rig};
use crate::protocol::http::Limits;

/// What a client takes of an answer without being read.
const WINDOW_BYTES: u32 = 64 << 10;

type Body = BoxBody<Bytes, Infallible>;

async fn connect(rig: &Rig, identity: &str) -> SendRequest<Body> {
    let io = TokioIo::new(rig.connect(identity, true).await);
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(WINDOW_BYTES);
    let (sender, connection) = builder.handshake(io).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn put(path: &str, token: u64, body: Body) -> Request<Body> {
    Request::put(format!("http://s{path}")).header("fencing-token", token).body(body).unwrap()
}

/// A stale leader that goes on and on shares its connection with one that is not.
#[tokio::test(flavor = "multi_thread")]
async fn refused_uploads_leave_the_connection_to_the_others() {
    const AT_ONCE: usize = 60;
    const ROUNDS: usize = 2;
    let rig = Rig::new().await;
    assert_eq!(rig.put("leader-b", "/data/1/x", 34, "new").await.status, 200);
    let client = connect(&rig, "leader-a").await;
    let large = Bytes::from(vec![b'x'; 256 << 10]);
    for round in 0..ROUNDS {
        let refused = (0..AT_ONCE).map(|_| {
            let mut client = client.clone();
            let request = put("/data/1/x", 33, Full::new(large.clone()).boxed());
            async move { timeout(PATIENCE, client.send_request(request)).await.unwrap() }
        });
        let mut neighbour = client.clone();
        let request = put("/data/2/x", 1, Full::new(Bytes::from("abc")).boxed());
        let (refused, admitted) =
            tokio::join!(join_all(refused), timeout(PATIENCE, neighbour.send_request(request)));
        for answer in refused {
            let answer = answer.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
            assert_eq!(answer.status(), StatusCode::PRECONDITION_FAILED);
        }
        assert_eq!(admitted.unwrap().unwrap().status(), StatusCode::OK);
    }
}

/// A client that asks and never opens its window.
#[tokio::test]
async fn a_stream_that_nobody_reads_ends_and_its_neighbours_go_on() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = Some(vec![listener.local_addr().unwrap()]);
    let body_stall_timeout = Duration::from_millis(200);
    let limits = Limits { body_stall_timeout, ..Limits::default() };
    let rig = Rig::with(Options { endpoints, limits, ..Options::default() }).await;
    let (closed, mut is_closed) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let closed = closed.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                let Ok(1..) = socket.read(&mut buffer).await else { return };
                let head = String::from_utf8_lossy(&buffer).into_owned();
                let size = if head.contains("/large") { 1 << 20 } else { 3 };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
                );
                let _ = socket.write_all(answer.as_bytes()).await;
                let _ = socket.write_all(&vec![b'x'; size]).await;
                // Palisade hangs up in the middle of what nobody reads.
                let ended = socket.read(&mut buffer).await;
                if size > 3 && !matches!(ended, Ok(1..)) {
                    let _ = closed.send(()).await;
                }
            });
        }
    });
    let mut client = connect(&rig, "reader").await;
    let ask = |path: &str| {
        Request::get(format!("http://s/data/1/{path}")).body(Empty::new().boxed()).unwrap()
    };
    let held = timeout(PATIENCE, client.send_request(ask("large"))).await.unwrap().unwrap();
    assert_eq!(held.status(), StatusCode::OK);
    for _ in 0..8 {
        let small = timeout(PATIENCE, client.send_request(ask("small"))).await.unwrap().unwrap();
        assert_eq!(small.into_body().collect().await.unwrap().to_bytes(), "xxx");
        tokio::time::sleep(body_stall_timeout / 3).await;
    }
    timeout(PATIENCE, is_closed.recv()).await.expect("the store's connection is given up");
    assert!(held.into_body().collect().await.is_err(), "half an answer is no answer");
    assert!(!client.is_closed());
}

/// What is under way on a connection when its stream is refused is no fault of the client.
#[tokio::test]
async fn what_still_comes_of_a_refused_upload_is_no_offence() {
    const AT_ONCE: u32 = 100;
    const ROUNDS: u32 = 40;
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        frame
    };
    let put = |token: &str| {
        let mut block = Vec::new();
        for (name, value) in [
            (":method", "PUT"),
            (":scheme", "http"),
            (":authority", "s"),
            (":path", "/data/1/x"),
            ("fencing-token", token),
        ] {
            block.push(0); // Literal, not indexed.
            for text in [name, value] {
                block.push(u8::try_from(text.len()).unwrap());
                block.extend_from_slice(text.as_bytes());
            }
        }
        block
    };
    let rig = Rig::new().await;
    assert_eq!(rig.put("leader-b", "/data/1/x", 34, "new").await.status, 200);
    let (mut reading, mut writing) = rig.connect("leader-a", true).await.into_split();
    let (answers, mut answered) = tokio::sync::watch::channel(0);
    let told_away = tokio::spawn(async move {
        // Until the server says goodbye.
        let mut head = [0; 9];
        while reading.read_exact(&mut head).await.is_ok() {
            let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; len];
            reading.read_exact(&mut payload).await.unwrap();
            if matches!(head[3..5], [0 | 1, flags] if flags & 1 == 1) {
                answers.send_modify(|answers| *answers += 1);
            }
            if head[3] == 7 {
                return String::from_utf8_lossy(&payload[8..]).into_owned();
            }
        }
        "closed".to_owned()
    });
    writing.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    writing.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    // Room for all answers.
    writing.write_all(&frame(8, 0, 0, &(1_u32 << 30).to_be_bytes())).await.unwrap();
    let mut next = 1;
    for _ in 0..ROUNDS {
        let streams: Vec<_> = (0..AT_ONCE).map(|at| next + 2 * at).collect();
        next += 2 * AT_ONCE;
        let begun: Vec<_> = streams.iter().flat_map(|s| frame(1, 4, *s, &put("33"))).collect();
        writing.write_all(&begun).await.unwrap();
        let all = (next - 1) / 2;
        let waited = timeout(PATIENCE, answered.wait_for(|answers| *answers >= all)).await;
        if waited.expect("answers in time").is_err() {
            break;
        }
        let late: Vec<_> = streams.iter().flat_map(|s| frame(0, 1, *s, &[b'x'; 300])).collect();
        writing.write_all(&late).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!told_away.is_finished(), "the server said: {}", told_away.await.unwrap());
}
