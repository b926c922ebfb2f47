//! Numbers by the letter, whole and cut.

use super::*;

const BOUNDS: Bounds = Bounds { max: 1_000, has_null: true };
const POSITIVE: Bounds = Bounds { max: 1_000, has_null: false };

/// The line whole, and at every cut, with something behind it.
#[track_caller]
fn check(line: &[u8], bounds: Bounds, due: Result<Option<usize>, Fault>) {
    let due = due.map(|number| Header { number, bytes: line.len() });
    let with = [line, b"*9\r\n"].concat();
    match due {
        Ok(due) => assert_eq!(header(&with, bounds), Ok(Some(due))),
        Err(fault) => assert_eq!(header(line, bounds), Err(fault)),
    }
    let mut seen = Vec::new();
    for cut in 0..line.len() {
        let mut partial = Partial::default();
        let (front, behind) = with.split_at(cut);
        let found = match partial.header(front, bounds) {
            Ok(None) => {
                assert_eq!(partial.first(), front.first().copied());
                partial.header(behind, bounds).map(|found| {
                    assert!(partial.is_empty() == found.is_some());
                    found.map(|it| Header { bytes: it.bytes + cut, ..it })
                })
            }
            other => other,
        };
        seen.push(found);
    }
    assert!(seen.iter().all(|found| *found == due.map(Some)), "{seen:?}");
}

#[test]
fn numbers() {
    for number in [0, 1, 9, 10, 42, 99, 100, 999, 1_000] {
        let line = format!("${number}\r\n");
        for bounds in [BOUNDS, POSITIVE] {
            check(line.as_bytes(), bounds, Ok(Some(number)));
        }
    }
    check(b"*-1\r\n", BOUNDS, Ok(None));
    check(
        b"$4294967295\r\n",
        Bounds { max: u32::MAX as usize, has_null: true },
        Ok(Some(u32::MAX as usize)),
    );
}

#[test]
fn what_is_none() {
    for (line, fault) in [
        (&b"$1001"[..], Fault::Large),
        (b"$99999", Fault::Large),
        (b"$00", Fault::Number(b'0')),
        (b"$07", Fault::Number(b'7')),
        (b"$+", Fault::Number(b'+')),
        (b"$ ", Fault::Number(b' ')),
        (b"$1 ", Fault::Number(b' ')),
        (b"$1\n", Fault::Number(b'\n')),
        (b"$\r", Fault::Number(b'\r')),
        (b"$1\r\r", Fault::Ending(b'\r')),
        (b"$10\r1", Fault::Ending(b'1')),
        (b"$-", Fault::Number(b'-')),
        (b"$1-", Fault::Number(b'-')),
    ] {
        check(line, POSITIVE, Err(fault));
    }
    check(b"$-2", BOUNDS, Err(Fault::Number(b'2')));
    check(b"$-0", BOUNDS, Err(Fault::Number(b'0')));
    check(b"$-1\n", BOUNDS, Err(Fault::Ending(b'\n')));
    check(b"$-1\r1", BOUNDS, Err(Fault::Ending(b'1')));
    check(b"$-10", BOUNDS, Err(Fault::Ending(b'0')));
}

#[test]
fn bodies() {
    for cut in 0..=5 {
        let mut body = Body::new(3);
        let (front, behind) = b"a\r\n\r\nbehind".split_at(cut);
        assert_eq!(body.advance(front), Ok(cut));
        assert_eq!(body.is_done(), cut == 5);
        assert_eq!(body.advance(behind), Ok(5 - cut));
        assert!(body.is_done());
    }
    assert_eq!(Body::new(1).advance(b"a\n"), Err(Fault::Ending(b'\n')));
    assert_eq!(Body::new(1).advance(b"a\ra"), Err(Fault::Ending(b'a')));
}
