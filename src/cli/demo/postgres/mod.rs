//! `palisade demo --postgres`: the same story, told on tables of a real PostgreSQL.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::sync::oneshot;

mod client;
mod database;
mod dsn;
mod fenced;
mod naive;
mod recipes;
mod story;

use super::paint::{Paint, Tone};
use super::story::{Seal, TOKEN_A, TOKEN_B};
use super::telling::{Outcome, conclude, show};
use super::told_to_end;
use super::world::{Dir, LOOPBACK};
use crate::protocol::postgres::upstream::Endpoint;
use client::Client;
use database::{Database, TABLES};
use dsn::Dsn;
pub(super) use dsn::Url;
use fenced::Fenced;
use naive::Naive;
use story::Play;

/// What a fence that holds tells leader A at the end.
const STALE: &str = "PF001";

/// Everything that runs.
struct World {
    dsn: Dsn,
    naive: Naive,
    fenced: Fenced,
    dir: Dir,
}

/// Plays the story, and removes what was made for it however it ends.
pub(super) async fn demo(
    url: &Url,
    dir: Option<PathBuf>,
    is_once: bool,
) -> anyhow::Result<ExitCode> {
    let dsn = Dsn::parse(url, |name| std::env::var(name).ok())?;
    // From here on a signal is waited for and does not end the process.
    let (end, ended) = oneshot::channel();
    tokio::spawn(async move { end.send(told_to_end().await) });
    let dir = Dir::make(dir)?;
    let database = Database::make(&dsn).await?;
    let played = play(dsn, dir, ended, is_once).await;
    let removed = database.remove().await;
    let is_shown = played?;
    removed?;
    Ok(if is_shown { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn play(
    dsn: Dsn,
    dir: Dir,
    mut ended: oneshot::Receiver<anyhow::Result<()>>,
    is_once: bool,
) -> anyhow::Result<bool> {
    let paint = Paint::stdout();
    let world = World::build(dsn, dir).await?;
    let told = tokio::select! {
        told = tell(paint, &world) => told,
        ended = &mut ended => ended?.and(Err(anyhow::anyhow!("ended in the middle of the story"))),
    };
    let shown = async {
        let is_shown = conclude(paint, &told?, "statement", STALE);
        if !is_once {
            print!("{}", recipes::recipes(paint, &world.dsn, &world.fenced, &world.dir.path));
            std::io::stdout().flush()?;
            ended.await??;
            println!();
        }
        anyhow::Ok(is_shown)
    };
    let shown = shown.await;
    // Its sessions have to be gone before their tables can be dropped.
    world.fenced.stop().await;
    shown
}

impl World {
    async fn build(dsn: Dsn, dir: Dir) -> anyhow::Result<Self> {
        let behind = client::connector(&dsn, dsn.place.endpoint(), None)?;
        let naive = naive::serve(behind, LOOPBACK).await?;
        let fenced = Fenced::start(&dir.path, &dsn).await?;
        Ok(Self { dsn, naive, fenced, dir })
    }

    /// The story on each way, not begun.
    fn plays(&self) -> anyhow::Result<[Play; 3]> {
        let dsn = &self.dsn;
        let address = self.naive.address();
        let compared =
            Endpoint::Tcp { host: address.ip().to_string().into(), port: address.port() };
        let direct = || Client::new(dsn, dsn.place.endpoint(), None, None);
        let naive = |token| Client::new(dsn, compared.clone(), None, Some(token));
        Ok([
            Play::new(Seal::Nothing, TABLES[0], [direct()?, direct()?]),
            Play::new(Seal::Noted, TABLES[1], [naive(TOKEN_A)?, naive(TOKEN_B)?]),
            Play::new(Seal::Evidence, TABLES[2], self.fenced.leaders(dsn)?),
        ])
    }
}

/// Plays all scenes, each on all ways at once, and tells what happened.
async fn tell(paint: Paint, world: &World) -> anyhow::Result<[Outcome; 3]> {
    println!(
        "{}\n\nA table of database \"{}\" holds one list of accepted orders. A leader reads it, adds an\n\
         order and writes it back. Leader A holds token {TOKEN_A}; it will freeze, and B will be\n\
         elected with {TOKEN_B}.\n",
        paint.paint(Tone::Bold, "Split brain in PostgreSQL, three ways"),
        world.dsn.database,
    );
    let mut plays = world.plays()?;
    let [x, y, z] = &mut plays;
    macro_rules! scene {
        ($title:expr, $act:ident) => {
            let lines = tokio::try_join!(x.$act(), y.$act(), z.$act())?;
            show(paint, $title, [lines.0, lines.1, lines.2]).await?;
        };
    }
    scene!("A (token 33) connects, reads the list and accepts orders.", a_writes);
    scene!("A begins to write order 4 and freezes in the middle of the statement.", a_freezes);
    scene!("B (token 34) is elected, and connects.", b_seals);
    scene!("B reads the list.", b_reads);
    scene!("B accepts orders.", b_writes);
    scene!("A thaws, knows of nothing, and sends the rest of its statement.", a_thaws);
    let counted = tokio::try_join!(x.count(), y.count(), z.count())?;
    Ok([counted.0, counted.1, counted.2])
}
