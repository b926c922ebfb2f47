//! What is wrong with a configuration: where, what, and the mend.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How long a line may be to be shown whole, in characters.
const SNIPPET_MAX: usize = 160;

/// Whether a configuration can be served in spite of a problem.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but hardly does what was meant.
    Warning,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Problem {
    /// The file, as it was named.
    pub file: PathBuf,
    /// From 1; 0 when it is about the file as a whole.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Whether it can be served all the same.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do; empty when the message says it.
    pub mend: String,
    /// The line, with the width of what is wrong in it. Lines with secrets are not kept.
    snippet: Option<(String, usize)>,
}

/// A configuration's text, to find places in it.
pub(super) struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Problem {
    /// A problem with a file as a whole.
    pub(super) fn whole(file: &Path, message: String, mend: String) -> Self {
        let file = file.to_owned();
        let severity = Severity::Error;
        Self { file, line: 0, column: 0, severity, message, mend, snippet: None }
    }

    /// Whether it keeps the configuration from being served.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text }
    }

    /// A problem with what is at these bytes.
    pub(super) fn problem(
        &self,
        severity: Severity,
        span: &Range<usize>,
        message: String,
        mend: String,
    ) -> Problem {
        let start = self.text.floor_char_boundary(span.start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_text = self.text[line_start..].lines().next().unwrap_or_default();
        let column = before[line_start..].chars().count() + 1;
        let end = self.text.floor_char_boundary(span.end).max(start);
        let marked = self.text[start..end].lines().next().unwrap_or_default();
        // What begins and ends at the start of the file is about the file as a whole.
        let is_shown = *span != (0..0)
            && line_text.chars().count() <= SNIPPET_MAX
            && !self.is_secret(line_start);
        let snippet = is_shown.then(|| {
            let shown = line_text.chars().map(|c| if c.is_control() { ' ' } else { c });
            (shown.collect(), marked.chars().count().max(1))
        });
        Problem {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column,
            severity,
            message,
            mend,
            snippet,
        }
    }

    /// Whether the line that begins there belongs to a key that smells of a secret. A line
    /// within a text of several lines belongs to the key above it.
    fn is_secret(&self, line_start: usize) -> bool {
        let end = self.text[line_start..].find('\n').map_or(self.text.len(), |at| line_start + at);
        for line in self.text[..end].lines().rev() {
            let lower = line.to_ascii_lowercase();
            if ["secret", "passw", "passphrase", "credential", "private"]
                .iter()
                .any(|word| lower.contains(word))
                || lower.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
            {
                return true;
            }
            if has_key(line) {
                return false;
            }
        }
        false
    }
}

fn has_key(line: &str) -> bool {
    line.split_once('=').is_some_and(|(key, _)| {
        key.trim().bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.\"'".contains(&b))
    }) || line.starts_with('[')
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, " {severity}: {}", self.message)?;
        match &self.snippet {
            Some((text, width)) => {
                let (gap, carets) = (" ".repeat(self.column - 1), "^".repeat(*width));
                write!(f, "\n{:>5} | {text}\n      | {gap}{carets} {}", self.line, self.mend)
            }
            None if self.mend.is_empty() => Ok(()),
            None => write!(f, "\n      = {}", self.mend),
        }
    }
}
