//! `palisade demo`: split brain over real connections, three ways side by side, told as it happens.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use http::StatusCode;
use tokio::signal::unix::{SignalKind, signal};

mod client;
mod fenced;
mod naive;
mod paint;
mod recipes;
mod story;
#[cfg(test)]
mod tests;
mod world;

use paint::{Paint, Tone};
use story::{Line, Outcome};
use world::World;

/// Between two scenes, for people to read along.
const SCENE_PAUSE: Duration = Duration::from_millis(900);

/// Arguments of `palisade demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after the story, with an error if Palisade lost an update or the others did not.
    #[arg(long)]
    once: bool,
    /// Keep certificates, configuration, ledger and stores in this folder, which must be empty
    /// or not there yet; otherwise a temporary one is used and removed.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
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
        demo(args).await
    })
}

async fn demo(args: Args) -> anyhow::Result<ExitCode> {
    let paint = Paint::stdout();
    // However it ends, the temporary folder with its keys is removed.
    let mut ended = std::pin::pin!(told_to_end());
    let world = World::build(args.dir).await?;
    let outcomes = tokio::select! {
        told = tell(paint, &world) => told?,
        ended = &mut ended => {
            ended?;
            anyhow::bail!("ended in the middle of the story");
        }
    };
    let verdict = judge(&outcomes);
    println!("{}", table(paint, &outcomes));
    match &verdict {
        Ok(told) => println!("{}\n", paint.paint(Tone::Good, told)),
        Err(told) => println!("{}\n", paint.paint(Tone::Bad, told)),
    }
    if !args.once {
        print!("{}", recipes::recipes(paint, &world));
        std::io::stdout().flush()?;
        ended.await?;
        println!();
    }
    world.close().await;
    Ok(if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ctrl-C or SIGTERM.
async fn told_to_end() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
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

async fn show(paint: Paint, title: &str, lines: [Line; 3]) -> anyhow::Result<()> {
    println!("{}", paint.paint(Tone::Bold, title));
    for (way, (tone, line)) in world::WAYS.iter().zip(lines) {
        println!(
            "  {}  {}",
            paint.paint(Tone::Faint, &format!("{way:<20}")),
            paint.paint(tone, &line)
        );
    }
    println!();
    std::io::stdout().flush()?;
    if std::io::stdout().is_terminal() {
        tokio::time::sleep(SCENE_PAUSE).await;
    }
    Ok(())
}

fn table(paint: Paint, outcomes: &[Outcome; 3]) -> String {
    let heads =
        ["way to the store", "accepted", "in the store", "lost", "A's late upload was told"];
    let mut rows = vec![heads.map(|head| (Tone::Bold, head.to_owned())).to_vec()];
    for (way, outcome) in world::WAYS.iter().zip(outcomes) {
        let tone = if outcome.lost == 0 { Tone::Good } else { Tone::Bad };
        rows.push(vec![
            (Tone::Plain, (*way).to_owned()),
            (Tone::Plain, outcome.accepted.to_string()),
            (Tone::Plain, outcome.stored.to_string()),
            (tone, outcome.lost.to_string()),
            (tone, outcome.late.to_string()),
        ]);
    }
    paint.table(&rows)
}

/// Whether the story shows what it is told for.
fn judge(outcomes: &[Outcome; 3]) -> Result<String, String> {
    let [direct, naive, fenced] = outcomes;
    if fenced.lost > 0 {
        return Err(format!("Palisade lost {} accepted orders: this is a bug.", fenced.lost));
    }
    if fenced.late != StatusCode::PRECONDITION_FAILED {
        return Err(format!("Palisade told leader A {}, not 412: this is a bug.", fenced.late));
    }
    if direct.lost == 0 || naive.lost == 0 {
        return Err(
            "The other ways lost nothing this time, so the story proves nothing.".to_owned()
        );
    }
    Ok(format!(
        "Without a fence {} accepted orders are gone; with a check on arrival, {}; with Palisade, none.",
        direct.lost, naive.lost
    ))
}
