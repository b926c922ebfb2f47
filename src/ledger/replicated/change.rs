//! One change of one row: looked at, computed by the row's own transitions, and swapped in if
//! nobody else was faster; otherwise again.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::oneshot;

use super::batch::{Job, Sent};
use super::held::Seen;
use super::shared::{Shared, closed};
use super::store::{Stored, Swap, Swapped};
use super::text::Kept;
use crate::fence::{Mark, Own, Resource, SessionId, Token};
use crate::ledger::metrics::Operation;
use crate::ledger::{HOLDER_LEN_MAX_BYTES, Unavailable};

/// How often a change is tried at most while others change the row.
const TRIES_MAX: usize = 64;

/// What is to become of a row.
#[derive(Debug)]
pub(super) enum Change<'a> {
    Raise {
        to: &'a Mark,
        quiesced: bool,
    },
    Grant {
        at: Token,
    },
    /// Below the mark; with `at` only if the mark is there.
    Release { at: Option<Token> },
    Leave,
    Bury {
        dead: &'a SessionId,
    },
    /// Nothing, but no change before it can be done any more.
    Rewrite,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The row is so now. `changed`: the mark was raised.
    Done { own: Arc<Own>, seen: Seen, raised: bool },
    /// The mark is not where it was to be: nothing was done.
    Moved,
    /// Certainly not done, and never will be.
    Failed(String),
    /// Nobody can tell.
    Unknown(String),
}

/// How a row takes a change.
struct Taken {
    kept: Kept,
    raised: bool,
}

/// Makes a change. `own`: in whose session.
pub(super) async fn make(
    shared: &Shared,
    own: Arc<Own>,
    resource: &Resource,
    change: Change<'_>,
) -> Outcome {
    if let Change::Raise { to, .. } = &change
        && to.holder.as_str().len() > HOLDER_LEN_MAX_BYTES
    {
        return failed(
            shared,
            format!("the name of the holder is longer than {HOLDER_LEN_MAX_BYTES} bytes"),
        );
    }
    // Before anything is looked at: what is in doubt from now on was not before.
    let (is_doubtful, recent) = {
        let held = shared.held();
        (held.is_in_doubt(resource), held.recent(resource).cloned())
    };
    let must_write = is_doubtful || matches!(change, Change::Rewrite);
    // What was seen earlier serves to guess what to swap. An answer that rests on a row as it is
    // needs a look at it.
    let mut is_fresh = recent.is_none();
    let mut seen = match recent {
        Some(seen) => seen,
        None => match look(shared, &own, resource).await {
            Ok(seen) => seen,
            Err(Unavailable(why)) => return Outcome::Failed(why),
        },
    };
    let mut tries = 0;
    while tries < TRIES_MAX {
        let taken = take(&seen.kept, &change, &own);
        let is_written = taken.as_ref().is_some_and(|taken| taken.kept != seen.kept);
        if !is_written && !must_write {
            if !is_fresh {
                is_fresh = true;
                seen = match look(shared, &own, resource).await {
                    Ok(seen) => seen,
                    Err(Unavailable(why)) => return Outcome::Failed(why),
                };
                continue;
            }
            return match taken {
                Some(_) => Outcome::Done { own, seen, raised: false },
                None => Outcome::Moved,
            };
        }
        let is_moved = taken.is_none();
        let Taken { kept, raised } =
            taken.unwrap_or_else(|| Taken { kept: seen.kept.clone(), raised: false });
        let text = match kept.encode() {
            Ok(text) => text,
            Err(error) => return failed(shared, damage(resource, error)),
        };
        let swap = Swap { resource: resource.clone(), expected: seen.version, text };
        match swapped(shared, &own, swap).await {
            Sent::Answered(Swapped::Done(version)) => {
                let seen = Seen { version, kept };
                let mut held = shared.held();
                if is_doubtful {
                    held.is_certain(resource);
                }
                held.learn(resource, &seen, &own);
                held.remember(resource, seen.clone());
                return if is_moved { Outcome::Moved } else { Outcome::Done { own, seen, raised } };
            }
            Sent::Answered(Swapped::Differs(stored)) => {
                seen = match learn(shared, &own, resource, stored) {
                    Ok(seen) => seen,
                    Err(Unavailable(why)) => return Outcome::Failed(why),
                };
                is_fresh = true;
                tries += 1;
            }
            // Not a try: each time another change of this process was done.
            Sent::Overtaken => {
                let recent = shared.held().recent(resource).cloned();
                seen = recent.unwrap_or(seen);
            }
            Sent::Answered(Swapped::NoSession) => {
                shared.held().learn(resource, &seen, &own);
                return Outcome::Failed(format!("the session {} is over", own.current));
            }
            Sent::Answered(Swapped::Failed(why)) => {
                shared.held().learn(resource, &seen, &own);
                return Outcome::Failed(why);
            }
            Sent::Answered(Swapped::Unknown(why)) => {
                shared.held().doubt(resource, &own);
                return Outcome::Unknown(why);
            }
        }
    }
    Outcome::Failed(format!("others changed {resource} {TRIES_MAX} times meanwhile; try again"))
}

/// Reads a row from the store itself.
pub(super) async fn look(
    shared: &Shared,
    own: &Own,
    resource: &Resource,
) -> Result<Seen, Unavailable> {
    let stored = shared.timed(Operation::Read, shared.store.read(resource)).await??;
    learn(shared, own, resource, stored)
}

/// Notes what the store has.
fn learn(
    shared: &Shared,
    own: &Own,
    resource: &Resource,
    stored: Option<Stored>,
) -> Result<Seen, Unavailable> {
    let seen = read(shared, resource, stored)?;
    let mut held = shared.held();
    held.learn(resource, &seen, own);
    held.remember(resource, seen.clone());
    Ok(seen)
}

/// What the text of a row says.
pub(super) fn read(
    shared: &Shared,
    resource: &Resource,
    stored: Option<Stored>,
) -> Result<Seen, Unavailable> {
    let Some(Stored { text, version }) = stored else { return Ok(Seen::default()) };
    let kept = Kept::decode(&text).map_err(|error| {
        let why = damage(resource, error);
        shared.complain(&why);
        Unavailable(why)
    })?;
    Ok(Seen { version, kept })
}

fn damage(resource: &Resource, error: super::text::TextError) -> String {
    format!("the row of resource `{resource}` cannot be used: {error}")
}

fn failed(shared: &Shared, why: String) -> Outcome {
    shared.complain(&why);
    Outcome::Failed(why)
}

/// The row after the change; `None` when it is not one for this row.
fn take(kept: &Kept, change: &Change<'_>, own: &Own) -> Option<Taken> {
    let mut kept = kept.clone();
    let row = Arc::make_mut(&mut kept.row);
    let mut raised = false;
    match change {
        Change::Raise { to, quiesced } => raised = row.raise(to, own, *quiesced),
        Change::Grant { at } => {
            if !row.grant(own, *at) {
                return None;
            }
        }
        Change::Release { at } => {
            if at.is_none_or(|at| row.mark.token == at) {
                row.release(own);
            }
        }
        Change::Leave => row.leave(own),
        Change::Bury { dead } => row.bury(dead),
        Change::Rewrite => {}
    }
    if raised {
        kept.remember(SystemTime::now());
    }
    Some(Taken { kept, raised })
}

/// A change that was sent, and whose future has gone away before its answer came.
struct Abandoned<'a> {
    shared: &'a Shared,
    own: &'a Own,
    resource: Resource,
    is_answered: bool,
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.shared.held().doubt(&self.resource, self.own);
        }
    }
}

async fn swapped(shared: &Shared, own: &Own, swap: Swap) -> Sent {
    let resource = swap.resource.clone();
    let (reply, answer) = oneshot::channel();
    let job = Job { session: own.current.clone(), swap, reply };
    // While it waits for room nothing is on its way, and going away is harmless.
    let Ok(room) = shared.jobs.reserve().await else {
        return Sent::Answered(Swapped::Failed(closed().0));
    };
    shared.held().expect(&resource, own);
    let mut abandoned = Abandoned { shared, own, resource, is_answered: false };
    room.send(job);
    let sent = answer.await.unwrap_or_else(|_| {
        Sent::Answered(Swapped::Unknown("the ledger was closed before the answer came".into()))
    });
    abandoned.is_answered = true;
    sent
}
