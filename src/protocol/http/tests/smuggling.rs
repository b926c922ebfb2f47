//! Requests that two servers could read differently. Each has its answer, and the store
//! sees nothing of it.

use super::rig::Rig;

async fn check(rig: &Rig, request: &str, expected: u16) {
    let answer = rig.ask("leader-a", request).await;
    assert_eq!(answer.status, expected, "{request:?} got {answer:?}");
    assert_eq!(rig.seen().len(), 0, "{request:?} reached the store: {:?}", rig.seen());
    if expected == 400 {
        assert_eq!(answer.header("connection"), Some("close"), "{request:?}");
    }
}

#[tokio::test]
async fn ambiguous_requests_never_reach_the_store() {
    let rig = Rig::new().await;
    let t = "Host: s\r\nFencing-Token: 1\r\n";
    for (request, expected) in [
        // Host.
        ("GET /data/1/x HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /data/1/x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("GET /data/1/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
        ("GET http://b/data/1/x HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("GET http://u@a/data/1/x HTTP/1.1\r\nHost: u@a\r\n\r\n".to_owned(), 400),
        ("GET http://a/data/1/x HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /data/1/x HTTP/1.1\r\nHost: \r\n\r\n".to_owned(), 400),
        ("GET /data/1/x HTTP/1.1\r\nHost: a/b\r\n\r\n".to_owned(), 400),
        ("GET /data/1/x HTTP/1.0\r\nHost: a\r\n\r\n".to_owned(), 505),
        // Methods.
        (format!("CONNECT s:443 HTTP/1.1\r\n{t}\r\n"), 405),
        (format!("TRACE /data/1/x HTTP/1.1\r\n{t}\r\n"), 405),
        (format!("put /data/1/x HTTP/1.1\r\n{t}\r\n"), 405),
        (format!("Get /data/1/x HTTP/1.1\r\n{t}\r\n"), 405),
        (format!("OPTIONS * HTTP/1.1\r\n{t}\r\n"), 400),
        (
            format!(
                "GET /data/1/x HTTP/1.1\r\n{t}Upgrade: websocket\r\nConnection: upgrade\r\n\r\n"
            ),
            400,
        ),
        (format!("GET /data/1/x HTTP/1.1\r\n{t}Content-Length: 3\r\n\r\nabc"), 400),
        (
            format!(
                "GET /data/1/x HTTP/1.1\r\n{t}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
            ),
            400,
        ),
        (format!("GET /data/1/x HTTP/1.1\r\n{t}Transfer-Encoding: chunked\r\n\r\nz\r\n"), 400),
        (format!("GET /data/1/x HTTP/1.1\r\n{t}Transfer-Encoding: chunked\r\n\r\n"), 400),
        // Another method or another path than the one that is judged.
        (
            "GET /data/1/x HTTP/1.1\r\nHost: s\r\nX-HTTP-Method-Override: PUT\r\n\r\n".to_owned(),
            400,
        ),
        ("GET /data/1/x HTTP/1.1\r\nHost: s\r\nX-Original-URL: /data/2/x\r\n\r\n".to_owned(), 400),
        (
            "GET /data/1/x HTTP/1.1\r\nHost: s\r\nX_HTTP_Method-Override: PUT\r\n\r\n".to_owned(),
            400,
        ),
        (
            format!("PUT /data/1/x HTTP/1.1\r\n{t}Fencing_Token: 9\r\nContent-Length: 1\r\n\r\na"),
            400,
        ),
        // Framing.
        (
            format!(
                "PUT /data/1/x HTTP/1.1\r\n{t}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
            ),
            400,
        ),
        (
            format!(
                "PUT /data/1/x HTTP/1.1\r\n{t}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"
            ),
            400,
        ),
        (
            format!(
                "PUT /data/1/x HTTP/1.1\r\n{t}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            400,
        ),
        (format!("PUT /data/1/x HTTP/1.1\r\n{t}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 400),
        (format!("PUT /data/1/x HTTP/1.1\r\n{t}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), 400),
        (
            format!(
                "PUT /data/1/x HTTP/1.1\r\n{t}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"
            ),
            400,
        ),
        (format!("PUT /data/1/x HTTP/1.1\r\n{t}Content-Length: +1\r\n\r\na"), 400),
        (format!("PUT /data/1/x HTTP/1.1\r\n{t}Content-Length: 1, 1\r\n\r\na"), 400),
        (format!("PUT /data/1/x HTTP/1.1\r\n{t}X: a\r\n b\r\nContent-Length: 1\r\n\r\na"), 400),
        (
            format!("PUT /data/1/x HTTP/1.1\r\n{t}Expect: 200-maybe\r\nContent-Length: 1\r\n\r\na"),
            417,
        ),
        // The token on the way out.
        (
            format!(
                "PUT /data/1/x HTTP/1.1\r\n{t}Connection: fencing-token\r\nContent-Length: 1\r\n\r\na"
            ),
            400,
        ),
        (
            format!(
                "PUT /data/1/x HTTP/1.1\r\n{t}Connection: close, Host\r\nContent-Length: 1\r\n\r\na"
            ),
            400,
        ),
        (
            format!(
                "PUT /data/1/x HTTP/1.1\r\n{t}Connection: content-length\r\nContent-Length: 1\r\n\r\na"
            ),
            400,
        ),
        (
            format!(
                "PUT /data/1/x HTTP/1.1\r\n{t}Fencing-Wait: soon\r\nContent-Length: 1\r\n\r\na"
            ),
            400,
        ),
        // Been here before.
        (format!("GET /data/1/x HTTP/1.1\r\n{t}Via: 1.1 palisade-main-test\r\n\r\n"), 508),
    ] {
        check(&rig, &request, expected).await;
    }
}

#[tokio::test]
async fn ambiguous_paths_never_reach_a_rule() {
    let rig = Rig::new().await;
    for path in [
        "/data//1/x",
        "//data/1/x",
        "/data/1/../2/x",
        "/data/1/%2e%2e/x",
        "/data/./1/x",
        "/data/1%2fx",
        "/data/1%5cx",
        "/data/1\\x",
        "/data/1/%00",
        "/data/1/%",
        "/data/1/%zz",
        "/data/1/%252e",
        "/data/1/%250%44",
        "/data/1/%ff",
        "/data/1/x?\u{e9}",
        "/%2epalisade/whoami",
        "/.palisade%2fwhoami",
    ] {
        check(&rig, &format!("GET {path} HTTP/1.1\r\nHost: s\r\n\r\n"), 400).await;
    }
    check(&rig, "GET /.palisade/else HTTP/1.1\r\nHost: s\r\n\r\n", 404).await;
    check(&rig, "GET /.palisade HTTP/1.1\r\nHost: s\r\n\r\n", 404).await;
}

/// Allowed by RFC 9112, and what most request smuggling begins with: refused.
#[tokio::test]
async fn a_length_beside_chunked_is_refused() {
    let inner = "DELETE /data/2/y HTTP/1.1\r\nHost: s\r\nFencing-Token: 1\r\n\r\n";
    for (first, second) in [
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 4"),
    ] {
        let rig = Rig::new().await;
        let request = format!(
            "PUT /data/1/x HTTP/1.1\r\nHost: s\r\nFencing-Token: 1\r\n{first}\r\n{second}\r\n\r\n1\r\na\r\n0\r\n\r\n{inner}"
        );
        let answer = rig.ask("leader-a", &request).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_eq!(answer.header("connection"), Some("close"));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert_eq!(rig.seen().len(), 0);
    }
}
