//! Chunked bodies, split at every place: the plain body, or that it is refused.

use proptest::prelude::*;

use super::*;

/// Feeds `body` in parts of `part` bytes.
fn decode(decoder: &mut Decoder, body: &[u8], part: usize) -> Result<Vec<u8>, Malformed> {
    let mut plain = Vec::new();
    let mut is_done = false;
    for part in body.chunks(part.max(1)) {
        let mut input = Bytes::copy_from_slice(part);
        loop {
            match decoder.step(&mut input)? {
                Step::Data(data) => {
                    assert!(!data.is_empty());
                    plain.extend_from_slice(&data);
                }
                Step::Done => {
                    is_done = true;
                    break;
                }
                Step::More => break,
            }
        }
    }
    if is_done { Ok(plain) } else { Err(Malformed::Body("cut short")) }
}

const SIGNATURE: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";

#[derive(Clone, Copy)]
struct Case {
    is_signed: bool,
    length: u64,
    trailer: Option<Algorithm>,
}

/// `expected` is the plain body, or `None` for refused.
#[track_caller]
fn check(case: Case, body: &str, expected: Option<&str>) {
    let body = body.replace("SIG", &format!(";chunk-signature={SIGNATURE}"));
    for part in [1, 2, 3, 7, 4096] {
        let mut decoder = Decoder::new(case.is_signed, case.length, case.trailer);
        let plain = decode(&mut decoder, body.as_bytes(), part);
        let plain = plain.as_deref().ok().map(|plain| str::from_utf8(plain).unwrap());
        assert_eq!(plain, expected, "{body:?} in parts of {part}");
    }
}

#[test]
fn plain_chunks() {
    let case = Case { is_signed: false, length: 9, trailer: None };
    check(case, "4\r\n1234\r\n5\r\n56789\r\n0\r\n\r\n", Some("123456789"));
    check(case, "0009\r\n123456789\r\n0\r\n\r\n", Some("123456789"));
    check(Case { length: 10, ..case }, "A\r\n1\r\n4567\r\n0\r\n0\r\n\r\n", Some("1\r\n4567\r\n0"));
    check(Case { length: 0, ..case }, "0\r\n\r\n", Some(""));
    for body in [
        "",
        "9\r\n123456789\r\n0\r\n",
        "9\r\n123456789\r\n0\r\n\r",
        "9\r\n123456789\r\n0\r\n\r\nx",
        "9\r\n123456789\r\n0\r\n\r\n\r\n",
        "8\r\n12345678\r\n0\r\n\r\n",
        "a\r\n1234567890\r\n0\r\n\r\n",
        "9\r\n1234567890\r\n0\r\n\r\n",
        "9\r\n12345678\r\n0\r\n\r\n",
        "9\n123456789\r\n0\r\n\r\n",
        "9\r\n123456789\n0\r\n\r\n",
        "+9\r\n123456789\r\n0\r\n\r\n",
        "0x9\r\n123456789\r\n0\r\n\r\n",
        " 9\r\n123456789\r\n0\r\n\r\n",
        "9 \r\n123456789\r\n0\r\n\r\n",
        "9;x\r\n123456789\r\n0\r\n\r\n",
        "9SIG\r\n123456789\r\n0SIG\r\n\r\n",
        "-1\r\n123456789\r\n0\r\n\r\n",
        "\r\n123456789\r\n0\r\n\r\n",
        "00000000000000009\r\n123456789\r\n0\r\n\r\n",
        "ffffffffffffffff\r\n123456789\r\n0\r\n\r\n",
        "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n",
    ] {
        check(case, body, None);
    }
}

#[test]
fn signed_chunks() {
    let case = Case { is_signed: true, length: 9, trailer: None };
    check(case, "4SIG\r\n1234\r\n5SIG\r\n56789\r\n0SIG\r\n\r\n", Some("123456789"));
    check(case, "9;chunk-signature=0a**\r\n123456789\r\n0SIG\r\n\r\n", Some("123456789"));
    check(case, "9\r\n123456789\r\n0\r\n\r\n", None);
    check(case, "9;chunk-signature=xyz\r\n123456789\r\n0SIG\r\n\r\n", None);
    check(case, "9;other=00\r\n123456789\r\n0SIG\r\n\r\n", None);
    let long = format!("9;chunk-signature={}", "0".repeat(LINE_MAX_BYTES));
    check(case, &format!("{long}\r\n123456789\r\n0SIG\r\n\r\n"), None);
}

#[test]
fn trailing_checksums() {
    let case = Case { is_signed: false, length: 9, trailer: Some(Algorithm::Crc32) };
    let body = |trailers: &str| format!("9\r\n123456789\r\n0\r\n{trailers}\r\n");
    check(case, &body("x-amz-checksum-crc32:y/Q5Jg==\r\n"), Some("123456789"));
    check(case, &body("X-Amz-Checksum-CRC32: y/Q5Jg==\r\n"), Some("123456789"));
    for trailers in [
        "",
        "x-amz-checksum-crc32:AAAAAA==\r\n",
        "x-amz-checksum-crc32\r\n",
        "x-amz-checksum-crc32c:4waSgw==\r\n",
        "x-amz-checksum-crc32:y/Q5Jg==\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n",
        "x-amz-checksum-crc32:y/Q5Jg==\r\nx-other:1\r\n",
        "x-amz-checksum-crc32:y/Q5Jg==\r\nx-amz-trailer-signature:00\r\n",
    ] {
        check(case, &body(trailers), None);
    }
    let signed = Case { is_signed: true, ..case };
    let tail = "x-amz-checksum-crc32:y/Q5Jg==\r\nx-amz-trailer-signature:00\r\n\r\n";
    check(signed, &format!("9SIG\r\n123456789\r\n0SIG\r\n{tail}"), Some("123456789"));
    check(signed, &format!("9SIG\r\n123456780\r\n0SIG\r\n{tail}"), None);
    let endless = "x-amz-trailer-signature:00\r\n".repeat(TRAILERS_MAX + 1);
    check(signed, &format!("9SIG\r\n123456789\r\n0SIG\r\n{endless}{tail}"), None);
}

#[test]
fn the_checksum_is_known_at_the_end() {
    let mut decoder = Decoder::new(false, 9, Some(Algorithm::Crc32));
    assert_eq!(decoder.checksum(), None);
    let body = b"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32: y/Q5Jg==\r\n\r\n";
    decode(&mut decoder, body, 5).unwrap();
    assert_eq!(decoder.checksum(), Some(("x-amz-checksum-crc32", "y/Q5Jg==")));
    assert_eq!(decoder.step(&mut Bytes::new()), Ok(Step::Done));
    assert!(decoder.step(&mut Bytes::from_static(b"x")).is_err());
    assert!(decoder.step(&mut Bytes::new()).is_err(), "a failed decoder stays failed");
}

proptest! {
    #[test]
    fn nothing_panics(body: Vec<u8>, soup in "([0-9a-f]{1,2}\r\n|\r\n|;|ab|:|x-amz-checksum-crc32:){0,20}", signed: bool, length in 0..32u64, part in 1..9usize) {
        for body in [&body[..], soup.as_bytes()] {
            let mut decoder = Decoder::new(signed, length, Some(Algorithm::Crc32));
            let _ = decode(&mut decoder, body, part);
            let mut decoder = Decoder::new(signed, length, None);
            if let Ok(plain) = decode(&mut decoder, body, part) {
                prop_assert_eq!(plain.len() as u64, length);
            }
        }
    }

    #[test]
    fn any_body_survives(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..6), part in 1..99usize) {
        let plain = chunks.concat();
        let mut verifier = Verifier::new(Algorithm::Crc64Nvme);
        verifier.update(&plain);
        let mut body = Vec::new();
        for chunk in &chunks {
            body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("0\r\nx-amz-checksum-crc64nvme:{}\r\n\r\n", verifier.value()).as_bytes());
        let mut decoder = Decoder::new(false, plain.len() as u64, Some(Algorithm::Crc64Nvme));
        prop_assert_eq!(decode(&mut decoder, &body, part), Ok(plain));
    }
}
