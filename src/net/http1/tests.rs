//! What the bytes of HTTP/1.1 are read and written as.

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::client::Link;
use super::head::Bounds;
use super::server::{Limits, Service, serve};
use super::{Fault, Incoming};

/// What was asked: the first line, and the body, or how far it came.
type Asked = Arc<Mutex<Vec<(String, Result<String, String>)>>>;

/// Answers with what it was asked.
struct Echo(Asked);

impl Service for Echo {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let line = format!("{} {}", request.method(), request.uri());
        let mut incoming = request.into_body();
        let mut body = Vec::new();
        let read = loop {
            match std::future::poll_fn(|cx| incoming.poll_chunk(cx)).await {
                Some(Ok(data)) => body.extend_from_slice(&data),
                Some(Err(error)) => break Err(error.to_string()),
                None => break Ok(String::from_utf8(body.clone()).unwrap()),
            }
        };
        self.0.lock().unwrap().push((line, read));
        Response::new(Full::new(Bytes::from(body)))
    }

    fn refuse(&self, fault: &Fault) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(fault.to_string())));
        *response.status_mut() = http::StatusCode::BAD_REQUEST;
        response
    }
}

const LIMITS: Limits = Limits {
    head: Bounds { bytes_max: 1000, headers_max: 10 },
    head_timeout: Duration::from_secs(5),
};

/// Sends bytes in pieces of that size; returns what was answered, and what was asked.
async fn exchange(bytes: &[u8], piece: usize) -> (String, Vec<(String, Result<String, String>)>) {
    let (mut client, server) = duplex(1 << 16);
    let asked = Asked::default();
    let service = Echo(Arc::clone(&asked));
    let serving = serve(Box::new(server), LIMITS, service, std::future::pending());
    let sending = async {
        for piece in bytes.chunks(piece) {
            if client.write_all(piece).await.is_err() {
                break; // It has seen enough.
            }
            tokio::task::yield_now().await;
        }
        let _ = client.shutdown().await;
        let mut answer = Vec::new();
        let reading = client.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(5), reading).await.expect("an end");
        drop(client);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (answer, _end) = tokio::join!(sending, serving);
    let asked = asked.lock().unwrap().clone();
    (answer, asked)
}

/// The same however the bytes are cut into pieces.
#[tokio::test]
async fn what_is_asked_does_not_depend_on_where_the_bytes_are_cut() {
    let requests = "\r\nPUT /a HTTP/1.1\r\nHost: s\r\nContent-Length: 5\r\n\r\nhello\
        PUT /b HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n\
        3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n\
        GET /c?d HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n";
    for piece in 1..=requests.len() {
        let (answer, asked) = exchange(requests.as_bytes(), piece).await;
        let ok = |text: &str| Ok(text.to_owned());
        let expected = [
            ("PUT /a".to_owned(), ok("hello")),
            ("PUT /b".to_owned(), ok("abc0123456789")),
            ("GET /c?d".to_owned(), ok("")),
        ];
        assert_eq!(asked, expected, "in pieces of {piece}");
        assert_eq!(answer.matches("HTTP/1.1 200 OK\r\n").count(), 3, "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

/// Neither taken for a request, nor is anything behind it.
#[tokio::test]
async fn what_can_be_read_in_two_ways_is_not_read() {
    let many = "A: b\r\n".repeat(11);
    let empty = "\r\n".repeat(501);
    let long = format!("A: {}\r\n", "x".repeat(1000));
    for (head, why) in [
        ("GET / HTTP/1.1\nHost: s\r\n\r\n", "CR LF"),
        ("GET / HTTP/1.1\r\nHost: s\n\r\n", "CR LF"),
        ("GET / HTTP/1.1\r\nHost: s\rX: y\r\n\r\n", "byte"),
        ("GET / HTTP/1.1\r\nHost: s\r\n folded\r\n\r\n", "name"),
        ("GET / HTTP/1.1\r\nHost : s\r\n\r\n", "name"),
        ("GET / HTTP/1.1\r\nHo\0st: s\r\n\r\n", "name"),
        ("GET / HTTP/1.1\r\nHost: s\0\r\n\r\n", "byte"),
        ("GET / HTTP/1.1\r\n: s\r\n\r\n", "name"),
        ("GET / HTTP/1.2\r\nHost: s\r\n\r\n", "version"),
        ("GET / HTTP/2.0\r\nHost: s\r\n\r\n", "version"),
        ("GET /\r\n\r\n", ""),
        ("G\x01T / HTTP/1.1\r\n\r\n", "first line"),
        ("GET /#x HTTP/1.1\r\nHost: s\r\n\r\n", "fragment"),
        ("GET /\x7f HTTP/1.1\r\nHost: s\r\n\r\n", ""),
        ("PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", "one number"),
        ("PUT / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\na", "one number"),
        ("PUT / HTTP/1.1\r\nContent-Length: +1\r\n\r\na", "one number"),
        ("PUT / HTTP/1.1\r\nContent-Length:\r\n\r\na", "one number"),
        ("PUT / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\na", "one number"),
        ("PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "contradict"),
        ("PUT / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", "chunked"),
        ("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", "chunked"),
        ("PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "chunked"),
        (
            "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "chunked",
        ),
        ("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"),
        (&format!("GET / HTTP/1.1\r\n{many}\r\n"), "10 headers"),
        (&format!("GET / HTTP/1.1\r\n{long}\r\n"), "1000 bytes"),
        (&empty, "1000 bytes"),
    ] {
        let next = format!("{head}GET /next HTTP/1.1\r\nHost: s\r\n\r\n");
        let (answer, asked) = exchange(next.as_bytes(), 7).await;
        assert_eq!(asked, [], "{head:?}");
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(why), "{head:?}: {answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
}

/// The body ends there, and with it the connection.
#[tokio::test]
async fn a_body_that_breaks_its_framing_is_no_body() {
    for body in [
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nab\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        "g\r\nabc\r\n0\r\n\r\n",
        "3;a\nb\r\nabc\r\n0\r\n\r\n",
        "3;\x01\r\nabc\r\n0\r\n\r\n",
        "10000000000000003\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nbad trailer\r\n\r\n",
        "3\r\nabc\r\n0\r\nX: y\n\r\n",
        &format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(2000)),
    ] {
        let bytes = format!(
            "PUT / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n{body}GET /next HTTP/1.1\r\nHost: s\r\n\r\n"
        );
        let (answer, asked) = exchange(bytes.as_bytes(), 5).await;
        assert_eq!(asked.len(), 1, "{body:?}: {asked:?}");
        assert!(asked[0].1.is_err(), "{body:?}: {asked:?}");
        assert!(!answer.contains("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), "{answer}");
    }
}

/// Reads one request off a connection, and answers with these bytes.
async fn answer(mut server: DuplexStream, answer: &'static str) -> String {
    let mut request = vec![0; 4096];
    let len = server.read(&mut request).await.unwrap();
    server.write_all(answer.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    String::from_utf8_lossy(&request[..len]).into_owned()
}

#[tokio::test]
async fn an_answer_is_what_its_framing_says() {
    async fn check(text: &'static str, expected: Result<&str, &str>, reusable: bool) {
        let (client, server) = duplex(1 << 16);
        let serving = tokio::spawn(answer(server, text));
        let mut link = Link::new(Box::new(client));
        let request = Request::get("/x").header("host", "s").body(Full::new(Bytes::new()));
        let got = match link.send(request.unwrap()).await {
            Err(error) => Err(error.error.to_string()),
            Ok(_) => loop_frames(&mut link).await,
        };
        match (&got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{text:?}"),
            (Err(got), Err(expected)) => assert!(got.contains(expected), "{text:?}: {got}"),
            _ => panic!("{text:?}: {got:?}"),
        }
        assert_eq!(link.is_reusable(), reusable, "{text:?}");
        assert_eq!(serving.await.unwrap(), "GET /x HTTP/1.1\r\nhost: s\r\n\r\n");
    }
    async fn loop_frames(link: &mut Link<Full<Bytes>>) -> Result<String, String> {
        let mut body = String::new();
        while let Some(frame) = std::future::poll_fn(|cx| link.poll_frame(cx)).await {
            let frame = frame.map_err(|error| error.to_string())?;
            body +=
                &frame.data_ref().map_or("[trailers]".into(), |data| String::from_utf8_lossy(data));
        }
        Ok(body)
    }
    check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Ok("abc"), true).await;
    check(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
        Ok("a"),
        true,
    )
    .await;
    check("HTTP/1.1 204 No Content\r\n\r\n", Ok(""), true).await;
    check("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", Ok(""), true).await;
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n";
    check(chunked, Ok("a[trailers]"), true).await;
    check("HTTP/1.1 200 OK\r\n\r\nabc", Ok("abc"), false).await;
    check("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", Ok("a"), false).await;
    check("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", Ok("a"), false)
        .await;
    // What comes behind an answer that nobody has asked for.
    check("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", Ok("a"), false).await;
    check("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", Err("too early"), false).await;
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        Err("one number"),
        false,
    )
    .await;
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab", Err("chunked"), false).await;
    check("HTTP/1.1 200 OK\r\nContent-Length: 1", Err("middle"), false).await;
    let endless = "HTTP/1.1 100 Continue\r\n\r\n".repeat(65).leak();
    check(endless, Err("without end"), false).await;
    check("", Err("closed"), false).await;
    check("ICY 200 OK\r\n\r\n", Err("none"), false).await;
}

/// A request that is still being sent is sent on while its answer is read.
#[tokio::test]
async fn a_request_goes_on_after_its_answer_has_begun() {
    let (client, mut server) = duplex(1 << 16);
    let (feed, frames) = tokio::sync::mpsc::channel::<Bytes>(4);
    let body = StreamBody::new(futures_util::stream::unfold(frames, async |mut frames| {
        let data = frames.recv().await?;
        Some((Ok::<_, std::io::Error>(Frame::data(data)), frames))
    }));
    let mut link = Link::new(Box::new(client));
    let serving = tokio::spawn(async move {
        let mut bytes = vec![0; 4096];
        let len = server.read(&mut bytes).await.unwrap();
        server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        let mut seen = bytes[..len].to_vec();
        while !seen.ends_with(b"0\r\n\r\n") {
            let len = server.read(&mut bytes).await.unwrap();
            seen.extend_from_slice(&bytes[..len]);
        }
        String::from_utf8(seen).unwrap()
    });
    feed.send(Bytes::from_static(b"abc")).await.unwrap();
    let head = link.send(Request::put("/x").body(Box::pin(body)).unwrap()).await;
    let head = head.map_err(|error| error.error).unwrap();
    assert_eq!(head.status, 200);
    feed.send(Bytes::from_static(b"def")).await.unwrap();
    drop(feed);
    std::future::poll_fn(|cx| {
        link.poll_sending(cx).unwrap();
        while let Poll::Ready(Some(frame)) = link.poll_frame(cx) {
            assert_eq!(frame.unwrap().data_ref().unwrap(), "ok");
        }
        if link.is_reusable() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let seen = serving.await.unwrap();
    let chunks = "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
    assert!(seen.ends_with(chunks) && seen.contains("transfer-encoding: chunked"), "{seen}");
}
