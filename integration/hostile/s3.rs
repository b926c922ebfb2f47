//! S3: two ways to name a bucket, a key, an operation, or the end of a body.

use super::Then::GoesOn;
use super::{Case, cut, passed_over, refused, taken};

const T: &str = "Fencing-Token: 33\r\n";
const BATCH: &str = "/fenced?delete";
const SIGNED: &str = "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\n";
const UNSIGNED: &str = "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n";

fn ask(method: &str, target: &str, headers: &str, body: &str) -> String {
    let host = if headers.contains("Host: ") { "" } else { "Host: localhost\r\n" };
    let length = match (method, body) {
        ("GET" | "DELETE", "") => String::new(),
        (_, body) => format!("Content-Length: {}\r\n", body.len()),
    };
    format!("{method} {target} HTTP/1.1\r\n{host}{T}{length}{headers}\r\n{body}")
}

pub fn cases() -> Vec<Case> {
    [keys(), operations(), sources(), bodies(), batches()].into_iter().flatten().collect()
}

fn keys() -> Vec<Case> {
    let mut cases = vec![
        taken(&["PUT @/a%2520b a"], GoesOn, ask("PUT", "@/a%2520b", "", "a")),
        taken(&["PUT @/a%2Bb a"], GoesOn, ask("PUT", "@/a+b", "", "a")),
        // The host names the bucket, and then the path is the key: there is no second bucket.
        taken(&["PUT /shared@ a"], GoesOn, ask("PUT", "@", "Host: shared.localhost\r\n", "a")),
        taken(&["PUT @ a"], GoesOn, ask("PUT", "@", "Host: fenced.localhost.example\r\n", "a")),
        taken(&["PUT @ a"], GoesOn, ask("PUT", "@", "Host: LOCALHOST.\r\n", "a")),
    ];
    for target in [
        "@/a%2Fb",
        "@/a%2fb",
        "@//a",
        "@/../a",
        "@/./a",
        "@/%2e%2e/a",
        "@/%2E/a",
        "@/a%00",
        "@/a%0Ab",
        "@/a%252Fb",
        "@/a%252e",
        "@/a%25252e",
        "@/a%",
        "@/a%g0",
        "@/%ff",
        "/%66enced/hostile",
        "//fenced/x",
        "/fenced//x",
        "/FENCED/x",
        "/fenced%2Fx",
        "/fenced/..",
        "/fenced/../shared/x",
        "/.fenced/x",
    ] {
        cases.push(refused(&[400], ask("PUT", target, "", "a")));
    }
    for host in [
        ".localhost",
        "..localhost",
        "a..b.localhost",
        "Fenced_.localhost",
        "a/b.localhost",
        "fenced.localhost:x",
        "fenced.localhost:1:2",
        "-fenced.localhost",
    ] {
        cases.push(refused(&[400], ask("PUT", "/x", &format!("Host: {host}\r\n"), "a")));
    }
    cases
}

fn operations() -> Vec<Case> {
    let mut cases = vec![
        // An encoded name of a sub-resource is that sub-resource, for the store as well.
        taken(&["PUT @?acl a"], GoesOn, ask("PUT", "@?%61cl", "", "a")),
        passed_over(&[403], ask("PUT", "/fenced", "", "a")),
        // A presigned address brings no token, and what signs it is not passed on.
        taken(
            &["GET @"],
            GoesOn,
            ask(
                "GET",
                "@?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0&X-Amz-SignedHeaders=fencing-token",
                "",
                "",
            ),
        ),
    ];
    for (method, target) in [
        ("PUT", "@?acl&tagging"),
        ("PUT", "@?acl&acl"),
        ("PUT", "@?acl=&acl=x"),
        ("POST", "@?uploads&uploadId=a"),
        ("POST", "@?uploadId=a&uploadId=b"),
        ("PUT", "@?partNumber=1&uploadId=a&partNumber=2"),
        ("PUT", "@?partNumber=1&uploadId=a&tagging"),
        ("GET", "@?versionId=1&versionId=2"),
        ("GET", "@?versionId=1&%76ersionId=2"),
        ("PUT", "@?a+b"),
        ("PUT", "@?x-id=a;b"),
        ("PUT", "@?x=%zz"),
        ("POST", "/fenced?delete&acl"),
        ("POST", "/fenced"),
        ("POST", "@"),
    ] {
        let body = if method == "GET" { "" } else { "a" };
        cases.push(refused(&[400], ask(method, target, "", body)));
    }
    for (method, body) in [("GET", "a"), ("DELETE", "a")] {
        cases.push(refused(&[400], ask(method, "@", "", body)));
    }
    cases.push(refused(&[400], ask("POST", "@?uploads", "", "a")));
    for header in [
        "x-http-method-override: DELETE",
        "x-amz-meta-snowball-auto-extract: true",
        "x-minio-force-delete: true",
        "x-amz-content-sha256: x",
        "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD",
        "Connection: x-amz-content-sha256",
    ] {
        cases.push(refused(&[400], ask("PUT", "@", &format!("{header}\r\n"), "a")));
    }
    cases
}

fn sources() -> Vec<Case> {
    let mut cases = vec![
        taken(
            &["PUT @"],
            GoesOn,
            ask("PUT", "@", "x-amz-copy-source: /fenced/hostile/first\r\n", ""),
        ),
        // Of a bucket that no rule lets this identity read from.
        taken(&["PUT @"], GoesOn, ask("PUT", "@", "x-amz-copy-source: other/x\r\n", "")),
    ];
    for source in [
        "/fenced/a\r\nx-amz-copy-source: /fenced/b",
        "/fenced/../x/y",
        "fenced%2Fa",
        "fenced/a%2Fb",
        "fenced//a",
        "//fenced/a",
        "fenced/a+b",
        "fenced/a?x=1",
        "fenced/a?versionId=1&x",
        "arn:aws:s3:::fenced/a",
        "fenced",
        "",
        "/",
        "fenced/a\u{e9}",
        "fenced/%252e%252e/a",
    ] {
        cases.push(refused(
            &[400],
            ask("PUT", "@", &format!("x-amz-copy-source: {source}\r\n"), ""),
        ));
    }
    // A copy has no body, whatever is sent with it.
    cases.push(refused(
        &[400],
        ask("PUT", "@", "x-amz-copy-source: /fenced/hostile/first\r\n", "a"),
    ));
    cases
}

fn bodies() -> Vec<Case> {
    let length = |bytes: u32| format!("x-amz-decoded-content-length: {bytes}\r\n");
    let whole = "3;chunk-signature=ab\r\nabc\r\n0;chunk-signature=ab\r\n\r\n";
    let mut cases = vec![taken(
        &["PUT @ abc"],
        GoesOn,
        ask("PUT", "@", &format!("{SIGNED}{}", length(3)), whole),
    )];
    for (headers, body) in [
        (format!("{SIGNED}{}", length(2)), whole),
        (format!("{SIGNED}{}", length(4)), whole),
        (format!("{SIGNED}{}", length(3)), "3;chunk-signature=ab\r\nabc\r\n"),
        (format!("{SIGNED}{}", length(3)), "3\r\nabc\r\n0\r\n\r\n"),
        (
            format!("{SIGNED}{}", length(3)),
            "4;chunk-signature=ab\r\nabc\r\n0;chunk-signature=ab\r\n\r\n",
        ),
        (format!("{SIGNED}{}", length(3)), "3;chunk-signature=ab\nabc\n0;chunk-signature=ab\n\n"),
        (
            format!("{SIGNED}{}", length(3)),
            "3;chunk-signature=ab\r\nabc\r\n0;chunk-signature=ab\r\nx-a: b\r\n\r\n",
        ),
        (format!("{SIGNED}{}", length(3)), "ffffffffffffffff1;chunk-signature=ab\r\nabc\r\n"),
        (format!("{SIGNED}{}", length(0)), "0;chunk-signature=ab\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        (format!("{UNSIGNED}{}", length(2)), "3\r\nabc\r\n0\r\n\r\n"),
        (
            format!("{UNSIGNED}{}x-amz-trailer: x-amz-checksum-crc32\r\n", length(3)),
            "3\r\nabc\r\n0\r\n\r\n",
        ),
        (
            format!("{UNSIGNED}{}x-amz-trailer: x-amz-checksum-crc32\r\n", length(3)),
            "3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        ),
    ] {
        cases.push(Case { then: GoesOn, ..cut(&[400], ask("PUT", "@", &headers, body)) });
    }
    for (headers, body) in [
        (SIGNED.to_owned(), whole),
        (format!("{SIGNED}{}{}", length(3), length(3)), whole),
        (format!("{SIGNED}x-amz-decoded-content-length: +3\r\n"), whole),
        (format!("{SIGNED}{}Content-Encoding: aws-chunked, aws-chunked\r\n", length(3)), whole),
        (
            format!(
                "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\nContent-Encoding: aws-chunked\r\n{}",
                length(3)
            ),
            whole,
        ),
        (format!("{UNSIGNED}{}x-amz-trailer: x-other\r\n", length(3)), "3\r\nabc\r\n0\r\n\r\n"),
        // A length for a body that is not there: the store would take the next request for it.
        (format!("{SIGNED}{}", length(30)), ""),
        (format!("{UNSIGNED}{}", length(30)), ""),
    ] {
        cases.push(refused(&[400], ask("PUT", "@", &headers, body)));
    }
    cases.push(refused(&[400], ask("DELETE", "@", &format!("{SIGNED}{}", length(30)), "")));
    cases.push(refused(&[400], ask("GET", "@", &format!("{SIGNED}{}", length(30)), "")));
    cases
}

fn batches() -> Vec<Case> {
    let object = |key: &str| format!("<Delete><Object>{key}</Object></Delete>");
    let mut cases = Vec::new();
    for body in [
        String::new(),
        "<Delete></Delete>".to_owned(),
        object(""),
        object("<Key>hostile/a</Key><Key>hostile/b</Key>"),
        object("<Key>hostile/../a</Key>"),
        object("<Key>hostile//a</Key>"),
        object("<Key> hostile/a</Key>"),
        object("<Key>hostile/<!-- -->a</Key>"),
        object("<Key><![CDATA[hostile/a]]></Key>"),
        object("<x:Key>hostile/a</x:Key>"),
        format!("<!DOCTYPE Delete [<!ENTITY a \"b\">]>{}", object("<Key>&a;</Key>")),
        format!("{}{}", object("<Key>hostile/a</Key>"), object("<Key>hostile/b</Key>")),
        format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{}", object("<Key>hostile/a</Key>")),
    ] {
        cases.push(refused(&[400], ask("POST", BATCH, "", &body)));
    }
    // One key that no rule lets this identity write, among others: nothing of it is done.
    let keys = "<Key>hostile/a</Key></Object><Object><Key>unruled</Key>";
    cases.push(passed_over(&[403], ask("POST", "/elsewhere?delete", "", &object(keys))));
    cases
}
