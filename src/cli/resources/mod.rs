//! `palisade resources`: list, show, seal, reset.

mod table;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::client::{Client, Connect};
use super::text::{plain, print, show};
use crate::admin::{self, view};

/// Longer than the listener takes for it.
const READ_TIMEOUT: Duration = admin::READ_TIMEOUT.saturating_add(Duration::from_secs(5));
const OPERATION_TIMEOUT: Duration =
    admin::OPERATION_TIMEOUT.saturating_add(Duration::from_secs(10));

/// Arguments of `palisade resources`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connect: Connect,
    /// Print JSON, as the admin listener answers it
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Name all resources with their mark, holder and writes in flight
    List {
        /// Begin after this name
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = admin::LIST_DEFAULT)]
        limit: usize,
    },
    /// Show one resource, with its history
    Show {
        /// The resource
        name: String,
    },
    /// Wait until every write below the mark has settled; the mark stays where it is
    Seal {
        /// The resource
        name: String,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Raise a resource to its next incarnation: the way out of a poisoned or restarted token source
    ///
    /// Waits until older writes have settled. From then on every leader has to bring a token of
    /// the new incarnation, such as 1.1 instead of 1. There is no way back.
    Reset {
        /// The resource
        name: String,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stdin = io::stdin();
    let mut terminal = Terminal {
        input: &mut stdin.lock(),
        is_interactive: stdin.is_terminal(),
        prompt: &mut io::stderr(),
    };
    let mut output = Vec::new();
    runtime.block_on(execute(args, &mut terminal, &mut output))?;
    show(&output)
}

/// Where a person can be asked.
struct Terminal<'a> {
    input: &'a mut dyn BufRead,
    is_interactive: bool,
    prompt: &'a mut dyn Write,
}

async fn execute(
    args: Args,
    terminal: &mut Terminal<'_>,
    output: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let json = args.json;
    let reader = Client::new(&args.connect, READ_TIMEOUT)?;
    match args.command {
        Command::List { after, limit } => {
            let after = after.map(|after| format!("&after={}", encode(&after)));
            let target = format!("/api/resources?limit={limit}{}", after.unwrap_or_default());
            let page: view::Page = reader.get(&target).await?;
            print(output, json, &page, table::page)
        }
        Command::Show { name } => {
            let target = format!("/api/resources/show?name={}", encode(&name));
            let resource: view::Resource = reader.get(&target).await?;
            print(output, json, &resource, table::resource)
        }
        Command::Seal { name, reason } => {
            let client = Client::new(&args.connect, OPERATION_TIMEOUT)?;
            let operation = view::Operation { name, reason };
            let done: view::Done = client.post("/api/resources/seal", &operation).await?;
            print(output, json, &done, table::sealed)
        }
        Command::Reset { name, reason, yes } => {
            if reason.trim().is_empty() {
                bail!("a reset needs a reason: --reason TEXT; it is kept in the audit log");
            }
            if !yes {
                confirm(&reader, &name, terminal).await?;
            }
            let client = Client::new(&args.connect, OPERATION_TIMEOUT)?;
            let operation = view::Operation { name, reason };
            let done: view::Done = client.post("/api/resources/reset", &operation).await?;
            print(output, json, &done, table::reset)
        }
    }
}

/// Has the name typed again, after showing what it holds.
async fn confirm(client: &Client, name: &str, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    if !terminal.is_interactive {
        bail!("a reset has no way back; add --yes to do it without being asked");
    }
    let target = format!("/api/resources/show?name={}", encode(name));
    let resource: view::Resource = client.get(&target).await?;
    write!(
        terminal.prompt,
        "{} is at {}, held by {}.\nAfter a reset every token of this incarnation is stale, \
         and there is no way back.\nType the name of the resource to go on: ",
        plain(&resource.resource),
        resource.mark,
        plain(&resource.holder),
    )?;
    terminal.prompt.flush()?;
    let mut line = String::new();
    terminal.input.read_line(&mut line).context("cannot read the answer")?;
    if line.trim_end_matches(['\n', '\r']) != name {
        bail!("not reset: the name was not typed");
    }
    Ok(())
}

fn encode(name: &str) -> impl std::fmt::Display {
    utf8_percent_encode(name, NON_ALPHANUMERIC)
}
