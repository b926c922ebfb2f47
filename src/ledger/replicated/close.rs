//! A clean end: every grant is given up, so that nobody waits for this process, and the session
//! is ended.

use std::sync::PoisonError;
use std::time::Duration;

use futures_util::StreamExt;

use super::Replicated;
use super::change::{self, Change, Outcome};
use crate::ledger::Unavailable;
use crate::ledger::metrics::Operation;

/// How long the giving up of all grants may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(20);
/// How many grants are given up at once: as many as go into the batches that are under way.
const LEAVES_MAX: usize = 1_024;

pub(super) async fn close(ledger: &Replicated) -> Result<(), Unavailable> {
    let shared = &ledger.shared;
    if !shared.begin_closing() {
        return Ok(());
    }
    let all = shared.held().all();
    let session = shared.own().current.clone();
    let leave = futures_util::stream::iter(all).for_each_concurrent(LEAVES_MAX, |(resource, _)| {
        async move {
            // Its session is over: nobody can say so any more, and it is left as after a crash.
            let Ok(own) = shared.usable() else { return };
            if let Outcome::Done { own, seen, .. } =
                change::make(shared, own, &resource, Change::Leave).await
            {
                shared.held().learn(&resource, &seen, &own);
            }
        }
    });
    let is_in_time = tokio::time::timeout(CLOSE_TIMEOUT, leave).await.is_ok();
    let left = shared.held().count();
    // The lease first: nothing of this process may be under way when the session is over.
    shared.is_closed();
    let _ = shared.timed(Operation::End, shared.store.end(&session)).await;
    let tasks = std::mem::take(&mut *ledger.tasks.lock().unwrap_or_else(PoisonError::into_inner));
    drop(tasks);
    shared.metrics.show(&shared.condition());
    if left == 0 {
        return Ok(());
    }
    let why = if is_in_time { "the ledger is out of reach" } else { "there was no time left" };
    Err(Unavailable(format!(
        "{left} grants of {session} were not given up ({why}): whoever takes over waits until what \
         they stand for has settled"
    )))
}
