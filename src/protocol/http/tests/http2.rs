//! HTTP/2 on either side.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::rig::{Options, PATIENCE, Rig};
use crate::net::connect::Version;
use crate::protocol::http::Limits;

type Body = BoxBody<Bytes, Infallible>;

async fn connect(rig: &Rig, identity: &str) -> SendRequest<Body> {
    let io = TokioIo::new(rig.connect(identity, true).await);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

fn put(path: &str, token: u64, body: Body) -> Request<Body> {
    Request::put(format!("http://s{path}")).header("fencing-token", token).body(body).unwrap()
}

async fn send(sender: &mut SendRequest<Body>, request: Request<Body>) -> Response<Incoming> {
    tokio::time::timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap()
}

fn channel() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
    let stream = futures_util::stream::poll_fn(move |cx| {
        receiver.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    });
    (sender, StreamBody::new(stream).boxed())
}

async fn rig(version: Version) -> Rig {
    Rig::with(Options { version, ..Options::default() }).await
}

#[tokio::test]
async fn writes_and_reads_go_through() {
    for version in [Version::Http1, Version::Http2] {
        let rig = rig(version).await;
        let mut client = connect(&rig, "leader-a").await;
        for _ in 0..5 {
            let body = Full::new(Bytes::from("abc")).boxed();
            let response = send(&mut client, put("/data/1/x?y=1", 7, body)).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["fencing-resource"], "data/1");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "stored");
        }
        let read = Request::get("http://s/data/1/x").body(Empty::new().boxed()).unwrap();
        assert_eq!(send(&mut client, read).await.status(), StatusCode::OK);
        let read = Request::head("http://s/data/1/x").body(Empty::new().boxed()).unwrap();
        assert_eq!(send(&mut client, read).await.headers()["content-length"], "6");
        let seen = rig.seen();
        assert!(seen[0].complete && seen[0].bytes == 3, "{seen:?}");
        let target =
            if version == Version::Http2 { "http://s/data/1/x?y=1" } else { "/data/1/x?y=1" };
        assert_eq!(seen[0].target, target);
        let host = seen[0].headers.get("host").map(|host| host.to_str().unwrap());
        assert_eq!(host, (version == Version::Http1).then_some("s"));
        assert_eq!(*rig.record.connections.lock().unwrap(), 1);
    }
}

#[tokio::test]
async fn an_upload_is_cut_before_its_last_byte() {
    for version in [Version::Http1, Version::Http2] {
        let rig = rig(version).await;
        let mut client = connect(&rig, "leader-a").await;
        let (sender, body) = channel();
        let answer = tokio::spawn({
            let request = put("/data/1/x", 33, body);
            async move { send(&mut client, request).await }
        });
        sender.send(Bytes::from("12345")).await.unwrap();
        rig.wait_in_flight("data/1", (1, 0, 0)).await;
        assert_eq!(rig.put("leader-b", "/data/1/x", 34, "new").await.status, 200);
        drop(sender);
        let response = answer.await.unwrap();
        assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED);
        assert_eq!(response.headers()["fencing-refusal"], "stale");
        let seen = rig.wait_seen(2).await;
        assert_eq!(seen.iter().filter(|seen| seen.complete).count(), 1, "{version:?} {seen:?}");
    }
}

/// hyper takes RST_STREAM with NO_ERROR for the end of a body.
#[tokio::test]
async fn a_reset_without_an_error_is_no_end_of_an_upload() {
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let mut frame =
            vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, stream];
        frame.extend_from_slice(payload);
        frame
    };
    let mut head = Vec::new();
    for (name, value) in [
        (":method", "PUT"),
        (":scheme", "http"),
        (":authority", "s"),
        (":path", "/data/1/x"),
        ("fencing-token", "33"),
    ] {
        for text in [name, value] {
            if text == name {
                head.push(0); // Literal, not indexed.
            }
            head.push(u8::try_from(text.len()).unwrap());
            head.extend_from_slice(text.as_bytes());
        }
    }
    for version in [Version::Http1, Version::Http2] {
        let rig = rig(version).await;
        let mut client = rig.connect("leader-a", true).await;
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        client.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        client.write_all(&frame(1, 4, 1, &head)).await.unwrap();
        client.write_all(&frame(0, 0, 1, b"12345")).await.unwrap();
        rig.wait_in_flight("data/1", (1, 0, 0)).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.write_all(&frame(3, 0, 1, &[0; 4])).await.unwrap();
        rig.wait_in_flight("data/1", (0, 0, 0)).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(rig.seen().iter().all(|seen| !seen.complete), "{version:?}: {:?}", rig.seen());
    }
}

#[tokio::test]
async fn a_client_that_resets_its_stream_has_not_finished_its_upload() {
    for version in [Version::Http1, Version::Http2] {
        let rig = rig(version).await;
        let mut client = connect(&rig, "leader-a").await;
        let (sender, body) = channel();
        let mut answer = Box::pin(client.send_request(put("/data/1/x", 33, body)));
        sender.send(Bytes::from("12345")).await.unwrap();
        let _ = tokio::time::timeout(Duration::from_millis(100), &mut answer).await;
        rig.wait_in_flight("data/1", (1, 0, 0)).await;
        drop(answer);
        drop(client);
        drop(sender);
        rig.wait_in_flight("data/1", (0, 0, 0)).await;
        assert!(rig.seen().iter().all(|seen| !seen.complete), "{version:?}: {:?}", rig.seen());
    }
}

#[tokio::test]
async fn what_became_of_a_write_is_told_truthfully() {
    for version in [Version::Http1, Version::Http2] {
        let rig = rig(version).await;
        let mut client = connect(&rig, "leader-a").await;
        let mut ask = async |path: &str| {
            let body = Full::new(Bytes::from("abc")).boxed();
            let response = send(&mut client, put(path, 7, body)).await;
            let refusal =
                response.headers().get("fencing-refusal").map(|r| r.to_str().unwrap().to_owned());
            (response.status().as_u16(), refusal)
        };
        let unknown = (424, Some("outcome_unknown".to_owned()));
        assert_eq!(ask("/data/1/reset").await, unknown, "{version:?}");
        assert_eq!(ask("/data/1/silent").await, unknown, "{version:?}");
        assert_eq!(ask("/data/1/early-drop").await, (403, None), "{version:?}");
        assert_eq!(ask("/data/1/x").await, (200, None), "{version:?}");
    }
}

#[tokio::test]
async fn ambiguous_requests_are_refused() {
    let rig = rig(Version::Http1).await;
    let mut client = connect(&rig, "leader-a").await;
    let request = |uri: &str| Request::put(uri).header("fencing-token", 1);
    for (request, status) in [
        (request("http://a/data/1/x").header("host", "b"), 400),
        (request("http://a/data/1/../x"), 400),
        (request("http://a/data/1/x").header("fencing-token", 1), 400),
        (Request::connect("http://a:1"), 405),
        (Request::put("http://a/data/1/x"), 428),
    ] {
        let request = request.body(Empty::new().boxed()).unwrap();
        let response = tokio::time::timeout(PATIENCE, client.send_request(request)).await.unwrap();
        assert_eq!(response.unwrap().status().as_u16(), status);
    }
    assert!(rig.seen().is_empty(), "{:?}", rig.seen());
}

/// An answer that takes longer than an idle connection is kept.
#[tokio::test]
async fn a_connection_is_not_idle_while_an_answer_is_on_its_way() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = Some(vec![listener.local_addr().unwrap()]);
    let limits = Limits { header_timeout: Duration::from_millis(100), ..Limits::default() };
    let rig = Rig::with(Options { endpoints, limits, ..Options::default() }).await;
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        let _ = socket.read(&mut buffer).await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").await.unwrap();
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(60)).await;
            socket.write_all(b"x").await.unwrap();
        }
    });
    let mut client = connect(&rig, "reader").await;
    let read = Request::get("http://s/data/1/x").body(Empty::new().boxed()).unwrap();
    let response = send(&mut client, read).await;
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "xxxxxxxxxx");
    // And then it is.
    super::rig::until(|| client.is_closed()).await;
}

/// As clients do it that treat all methods alike.
#[tokio::test]
async fn a_body_that_turns_out_to_be_empty_is_none() {
    let rig = rig(Version::Http1).await;
    let chunked = |end: &str| {
        format!("GET /data/1/x HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n{end}\r\n")
    };
    assert_eq!(rig.ask("leader-a", &chunked("0\r\n")).await.status, 200);
    let mut client = connect(&rig, "leader-a").await;
    for method in ["GET", "DELETE"] {
        for (sent, status) in [("", 200), ("abc", if method == "GET" { 400 } else { 200 })] {
            let (sender, body) = channel();
            let request = Request::builder().method(method).uri("http://s/data/1/x");
            let request = request.header("fencing-token", 7).body(body).unwrap();
            let mut client = client.clone();
            let answer = tokio::spawn(async move { send(&mut client, request).await });
            tokio::time::sleep(Duration::from_millis(30)).await;
            if !sent.is_empty() {
                sender.send(Bytes::from(sent)).await.unwrap();
            }
            drop(sender);
            assert_eq!(answer.await.unwrap().status(), status, "{method} {sent:?}");
        }
    }
    let seen = rig.seen();
    let shown: Vec<_> = seen.iter().map(|seen| (seen.bytes, seen.complete)).collect();
    assert_eq!(shown, [(0, true), (0, true), (0, true), (3, true)], "{seen:?}");
    let read = Request::get("http://s/data/1/x").body(Empty::new().boxed()).unwrap();
    assert_eq!(send(&mut client, read).await.status(), StatusCode::OK);
}
