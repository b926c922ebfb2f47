//! What is wrong with the file so far, and what reading it needs to know.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;

use super::problem::{Problem, Severity, Source};

/// How many problems are collected, as each has to be found in the text.
pub(super) const PROBLEMS_MAX: usize = 200;
/// Bytes in the file.
pub(super) type Span = Range<usize>;

/// What is wrong so far, and what reading needs to know.
pub(super) struct Report<'a> {
    source: Source<'a>,
    /// Relative paths start here.
    pub(super) directory: &'a Path,
    /// Looks up an environment variable.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        source: Source<'a>,
        directory: &'a Path,
        env: &'a dyn Fn(&str) -> Option<String>,
    ) -> Self {
        Self { source, directory, env, problems: RefCell::default() }
    }

    pub(super) fn error(&self, span: &Span, message: impl Into<String>, mend: impl Into<String>) {
        self.add(Severity::Error, span, message.into(), mend.into());
    }

    pub(super) fn warn(&self, span: &Span, message: impl Into<String>, mend: impl Into<String>) {
        self.add(Severity::Warning, span, message.into(), mend.into());
    }

    fn add(&self, severity: Severity, span: &Span, message: String, mend: String) {
        let mut problems = self.problems.borrow_mut();
        // However many warnings there are, an error is never lost.
        let is_news = severity == Severity::Error && !problems.iter().any(Problem::is_error);
        if problems.len() < PROBLEMS_MAX || is_news {
            let problem = self.source.problem(severity, span, message, mend);
            // A table that is looked at twice has nothing new to say.
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }

    /// All of it, in the order of the file.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems
    }
}
