//! The other replicas: what they raise is followed, and what they still have is waited for.
//!
//! Nothing here is safe because the feed of changes is fast: a replica that sees a higher mark
//! late goes on under its own grant, for which everybody above it waits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};

use super::Shared;
use super::cell::Cell;
use super::driver::carry_out;
use super::table::Table;
use crate::fence::{Awaited, Resource, SessionId, Token};
use crate::ledger::lease::Moment;
use crate::ledger::{Behind, News};

/// How long the feed is relied on before the ledger is asked who is still behind, at first and at
/// most.
const LOOK_MIN: Duration = Duration::from_millis(50);
/// See [`LOOK_MIN`].
const LOOK_MAX: Duration = Duration::from_secs(1);
/// How long a store has at a time to end what a dead replica has left, before it is looked whether
/// that is still waited for.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// Between attempts to give a grant up.
const RELEASE_PAUSE: Duration = Duration::from_millis(200);
/// How many resources without a fence in memory are given up at once.
const RELEASES_MAX: usize = 256;

/// Follows what others do, for as long as the ledger tells it.
pub(super) async fn follow(mut news: mpsc::Receiver<News>, shared: Arc<Shared>, table: Arc<Table>) {
    let releases = Arc::new(Semaphore::new(RELEASES_MAX));
    while let Some(news) = news.recv().await {
        match news {
            News::Row { resource, record, is_owing, .. } => match table.find(&resource) {
                Some(cell) => carry_out(&cell, cell.observe(record, is_owing)),
                // A fence that was forgotten had nothing in flight. One that is made while this
                // goes on may have, but only from this mark on; a higher one is told anew.
                None if is_owing => {
                    let at = record.mark.token;
                    let Ok(permit) = Arc::clone(&releases).acquire_owned().await else { return };
                    let shared = Arc::clone(&shared);
                    shared.runtime.clone().spawn(async move {
                        // Without a session nothing can be given up, and whoever waited for room
                        // here would not hear that it is over. The next session tells it anew.
                        while !shared.ledger.release_at(&resource, at).await
                            && shared.ledger.lease().admits()
                        {
                            sleep(RELEASE_PAUSE).await;
                        }
                        drop(permit);
                    });
                }
                None => {}
            },
            News::Suspended => table.each(|cell| carry_out(cell, cell.suspend())),
            News::HangUp(carried_out) => {
                table.each(Cell::hang_up);
                drop(carried_out);
            }
            News::Resumed => table.each(|cell| carry_out(cell, cell.resume())),
        }
    }
}

/// Gives up what this process has below the mark; false when `is_over` before that is done.
pub(super) async fn give_up(
    shared: &Shared,
    resource: &Resource,
    is_over: impl Fn() -> bool,
) -> bool {
    loop {
        if shared.ledger.release(resource).await {
            return true;
        }
        if is_over() {
            return false;
        }
        sleep(RELEASE_PAUSE).await;
    }
}

/// Waits until no other replica has a grant below a token; `None` when that is not waited for any
/// more.
pub(super) async fn settled(cell: &Arc<Cell>, at: Token) -> Option<Awaited> {
    let (mut leftovers, mut look, mut anew) = (false, LOOK_MIN, false);
    loop {
        if cell.told(at, Duration::ZERO).await? {
            return Some(Awaited::Done { leftovers });
        }
        let Ok(behind) = cell.shared.ledger.behind(&cell.resource, at, anew).await else {
            return Some(Awaited::Failed);
        };
        if behind.is_empty() {
            return Some(Awaited::Done { leftovers });
        }
        let mut is_buried = false;
        for Behind { session, gone } in behind {
            let Some(gone) = gone else { continue };
            if has_settled(cell, &session, gone).await {
                is_buried |= cell.shared.ledger.bury(&cell.resource, &session).await;
            }
        }
        leftovers |= is_buried;
        // The feed is relied on first: it tells in one step what others give up.
        anew = !is_buried && !cell.told(at, look).await?;
        look = (look * 2).min(LOOK_MAX);
    }
}

/// Whether nothing of a session that is over can land any more.
async fn has_settled(cell: &Cell, dead: &SessionId, gone: Moment) -> bool {
    let stores = cell.stores();
    if stores.is_empty() || cell.is_operated() {
        let since = Moment::now().since(gone);
        let left = cell.settle_timeout().saturating_sub(since);
        if left > LOOK_MAX {
            return false;
        }
        if !left.is_zero() {
            sleep(left).await;
        }
    }
    let until = Instant::now() + END_TIMEOUT;
    for store in stores {
        if timeout(until - Instant::now(), store.end(dead)).await.is_err() {
            return false;
        }
    }
    true
}
