//! Each kind, letter by letter.

use super::*;

#[track_caller]
fn check(write: impl FnOnce(&mut Vec<u8>), due: &str) {
    let mut out = b"before".to_vec();
    write(&mut out);
    assert_eq!(out.escape_ascii().to_string(), format!("before{}", due.escape_default()));
}

#[test]
fn every_kind() {
    check(|out| simple(out, "OK"), "+OK\r\n");
    check(|out| simple(out, "a\r\n+b"), "+a  +b\r\n");
    check(|out| error(out, "FENCED palisade: stale"), "-FENCED palisade: stale\r\n");
    check(|out| error(out, "ERR a\n:1\r"), "-ERR a :1 \r\n");
    check(|out| integer(out, 42), ":42\r\n");
    check(|out| integer(out, i64::MIN), ":-9223372036854775808\r\n");
    check(|out| bulk(out, b""), "$0\r\n\r\n");
    check(|out| bulk(out, b"a\r\nb"), "$4\r\na\r\nb\r\n");
    check(|out| array_header(out, 100), "*100\r\n");
    check(|out| map_header(out, Protocol::Resp2, 3), "*6\r\n");
    check(|out| map_header(out, Protocol::Resp3, 3), "%3\r\n");
    check(|out| null(out, Protocol::Resp2), "$-1\r\n");
    check(|out| null(out, Protocol::Resp3), "_\r\n");
    check(|out| command(out, &[b"GET", b"k"]), "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    check(|out| command(out, &[]), "*0\r\n");
}
