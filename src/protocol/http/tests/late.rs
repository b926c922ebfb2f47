//! Bytes that have left the relay, but not this machine, when a takeover stops waiting for them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;

use super::rig::{Options, PATIENCE, Rig};
use crate::net::connect::Version;

const SEAL: &str = "POST /.palisade/seal?path=/data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 34\r\nContent-Length: 0\r\n\r\n";

/// One request at a time, and each waits until it is told to go on.
#[derive(Default)]
struct Narrow {
    asked: Notify,
    reads: Notify,
    /// Bytes of each body, and whether it came to its end.
    bodies: Mutex<Vec<(usize, bool)>>,
}

async fn rig(endpoint: SocketAddr, version: Version) -> Rig {
    Rig::with(Options {
        version,
        endpoints: Some(vec![endpoint]),
        response_timeout: PATIENCE,
        settle_timeout: Duration::from_millis(200),
        ..Options::default()
    })
    .await
}

async fn narrow_http2() -> (Arc<Narrow>, SocketAddr) {
    let store = Arc::new(Narrow::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = Arc::clone(&store);
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let store = Arc::clone(&serving);
            let serve = service_fn(move |request: Request<Incoming>| {
                let store = Arc::clone(&store);
                async move {
                    store.asked.notify_one();
                    store.reads.notified().await;
                    let mut body = request.into_body();
                    let (mut bytes, mut complete) = (0, true);
                    while let Some(frame) = body.frame().await {
                        let Ok(frame) = frame else {
                            complete = false;
                            break;
                        };
                        bytes += frame.data_ref().map_or(0, Bytes::len);
                    }
                    store.bodies.lock().unwrap().push((bytes, complete));
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
                }
            });
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.max_concurrent_streams(1);
            tokio::spawn(builder.serve_connection(TokioIo::new(socket), serve));
        }
    });
    (store, address)
}

/// A client that hangs up leaves nothing behind, even where its request still waits in line for
/// a stream and all of it has been read.
#[tokio::test]
async fn an_upload_ends_with_its_client_over_http2_too() {
    let (store, address) = narrow_http2().await;
    let rig = rig(address, Version::Http2).await;
    let mut first = rig.connect("leader-a", false).await;
    first.write_all(b"GET /data/1/x HTTP/1.1\r\nHost: s\r\n\r\n").await.unwrap();
    store.asked.notified().await;
    let mut client = rig.connect("leader-a", false).await;
    let request =
        "PUT /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 33\r\nContent-Length: 5\r\n\r\n12345";
    client.write_all(request.as_bytes()).await.unwrap();
    rig.wait_in_flight("data/1", (1, 0, 0)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(50)).await;
    store.reads.notify_one();
    assert_eq!(super::rig::read_answer(&mut first).await.status, 200);
    store.reads.notify_one();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let bodies = store.bodies.lock().unwrap().clone();
    assert!(bodies.iter().all(|body| *body != (5, true)), "it landed on its own: {bodies:?}");
    assert_eq!(rig.in_flight("data/1").await, (0, 0, 0));
}

/// Closing a socket in the usual way leaves its unsent bytes to the kernel, which goes on
/// sending them for minutes. HTTP/2 has buffers of its own in front of that.
async fn what_is_given_up_is_gone(version: Version) {
    const LEN: usize = 60_000; // Less than the window of HTTP/2.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let rig = rig(listener.local_addr().unwrap(), version).await;
    let mut client = rig.connect("leader-a", false).await;
    let body = "x".repeat(LEN);
    let request = format!(
        "PUT /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 33\r\nContent-Length: {LEN}\r\n\r\n{body}"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
    let (mut store, _) = accepted.expect("the write is sent").unwrap();
    rig.wait_in_flight("data/1", (0, 1, 0)).await;
    assert_eq!(rig.ask("leader-b", SEAL).await.status, 200);
    let mut bytes = Vec::new();
    let end = tokio::time::timeout(PATIENCE, store.read_to_end(&mut bytes)).await.expect("an end");
    let count = bytes.len();
    assert!(count < LEN, "the whole write arrived after the seal: {count} bytes, {end:?}");
}

#[tokio::test]
async fn what_the_kernel_has_not_sent_is_gone_once_it_is_given_up() {
    what_is_given_up_is_gone(Version::Http1).await;
}

#[tokio::test]
async fn so_it_is_over_http2() {
    what_is_given_up_is_gone(Version::Http2).await;
}

/// Where the store reads nothing, neither do the buffers in front of the socket empty: they
/// have to go with the connection.
async fn what_is_stuck_is_closed_at_once(version: Version) {
    const LEN: usize = 32 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = rig(listener.local_addr().unwrap(), version).await;
    let client = rig.connect("leader-a", false).await;
    let (_reader, mut writer) = client.into_split();
    tokio::spawn(async move {
        let head = format!(
            "PUT /head/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 33\r\nContent-Length: {LEN}\r\n\r\n"
        );
        writer.write_all(head.as_bytes()).await.unwrap();
        let _ = writer.write_all(&vec![b'x'; LEN]).await;
    });
    let (mut store, _) = listener.accept().await.unwrap();
    if version == Version::Http2 {
        // SETTINGS and WINDOW_UPDATE: as much as there is.
        store.write_all(b"\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff").await.unwrap();
        store.write_all(b"\0\0\x04\x08\0\0\0\0\0\x3f\xff\xff\xff").await.unwrap();
    }
    rig.wait_in_flight("head", (0, 1, 0)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let seal = SEAL.replace("/data/1/x", "/head/x");
    assert_eq!(rig.ask("leader-b", &seal).await.status, 200);
    let error = store.take_error().unwrap().map(|error| error.kind());
    assert_eq!(error, Some(std::io::ErrorKind::ConnectionReset), "{version:?}: it is still open");
}

#[tokio::test]
async fn a_connection_that_is_stuck_is_closed_at_once() {
    what_is_stuck_is_closed_at_once(Version::Http1).await;
    what_is_stuck_is_closed_at_once(Version::Http2).await;
}
