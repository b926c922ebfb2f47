//! `palisade demo`: split brain over real connections, three ways side by side, told as it happens.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use http::StatusCode;
use tokio::signal::unix::{SignalKind, signal};

mod client;
mod fenced;
mod naive;
mod paint;
mod postgres;
mod recipes;
mod story;
mod telling;
#[cfg(test)]
mod tests;
mod world;

use paint::{Paint, Tone};
use telling::{Outcome, conclude, show};
use world::World;

/// Arguments of `palisade demo`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --postgres the story is played on object stores that the demo brings along.\n\
    With it, on a PostgreSQL that is at hand: a role that may create a schema in the database is \
    enough (GRANT CREATE ON DATABASE ... TO ...), a superuser is not needed. Everything is made in \
    one schema, palisade_demo, which must not be there before and is dropped at the end; nothing \
    else is touched. The password may stand in PGPASSWORD instead of the URL, where other users of \
    the machine could read it."
)]
pub struct Args {
    /// End after the story, with an error if Palisade lost an update or the others did not.
    #[arg(long)]
    once: bool,
    /// Keep certificates, configuration, ledger and stores in this folder, which must be empty
    /// or not there yet; otherwise a temporary one is used and removed.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Play it on this PostgreSQL: postgres://ROLE:PASSWORD@HOST:PORT/DATABASE, or
    /// postgres:///DATABASE?host=/run/postgresql for a Unix socket.
    #[arg(long, value_name = "URL", conflicts_with = "compare_and_forward")]
    postgres: Option<postgres::Url>,
    /// Only serve the compare-and-forward proxy of the story, in front of this store.
    #[arg(long, hide = true, value_name = "ADDRESS")]
    compare_and_forward: Option<SocketAddr>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if let Some(upstream) = args.compare_and_forward {
            let naive = naive::serve(upstream, SocketAddr::from(([127, 0, 0, 1], 0))).await?;
            println!("{}", naive.address());
            tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")?;
            return Ok(ExitCode::SUCCESS);
        }
        match args.postgres {
            Some(url) => postgres::demo(&url, args.dir, args.once).await,
            None => demo(args.dir, args.once).await,
        }
    })
}

async fn demo(dir: Option<PathBuf>, is_once: bool) -> anyhow::Result<ExitCode> {
    let paint = Paint::stdout();
    // However it ends, the temporary folder with its keys is removed.
    let mut ended = std::pin::pin!(told_to_end());
    let world = World::build(dir).await?;
    let outcomes = tokio::select! {
        told = tell(paint, &world) => told?,
        ended = &mut ended => {
            ended?;
            anyhow::bail!("ended in the middle of the story");
        }
    };
    let stale = StatusCode::PRECONDITION_FAILED.to_string();
    let is_shown = conclude(paint, &outcomes, "upload", &stale);
    if !is_once {
        print!("{}", recipes::recipes(paint, &world));
        std::io::stdout().flush()?;
        ended.await?;
        println!();
    }
    world.close().await;
    Ok(if is_shown { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ctrl-C, SIGTERM, or the end of the terminal.
async fn told_to_end() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    let mut hang_up = signal(SignalKind::hangup()).context("waiting for SIGHUP")?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
        pressed = tokio::signal::ctrl_c() => pressed.context("waiting for Ctrl-C"),
    }
}

/// Plays all scenes, each on all ways at once, and tells what happened.
async fn tell(paint: Paint, world: &World) -> anyhow::Result<[Outcome; 3]> {
    println!(
        "{}\n\nThe store holds one list of accepted orders. A leader reads it, appends an order and\n\
         writes it back. Leader A holds token {}; it will freeze, and B will be elected with {}.\n",
        paint.paint(Tone::Bold, "Split brain, three ways"),
        story::TOKEN_A,
        story::TOKEN_B,
    );
    let mut plays = world.plays()?;
    let [x, y, z] = &mut plays;
    macro_rules! scene {
        ($title:expr, $act:ident) => {
            let lines = tokio::try_join!(x.$act(), y.$act(), z.$act())?;
            show(paint, $title, [lines.0, lines.1, lines.2]).await?;
        };
    }
    scene!("A (token 33) accepts orders.", a_writes);
    scene!("A begins to write order 4 and freezes in the middle of the upload.", a_freezes);
    scene!("B (token 34) is elected, and seals.", b_seals);
    scene!("B reads the list.", b_reads);
    scene!("B accepts orders.", b_writes);
    scene!("A thaws, knows of nothing, and finishes its upload.", a_thaws);
    let counted = tokio::try_join!(x.count(), y.count(), z.count())?;
    Ok([counted.0, counted.1, counted.2])
}
