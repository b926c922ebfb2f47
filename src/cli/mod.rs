//! The commands a person types.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod certs;
mod check;
mod client;
mod completions;
mod demo;
mod explain;
mod health;
mod ledger;
mod manual;
mod replicas;
mod resources;
mod run;
mod store;
mod supervisor;
mod text;

/// A reverse proxy that refuses the writes of stale leaders before they reach the store.
#[derive(Debug, Parser)]
#[command(name = "palisade", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a certificate authority and issue certificates from it.
    Certs(certs::Args),
    /// Read a configuration and say everything that is wrong with it.
    Check(check::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// Play split brain on this machine, three ways, and count the lost updates.
    Demo(demo::Args),
    /// Say what a request would be asked, by which rule, and what is guaranteed there.
    Explain(explain::Args),
    /// Ask a running Palisade whether it is ready; for container health checks.
    Health(health::Args),
    /// Move marks from one ledger to another, and let takeovers go on after a ledger has lost some.
    ///
    /// `export`, `import` and `verify` read the [ledger] table of a configuration and talk to that
    /// ledger themselves: the embedded one has to be free, so stop Palisade first. No mark is ever
    /// lowered.
    Ledger(ledger::Args),
    /// Write the manual pages, for packages.
    #[command(hide = true)]
    Manual(manual::Args),
    /// List the replicas that share a ledger, and how the ledger is.
    ///
    /// Any replica can be asked: it reads the sessions that are alive from the ledger itself. AGE is
    /// how long a session has been alive, GRANTS for how many resources it holds one, LAG how far its
    /// feed of changes was behind when it last said so, and SEEN how long ago that was.
    Replicas(replicas::Args),
    /// List, show, seal and reset resources of a running Palisade.
    Resources(resources::Args),
    /// Serve.
    Run(run::Args),
    /// Serve a folder as an S3 store, for trying things out.
    #[command(hide = true)]
    Store(store::Args),
}

/// Runs the command that was typed.
pub fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Certs(args) => certs::run(args),
        Command::Check(args) => check::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Health(args) => health::run(args),
        Command::Ledger(args) => ledger::run(args),
        Command::Manual(args) => manual::run(args),
        Command::Replicas(args) => replicas::run(args),
        Command::Resources(args) => resources::run(args),
        Command::Run(args) => run::run(args),
        Command::Store(args) => store::run(args),
    }
}
