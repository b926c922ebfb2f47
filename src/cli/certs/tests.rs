//! From the command line to files that a listener accepts.

use clap::Parser as _;

use super::*;
use crate::cli::{Cli, Command as Top};
use crate::net::tls::{self, ServerTls};

fn certs(line: &str) -> anyhow::Result<ExitCode> {
    let cli = Cli::try_parse_from(line.split_whitespace())?;
    let Top::Certs(args) = cli.command else { panic!("{line}") };
    run(args)
}

/// Runs `palisade certs ...` with DIR put in; `expected` is a word of the error.
fn check(dir: &Path, line: &str, expected: Option<&str>) {
    let line = format!("palisade certs {}", line.replace("DIR", dir.to_str().unwrap()));
    let result = certs(&line).map_err(|error| format!("{error:#}"));
    match (&result, expected) {
        (Ok(_), None) => {}
        (Err(error), Some(word)) if error.contains(word) => {}
        _ => panic!("{line}: {result:?}, expected {expected:?}"),
    }
}

#[test]
fn an_authority_and_what_it_issues_work_together() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    check(dir, "ca --out DIR/ca", None);
    check(dir, "ca --out DIR/ca", Some("is there already"));
    check(dir, "server --ca DIR/ca --name localhost --name ::1 --out DIR", None);
    check(dir, "client --ca DIR/ca --identity spiffe://example.org/a --out DIR", None);
    check(dir, "client --ca DIR/ca --identity b --out DIR", Some("is there already"));
    check(dir, "client --ca DIR/ca --identity b --out DIR --file-name b", None);
    check(dir, "client --ca DIR/ca --identity b --out DIR --file-name ../b", Some("folders go"));
    check(dir, "client --ca DIR/ca --identity a.b --source cn --out DIR --force", None);
    check(dir, "client --ca DIR --identity b --out DIR/x", Some("no ca.key"));
    check(dir, "server --ca DIR/ca --name localhost --out DIR --days 0", Some("1..=36500"));
    check(dir, "show DIR/server.pem", None);
    check(dir, "show DIR/server.key", Some("no certificate in PEM"));
    check(dir, "show DIR/none", Some("cannot read"));
    check(dir, "ca --out DIR/other", None);
    check(dir, "revoke --ca DIR/other DIR/b.pem", Some("another authority"));
    check(dir, "revoke --ca DIR/ca DIR/typo.pem", Some("no serial number"));
    check(dir, "revoke --ca DIR/ca DIR/b.pem", None);
    let files = ServerTls {
        certificate: dir.join("server.pem"),
        key: dir.join("server.key"),
        client_ca: dir.join("ca/ca.pem"),
        crls: vec![dir.join("ca/crl.pem")],
        identity: Source::ALL.into(),
    };
    assert!(tls::check(&files).is_empty(), "{:?}", tls::check(&files));
}

#[test]
fn the_examples_on_the_page_and_in_the_help_can_be_typed() {
    let dir = tempfile::tempdir().unwrap();
    let help = Cli::try_parse_from(["palisade", "certs", "--help"]).unwrap_err().to_string();
    for (i, text) in [include_str!("../../../certs/README.md"), &help].iter().enumerate() {
        let inside = format!(" {}/{i}/", dir.path().display());
        let lines: Vec<_> =
            text.lines().map(str::trim).filter(|l| l.starts_with("palisade certs ")).collect();
        assert!(lines.len() >= 3, "{lines:?}");
        for line in lines {
            certs(
                &line.replace(" certs/", &inside).replace("--out certs", &format!("--out{inside}")),
            )
            .unwrap_or_else(|error| panic!("{line}: {error:#}"));
        }
    }
}
