//! Percent-encoding as S3 and its signatures define it: decoded once, `+` literal.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986, as AWS Signature Version 4 asks for.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for a path, whose slashes stay.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// Encodes a key or a path for an URI, slashes kept.
pub(super) fn path(decoded: &str) -> String {
    utf8_percent_encode(decoded, RESERVED_IN_PATH).to_string()
}

/// Appends a name or a value of a query, encoded.
pub(super) fn push_component(out: &mut String, decoded: &str) {
    out.extend(utf8_percent_encode(decoded, RESERVED));
}

/// Decodes every escape exactly once.
///
/// # Errors
/// A `%` without two hexadecimal digits, a raw byte that no URI may hold, or bad UTF-8.
pub(super) fn decode(raw: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let byte = hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low);
                bytes.push(byte.ok_or("a % is not followed by two hexadecimal digits")?);
                tail
            }
            (b'%', _) => return Err("a % is not followed by two hexadecimal digits"),
            (byte, tail) if byte.is_ascii_graphic() && *byte != b'\\' => {
                bytes.push(*byte);
                tail
            }
            _ => return Err("a byte that belongs percent-encoded is not"),
        };
    }
    String::from_utf8(bytes).map_err(|_| "what is percent-encoded is not UTF-8")
}

/// The value of one hexadecimal digit.
pub(super) fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_exactly_once() {
        for (raw, decoded) in [
            ("", Ok("")),
            ("a+b", Ok("a+b")),
            ("a%2Bb%20%41", Ok("a+b A")),
            ("%2541", Ok("%41")),
            ("%C3%a9", Ok("é")),
            ("%", Err("a % is not followed by two hexadecimal digits")),
            ("%4", Err("a % is not followed by two hexadecimal digits")),
            ("%+1", Err("a % is not followed by two hexadecimal digits")),
            ("%zz", Err("a % is not followed by two hexadecimal digits")),
            ("é", Err("a byte that belongs percent-encoded is not")),
            ("a b", Err("a byte that belongs percent-encoded is not")),
            ("a\\b", Err("a byte that belongs percent-encoded is not")),
            ("%C3", Err("what is percent-encoded is not UTF-8")),
            ("%C0%AF", Err("what is percent-encoded is not UTF-8")),
        ] {
            assert_eq!(decode(raw).as_deref(), decoded.as_ref().copied(), "{raw}");
        }
    }

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(path("/b/a b+c~é;%"), "/b/a%20b%2Bc~%C3%A9%3B%25");
        let mut out = String::new();
        push_component(&mut out, "a/b=c-._~");
        assert_eq!(out, "a%2Fb%3Dc-._~");
    }
}
