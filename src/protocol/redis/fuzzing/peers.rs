//! How the other side reads the same bytes: as leniently as Redis's server and clients do, so
//! that what we accept can be held against it. [`super::real`] holds the server's part against one.

/// What a server makes of the bytes at the front.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Heard {
    /// It waits for more.
    More,
    /// It says that they are none, and closes the connection.
    Refused,
    /// The arguments, and how many bytes they took. None: it answers nothing.
    Request(Vec<Vec<u8>>, usize),
}

/// What a line may have before the server tires of looking for its end.
const LINE_BYTES_MAX: usize = 64 * 1024;
const BULK_BYTES_MAX: i64 = 512 * 1024 * 1024;

/// A server, version 7 (`processMultibulkBuffer` and `processInlineBuffer`).
pub(super) fn server(bytes: &[u8]) -> Heard {
    if bytes.first().is_some_and(|byte| *byte != b'*') {
        return server_line(bytes);
    }
    let (count, mut at) = match server_number(bytes) {
        Ok(Some((count, _))) if count > i64::from(i32::MAX) => return Heard::Refused,
        Ok(Some(found)) => found,
        Ok(None) => return Heard::More,
        Err(()) => return Heard::Refused,
    };
    let mut arguments = Vec::new();
    for _ in 0..count {
        let (len, used) = match server_number(&bytes[at..]) {
            _ if at < bytes.len() && bytes[at] != b'$' && has_line(&bytes[at..]) => {
                return Heard::Refused;
            }
            Ok(Some(found)) if (0..=BULK_BYTES_MAX).contains(&found.0) => found,
            Ok(None) => return Heard::More,
            _ => return Heard::Refused,
        };
        at += used;
        let len = usize::try_from(len).expect("it is not below zero");
        // Whatever the two behind it are.
        if bytes.len() - at < len + 2 {
            return Heard::More;
        }
        arguments.push(bytes[at..at + len].to_vec());
        at += len + 2;
    }
    Heard::Request(arguments, at)
}

fn has_line(bytes: &[u8]) -> bool {
    !matches!(server_number(bytes), Ok(None))
}

/// The number behind the type, up to a CR, and what is taken with whatever follows that.
fn server_number(bytes: &[u8]) -> Result<Option<(i64, usize)>, ()> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | 0));
    let end = match end.filter(|end| bytes[*end] == b'\r') {
        None if bytes.len() > LINE_BYTES_MAX => return Err(()),
        Some(end) if end + 2 <= bytes.len() => end,
        _ => return Ok(None),
    };
    let digits = str::from_utf8(bytes.get(1..end).unwrap_or_default()).map_err(drop)?;
    let positive = digits.strip_prefix('-').unwrap_or(digits);
    let is_number = digits == "0" || positive.starts_with(|first| matches!(first, '1'..='9'));
    let number = digits.parse().ok().filter(|_| is_number).ok_or(())?;
    Ok(Some((number, end + 2)))
}

fn server_line(bytes: &[u8]) -> Heard {
    let end = bytes.iter().position(|byte| matches!(byte, b'\n' | 0));
    match end.filter(|end| bytes[*end] == b'\n') {
        None if bytes.len() > LINE_BYTES_MAX => Heard::Refused,
        None => Heard::More,
        Some(end) => {
            let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
            split(line).map_or(Heard::Refused, |found| Heard::Request(found, end + 1))
        }
    }
}

/// How the server splits a line (`sdssplitargs`), with its look-ahead: behind the end is a zero.
pub(super) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let peek = |at: usize| line.get(at).copied().unwrap_or(0);
    let is_space = |byte: u8| byte == b' ' || (9..14).contains(&byte);
    let is_hex = |byte: u8| byte.is_ascii_hexdigit();
    let (mut at, mut words) = (0, Vec::new());
    loop {
        while is_space(peek(at)) {
            at += 1;
        }
        if peek(at) == 0 {
            return Some(words);
        }
        let (mut word, mut quote) = (Vec::new(), 0);
        loop {
            let byte = peek(at);
            let next = peek(at + 1);
            at += usize::from(byte != 0);
            match (quote, byte) {
                (b'"' | b'\'', 0) => return None,
                (b'"', b'\\') if next == b'x' && is_hex(peek(at + 1)) && is_hex(peek(at + 2)) => {
                    let digits = [peek(at + 1), peek(at + 2)].map(char::from);
                    let digits = String::from_iter(digits);
                    word.push(u8::from_str_radix(&digits, 16).expect("two digits"));
                    at += 3;
                }
                (b'"', b'\\') if next != 0 => {
                    let escapes = b"n\nr\rt\tb\x08a\x07";
                    let meant = escapes.chunks(2).find(|pair| pair[0] == next);
                    word.push(meant.map_or(next, |pair| pair[1]));
                    at += 1;
                }
                (b'\'', b'\\') if next == b'\'' => {
                    word.push(b'\'');
                    at += 1;
                }
                (b'"' | b'\'', byte) if byte == quote => {
                    if next != 0 && !is_space(next) {
                        return None;
                    }
                    break;
                }
                (0, b' ' | b'\n' | b'\r' | b'\t' | 0) => break,
                (0, b'"' | b'\'') => quote = byte,
                (_, byte) => word.push(byte),
            }
        }
        words.push(word);
    }
}

/// Where the value at the front ends for a client that believes all that a server says. `Err`:
/// nowhere.
pub(super) fn client(bytes: &[u8]) -> Result<Option<usize>, ()> {
    let mut at = 0;
    let mut due = 1_u64;
    // Elements are values like others: so it needs to know only how many are still to come.
    while due > 0 {
        let rest = &bytes[at..];
        let Some(&tag) = rest.first() else { return Ok(None) };
        let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
        let line = str::from_utf8(&rest[1..end]).unwrap_or_default();
        let number = || line.parse::<i64>().map_err(drop).map(|it| u64::try_from(it).unwrap_or(0));
        at += end + 2;
        due -= 1;
        match tag {
            b'$' | b'=' | b'!' if line == "-1" => {}
            b'$' | b'=' | b'!' => {
                at += usize::try_from(number()?).map_err(drop)? + 2;
                if at > bytes.len() {
                    return Ok(None);
                }
            }
            b'*' | b'~' | b'>' => due += number()?,
            b'%' => due += 2 * number()?,
            b'|' => due += 2 * number()? + 1,
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {}
            _ => return Err(()),
        }
    }
    Ok(Some(at))
}
