//! `palisade ledger`: marks as a file, from one ledger to another; an operator's confirmation.

mod file;
mod moving;
mod place;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::check;
use super::client::{Client, Connect};
use super::text::plain;
use crate::admin::{self, view};
use crate::config::Config;
use place::Place;

/// Longer than the listener takes for it.
const CONFIRM_TIMEOUT: Duration = admin::OPERATION_TIMEOUT.saturating_add(Duration::from_secs(10));

/// Arguments of `palisade ledger`.
#[derive(Debug, clap::Args)]
#[command(after_help = "From the embedded ledger to etcd, with Palisade stopped:\n  \
    palisade ledger export --config embedded.toml --output marks.jsonl\n  \
    palisade ledger import marks.jsonl --config etcd.toml\n  \
    palisade ledger verify marks.jsonl --config etcd.toml\n\n\
    A backup of a shared ledger, at any time:\n  \
    palisade ledger export --config etcd.toml | zstd > marks-$(date +%F).jsonl.zst")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write every resource with its mark, holder and history, a JSON object a line
    #[command(
        after_help = "The first line says what the file is, the last one how many resources it \
        has: a file that was cut off is not taken for a whole one.\n\n\
        Example:\n  palisade ledger export --config palisade.toml --output marks.jsonl"
    )]
    Export {
        #[command(flatten)]
        from: From,
        /// Write to this file, which must not be there yet, instead of standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Raise the marks of a ledger to those of a file; none is lowered
    #[command(
        after_help = "The whole file is read before anything is written. What is there with a \
        higher mark is left as it is, told, and makes the exit code 1; so does a mark that is there \
        with another holder. Marks that are there already cost nothing: it may be run again.\n\n\
        Example:\n  palisade ledger import marks.jsonl --config palisade.toml"
    )]
    Import {
        /// What `export` wrote
        file: PathBuf,
        #[command(flatten)]
        to: From,
    },
    /// Say whether every mark of a file is there, or higher; exit code 1 if not
    Verify {
        /// What `export` wrote
        file: PathBuf,
        #[command(flatten)]
        of: From,
    },
    /// Let takeovers go on after the ledger has lost what it had acknowledged
    ///
    /// A ledger in Redis that failed over to a replica with less than was acknowledged refuses every
    /// raise until somebody has looked after the marks: a mark that went down lets an older leader
    /// in again. See that the leaders that write are the newest ones, confirm, and import the newest
    /// export at once. Asked of one running Palisade, it holds for all that share the ledger. It is
    /// audited.
    #[command(after_help = "Example:\n  \
        palisade ledger confirm --reason 'failover of 12:03, older leaders are stopped'\n  \
        palisade ledger import marks.jsonl --config palisade.toml")]
    Confirm {
        #[command(flatten)]
        connect: Connect,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Which ledger.
#[derive(Debug, clap::Args)]
struct From {
    /// The configuration whose ledger it is
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "PALISADE_CONFIG",
        default_value = "palisade.toml"
    )]
    config: PathBuf,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let fine = runtime.block_on(execute(args.command))?;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn execute(command: Command) -> anyhow::Result<bool> {
    let mut told = std::io::stderr();
    match command {
        Command::Export { from, output } => {
            let place = Place::open(configured(&from.config)?, place::Need::Read).await?;
            let outcome = moving::export(&place, output.as_deref(), &mut told).await;
            place.close().await?;
            outcome.map(|()| true)
        }
        Command::Import { file, to } => {
            // What is wrong with the file is told before the ledger is touched.
            let whole = file::check(&file)?;
            let place = Place::open(configured(&to.config)?, place::Need::Write).await?;
            let outcome = moving::import(&place, &file, &whole, &mut told).await;
            place.close().await?;
            outcome
        }
        Command::Verify { file, of } => {
            let whole = file::check(&file)?;
            let place = Place::open(configured(&of.config)?, place::Need::Read).await?;
            let outcome = moving::verify(&place, &file, &whole, &mut told).await;
            place.close().await?;
            outcome
        }
        Command::Confirm { connect, reason } => {
            let client = Client::new(&connect, CONFIRM_TIMEOUT)?;
            let asked = view::Confirmation { reason };
            let done: view::Confirmed = client.post("/api/ledger/confirm", &asked).await?;
            match done.was_frozen {
                Some(why) => {
                    println!("confirmed: takeovers go on; they were refused: {}", plain(&why))
                }
                None => println!("confirmed: takeovers were not refused"),
            }
            Ok(true)
        }
    }
}

fn configured(file: &Path) -> anyhow::Result<crate::config::Ledger> {
    match Config::load(file) {
        Ok((config, _)) => Ok(config.ledger),
        Err(problems) => {
            eprint!("{}", check::refusal(&problems));
            anyhow::bail!("{} cannot be used as it is", file.display());
        }
    }
}
