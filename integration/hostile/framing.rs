//! HTTP/1.1: where a request ends.

use super::Then::GoesOn;
use super::{Case, cut, refused, taken};

/// What makes a write of a request.
pub const T: &str = "Host: localhost\r\nFencing-Token: 33\r\n";
/// A request inside another one.
pub const INNER: &str =
    "DELETE /fenced/hostile/smuggled HTTP/1.1\r\nHost: localhost\r\nFencing-Token: 33\r\n\r\n";
/// The one coding that is taken.
pub const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// A write with these headers and this body.
pub fn put(headers: &str, body: &str) -> String {
    format!("PUT @ HTTP/1.1\r\n{T}{headers}\r\n{body}")
}

pub fn cases() -> Vec<Case> {
    [lengths(), codings(), chunks(), lines()].into_iter().flatten().collect()
}

fn lengths() -> Vec<Case> {
    let inner = INNER.len();
    let mut cases = vec![
        // CL.0: a body where there should be none.
        refused(&[400], format!("GET @ HTTP/1.1\r\n{T}Content-Length: {inner}\r\n\r\n{INNER}")),
        refused(&[400], format!("GET @ HTTP/1.1\r\n{T}{CHUNKED}\r\n1\r\na\r\n0\r\n\r\n{INNER}")),
        // Some clients announce a body with every request, and then send none.
        taken(&["GET @"], GoesOn, format!("GET @ HTTP/1.1\r\n{T}{CHUNKED}\r\n0\r\n\r\n")),
        taken(
            &["DELETE @ abc"],
            GoesOn,
            format!("DELETE @ HTTP/1.1\r\n{T}Content-Length: 3\r\n\r\nabc"),
        ),
        taken(&["PUT @ a"], GoesOn, put("Content-Length: 01\r\n", "a")),
        taken(&["PUT @ a"], GoesOn, put("Content-Length:\t1\t\r\n", "a")),
        // RFC 9110 section 8.6 allows to take twice the same for one, or to refuse it.
        refused(&[400], put("Content-Length: 1\r\nContent-Length: 1\r\n", "a")),
        refused(&[400], put("Content-Length: 1\r\nContent-Length: 2\r\n", "ab")),
        refused(&[400], put("Content-Length: 0\r\nContent-Length: 70\r\n", INNER)),
    ];
    for length in [
        "1, 1",
        "1,2",
        "+1",
        "-1",
        "0x1",
        "1e0",
        "1 1",
        "",
        "1.0",
        "1_0",
        "\u{ff11}",
        "NaN",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999",
    ] {
        cases.push(refused(&[400], put(&format!("Content-Length: {length}\r\n"), "a")));
    }
    // Under another name that some servers take for it.
    cases.push(refused(&[400], put("Content-Length: 1\r\nContent_Length: 9\r\n", "a")));
    cases.push(refused(&[400], put("Content-Length : 1\r\n", "a")));
    cases.push(refused(&[400], put("Content-Length: 1\r\nConnection: content-length\r\n", "a")));
    cases
}

fn codings() -> Vec<Case> {
    // CL.TE and TE.CL.
    let mut cases = vec![
        refused(
            &[400],
            put(&format!("Content-Length: 4\r\n{CHUNKED}"), &format!("1\r\na\r\n0\r\n\r\n{INNER}")),
        ),
        refused(
            &[400],
            put(&format!("{CHUNKED}Content-Length: 4\r\n"), &format!("1\r\na\r\n0\r\n\r\n{INNER}")),
        ),
        taken(&["PUT @ a"], GoesOn, put("Transfer-Encoding:\tCHUNKED \r\n", "1\r\na\r\n0\r\n\r\n")),
        taken(&["PUT @ a"], GoesOn, put("transfer-encoding:chunked\r\n", "1\r\na\r\n0\r\n\r\n")),
    ];
    // It is for this connection only, whether it is listed or not.
    let listed = "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n";
    cases.push(taken(&["PUT @ a"], GoesOn, put(listed, "1\r\na\r\n0\r\n\r\n")));
    for coding in [
        "xchunked",
        "x-chunked",
        "chunked, identity",
        "identity",
        "identity, chunked",
        "gzip, chunked",
        "chunked, chunked",
        "chunked,",
        ", chunked",
        "\u{b}chunked",
        "\"chunked\"",
        "'chunked'",
        "chunked;q=1",
        "chunke",
        "chunked chunked",
        "",
        "cow",
        "\0chunked",
        "chunked\0",
    ] {
        let headers = format!("Transfer-Encoding: {coding}\r\nContent-Length: 5\r\n");
        cases.push(refused(&[400], put(&headers, "0\r\n\r\n")));
    }
    for headers in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        "Transfer-Encoding\0: chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n",
    ] {
        cases.push(refused(&[400], put(headers, "0\r\n\r\n")));
    }
    cases
}

fn chunks() -> Vec<Case> {
    let mut cases = vec![
        taken(&["PUT @ a"], GoesOn, put(CHUNKED, "0001\r\na\r\n000\r\n\r\n")),
        taken(&["PUT @ a"], GoesOn, put(CHUNKED, "1;ext=\"a;b\"\r\na\r\n0\r\n\r\n")),
        // Trailers are dropped, so that nothing behind a body counts.
        taken(
            &["PUT @ a"],
            GoesOn,
            put(CHUNKED, "1\r\na\r\n0\r\nFencing-Token: 99\r\nContent-Length: 9\r\n\r\n"),
        ),
    ];
    for body in [
        "0x1\r\na\r\n0\r\n\r\n",
        "-1\r\na\r\n0\r\n\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        "g\r\na\r\n0\r\n\r\n",
        "\r\na\r\n0\r\n\r\n",
        "1\na\n0\n\n",
        "1;a\nb\r\na\r\n0\r\n\r\n",
        "1\rX\na\r\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "2\r\na\r\n0\r\n\r\n",
        "10000000000000001\r\na\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\na\r\n0\r\n\r\n",
        "1\r\na\r\n0\r\nX : y\r\n\r\n",
    ] {
        cases.push(cut(&[400], put(CHUNKED, body)));
    }
    cases
}

fn lines() -> Vec<Case> {
    let mut cases = vec![
        // A bare LF ends a line for whom RFC 9112 section 2.2 allows it, and not for others.
        refused(&[400], format!("PUT @ HTTP/1.1\n{}Content-Length: 1\n\na", T.replace('\r', ""))),
        taken(&["PUT @ a"], GoesOn, format!("\r\n{}", put("Content-Length: 1\r\n", "a"))),
        refused(&[505], format!("GET @ HTTP/1.0\r\n{T}\r\n")),
        refused(&[505], format!("GET @ HTTP/1.0\r\n{T}Connection: keep-alive\r\n\r\n{INNER}")),
        refused(
            &[400],
            format!("PUT @ HTTP/1.0\r\n{T}Connection: keep-alive\r\n{CHUNKED}\r\n0\r\n\r\n"),
        ),
        refused(&[400], "GET @\r\n\r\n"),
        refused(&[400], "GET @\n"),
    ];
    for header in [
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        "X: a\rb\r\n",
        "X: a\0b\r\n",
        "X\0: a\r\n",
        "X Y: a\r\n",
        "X : a\r\n",
        ": a\r\n",
        "X\r\n",
        "X\u{7f}: a\r\n",
        "X: a\u{7f}\r\n",
        "(X): a\r\n",
        "X: a\u{1}\r\n",
        "X\r: a\r\n",
    ] {
        cases.push(refused(&[400], put(&format!("{header}Content-Length: 1\r\n"), "a")));
    }
    for first in [
        "PUT  @ HTTP/1.1",
        "PUT @  HTTP/1.1",
        "PUT\t@ HTTP/1.1",
        "PUT @ HTTP/1.1 ",
        "PUT @ http/1.1",
        "PUT @ HTTP/1.2",
        "PUT @ HTTP/2.0",
        "PUT @ HTTP/11",
        "PUT @ x HTTP/1.1",
        "PUT @\u{e9} HTTP/1.1",
        "PUT @\r HTTP/1.1",
        "P\0T @ HTTP/1.1",
        " PUT @ HTTP/1.1",
    ] {
        cases.push(refused(&[400], format!("{first}\r\n{T}Content-Length: 1\r\n\r\na")));
    }
    for method in ["put", "Put", "GETX", "TRACE", "CONNECT", "LINK", "PROPFIND", "PURGE", "PRI"] {
        cases.push(refused(&[405], format!("{method} @ HTTP/1.1\r\n{T}\r\n")));
    }
    cases
}
