//! What requests and replies are made of: a type byte with a number, and bytes that end in CRLF.

#[cfg(test)]
mod tests;

/// Room for the longest line that a number may stand on: its type, ten digits, CRLF.
const ROOM_BYTES: usize = 16;

/// What was found where something else has to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// Not a digit, or a digit behind a leading zero.
    Number(u8),
    /// More than may be.
    Large,
    /// Not the byte of CRLF that is due.
    Ending(u8),
}

/// A line that was read: what its number is, and how many bytes it has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    /// `None`: -1, which stands for null.
    pub(super) number: Option<usize>,
    pub(super) bytes: usize,
}

/// Which numbers a line may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// At least 999, at most `u32::MAX`: that is what [`header`] and [`ROOM_BYTES`] count on.
    pub(super) max: usize,
    /// Whether -1 is one.
    pub(super) has_null: bool,
}

/// Reads the line at the front; its first byte is the type, which the caller knows. `None`: all
/// is right so far, and its end is not there.
#[inline]
pub(super) fn header(bytes: &[u8], bounds: Bounds) -> Result<Option<Header>, Fault> {
    let digit = |byte: u8| usize::from(byte - b'0');
    // Nearly all of them.
    let (number, bytes) = match *bytes {
        [_, ones @ b'0'..=b'9', b'\r', b'\n', ..] => (digit(ones), 4),
        [_, tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', b'\n', ..] => {
            (digit(tens) * 10 + digit(ones), 5)
        }
        [_, hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b'\r', b'\n', ..] => {
            (digit(hundreds) * 100 + digit(tens) * 10 + digit(ones), 6)
        }
        _ => return any_header(bytes, bounds),
    };
    Ok(Some(Header { number: Some(number), bytes }))
}

fn any_header(bytes: &[u8], bounds: Bounds) -> Result<Option<Header>, Fault> {
    let mut number = 0_usize;
    for (at, &byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            b'0'..=b'9' if at == 1 || number > 0 => {
                number = number.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
                if number > bounds.max {
                    return Err(Fault::Large);
                }
            }
            b'-' if at == 1 && bounds.has_null => {
                let rest = follows(&bytes[2..], b"1\r\n")?;
                return Ok(rest.then_some(Header { number: None, bytes: 5 }));
            }
            b'\r' if at > 1 => {
                let ended = follows(&bytes[at..], b"\r\n")?;
                return Ok(ended.then_some(Header { number: Some(number), bytes: at + 2 }));
            }
            found => return Err(Fault::Number(found)),
        }
    }
    Ok(None)
}

/// Whether `due` is all there.
fn follows(bytes: &[u8], due: &[u8]) -> Result<bool, Fault> {
    match bytes.iter().zip(due).find(|(found, due)| found != due) {
        Some((&found, b'1')) => Err(Fault::Number(found)),
        Some((&found, _)) => Err(Fault::Ending(found)),
        None => Ok(bytes.len() >= due.len()),
    }
}

/// The beginning of a line whose end has not come yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Partial {
    kept: [u8; ROOM_BYTES],
    len: usize,
}

impl Partial {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The type, if something is kept.
    pub(super) fn first(&self) -> Option<u8> {
        self.kept[..self.len].first().copied()
    }

    /// Reads the line that goes on with `bytes`; the header's `bytes` are those of `bytes` that
    /// belong to it. With `None` all of them do, and are kept.
    #[inline]
    pub(super) fn header(&mut self, bytes: &[u8], bounds: Bounds) -> Result<Option<Header>, Fault> {
        if self.len == 0
            && let Some(header) = header(bytes, bounds)?
        {
            return Ok(Some(header));
        }
        self.more(bytes, bounds)
    }

    fn more(&mut self, bytes: &[u8], bounds: Bounds) -> Result<Option<Header>, Fault> {
        let before = self.len;
        let count = bytes.len().min(ROOM_BYTES - before);
        self.kept[before..before + count].copy_from_slice(&bytes[..count]);
        let Some(found) = header(&self.kept[..before + count], bounds)? else {
            self.len = before + count;
            return Ok(None);
        };
        self.len = 0;
        Ok(Some(Header { bytes: found.bytes - before, ..found }))
    }
}

/// So many bytes of any kind, and CRLF behind them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Body {
    /// With CRLF.
    left: usize,
}

impl Body {
    pub(super) fn new(len: usize) -> Self {
        Self { left: len + 2 }
    }

    pub(super) fn is_done(self) -> bool {
        self.left == 0
    }

    /// How many of `bytes` belong to it.
    #[inline]
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let count = self.left.min(bytes.len());
        let (rest, ending) = bytes[..count].split_at(count.min(self.left.saturating_sub(2)));
        self.left -= rest.len();
        for &found in ending {
            let due = if self.left == 2 { b'\r' } else { b'\n' };
            if found != due {
                return Err(Fault::Ending(found));
            }
            self.left -= 1;
        }
        Ok(count)
    }
}
