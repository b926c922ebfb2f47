//! HTTP/1.1: what a request is for, and whether its token counts.

use super::Then::{Closes, GoesOn};
use super::framing::{CHUNKED, INNER, T, put};
use super::{Case, passed_over, refused, taken};

/// A read with these headers, instead of all others.
fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{headers}\r\n")
}

pub fn cases() -> Vec<Case> {
    [hosts(), targets(), tokens(), others()].into_iter().flatten().collect()
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
        "@?\u{e9}",
        "@%c0%af",
        "@%ff",
        "/%2epalisade/whoami",
        "/.palisade%2fwhoami",
        "/./.palisade/whoami",
    ] {
        let headers = "Host: localhost\r\n";
        cases.push(refused(&[400], get(target, headers)));
    }
    cases.push(refused(&[400], get("@#/../x", "Host: localhost\r\n")));
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
