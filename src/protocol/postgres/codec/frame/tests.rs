//! Every tag, and both sides of every bound.

use super::*;

/// `bounds` are of the body.
#[track_caller]
fn check(side: Side, tags: &str, min: usize, max: usize) {
    for tag in tags.bytes() {
        let with = |length: usize| {
            let mut bytes = vec![tag];
            bytes.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
            for short in 1..bytes.len() {
                assert_eq!(header(side, &bytes[..short]), Ok(None));
            }
            bytes.extend_from_slice(b"what follows");
            header(side, &bytes)
        };
        for len in [min, max] {
            assert_eq!(with(len + 4), Ok(Some(Header { tag, len })));
        }
        for length in [0, 3, min + 3, max + 5, u32::MAX as usize] {
            assert!(matches!(with(length), Err(FrameError::Length { .. })), "{tag} {length}");
        }
    }
}

#[test]
fn lengths_are_bounded() {
    check(Side::Client, "QPBdF", 0, LONG_BYTES_MAX);
    check(Side::Client, "DCEfp", 0, SHORT_BYTES_MAX);
    check(Side::Client, "HScX", 0, 0);
    check(Side::Server, "DdVTtEN", 0, LONG_BYTES_MAX);
    check(Side::Server, "RSCAGHWv", 0, SHORT_BYTES_MAX);
    check(Side::Server, "123nsIc", 0, 0);
    check(Side::Server, "Z", 1, 1);
    check(Side::Server, "K", 8, 260);
}

#[test]
fn other_tags_are_refused_at_once() {
    for (side, known) in
        [(Side::Client, "QPBDECSHXFdcfp"), (Side::Server, "RKSNEZTDCInt123sAGHWVdcv")]
    {
        for tag in 0..=u8::MAX {
            let found = header(side, &[tag]);
            match known.contains(char::from(tag)) {
                true => assert_eq!(found, Ok(None)),
                false => assert_eq!(found, Err(FrameError::Unknown { side, tag })),
            }
        }
    }
    assert_eq!(header(Side::Client, b""), Ok(None));
}

#[test]
fn errors_say_what_to_do() {
    let told = |bytes: &[u8]| header(Side::Client, bytes).unwrap_err().to_string();
    assert_eq!(
        told(b"\x16\x03\x01\0\0"),
        "the client sent a message of type 0x16, which protocol 3 does not have; use a driver \
         that speaks it, and nothing in between that changes bytes",
    );
    assert_eq!(
        told(b"S\0\0\0\x05"),
        "the client sent a message of type 'S' with a length of 5, which is outside of 4 to 4; \
         send less in one message, or use a driver that speaks protocol 3",
    );
}
