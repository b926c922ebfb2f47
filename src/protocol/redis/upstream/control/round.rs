//! Killing clients of one process of the server, until it lists them no more.

use std::collections::HashSet;

use redis::Value;

use super::super::wire::{ANSWER_BYTES_MAX, ANSWER_TIMEOUT, Batch, Wire, refusal, text};
use super::names;

/// Clients that are killed by one write.
pub const BATCH_MAX: usize = 1_000;

/// What came of it.
pub(super) struct Killed {
    /// Those that the server lists still.
    pub(super) left: HashSet<u64>,
    /// What it refused, if anything.
    pub(super) refused: Option<String>,
}

/// Kills clients, and asks which of them are there still: the answer to CLIENT KILL says that they
/// are to go, and the list that they are gone. A server that yields in the middle of something (a
/// module's command) marks a client in use first, and frees it later.
///
/// # Errors
/// When the connection is over. Which are gone is not known then.
pub(super) async fn kill(wire: &mut Wire, ids: &[u64]) -> Result<Killed, String> {
    let mut batch = Batch::new();
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    for id in &ids {
        batch.push(&[b"CLIENT", b"KILL", b"ID", id.as_bytes()]);
    }
    let mut list: Vec<&[u8]> = vec![b"CLIENT", b"LIST", b"ID"];
    list.extend(ids.iter().map(|id| id.as_bytes()));
    batch.push(&list);
    let answers = ask(wire, &batch).await?;
    let refused = answers.iter().find_map(refusal);
    let left = match answers.last() {
        Some(answer) if let Some(list) = text(answer) => {
            names::clients(&String::from_utf8_lossy(list)).map(|(id, _)| id).collect()
        }
        // Not told: all of them may be there.
        _ => ids.iter().filter_map(|id| id.parse().ok()).collect(),
    };
    Ok(Killed { left, refused })
}

/// One answer for each command.
pub(super) async fn ask(wire: &mut Wire, batch: &Batch) -> Result<Vec<Value>, String> {
    let answers = wire.ask(batch, ANSWER_BYTES_MAX, ANSWER_TIMEOUT).await;
    let answers = answers.map_err(|error| error.to_string())?;
    if answers.len() < batch.len() {
        return Err("the server has ended it".to_owned());
    }
    Ok(answers)
}
