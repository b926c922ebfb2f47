//! HTTP/1.1.

use super::Then::{Closes, GoesOn};
use super::{Case, cut, passed_over, refused, taken};

/// What makes a write of a request.
const T: &str = "Host: localhost\r\nFencing-Token: 33\r\n";
/// A request inside another one.
const INNER: &str =
    "DELETE /fenced/hostile/smuggled HTTP/1.1\r\nHost: localhost\r\nFencing-Token: 33\r\n\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// A write with these headers and this body.
fn put(headers: &str, body: &str) -> String {
    format!("PUT @ HTTP/1.1\r\n{T}{headers}\r\n{body}")
}

/// A read with these headers, instead of all others.
fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{headers}\r\n")
}

pub fn cases() -> Vec<Case> {
    [lengths(), codings(), chunks(), lines(), hosts(), targets(), tokens(), others()]
        .into_iter()
        .flatten()
        .collect()
}

fn lengths() -> Vec<Case> {
    let inner = INNER.len();
    let mut cases = vec![
        // CL.0: a body where there should be none.
        refused(&[400], format!("GET @ HTTP/1.1\r\n{T}Content-Length: {inner}\r\n\r\n{INNER}")),
        refused(&[400], format!("GET @ HTTP/1.1\r\n{T}{CHUNKED}\r\n0\r\n\r\n{INNER}")),
        taken(
            &["DELETE @ abc"],
            GoesOn,
            format!("DELETE @ HTTP/1.1\r\n{T}Content-Length: 3\r\n\r\nabc"),
        ),
        taken(&["PUT @ a"], GoesOn, put("Content-Length: 01\r\n", "a")),
        taken(&["PUT @ a"], GoesOn, put("Content-Length:\t1\t\r\n", "a")),
        // Twice the same is one, by RFC 9110 section 8.6; the store gets it once.
        taken(&["PUT @ a"], GoesOn, put("Content-Length: 1\r\nContent-Length: 1\r\n", "a")),
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
        "18446744073709551616",
        "99999999999999999999999",
    ] {
        cases.push(refused(&[400], put(&format!("Content-Length: {length}\r\n"), "a")));
    }
    cases.push(refused(&[431], put("Content-Length: 18446744073709551615\r\n", "a")));
    // Under another name that some servers take for it.
    cases.push(refused(&[400], put("Content-Length: 1\r\nContent_Length: 9\r\n", "a")));
    cases.push(refused(&[400], put("Content-Length : 1\r\n", "a")));
    cases.push(refused(&[400], put("Content-Length: 1\r\nConnection: content-length\r\n", "a")));
    cases
}

fn codings() -> Vec<Case> {
    // CL.TE and TE.CL: RFC 9112 lets chunked win; what would be a second request under the
    // other reading is not one.
    let mut cases = vec![
        taken(
            &["PUT @ a"],
            Closes,
            put(&format!("Content-Length: 4\r\n{CHUNKED}"), &format!("1\r\na\r\n0\r\n\r\n{INNER}")),
        ),
        taken(
            &["PUT @ a"],
            Closes,
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
        // A bare LF ends a line for whom RFC 9112 section 2.2 allows it; the store sees CR LF.
        taken(
            &["PUT @ a"],
            GoesOn,
            format!("PUT @ HTTP/1.1\n{}Content-Length: 1\n\na", T.replace('\r', "")),
        ),
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

fn hosts() -> Vec<Case> {
    let mut cases = vec![
        taken(&["GET @"], GoesOn, get("https://localhost@", "Host: localhost\r\n")),
        taken(&["GET @"], GoesOn, get("@", "HOST: LOCALHOST:8443\r\n")),
    ];
    for (target, headers) in [
        ("@", ""),
        ("@", "Host: localhost\r\nHost: localhost\r\n"),
        ("@", "Host: localhost\r\nhost: other\r\n"),
        ("@", "Host: \r\n"),
        ("@", "Host: local host\r\n"),
        ("@", "Host: u@localhost\r\n"),
        ("@", "Host: localhost/x\r\n"),
        ("@", "Host: localhost#x\r\n"),
        ("@", "Host: localhost, other\r\n"),
        ("@", "Host: localhost\\other\r\n"),
        ("@", "Host: \u{e9}\r\n"),
        ("@", "Host : localhost\r\n"),
        ("@", "Host_: a\r\nConnection: host\r\nHost: localhost\r\n"),
        ("@", "Host: localhost\r\nX-Original-URL: /open/x\r\n"),
        ("@", "Host: localhost\r\nX-Rewrite-URL: /open/x\r\n"),
        ("http://other@", "Host: localhost\r\n"),
        ("http://localhost@", ""),
        ("http://u@localhost@", "Host: localhost\r\n"),
        ("http://u@localhost@", "Host: u@localhost\r\n"),
        ("http://localhost:1@", "Host: localhost:2\r\n"),
        ("http://localhost:@", "Host: localhost\r\n"),
        ("//other@", "Host: localhost\r\n"),
    ] {
        cases.push(refused(&[400], get(target, headers)));
    }
    cases
}

fn targets() -> Vec<Case> {
    let mut cases = Vec::new();
    for target in [
        "*",
        "localhost:443",
        "fenced/x",
        "?x",
        "//fenced/x",
        "@//x",
        "@/../x",
        "@/./x",
        "@/..",
        "@/%2e%2e/x",
        "@/.%2E/x",
        "@/..;a/x",
        "@%2fx",
        "@%5cx",
        "@\\x",
        "@%00",
        "@%0d%0aX",
        "@%",
        "@%zz",
        "@%2",
        "@%252e",
        "@%c0%af",
        "@%ff",
        "/%2epalisade/whoami",
        "/.palisade%2fwhoami",
        "/./.palisade/whoami",
    ] {
        let headers = "Host: localhost\r\n";
        cases.push(refused(&[400], get(target, headers)));
    }
    // What is behind a # is no part of a target, and nobody gets to see it.
    cases.push(taken(&["GET @"], GoesOn, get("@#/../x", "Host: localhost\r\n")));
    cases
}

fn tokens() -> Vec<Case> {
    let with = |headers: &str| {
        format!("PUT @ HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: 1\r\n\r\na")
    };
    let mut cases = vec![
        taken(&["PUT @ a"], GoesOn, with("fEnCiNg-ToKeN:33\r\n")),
        taken(&["PUT @ a"], GoesOn, with("Fencing-Token: \t33 \r\n")),
        passed_over(&[428], with("")),
        passed_over(&[428], with("X-Fencing-Token: 33\r\n")),
        passed_over(&[412], with("Fencing-Token: 32\r\n")),
        passed_over(&[422], with("Fencing-Token: 9223372036854775808\r\n")),
        // Another name that some servers take for it.
        refused(&[400], with("Fencing_Token: 33\r\n")),
        refused(&[400], with("Fencing-Token: 33\r\nFencing_Token: 99\r\n")),
        refused(&[400], with("Fencing-Token: 33\r\nConnection: fencing-token\r\n")),
        refused(&[400], with("Fencing-Token: 33\r\nConnection: close, FENCING-TOKEN\r\n")),
        refused(
            &[400],
            with("Fencing-Token: 33\r\nConnection: keep-alive\r\nConnection: Fencing-Token\r\n"),
        ),
        // Behind the body, or in the target, it is none.
        passed_over(
            &[428],
            format!(
                "PUT @ HTTP/1.1\r\nHost: localhost\r\nTrailer: Fencing-Token\r\n{CHUNKED}\r\n1\r\na\r\n0\r\nFencing-Token: 33\r\n\r\n"
            ),
        ),
        passed_over(
            &[428],
            "PUT @?fencing-token=33 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\na",
        ),
    ];
    for token in [
        "", "0", "-1", "+33", "33, 33", "33 33", "0x21", "33\u{e9}", "33.", ".33", "1.2.3", "33;",
        "\"33\"",
    ] {
        cases.push(passed_over(&[400], with(&format!("Fencing-Token: {token}\r\n"))));
    }
    for two in
        ["Fencing-Token: 33\r\nFencing-Token: 33\r\n", "fencing-token: 33\r\nFENCING-TOKEN: 34\r\n"]
    {
        cases.push(passed_over(&[400], with(two)));
    }
    cases
}

fn others() -> Vec<Case> {
    let inner = INNER.len();
    let stale = format!(
        "PUT @ HTTP/1.1\r\nHost: localhost\r\nFencing-Token: 32\r\nContent-Length: {inner}\r\n\r\n{INNER}"
    );
    let mut cases = vec![
        // The body of what is refused is no request.
        passed_over(&[412], stale.clone()),
        passed_over(&[412, 412], format!("{stale}{stale}")),
        passed_over(
            &[428],
            format!("PUT @ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {inner}\r\n\r\n{INNER}"),
        ),
        passed_over(
            &[403],
            format!("PUT /closed/x HTTP/1.1\r\n{T}Content-Length: {inner}\r\n\r\n{INNER}"),
        ),
        // What is in the pipe behind what cannot be read is not read.
        refused(&[400], format!("PUT @ HTTP/1.1\r\n{T}Transfer-Encoding: x\r\n\r\n{INNER}")),
        taken(
            &["GET @/a", "GET @/b"],
            GoesOn,
            "GET @/a HTTP/1.1\r\nHost: localhost\r\n\r\nGET @/b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ),
        taken(
            &["PUT @ a"],
            Closes,
            put("Connection: close\r\nContent-Length: 1\r\n", &format!("a{INNER}")),
        ),
        // A body that waits for an answer that comes too soon: the store is done, the client is not.
        Case {
            then: Closes,
            may_be_cut: true,
            ..refused(
                &[200],
                format!(
                    "PUT @/early HTTP/1.1\r\n{T}Content-Length: {inner}\r\n\r\n{}",
                    &INNER[..20]
                ),
            )
        },
        taken(&["PUT @ a"], GoesOn, put("X: \u{e9}\r\nContent-Length: 1\r\n", "a")),
    ];
    for (status, header) in [
        (&[417][..], "Expect: 200-ok\r\n"),
        (&[417], "Expect: 100-continue, 200-ok\r\n"),
        (&[417], "Expect: \r\n"),
        (&[400], "Upgrade: websocket\r\nConnection: upgrade\r\n"),
        (
            &[400],
            "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings\r\n",
        ),
        (&[400], "X-HTTP-Method-Override: DELETE\r\n"),
        (&[400], "X-HTTP-Method: DELETE\r\n"),
        (&[400], "X-Method-Override: DELETE\r\n"),
        (&[400], "Connection: host\r\n"),
        (&[400], "Connection: authorization\r\n"),
        (&[400], "Connection: via\r\n"),
        (&[400], "Fencing-Wait: soon\r\n"),
    ] {
        cases.push(refused(status, put(&format!("{header}Content-Length: 1\r\n"), "a")));
    }
    cases
}
