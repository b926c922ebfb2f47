//! Requests whole, cut anywhere, and what is none.

use proptest::prelude::*;

use super::super::write;
use super::*;

type Arguments = Vec<Vec<u8>>;

/// What a reader makes of the request at the front.
fn read(bytes: &[u8]) -> Result<Option<(Arguments, usize)>, RequestError> {
    let mut request = Request::default();
    request.read(bytes)?;
    Ok(whole(&request, bytes))
}

fn whole(request: &Request, bytes: &[u8]) -> Option<(Arguments, usize)> {
    let len = request.len()?;
    assert_eq!(request.here(), request.count());
    assert_eq!(request.arg(bytes, request.count()), None);
    let argument = |index| request.arg(bytes, index).unwrap().to_vec();
    Some(((0..request.count()).map(argument).collect(), len))
}

/// Walks `bytes` in pieces of so many each: how many belong to the request, and whether it ended.
fn pass(bytes: &[u8], piece: usize) -> Result<(usize, bool), RequestError> {
    let mut passing = Request::default().passing();
    let mut total = 0;
    for piece in bytes.chunks(piece) {
        assert!(!passing.is_done());
        let count = passing.advance(piece)?;
        total += count;
        if passing.is_done() {
            assert_eq!(passing.advance(b"*"), Ok(0));
            return Ok((total, true));
        }
        assert_eq!(count, piece.len(), "all of it while it is not done");
    }
    Ok((total, false))
}

/// One request: read whole, at each cut, and walked; something follows it.
#[track_caller]
fn check(bytes: &[u8], due: &[&[u8]]) {
    let due: Arguments = due.iter().map(|it| it.to_vec()).collect();
    let with = [bytes, b"*1\r\n$4\r\nPING\r\n"].concat();
    assert_eq!(read(&with), Ok(Some((due.clone(), bytes.len()))), "{}", bytes.escape_ascii());
    let mut one = Request::default();
    for cut in 0..bytes.len() {
        assert_eq!(read(&bytes[..cut]), Ok(None), "{cut}");
        let is_enough = one.read(&bytes[..cut]).unwrap();
        assert_eq!(is_enough, one.here() > 0, "{cut}");
        for (index, due) in due.iter().enumerate().take(one.here()) {
            assert_eq!(one.arg(&bytes[..cut], index), Some(&due[..]));
        }
        assert!(one.read_on(&with).unwrap());
        assert_eq!(whole(&one, &with), Some((due.clone(), bytes.len())), "{cut}");
    }
    assert!(one.read_on(&with).unwrap(), "also when nothing is left to read");
    assert_eq!(one.is_empty(), due.is_empty());
    for piece in [1, 2, 3, 5, 7, with.len()] {
        assert_eq!(pass(&with, piece), Ok((bytes.len(), true)), "{piece}");
    }
    for cut in 0..bytes.len() {
        assert_eq!(pass(&bytes[..cut], 2), Ok((cut, false)), "{cut}");
    }
}

/// The last byte is the first that cannot be.
#[track_caller]
fn refused(bytes: &[u8], due: RequestError) {
    let with = [bytes, b"\r\n$1\r\na\r\n\n"].concat();
    assert_eq!(read(&with), Err(due), "{}", bytes.escape_ascii());
    assert_eq!(read(bytes), Err(due), "{}", bytes.escape_ascii());
    assert_eq!(read(&bytes[..bytes.len() - 1]), Ok(None), "{}", bytes.escape_ascii());
    for piece in [1, 2, 3, with.len()] {
        assert_eq!(pass(&with, piece), Err(due), "{piece}");
    }
}

#[test]
fn arrays() {
    check(b"*1\r\n$4\r\nPING\r\n", &[b"PING"]);
    check(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", &[b"SET", b"k", b""]);
    check(
        b"*2\r\n$3\r\nGET\r\n$12\r\n$3\r\n*1\r\n\0\xff\r\n\r\n",
        &[b"GET", b"$3\r\n*1\r\n\0\xff\r\n"],
    );
    let many: Vec<Vec<u8>> = (0..120_usize).map(|n| vec![b'x'; n]).collect();
    let many: Vec<&[u8]> = many.iter().map(|it| &it[..]).collect();
    let mut bytes = Vec::new();
    write::command(&mut bytes, &many);
    check(&bytes, &many);
}

#[test]
fn empty_requests() {
    for bytes in [&b"*0\r\n"[..], b"*-1\r\n", b"\r\n", b"\n", b" \t \r\n"] {
        check(bytes, &[]);
    }
}

#[test]
fn lines() {
    check(b"PING\r\n", &[b"PING"]);
    check(b"get 'a b'\n", &[b"get", b"a b"]);
    check(b"$1\r\n", &[b"$1"]);
    check(
        br#"set a "*1\r\n"
"#,
        &[b"set", b"a", b"*1\r\n"],
    );
    let long = vec![b'x'; INLINE_BYTES_MAX - 1];
    for behind in [&b"x\n"[..], b"\r\n"] {
        let bytes = [&long[..], behind].concat();
        let word = bytes.trim_ascii_end();
        assert_eq!(read(&bytes), Ok(Some((vec![word.to_vec()], bytes.len()))));
        assert_eq!(pass(&bytes, 1_000), Ok((bytes.len(), true)));
    }
    refused(&vec![b'x'; INLINE_BYTES_MAX + 1], RequestError::Line);
    refused(b"get\0", RequestError::Inline(InlineError::Zero));
    let unbalanced = read(b"get \"\r\n");
    assert_eq!(unbalanced, Err(RequestError::Inline(InlineError::Quotes)));
}

#[test]
fn what_is_none() {
    use RequestError::*;
    refused(b"*2\r\n$1\r\na\r\n*", Type { found: b'*' });
    refused(b"*1\r\n:", Type { found: b':' });
    refused(b"*1\r\n\r", Type { found: b'\r' });
    refused(b"*-2", Count { found: b'2' });
    refused(b"*+", Count { found: b'+' });
    refused(b"*01", Count { found: b'1' });
    refused(b"*\r", Count { found: b'\r' });
    refused(b"*1\n", Count { found: b'\n' });
    refused(b"*1\r\r", Ending { found: b'\r' });
    refused(b"*1048577", Arguments);
    refused(b"*9999999", Arguments);
    refused(b"*1\r\n$-", Length { found: b'-' });
    refused(b"*1\r\n$1a", Length { found: b'a' });
    refused(b"*1\r\n$00", Length { found: b'0' });
    refused(b"*1\r\n$536870913", Bulk);
    refused(b"*1\r\n$1\r ", Ending { found: b' ' });
    refused(b"*1\r\n$1\r\nab", Ending { found: b'b' });
    refused(b"*1\r\n$1\r\na\n", Ending { found: b'\n' });
    refused(b"*1\r\n$1\r\na\ra", Ending { found: b'a' });
    refused(b"*2\r\n$1\r\na\r\n$1\r\n\r\n", Ending { found: b'\n' });
}

#[test]
fn the_largest() {
    let mut request = Request::default();
    assert_eq!(request.read(b"*1048576\r\n$536870912\r\nab"), Ok(false));
    assert_eq!((request.count(), request.here(), request.len()), (ARGUMENTS_MAX, 0, None));
    let mut bytes = Vec::new();
    let arguments = vec![&b"x"[..]; ARGUMENTS_MAX];
    write::command(&mut bytes, &arguments);
    assert!(request.read(&bytes).unwrap());
    assert_eq!((request.here(), request.len()), (ARGUMENTS_MAX, Some(bytes.len())));
    assert_eq!(pass(&bytes, 4096), Ok((bytes.len(), true)));
    assert!(request.read(b"*1\r\n$4\r\nPING\r\n").unwrap());
    assert!(!request.spans.spilled(), "memory for many is not kept");
}

#[test]
fn secrets_are_not_shown() {
    let mut request = Request::default();
    assert!(request.read(b"auth hunter2\r\n").unwrap());
    let shown = format!("{request:?}");
    assert_eq!(shown, "Request { is_inline: true, count: 2, here: 2, len: Some(14), .. }");
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        arguments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<prop::sample::Index>(),
        piece in 1_usize..50,
    ) {
        let mut bytes = Vec::new();
        let arguments: Vec<&[u8]> = arguments.iter().map(|it| &it[..]).collect();
        write::command(&mut bytes, &arguments);
        let is_same = changes.is_empty();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let whole_reading = read(&bytes);
        if is_same {
            let due: Arguments = arguments.iter().map(|it| it.to_vec()).collect();
            prop_assert_eq!(&whole_reading, &Ok(Some((due, bytes.len()))));
        }
        let mut request = Request::default();
        let front = request.read(&bytes[..cut.index(bytes.len() + 1)]);
        let pieced = front.and_then(|_| request.read_on(&bytes));
        let pieced = pieced.map(|_| whole(&request, &bytes));
        prop_assert_eq!(&pieced, &whole_reading);
        match (pass(&bytes, piece), whole_reading) {
            (Ok((count, is_done)), Ok(reading)) => {
                prop_assert_eq!(is_done, reading.is_some());
                prop_assert_eq!(count, reading.map_or(bytes.len(), |(_, len)| len));
            }
            // It does not look at them.
            (Ok(_), Err(RequestError::Inline(InlineError::Quotes))) => {}
            (passed, reading) => prop_assert_eq!(passed.err(), reading.err()),
        }
    }
}
