//! Every type, whole and cut anywhere, held against the parser of the `redis` crate.

use proptest::prelude::*;
use redis::parse_redis_value;

use super::super::write::{self, Protocol};
use super::*;

/// Walks one value in pieces of so many bytes: how many belong to it, and whether it ended.
fn walk(bytes: &[u8], piece: usize) -> Result<(usize, bool), ReplyError> {
    let mut replies = Replies::new();
    let mut total = 0;
    for piece in bytes.chunks(piece) {
        assert_eq!(replies.is_between(), total == 0);
        let step = replies.advance(piece)?;
        total += step.bytes;
        if step.is_end {
            assert!(replies.is_between());
            return Ok((total, true));
        }
        assert_eq!(step.bytes, piece.len(), "all of it while it has not ended");
    }
    Ok((total, false))
}

#[track_caller]
fn check(bytes: &[u8]) {
    let with = [bytes, b"+OK\r\n"].concat();
    for piece in [1, 2, 3, 5, 7, with.len()] {
        let found = walk(&with, piece);
        assert_eq!(found, Ok((bytes.len(), true)), "{} by {piece}", bytes.escape_ascii());
    }
    for cut in 0..bytes.len() {
        assert_eq!(walk(&bytes[..cut], 2), Ok((cut, false)), "{cut}");
        assert!(parse_redis_value(&bytes[..cut]).is_err(), "{cut}");
    }
    assert!(parse_redis_value(bytes).is_ok(), "{}", bytes.escape_ascii());
}

/// The last byte is the first that cannot be.
#[track_caller]
fn refused(bytes: &[u8], due: ReplyError) {
    let with = [bytes, b"1\r\n+OK\r\n"].concat();
    for piece in [1, 2, 3, with.len()] {
        let found = walk(&with, piece);
        assert_eq!(found, Err(due), "{} by {piece}", bytes.escape_ascii());
    }
    let before = bytes.len() - 1;
    assert_eq!(walk(&bytes[..before], 2), Ok((before, false)));
}

#[test]
fn every_type() {
    for bytes in [
        "+\r\n",
        "+OK\r\n",
        "+a longer line than one that is short\r\n",
        "-ERR no\r\n",
        "-FENCED palisade: token 41 of jobs/a is stale\r\n",
        ":0\r\n",
        ":-9223372036854775808\r\n",
        "$0\r\n\r\n",
        "$-1\r\n",
        "$5\r\n$1\r\n\n\r\n",
        "*0\r\n",
        "*-1\r\n",
        "*3\r\n:1\r\n$-1\r\n*1\r\n+a\r\n",
        "_\r\n",
        "#t\r\n",
        "#f\r\n",
        ",1.5\r\n",
        ",-inf\r\n",
        "(3492890328409238509324850943850943825024385\r\n",
        "!21\r\nSYNTAX invalid syntax\r\n",
        "=7\r\ntxt:a\r\n\r\n",
        "%0\r\n",
        "%2\r\n+a\r\n:1\r\n+b\r\n*2\r\n:1\r\n:2\r\n",
        "~2\r\n+a\r\n+b\r\n",
        ">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n",
        "|1\r\n+ttl\r\n:3600\r\n$1\r\nv\r\n",
        "|0\r\n:1\r\n",
        "*2\r\n|1\r\n+a\r\n|1\r\n+b\r\n+c\r\n+d\r\n:1\r\n:2\r\n",
    ] {
        check(bytes.as_bytes());
    }
    check(&[&b"$300\r\n"[..], &[b'\r'; 300], b"\r\n"].concat());
}

#[test]
fn what_is_none() {
    use ReplyError::*;
    refused(b"P", Type { found: b'P' });
    refused(b"*1\r\n\r", Type { found: b'\r' });
    refused(b"$?", Streamed { found: b'$' });
    refused(b"*?", Streamed { found: b'*' });
    refused(b"%?", Streamed { found: b'%' });
    refused(b";", Streamed { found: b';' });
    refused(b"*1\r\n.", Streamed { found: b'.' });
    refused(b"$-2", Length { found: b'2' });
    refused(b"%-", Length { found: b'-' });
    refused(b"=-", Length { found: b'-' });
    refused(b">-", Length { found: b'-' });
    refused(b"$01", Length { found: b'1' });
    refused(b"$\r", Length { found: b'\r' });
    refused(b"$536870913", Large);
    refused(b"*4294967296", Large);
    refused(b"$1\r\nab", Ending { found: b'b' });
    refused(b"$1\r\na\n", Ending { found: b'\n' });
    refused(b"$1\ra", Ending { found: b'a' });
    refused(b"+O\n", Ending { found: b'\n' });
    refused(b"+O\r\r", Ending { found: b'\r' });
    refused(b"-a much longer line\n", Ending { found: b'\n' });
    refused(b"*1\r\n>", Push);
    refused(b"|0\r\n>", Push);
    assert_eq!(walk(b"*2\r\n$-1\r\n\r\n", 99), Err(Type { found: b'\r' }));
    assert_eq!(walk(b"%4294967295\r\n|4294967295\r\n", 99), Ok((26, false)));
}

#[test]
fn lines_are_bounded() {
    let line = |len| [b"-", &vec![b'x'; len][..], b"\r\n"].concat();
    for piece in [1_000, usize::MAX] {
        let longest = line(LINE_BYTES_MAX);
        assert_eq!(walk(&longest, piece), Ok((longest.len(), true)));
        assert_eq!(walk(&line(LINE_BYTES_MAX + 1), piece), Err(ReplyError::Line));
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth| [&b"*1\r\n".repeat(depth)[..], b":1\r\n"].concat();
    assert_eq!(walk(&nested(DEPTH_MAX), 7), Ok((4 * DEPTH_MAX + 4, true)));
    assert_eq!(walk(&nested(DEPTH_MAX + 1), 7), Err(ReplyError::Depth));
    assert_eq!(walk(&b"|0\r\n".repeat(DEPTH_MAX + 1), 7), Err(ReplyError::Depth));
}

#[test]
fn one_after_another() {
    let bytes = b"+OK\r\n>1\r\n+a\r\n$1\r\na\r\n*0\r\n";
    let mut replies = Replies::new();
    let (mut at, mut seen) = (0, Vec::new());
    while at < bytes.len() {
        let step = replies.advance(&bytes[at..]).unwrap();
        assert!(step.is_end);
        seen.push(bytes[at]);
        at += step.bytes;
    }
    assert_eq!(seen, b"+>$*");
    assert_eq!(replies.advance(b""), Ok(Step { bytes: 0, is_end: false }));
}

#[test]
fn a_long_flat_array() {
    let mut bytes = Vec::new();
    write::array_header(&mut bytes, 100_000);
    bytes.extend(b"$3\r\nabc\r\n".repeat(100_000));
    for piece in [1_000, bytes.len()] {
        assert_eq!(walk(&bytes, piece), Ok((bytes.len(), true)));
    }
}

/// A value of any type.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let text = "[ -~]{0,24}";
    let leaf = prop_oneof![
        text.prop_map(|text| written(|out| write::simple(out, &text))),
        text.prop_map(|text| written(|out| write::error(out, &format!("E{text}")))),
        any::<i64>().prop_map(|number| written(|out| write::integer(out, number))),
        prop::collection::vec(any::<u8>(), 0..60)
            .prop_map(|bytes| written(|out| write::bulk(out, &bytes))),
        Just(written(|out| write::null(out, Protocol::Resp2))),
        Just(written(|out| write::null(out, Protocol::Resp3))),
        any::<bool>().prop_map(|is| if is { b"#t\r\n".to_vec() } else { b"#f\r\n".to_vec() }),
        any::<f64>().prop_map(|number| format!(",{number}\r\n").into_bytes()),
        text.prop_map(|text| format!("={}\r\ntxt:{text}\r\n", text.len() + 4).into_bytes()),
        text.prop_map(|text| format!("!{}\r\nE{text}\r\n", text.len() + 1).into_bytes()),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        let several = || prop::collection::vec(inner.clone(), 0..8);
        let pairs = || prop::collection::vec((inner.clone(), inner.clone()), 0..4);
        let flat = |pairs: Vec<(Vec<u8>, Vec<u8>)>| {
            pairs.into_iter().flat_map(|(key, value)| [key, value]).collect::<Vec<_>>()
        };
        prop_oneof![
            several().prop_map(|them| {
                written(|out| {
                    write::array_header(out, them.len());
                    out.extend(them.concat());
                })
            }),
            several()
                .prop_map(|them| [format!("~{}\r\n", them.len()).into(), them.concat()].concat()),
            (pairs(), any::<bool>()).prop_map(move |(pairs, is_3)| {
                written(|out| {
                    let protocol = if is_3 { Protocol::Resp3 } else { Protocol::Resp2 };
                    write::map_header(out, protocol, pairs.len());
                    out.extend(flat(pairs).concat());
                })
            }),
            (pairs(), inner.clone()).prop_map(move |(pairs, about)| {
                [format!("|{}\r\n", pairs.len()).into(), flat(pairs).concat(), about].concat()
            }),
        ]
    })
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        value in value(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        piece in 1_usize..50,
    ) {
        let mut bytes = [&value[..], b"+OK\r\n"].concat();
        let is_same = changes.is_empty();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let found = walk(&bytes, bytes.len());
        prop_assert_eq!(&walk(&bytes, piece), &found);
        if is_same {
            prop_assert_eq!(&found, &Ok((value.len(), true)));
        }
        // Theirs looks at what a value says as well, so it refuses more of them; but never does
        // it find another end.
        let Ok((end, true)) = found else { return Ok(()) };
        prop_assert!(parse_redis_value(&bytes[..end - 1]).is_err());
        prop_assert!(!is_same || parse_redis_value(&bytes[..end]).is_ok());
    }
}
