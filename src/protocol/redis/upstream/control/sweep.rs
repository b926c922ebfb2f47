//! Ending what an earlier process of this replica has left, or another replica that is dead.
//!
//! That is what the first list has: whatever that process had sent a command to had its name by
//! then, because a session's first command is sent after the answer to its login. Clients that
//! come later are our own, or such as [`super::dead`] tells of, and are let be.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::super::connect::Connector;
use super::super::sentinel::{SENTINEL_TIMEOUT, Said};
use super::super::settings::Endpoint;
use super::super::wire::{Batch, Wire, refusal, text};
use super::keeper::{LOOK_MAX, LOOK_MIN};
use super::names;
use super::round::{self, BATCH_MAX};

/// How long it is waited before a server that refuses it is asked again.
pub(super) const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Why it is not swept.
pub(super) enum Unswept {
    /// The connection is over.
    Over(String),
    /// The server does not let us; the connection can be used further.
    Refused(String),
}

/// Kills those whose names are such. Returns when the server lists none of them any more: how
/// many there were.
pub(super) async fn sweep(
    wire: &mut Wire,
    is_left_behind: impl Fn(&str) -> bool,
) -> Result<usize, Unswept> {
    let mut batch = Batch::new();
    batch.words("CLIENT LIST");
    let answers = round::ask(wire, &batch).await.map_err(Unswept::Over)?;
    if let Some(why) = answers.iter().find_map(refusal) {
        return Err(Unswept::Refused(why));
    }
    let list = answers
        .first()
        .and_then(text)
        .ok_or_else(|| Unswept::Over("the server's answer to CLIENT LIST is none".to_owned()))?;
    let list = String::from_utf8_lossy(list);
    let found = names::clients(&list).filter(|(_, name)| is_left_behind(name));
    let mut left: Vec<_> = found.map(|(id, _)| id).collect();
    let (found, mut pause) = (left.len(), LOOK_MIN);
    loop {
        let mut still = Vec::new();
        for ids in left.chunks(BATCH_MAX) {
            let killed = round::kill(wire, ids).await.map_err(Unswept::Over)?;
            if let Some(why) = killed.refused {
                return Err(Unswept::Refused(why));
            }
            still.extend(killed.left);
        }
        if still.is_empty() {
            return Ok(found);
        }
        left = still;
        sleep(pause).await;
        pause = (pause * 2).min(LOOK_MAX);
    }
}

/// Sweeps the servers beside the primary, as far as they answer within [`SENTINEL_TIMEOUT`]; how
/// many clients there were.
///
/// One that does not answer is passed over: what is left there can do no harm. A
/// replica takes no writes, and what was the primary once loses its own when it becomes a
/// replica. Before it is the primary again, it has ended the clients whose process is dead.
pub(super) async fn sweep_others(
    connector: &Arc<Connector>,
    is_left_behind: &(impl Fn(&str) -> bool + Sync),
) -> usize {
    let Ok(others) = connector.others().await else { return 0 };
    let sweeps = others.into_iter().map(|endpoint| async move {
        let sweeping = sweep_one(connector, endpoint, is_left_behind);
        timeout(SENTINEL_TIMEOUT, sweeping).await.ok().flatten()
    });
    join_all(sweeps).await.into_iter().flatten().sum()
}

async fn sweep_one(
    connector: &Connector,
    endpoint: Endpoint,
    is_left_behind: &impl Fn(&str) -> bool,
) -> Option<usize> {
    let name = names::control_name(&connector.upstream().replica);
    let said = Said { endpoint, view: 0 };
    let (opened, _) = connector.open_on(&said, name.as_bytes()).await.ok()?;
    let mut wire = Wire::new(opened.stream);
    match sweep(&mut wire, is_left_behind).await {
        Ok(killed) => Some(killed),
        Err(Unswept::Over(why) | Unswept::Refused(why)) => {
            tracing::warn!(server = %opened.server.host, "it is not swept: {why}");
            None
        }
    }
}
