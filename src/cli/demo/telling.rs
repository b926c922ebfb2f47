//! What every story is told with: its lines as they happen, the table at its end, the judgement.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::paint::{Paint, Tone};
use super::story::Line;

/// The three ways to the store, in the order of the story.
pub(super) const WAYS: [&str; 3] = ["without a fence", "compare and forward", "Palisade"];

/// Between two scenes, for people to read along.
const SCENE_PAUSE: Duration = Duration::from_millis(900);

/// What a play came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Outcome {
    /// Orders whose write was answered with yes.
    pub(super) accepted: usize,
    /// Orders in the store.
    pub(super) stored: usize,
    /// Orders that were accepted and are not in the store.
    pub(super) lost: usize,
    /// What leader A was told about the write that it finished too late.
    pub(super) late: String,
}

/// Says what has happened in a scene, on each way.
pub(super) async fn show(paint: Paint, title: &str, lines: [Line; 3]) -> anyhow::Result<()> {
    println!("{}", paint.paint(Tone::Bold, title));
    for (way, (tone, line)) in WAYS.iter().zip(lines) {
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

/// Says what all came to; whether the story shows what it is told for. `write` is what leader A
/// was in the middle of, and `stale` what a fence that holds tells it at the end.
pub(super) fn conclude(paint: Paint, outcomes: &[Outcome; 3], write: &str, stale: &str) -> bool {
    println!("{}", table(paint, outcomes, write));
    let verdict = judge(outcomes, stale);
    match &verdict {
        Ok(told) => println!("{}\n", paint.paint(Tone::Good, told)),
        Err(told) => println!("{}\n", paint.paint(Tone::Bad, told)),
    }
    verdict.is_ok()
}

fn table(paint: Paint, outcomes: &[Outcome; 3], write: &str) -> String {
    let late = format!("A's late {write} was told");
    let heads = ["way to the store", "accepted", "in the store", "lost", &late];
    let mut rows = vec![heads.map(|head| (Tone::Bold, head.to_owned())).to_vec()];
    for (way, outcome) in WAYS.iter().zip(outcomes) {
        let tone = if outcome.lost == 0 { Tone::Good } else { Tone::Bad };
        rows.push(vec![
            (Tone::Plain, (*way).to_owned()),
            (Tone::Plain, outcome.accepted.to_string()),
            (Tone::Plain, outcome.stored.to_string()),
            (tone, outcome.lost.to_string()),
            (tone, outcome.late.clone()),
        ]);
    }
    paint.table(&rows)
}

/// Whether the story shows what it is told for.
pub(super) fn judge(outcomes: &[Outcome; 3], stale: &str) -> Result<String, String> {
    let [direct, naive, fenced] = outcomes;
    if fenced.lost > 0 {
        return Err(format!("Palisade lost {} accepted orders: this is a bug.", fenced.lost));
    }
    if fenced.late != stale {
        return Err(format!("Palisade told leader A {}, not {stale}: this is a bug.", fenced.late));
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
