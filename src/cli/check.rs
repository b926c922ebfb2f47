//! `palisade check`: everything that is wrong with a configuration, in one go.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::{Config, Problem};

/// How many problems are shown; who has more of them has enough to do.
const SHOWN_MAX: usize = 100;

/// Arguments of `palisade check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration.
    file: PathBuf,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (report, ok) = check(&args.file);
    print!("{report}");
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What to print, and whether the file can be served.
fn check(file: &Path) -> (String, bool) {
    match Config::load(file) {
        Ok((config, warnings)) => {
            let listeners = count(config.listeners.len(), "listener");
            let rules = count(config.rules, "rule");
            let mut report = list(&warnings);
            report.push_str(&format!("ok: {listeners}, {rules}"));
            if !warnings.is_empty() {
                report.push_str(&format!(", {}", count(warnings.len(), "warning")));
            }
            (report + "\n", true)
        }
        Err(problems) => (refusal(&problems), false),
    }
}

/// The problems of a configuration that cannot be served, and how many there are.
pub(super) fn refusal(problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let warnings = problems.len() - errors;
    let mut report = list(problems);
    report.push_str(&count(errors, "error"));
    if warnings > 0 {
        report.push_str(&format!(", {}", count(warnings, "warning")));
    }
    report + "\n"
}

/// One after the other.
pub(super) fn list(problems: &[Problem]) -> String {
    let mut report = String::new();
    for problem in problems.iter().take(SHOWN_MAX) {
        report.push_str(&format!("{problem}\n"));
    }
    if problems.len() > SHOWN_MAX {
        report.push_str(&format!("... and {} more\n", problems.len() - SHOWN_MAX));
    }
    report
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
