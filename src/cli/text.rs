//! What commands print: tables, JSON, and names that must not steer the terminal.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use serde::Serialize;

/// Names as they can be shown: one with a control character must not steer the terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Rows whose cells stand below each other.
pub(super) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A value as JSON, or as text for people.
pub(super) fn print<T: Serialize>(
    output: &mut Vec<u8>,
    json: bool,
    value: &T,
    text: impl Fn(&T) -> String,
) -> anyhow::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *output, value)?;
        output.push(b'\n');
    } else {
        output.extend_from_slice(text(value).as_bytes());
    }
    Ok(())
}

/// Puts it on standard output.
pub(super) fn show(output: &[u8]) -> anyhow::Result<ExitCode> {
    match io::stdout().lock().write_all(output) {
        // Whoever reads it, such as `head`, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        outcome => Ok(outcome.map(|()| ExitCode::SUCCESS)?),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_do_not_steer_the_terminal() {
        assert_eq!(super::plain("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
    }
}
