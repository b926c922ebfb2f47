//! What each quote and each backslash means, as Redis has it.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(line: &[u8], due: &[&[u8]]) {
    let due: Vec<_> = due.iter().map(|argument| argument.to_vec()).collect();
    assert_eq!(arguments(line), Ok(due), "{:?}", line.escape_ascii().to_string());
}

#[test]
fn words() {
    check(b"", &[]);
    check(b" \t\r\x0b\x0c ", &[]);
    check(b"PING", &[b"PING"]);
    check(b"  set  a\tb\rc ", &[b"set", b"a", b"b", b"c"]);
    // Skipped between words only.
    check(b"\x0ba\x0bb \x0cc", &[b"a\x0bb", b"c"]);
    check(b"\xff\x01\x7f", &[b"\xff\x01\x7f"]);
}

#[test]
fn quotes() {
    check(br#"a "" '' b"#, &[b"a", b"", b"", b"b"]);
    check(br#""a b" 'c d'"#, &[b"a b", b"c d"]);
    check(br#"a"b c" d'e'"#, &[b"ab c", b"de"]);
    check(br#""'" '"'"#, &[b"'", b"\""]);
    check(b"\"a\"\x0bb", &[b"a", b"b"]);
    check(br#"\n a\b"#, &[b"\\n", b"a\\b"]);
    check(br#""\n\r\t\b\a\"\\\q""#, &[b"\n\r\t\x08\x07\"\\q"]);
    check(br#""\x00\xfF\xAg\x4""#, &[b"\0\xffxAgx4"]);
    check(br"'\' \n \\ '", &[b"' \\n \\\\ "]);
}

#[test]
fn what_cannot_be_split() {
    for line in [
        &br#"""#[..],
        b"'",
        br#"a "b"#,
        br"a 'b",
        br#""a"b"#,
        br"'a'b",
        br#""a"""#,
        br#""\"#,
        br#""\""#,
        br"'\'",
        br"'\\'",
        br#""\x41"#,
    ] {
        assert_eq!(arguments(line), Err(InlineError::Quotes), "{}", line.escape_ascii());
    }
    assert_eq!(arguments(b"a\0b"), Err(InlineError::Zero));
}

proptest! {
    #[test]
    fn what_is_quoted_reads_the_same(
        due in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..6),
    ) {
        let line: Vec<u8> = due.iter().flat_map(|argument| {
            let escaped = argument.iter().flat_map(|byte| format!("\\x{byte:02x}").into_bytes());
            b" \"".iter().copied().chain(escaped).chain(*b"\"").collect::<Vec<_>>()
        }).collect();
        prop_assert_eq!(arguments(&line), Ok(due));
    }
}
