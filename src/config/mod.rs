//! The configuration: one TOML file, read once into types that cannot be wrong.
//!
//! Each layer owns its settings; here they are filled. `raw` says which keys there are,
//! `section` takes their values with their places, and whatever is wrong is collected, so
//! that all of it is told in one go. `config/palisade.toml` explains every key.

mod checks;
mod files;
mod foreign;
mod ledger;
mod listeners;
mod names;
mod problem;
mod raw;
mod report;
mod resources;
mod section;
mod server;
mod sessions;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod upstreams;
mod values;

use std::path::Path;
use std::time::Duration;

use toml::de::DeTable;

pub use ledger::Ledger;
pub use listeners::Listener;
pub use problem::{Problem, Severity};
pub use values::show_duration;

use crate::rules::{Rule, Rules};
use crate::{admin, audit, gate, telemetry};
use problem::Source;
use report::Report;
use section::Section;

/// The largest configuration file.
const FILE_MAX_BYTES: u64 = 4 << 20;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A whole configuration. If there is one, it can be served.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the marks are kept.
    pub ledger: Ledger,
    /// The bounds of the gate.
    pub gate: gate::Settings,
    /// The listeners that writers use.
    pub listeners: Vec<Listener>,
    /// The listener that operators use.
    pub admin: admin::Settings,
    /// Log lines.
    pub log: telemetry::LogSettings,
    /// The audit log.
    pub audit: audit::Target,
    /// Worker threads; one a core by default.
    pub workers: usize,
    /// How long everything goes on after SIGTERM with nothing but the readiness changed.
    pub drain_delay: Duration,
    /// How long requests may go on after that.
    pub drain_timeout: Duration,
    /// How many `[[resources]]` there are.
    pub rules: usize,
}

impl Config {
    /// Reads a file and everything that it names. Relative paths start at its directory.
    ///
    /// With the configuration come warnings.
    ///
    /// # Errors
    /// Everything that is wrong, warnings too, in the order of the file.
    pub fn load(file: &Path) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let whole =
            |message: String, mend: &str| vec![Problem::whole(file, message, mend.to_owned())];
        let bytes = files::read(file, FILE_MAX_BYTES)
            .map_err(|why| whole(format!("cannot be read: {why}"), "name a configuration file"))?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let line = bytes[..error.valid_up_to()].split(|b| *b == b'\n').count();
            whole(format!("is not UTF-8 in line {line}"), "save it as UTF-8")
        })?;
        Self::parse(text, file, &|name| std::env::var(name).ok())
    }

    /// Reads the text of a file.
    fn parse(
        text: &str,
        file: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let source = Source::new(file, text);
        let (table, syntax) = DeTable::parse_recoverable(text);
        if !syntax.is_empty() {
            // What stands in a broken line is a guess, so nothing else is said.
            let problem = |error: &toml::de::Error| {
                let (message, mend) = match error.message().split_once(", expected ") {
                    Some((message, expected)) => (message, format!("expected {expected}")),
                    None => (error.message(), "correct this first".to_owned()),
                };
                let span = error.span().unwrap_or(0..0);
                let message = format!("this is not TOML: {message}");
                source.problem(Severity::Error, &span, message, mend)
            };
            let mut problems: Vec<_> =
                syntax.iter().take(report::PROBLEMS_MAX).map(problem).collect();
            problems.sort_by_key(|problem| (problem.line, problem.column));
            return Err(problems);
        }
        // A path that is still relative means something else after a change of directory.
        let directory = std::path::absolute(file).ok();
        let directory = directory.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
        let report = Report::new(source, directory, env);
        let config = read(&Section::root(&report, table.get_ref(), &raw::ROOT));
        let problems = report.into_problems();
        match config {
            Some(config) if !problems.iter().any(Problem::is_error) => Ok((config, problems)),
            _ => Err(problems),
        }
    }
}

/// How long an operator waits for writes under a rule, who has no rule of their own. A session
/// has no `settle_timeout`: it is drained and then ended, which takes as long as it takes.
fn operator_wait(listener: &Listener, rule: &Rule) -> Duration {
    match listener {
        Listener::Http(_) => rule.settle_timeout,
        Listener::Postgres(_) | Listener::Redis(_) => {
            rule.sessions.drain.max(rule.takeover_timeout)
        }
    }
}

fn read(root: &Section<'_>) -> Option<Config> {
    let report = root.report();
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let workers = root.count("workers", 1..=1024).unwrap_or_else(cores);
    let drain_delay = root.delay("drain_delay").unwrap_or_default();
    let drain_timeout = root.duration("drain_timeout").unwrap_or(DRAIN_TIMEOUT);
    let ledger = ledger::read(root);
    let mut gate = server::gate(root);
    let admin = server::admin(root);
    let log = server::log(root);
    let audit = server::audit(root);
    if let (Some(ledger), Some(audit)) = (ledger.file(), &audit) {
        server::files_apart(root, ledger, audit);
    }
    let upstreams = upstreams::read(root);
    let listeners = listeners::read(root, &upstreams);
    let rules = resources::read(root, &listeners);
    checks::addresses(report, &listeners, admin.as_ref());
    checks::unused(report, &upstreams, &listeners);
    if !ledger.is_shared() {
        checks::replicas(report, &upstreams);
    }
    checks::rules(report, &rules, &listeners);
    for rule in &rules {
        checks::times(report, rule, &listeners);
        sessions::check(report, rule, &listeners);
    }
    let ledger = ledger.finish(&rules, &listeners, &upstreams);
    let listeners = listeners.into_iter().map(|listener| {
        let name = *listener.name.get_ref();
        let protocol = listener.protocol?;
        let on = rules.iter().filter(|rule| rule.is_on(name));
        let rules = on.map(|rule| rule.rule_for(protocol)).collect();
        listener.finish(Rules::new(rules))
    });
    let listeners: Vec<Listener> = listeners.collect::<Option<_>>()?;
    let waits = listeners.iter().flat_map(|l| l.rules().iter().map(|rule| operator_wait(l, rule)));
    gate.settle_timeout_max = waits.max().unwrap_or(gate.settle_timeout_max);
    Some(Config {
        listeners,
        ledger: ledger?,
        gate,
        admin: admin?.into_inner(),
        log,
        audit: audit?,
        workers,
        drain_delay,
        drain_timeout,
        rules: rules.len(),
    })
}
