//! Several endpoints, bounded connections, slow stores and slow clients.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::rig::{Options, Rig, read_answer};

#[tokio::test]
async fn an_endpoint_that_refuses_is_passed_over() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let other = Rig::new().await;
    let open = {
        let upstream = other.service.front.listener.upstream.clone();
        format!("127.0.0.1:{}", upstream.endpoints[0].port).parse().unwrap()
    };
    let endpoints = Some(vec![closed, open]);
    let rig = Rig::with(Options { endpoints, ..Options::default() }).await;
    for _ in 0..4 {
        assert_eq!(rig.put("leader-a", "/data/1/x", 1, "a").await.status, 200);
    }
    assert_eq!(other.seen().len(), 4);
}

#[tokio::test]
async fn connections_are_bounded_and_waiting_for_one_is_too() {
    let options = Options {
        connections_max: 1,
        response_timeout: Duration::from_secs(4),
        ..Options::default()
    };
    let rig = Rig::with(options).await;
    let mut first = rig.connect("leader-a", false).await;
    first.write_all(b"GET /data/1/hold HTTP/1.1\r\nHost: s\r\n\r\n").await.unwrap();
    rig.wait_seen(1).await;
    let answer = rig.put("leader-a", "/data/1/x", 1, "a").await;
    assert_eq!((answer.status, answer.member("reason").as_str()), (503, "overloaded"));
    assert_eq!(rig.in_flight("data/1").await, (0, 0, 0));
    rig.record.release.notify_one();
    assert_eq!(read_answer(&mut first).await.status, 200);
    assert_eq!(rig.put("leader-a", "/data/1/x", 1, "a").await.status, 200);
    assert_eq!(*rig.record.connections.lock().unwrap(), 1);
}

/// The store closes the connection between two requests: it is not used again, and the
/// write that would have gone over it is sent on a fresh one, once.
#[tokio::test]
async fn a_connection_that_the_store_has_closed_is_not_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = Some(vec![listener.local_addr().unwrap()]);
    let rig = Rig::with(Options { endpoints, ..Options::default() }).await;
    let store = tokio::spawn(async move {
        let mut requests = 0;
        for _ in 0..3 {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            let count = socket.read(&mut buffer).await.unwrap();
            assert!(buffer[..count].starts_with(b"DELETE"));
            requests += 1;
            socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
        requests
    });
    for _ in 0..3 {
        let request = "DELETE /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 1\r\n\r\n";
        assert_eq!(rig.ask("leader-a", request).await.status, 204);
    }
    assert_eq!(store.await.unwrap(), 3);
}

#[tokio::test]
async fn a_large_answer_waits_for_a_slow_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = Some(vec![listener.local_addr().unwrap()]);
    let rig = Rig::with(Options { endpoints, ..Options::default() }).await;
    let len = 64_usize << 20;
    let store = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        let _ = socket.read(&mut buffer).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let chunk = vec![b'x'; 1 << 20];
        let mut sent = 0;
        while let Ok(Ok(count)) =
            tokio::time::timeout(Duration::from_millis(300), socket.write(&chunk)).await
        {
            sent += count;
        }
        sent
    });
    let mut client = rig.connect("reader", false).await;
    client.write_all(b"GET /data/1/x HTTP/1.1\r\nHost: s\r\n\r\n").await.unwrap();
    let sent = store.await.unwrap();
    assert!(
        sent < len / 2,
        "{sent} bytes were taken from the store for a client that reads nothing"
    );
}

/// An answer that breaks off must not look complete.
#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = Some(vec![listener.local_addr().unwrap()]);
    let rig = Rig::with(Options { endpoints, ..Options::default() }).await;
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        let _ = socket.read(&mut buffer).await.unwrap();
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
        socket.write_all(answer.as_bytes()).await.unwrap();
    });
    let mut client = rig.connect("reader", false).await;
    client.write_all(b"GET /data/1/x HTTP/1.1\r\nHost: s\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    let _ = client.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("abc") && !text.ends_with("0\r\n\r\n"), "{text}");
}

/// A store that answers in another protocol has answered nothing that can be believed.
#[tokio::test]
async fn a_change_of_protocol_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = Some(vec![listener.local_addr().unwrap()]);
    let rig = Rig::with(Options { endpoints, ..Options::default() }).await;
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        let _ = socket.read(&mut buffer).await.unwrap();
        let answer =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
        socket.write_all(answer.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    });
    let answer = rig.put("leader-a", "/data/1/x", 1, "a").await;
    assert_eq!((answer.status, answer.member("reason").as_str()), (424, "outcome_unknown"));
}
