//! `palisade check`: everything that is wrong with a configuration, in one go.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::{Config, Ledger, Listener, Problem, show_duration};

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
            let mut report = list(&warnings) + &shared(&config.ledger);
            for listener in &config.listeners {
                let (name, protocol) = (listener.name(), listener.protocol());
                let upstream = listener.upstream();
                report.push_str(&format!("listener {name}: {protocol}, upstream {upstream}\n"));
                report.push_str(&left_out(listener));
            }
            report.push_str(&format!("ok: {listeners}, {rules}"));
            if !warnings.is_empty() {
                report.push_str(&format!(", {}", count(warnings.len(), "warning")));
            }
            (report + "\n", true)
        }
        Err(problems) => (refusal(&problems), false),
    }
}

/// How this process takes part in a ledger that several share, with its times.
fn shared(ledger: &Ledger) -> String {
    let Some(session) = ledger.session() else { return String::new() };
    format!(
        "ledger: {}, as replica {}\n  after a keepalive was sent, every {}: admits for {}, closes what \
         is unknown at {}, and its session is over at {}\n",
        ledger.place(),
        session.replica,
        show_duration(session.keepalive_interval()),
        show_duration(session.admits_for()),
        show_duration(session.hangs_up_after()),
        show_duration(session.ttl),
    )
}

/// What no rule lets through, where that may surprise.
fn left_out(listener: &Listener) -> String {
    let Listener::Redis(listener) = listener else { return String::new() };
    let all = listener.rules.all(None);
    let Err(why) = all.resources else { return String::new() };
    let covers_all =
        all.rules.iter().any(|rule| rule.covers.keys().is_some_and(|keys| keys.are_all(None)));
    let mut text = String::new();
    if !covers_all {
        text.push_str("  a key that no rule covers is refused\n");
    }
    text.push_str(&format!(
        "  what writes to every key (FLUSHALL, commands that nobody knows) is refused: {why}\n"
    ));
    text
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::config::testing::Fixture;

    #[test]
    fn a_file_is_checked() {
        let fixture = Fixture::new();
        let file = fixture.path("p.toml");
        let put = |text: &str| fixture.put("p.toml", text);
        let good = r#"
            ledger.embedded.path = "ledger.redb"
            upstreams.store.endpoints = "http://127.0.0.1:9000"
            [listeners.web]
            protocol = "http"
            listen = "127.0.0.1:9443"
            upstream = "store"
            tls = { certificate = "server.pem", key = "server.key", client_ca = "ca.pem" }
            "#;
        let rule = "[[resources]]\nname = 'a'\npath = '/a'\nresource = 'a'\nwrite = ['**']\n";

        put(&format!("{good}{rule}"));
        let expected = "listener web: http, upstream store\nok: 1 listener, 1 rule\n";
        assert_eq!(check(&file), (expected.to_owned(), true));

        let database = r#"
            [upstreams.db]
            endpoints = "unix:/run/postgresql"
            postgres = { control_role = "p", login = "pass-through" }
            [listeners.pg]
            protocol = "postgres"
            listen = "127.0.0.1:6432"
            upstream = "db"
            tls = { certificate = "server.pem", key = "server.key", client_ca = "ca.pem" }
            "#;
        put(&format!("{good}{database}{rule}listeners = ['web']\n"));
        let expected = "listener web: http, upstream store\n\
                        listener pg: postgres, upstream db\nok: 2 listeners, 1 rule\n";
        assert_eq!(check(&file), (expected.to_owned(), true));

        let redis = r#"
            [upstreams.queue]
            endpoints = "unix:/run/redis/redis.sock"
            [listeners.queue]
            protocol = "redis"
            listen = "127.0.0.1:6380"
            upstream = "queue"
            tls = { certificate = "server.pem", key = "server.key", client_ca = "ca.pem" }
            [[resources]]
            name = "a"
            resource = "a"
            write = ["**"]
            "#;
        let good_ledger = "ledger.embedded.path = \"ledger.redb\"\n";
        put(&format!("{good_ledger}{redis}"));
        let expected = "listener queue: redis, upstream queue\nok: 1 listener, 1 rule\n";
        assert_eq!(check(&file), (expected.to_owned(), true));
        put(&format!("{good_ledger}{redis}databases = [0]\n"));
        let expected = "listener queue: redis, upstream queue\n  a key that no rule covers is \
                        refused\n  what writes to every key (FLUSHALL, commands that nobody \
                        knows) is refused: no rule covers every key of every database\n\
                        ok: 1 listener, 1 rule\n";
        assert_eq!(check(&file), (expected.to_owned(), true));

        let etcd = "ledger.etcd.endpoints = 'http://127.0.0.1:2379'\n\
                    ledger.session.replica = 'r1'\n";
        put(&format!("{etcd}{redis}takeover_timeout = '20s'\ndrain = '3s'\n"));
        let expected = "ledger: etcd at 127.0.0.1:2379, namespace default, as replica r1\n  after a \
                        keepalive was sent, every 3333ms: admits for 10s, closes what is unknown at \
                        13s, and its session is over at 15s\nlistener queue: redis, upstream \
                        queue\nok: 1 listener, 1 rule\n";
        assert_eq!(check(&file), (expected.to_owned(), true));

        put(good);
        let (report, ok) = check(&file);
        assert!(ok && report.ends_with("\nok: 1 listener, 0 rules, 1 warning\n"), "{report}");

        put(&format!("x = 1\ny = 2\n{good}"));
        let (report, ok) = check(&file);
        assert!(!ok && report.ends_with("\n2 errors, 1 warning\n"), "{report}");

        put(&(0..150).map(|n| format!("x{n} = 1\n")).collect::<String>());
        let (report, ok) = check(&file);
        assert!(!ok && report.ends_with("... and 53 more\n152 errors, 1 warning\n"), "{report}");
    }

    #[test]
    fn what_the_quickstart_says_to_type_makes_it_valid() {
        let text = include_str!("../../config/quickstart.toml");
        let fixture = Fixture::new();
        let commands = text.lines().filter_map(|line| line.strip_prefix("#   "));
        let mut typed = 0;
        for command in commands {
            let words = command.split_whitespace().enumerate().map(|(at, word)| match word {
                _ if at > 1 && (word == "certs" || word.starts_with("certs/")) => {
                    fixture.path(word).into()
                }
                _ => std::ffi::OsString::from(word),
            });
            let cli = Cli::try_parse_from(words).expect("a command");
            let Command::Certs(args) = cli.command else { panic!("{command}") };
            crate::cli::certs::run(args).expect("certificates");
            typed += 1;
        }
        assert_eq!(typed, 3);
        fixture.put("config/quickstart.toml", text);
        let (config, warnings) = fixture
            .parse_as("config/quickstart.toml", text)
            .unwrap_or_else(|p| panic!("{}", list(&p)));
        assert_eq!((config.listeners.len(), config.rules, &warnings[..]), (1, 1, &[][..]));
    }
}
