//! Bytes that have left the relay, but not this machine, when a takeover stops waiting for them.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::rig::{Options, PATIENCE, Rig};
use crate::net::connect::Version;

const SEAL: &str = "POST /.palisade/seal?path=/data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 34\r\nContent-Length: 0\r\n\r\n";

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
    let (mut store, _) = listener.accept().await.unwrap();
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
