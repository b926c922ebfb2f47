//! Colour, where it is wanted, and the table at the end.

use std::io::IsTerminal;

/// How a text is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tone {
    /// As it should not be.
    Bad,
    /// For headings.
    Bold,
    /// By the way.
    Faint,
    /// As it should be.
    Good,
    /// Neither.
    Plain,
}

/// Knows whether to colour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    is_coloured: bool,
}

impl Paint {
    /// For standard output: colour on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
    pub(super) fn stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self { is_coloured: std::io::stdout().is_terminal() && !unwanted }
    }

    /// The text in its colour.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Bad => "1;31",
            Tone::Bold => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Plain => return text.to_owned(),
        };
        if self.is_coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A table: the first row is its head, the first column is aligned to the left, the others too.
    pub(super) fn table(self, rows: &[Vec<(Tone, String)>]) -> String {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|(_, text)| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let mut table = String::new();
        for (index, row) in rows.iter().enumerate() {
            let mut line = String::new();
            for ((tone, text), width) in row.iter().zip(&widths) {
                // Padded before it is painted: colour codes have no width.
                line.push_str("  ");
                line.push_str(&self.paint(*tone, &format!("{text:<width$}")));
            }
            table.push_str(line.trim_end());
            table.push('\n');
            if index == 0 {
                let rule: usize = widths.iter().map(|width| width + 2).sum();
                table.push_str("  ");
                table.push_str(&"─".repeat(rule.saturating_sub(2)));
                table.push('\n');
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let row = |a: &str, b: &str| vec![(Tone::Bold, a.to_owned()), (Tone::Bad, b.to_owned())];
        let rows = [row("x", "count"), row("längst", "1")];
        let plain = Paint { is_coloured: false }.table(&rows);
        assert_eq!(plain, "  x       count\n  ─────────────\n  längst  1\n");
        let coloured = Paint { is_coloured: true }.table(&rows);
        assert!(coloured.contains("\x1b[1mlängst\x1b[0m  \x1b[1;31m1    \x1b[0m"), "{coloured:?}");
    }
}
