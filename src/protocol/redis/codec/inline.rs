//! Requests as a person types them: words on one line, quoted where they have to be.

#[cfg(test)]
mod tests;

/// A line that cannot be split.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InlineError {
    /// A quote without its end, or something right behind its end.
    #[error(
        "a command on one line has a quote that is not closed, or has no space behind its end; \
         mend the quotes, or send the command as an array of bulk strings"
    )]
    Quotes,
    /// Redis would take it for the end of all that came.
    #[error(
        "a command on one line has a byte of zero in it; write it as \"\\x00\", or send the \
         command as an array of bulk strings"
    )]
    Zero,
}

/// The arguments of a line (without what ends it), split and unquoted as Redis does
/// (`sdssplitargs`): in double quotes `\xHH`, `\n`, `\r`, `\t`, `\b`, `\a`, and a backslash before
/// any other byte, stand for one byte; in single quotes only `\'` does.
///
/// # Errors
/// Quotes that do not match, or a byte of zero.
pub fn arguments(line: &[u8]) -> Result<Vec<Vec<u8>>, InlineError> {
    if memchr::memchr(0, line).is_some() {
        return Err(InlineError::Zero);
    }
    let (mut text, mut ends) = (Vec::new(), Vec::new());
    split(line, &mut text, |end| ends.push(end))?;
    let starts = std::iter::once(0).chain(ends.iter().copied());
    Ok(starts.zip(&ends).map(|(start, &end)| text[start..end].to_vec()).collect())
}

/// The same, one behind the other in `text`; `ended` is told where in it each has ended. There
/// are no zeros in the line.
pub(super) fn split(
    line: &[u8],
    text: &mut Vec<u8>,
    mut ended: impl FnMut(usize),
) -> Result<(), InlineError> {
    let mut rest = line;
    while let Some((first, behind)) = rest.split_first() {
        if is_blank(*first) {
            rest = behind;
        } else {
            rest = word(rest, text)?;
            ended(text.len());
        }
    }
    Ok(())
}

/// C's `isspace`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Puts the word at the front into `text`. Returns what is behind it.
fn word<'l>(line: &'l [u8], text: &mut Vec<u8>) -> Result<&'l [u8], InlineError> {
    let mut rest = line;
    loop {
        match rest {
            // Fewer than are skipped between words: the other two are part of a word.
            [] | [b' ' | b'\t' | b'\r' | b'\n', ..] => return Ok(rest),
            [b'"', inside @ ..] => return double_quoted(inside, text),
            [b'\'', inside @ ..] => return single_quoted(inside, text),
            [byte, behind @ ..] => {
                text.push(*byte);
                rest = behind;
            }
        }
    }
}

fn double_quoted<'l>(inside: &'l [u8], text: &mut Vec<u8>) -> Result<&'l [u8], InlineError> {
    let mut rest = inside;
    loop {
        rest = match rest {
            [] => return Err(InlineError::Quotes),
            [b'"', behind @ ..] => return closed(behind),
            [b'\\', escaped @ ..] if !escaped.is_empty() => {
                let (byte, behind) = unescape(escaped);
                text.push(byte);
                behind
            }
            [byte, behind @ ..] => {
                text.push(*byte);
                behind
            }
        }
    }
}

/// `escaped` is what stands behind a backslash: something.
fn unescape(escaped: &[u8]) -> (u8, &[u8]) {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    if let [b'x', high, low, behind @ ..] = escaped
        && let (Some(high), Some(low)) = (digit(*high), digit(*low))
    {
        return (high * 16 + low, behind);
    }
    let byte = match escaped[0] {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    };
    (byte, &escaped[1..])
}

fn single_quoted<'l>(inside: &'l [u8], text: &mut Vec<u8>) -> Result<&'l [u8], InlineError> {
    let mut rest = inside;
    loop {
        rest = match rest {
            [] => return Err(InlineError::Quotes),
            [b'\'', behind @ ..] => return closed(behind),
            [b'\\', quote @ b'\'', behind @ ..] | [quote, behind @ ..] => {
                text.push(*quote);
                behind
            }
        }
    }
}

/// What is behind a quote's end: a word goes no further.
fn closed(behind: &[u8]) -> Result<&[u8], InlineError> {
    match behind.first() {
        Some(&byte) if !is_blank(byte) => Err(InlineError::Quotes),
        _ => Ok(behind),
    }
}
