//! HTTP/2, which is written anew as HTTP/1.1: what would mean something else there.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use super::Stage;
use super::frames::{END_HEADERS, END_STREAM, Told, block, data, frame, headers, tell};

/// What there is of it.
struct Case {
    name: &'static str,
    frames: Vec<u8>,
    told: Told,
    sent: &'static [&'static str],
    /// The store may see the beginning of a write that was cut before its commit point.
    may_be_cut: bool,
}

type Fields<'f> = Vec<(&'f str, &'f str)>;

/// The head of a write, with `more`, without the pseudo-headers in `not`.
fn head<'f>(path: &'f str, not: &[&str], more: &[(&'f str, &'f str)]) -> Fields<'f> {
    let usual = [
        (":method", "PUT"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", path),
        ("fencing-token", "33"),
    ];
    let kept = usual.into_iter().filter(|(name, _)| !not.contains(name));
    kept.chain(more.iter().copied()).collect()
}

fn cases(path: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name, told, sent, may_be_cut, frames| {
        cases.push(Case { name, frames, told, sent, may_be_cut });
    };
    let whole = |fields: &Fields<'_>| [headers(0, 1, fields), data(END_STREAM, 1, b"a")].concat();
    let (ok, bad, broken) = (Told::Status(200), Told::Status(400), Told::Broken);
    let put: &[&str] = &["PUT @ a"];

    // What has to go through.
    add("plain", ok, put, false, whole(&head(path, &[], &[("content-length", "1")])));
    add(
        "Host that says the same",
        ok,
        put,
        false,
        whole(&head(path, &[], &[("host", "localhost")])),
    );
    add(
        "cookies apart",
        ok,
        put,
        false,
        whole(&head(path, &[], &[("cookie", "a=b"), ("cookie", "c=d")])),
    );
    add("te: trailers", ok, put, false, whole(&head(path, &[], &[("te", "trailers")])));
    let in_parts = [
        frame(1, 0, 1, &block(&head(path, &[], &[]))),
        frame(9, END_HEADERS, 1, &block(&[("x-a", "b")])),
        data(END_STREAM, 1, b"a"),
    ];
    add("a block in two parts", ok, put, false, in_parts.concat());
    let trailers = [
        headers(0, 1, &head(path, &[], &[])),
        data(0, 1, b"a"),
        headers(END_STREAM, 1, &[("fencing-token", "99"), ("content-length", "7")]),
    ];
    add("trailers are dropped", ok, put, false, trailers.concat());

    // Pseudo-headers.
    let path_again = format!("{path}/other");
    for (name, not, more) in [
        (":path twice", &[][..], &[(":path", &*path_again)][..]),
        (":method twice", &[], &[(":method", "GET")]),
        (":scheme twice", &[], &[(":scheme", "http")]),
        (":authority twice", &[], &[(":authority", "other")]),
        (":path behind a header", &[":path"], &[("x-a", "b"), (":path", path)]),
        ("no :method", &[":method"], &[]),
        ("no :path", &[":path"], &[]),
        ("no :scheme", &[":scheme"], &[]),
        (":status in a request", &[], &[(":status", "200")]),
        (":protocol without extended CONNECT", &[], &[(":protocol", "websocket")]),
        (":unknown", &[], &[(":unknown", "x")]),
        // Names and values that are none.
        ("an upper-case name", &[], &[("X-A", "b")]),
        ("an upper-case token", &["fencing-token"], &[("Fencing-Token", "33")]),
        ("an empty name", &[], &[("", "b")]),
        ("a space in a name", &[], &[("x a", "b")]),
        ("a colon in a name", &[], &[("x:a", "b")]),
        ("CR LF in a name", &[], &[("x\r\ntransfer-encoding", "chunked")]),
        ("CR LF in a value", &[], &[("x-a", "b\r\nTransfer-Encoding: chunked")]),
        ("LF in a value", &[], &[("x-a", "b\nTransfer-Encoding: chunked")]),
        ("CR in a value", &[], &[("x-a", "b\rc")]),
        ("NUL in a value", &[], &[("x-a", "b\0c")]),
        ("a request in a value", &[], &[("x-a", "b\r\n\r\nDELETE /fenced/hostile HTTP/1.1\r\n")]),
        ("CR LF in :path", &[":path"], &[(":path", "/fenced/hostile HTTP/1.1\r\nX: y")]),
        ("CR LF in :method", &[":method"], &[(":method", "PUT / HTTP/1.1\r\nX: y\r\n\r\nGET")]),
        ("CR LF in :authority", &[":authority"], &[(":authority", "localhost\r\nX: y")]),
        // What is for one connection of HTTP/1.1.
        ("transfer-encoding", &[], &[("transfer-encoding", "chunked")]),
        ("connection", &[], &[("connection", "fencing-token")]),
        ("keep-alive", &[], &[("keep-alive", "timeout=5")]),
        ("proxy-connection", &[], &[("proxy-connection", "close")]),
        ("upgrade", &[], &[("upgrade", "websocket")]),
        ("te: gzip", &[], &[("te", "gzip")]),
        (":path without a slash", &[":path"], &[(":path", "fenced/hostile/x")]),
        (":path absolute", &[":path"], &[(":path", "https://localhost/fenced/hostile/x")]),
        ("two lengths", &[], &[("content-length", "1"), ("content-length", "2")]),
        ("a length that is none", &[], &[("content-length", "+1")]),
    ] {
        // Pseudo-headers go first.
        let mut fields = head(path, not, more);
        if !name.contains("behind") {
            fields.sort_by_key(|(name, _)| !name.starts_with(':'));
        }
        add(name, broken, &[], false, whole(&fields));
    }
    // h2 refuses them where the method, the path or the host is none; here they are understood,
    // and refused for what they are.
    for (name, not, more) in [
        ("Host that says another", &[][..], &[("host", "other")][..]),
        ("two Hosts", &[], &[("host", "localhost"), ("host", "localhost")]),
        ("userinfo in :authority", &[":authority"], &[(":authority", "u@localhost")]),
        ("no host at all", &[":authority"], &[]),
        ("an empty :path with a query", &[":path"], &[(":path", "?x")]),
        (":path *", &[":path"], &[(":path", "*")]),
        (":path with dots", &[":path"], &[(":path", "/fenced/hostile/../x")]),
        (":path with //", &[":path"], &[(":path", "//fenced/hostile/x")]),
        ("two tokens", &[], &[("fencing-token", "33")]),
        ("a list of tokens", &["fencing-token"], &[("fencing-token", "33, 34")]),
        ("another name for the token", &[], &[("fencing_token", "99")]),
        ("another name for the coding", &[], &[("transfer_encoding", "chunked")]),
        ("a method override", &[], &[("x-http-method-override", "DELETE")]),
        ("h2c settings", &[], &[("x-original-url", "/open/x")]),
    ] {
        let mut fields = head(path, not, more);
        fields.sort_by_key(|(name, _)| !name.starts_with(':'));
        add(name, bad, &[], false, whole(&fields));
    }
    for (name, path) in [
        ("a space in :path", "/fenced/hostile/x HTTP/1.1"),
        ("an empty :path", ""),
        ("NUL in :path", "/fenced/hostile/\0"),
    ] {
        add(name, broken, &[], false, whole(&head(path, &[], &[])));
    }
    for (name, method, told) in [
        ("a method in lower case", "put", Told::Status(405)),
        ("TRACE", "TRACE", Told::Status(405)),
        ("a space in :method", "PUT /x", broken),
        ("an empty :method", "", broken),
    ] {
        let mut fields = head(path, &[":method"], &[]);
        fields.insert(0, (":method", method));
        add(name, told, &[], false, whole(&fields));
    }
    add(
        "CONNECT",
        Told::Status(405),
        &[],
        false,
        headers(0, 1, &[(":method", "CONNECT"), (":authority", "localhost:443")]),
    );
    let extended = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", path),
    ];
    add("extended CONNECT", broken, &[], false, headers(0, 1, &extended));
    let read =
        [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path)];
    add(
        "a read with a body",
        bad,
        &[],
        false,
        [headers(0, 1, &read), data(END_STREAM, 1, b"a")].concat(),
    );

    // Bodies that are not what their head says.
    let length = |length| head(path, &[], &[("content-length", length)]);
    add("a body too short", broken, &[], true, whole(&length("2")));
    add("a length and no body", broken, &[], false, headers(END_STREAM, 1, &length("2")));
    add("a length of 0 and a body", broken, &[], true, whole(&length("0")));
    let none = [headers(0, 1, &length("0")), data(END_STREAM, 1, b"")];
    add("a length of 0 and an empty end", ok, &["PUT @"], false, none.concat());
    let long = [headers(0, 1, &length("1")), data(0, 1, b"a"), data(END_STREAM, 1, b"b")];
    add("a body too long", broken, &[], true, long.concat());
    let cut = [
        headers(0, 1, &head(path, &[], &[])),
        data(0, 1, b"a"),
        frame(3, 0, 1, &[0; 4]),
        frame(6, 0, 0, &[0; 8]),
    ];
    add("a reset without an error is no end", Told::Nothing, &[], true, cut.concat());
    let pseudo = [
        headers(0, 1, &head(path, &[], &[])),
        data(0, 1, b"a"),
        headers(END_STREAM, 1, &[(":path", "/x")]),
    ];
    add(
        "a pseudo-header behind the body is dropped with the trailers",
        ok,
        put,
        false,
        pseudo.concat(),
    );
    let open =
        [headers(0, 1, &head(path, &[], &[])), data(0, 1, b"a"), headers(0, 1, &[("x-a", "b")])];
    add("trailers that end nothing", broken, &[], true, open.concat());
    add("a block that is none", broken, &[], false, frame(1, END_HEADERS | END_STREAM, 1, &[0x80]));
    let interrupted = [frame(1, 0, 1, &block(&head(path, &[], &[]))), data(END_STREAM, 1, b"a")];
    add("a block that is interrupted", broken, &[], false, interrupted.concat());
    add(
        "a stream of the server's",
        broken,
        &[],
        false,
        headers(END_STREAM, 2, &head(path, &[], &[])),
    );
    add("DATA on no stream", broken, &[], false, data(END_STREAM, 1, b"a"));
    let large = "x".repeat(16_000);
    let many: Fields<'_> = (0..6).map(|_| ("x-a", &*large)).collect();
    let mut parts = frame(1, 0, 1, &block(&head(path, &[], &[])));
    for (at, field) in many.iter().enumerate() {
        parts.extend(frame(9, if at == 5 { END_HEADERS } else { 0 }, 1, &block(&[*field])));
    }
    add("a list that is too long", Told::Status(431), &[], false, parts);
    cases
}

pub async fn play(stage: Stage) {
    let count = cases("/").len();
    let mut failed = Vec::new();
    for number in 0..count {
        let path = format!("{}/{number}", stage.root);
        let case = cases(&path).swap_remove(number);
        let name = case.name;
        let played = AssertUnwindSafe(one(&stage, &path, case)).catch_unwind().await;
        failed.extend(played.err().map(|_| name));
    }
    assert!(failed.is_empty(), "{failed:?} of {count}: see above");
}

async fn one(stage: &Stage, path: &str, case: Case) {
    let before = stage.recorder.len();
    let told = tell(&stage.client(), &case.frames).await;
    assert_eq!(told, case.told, "{}", case.name);
    stage.prove(path, case.name, case.sent, Vec::new(), before, case.may_be_cut).await;
}
