//! Paths of generic HTTP: decoded once, and refused where two servers could read them differently.

use super::malformed::Malformed;

/// The decoded path, where there is exactly one way to read it.
///
/// # Errors
/// When the path has an encoded slash, backslash or NUL, a dot segment, an empty segment,
/// a broken or doubled escape, raw bytes beyond ASCII, or is not UTF-8.
pub fn decode(raw: &str) -> Result<String, Malformed> {
    if is_plain(raw.as_bytes()) {
        return Ok(raw.to_owned());
    }
    let bytes = raw.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = match bytes[at] {
            b'%' => {
                let escaped = hex(bytes, at + 1).ok_or_else(|| {
                    bad("the path has a broken escape", "send two hex digits after each %")
                })?;
                if matches!(escaped, b'/' | b'\\' | 0..=0x1f | 0x7f) {
                    return Err(bad(
                        "the path has an encoded slash or control character",
                        "leave it out",
                    ));
                }
                at += 2;
                escaped
            }
            b'\\' => return Err(bad("the path has a backslash", "use /")),
            byte @ 0x21..=0x7e => byte,
            _ => return Err(bad("the path has bytes that need encoding", "percent-encode them")),
        };
        decoded.push(byte);
        at += 1;
    }
    // Looked for afterwards: the second escape's digits may have been escaped themselves.
    if (0..decoded.len()).any(|at| decoded[at] == b'%' && hex(&decoded, at + 1).is_some()) {
        return Err(bad("the path is encoded twice", "encode it once"));
    }
    let path = String::from_utf8(decoded)
        .map_err(|_| bad("the decoded path is not UTF-8", "encode names as UTF-8"))?;
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(bad("the path has an empty segment", "send each slash once"));
        }
        // Some servers cut off what follows a semicolon before they resolve dots.
        if matches!(segment.split(';').next(), Some("." | "..")) {
            return Err(bad("the path has a dot segment", "send the path that it leads to"));
        }
    }
    Ok(path)
}

/// Whether there is nothing to decode and nothing to refuse, as most paths can be seen to be at
/// a glance. May say no where a closer look would say yes.
fn is_plain(raw: &[u8]) -> bool {
    let is_clean =
        raw.iter().all(|byte| matches!(byte, 0x21..=0x7e) && !matches!(byte, b'%' | b'\\'));
    is_clean && !raw.windows(2).any(|pair| pair[0] == b'/' && matches!(pair[1], b'/' | b'.'))
}

fn hex(bytes: &[u8], at: usize) -> Option<u8> {
    let digits = bytes.get(at..at + 2)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn bad(what: &'static str, mend: &'static str) -> Malformed {
    Malformed::new(what, mend)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn reads_a_path_in_one_way_or_not_at_all() {
        let check = |raw: &str, expected: Option<&str>| {
            assert_eq!(decode(raw).ok().as_deref(), expected, "{raw}");
        };
        check("/", Some("/"));
        check("/a/b", Some("/a/b"));
        check("/a/b/", Some("/a/b/"));
        check("/a%20b/%C3%A4", Some("/a b/ä"));
        check("/100%25", Some("/100%"));
        check("/.a/..b/c.", Some("/.a/..b/c."));
        for raw in [
            "/a//b",
            "//a",
            "/a/../b",
            "/a/./b",
            "/..",
            "/%2e%2e/b",
            "/a/%2E",
            "/a/.%2e/b",
            "/a/..;x/b",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0a",
            "/a%7f",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%+1",
            "/a%252e",
            "/a%25%32%65%32%65x%25ff",
            "/%ff",
            "/%c0%af",
            "/ä",
            "/a b",
        ] {
            check(raw, None);
        }
    }
}
