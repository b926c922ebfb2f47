//! Changes of different rows that wait are sent together.
//!
//! A change is sent at once while few are on their way; those that come meanwhile share the next
//! batch. They are served in the order of their coming, but no two of one row are on their way at
//! once: the second could only fail, and with some stores its whole batch with it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

use super::shared::Shared;
use super::store::{Swap, Swapped};
use crate::fence::{Resource, SessionId};
use crate::ledger::metrics::Operation;

/// How many changes wait before those who ask have to.
pub(super) const QUEUE_MAX: usize = 16_384;
/// How many batches are on their way at once.
const BATCHES_MAX: usize = 4;

/// A change that waits, and who waits for it.
pub(super) struct Job {
    pub(super) session: SessionId,
    pub(super) swap: Swap,
    pub(super) reply: oneshot::Sender<Sent>,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Sent {
    /// Not sent: this process has seen a later version of the row.
    Overtaken,
    /// The store's answer.
    Answered(Swapped),
}

/// Sends what comes until nobody can send any more and all is answered.
pub(super) async fn send(shared: Arc<Shared>, mut jobs: mpsc::Receiver<Job>) {
    let mut waiting = VecDeque::new();
    let mut busy = HashSet::new();
    let mut batches = FuturesUnordered::new();
    let mut is_open = true;
    let mut room = Vec::new();
    while is_open || !batches.is_empty() {
        tokio::select! {
            biased;
            Some(done) = batches.next() => {
                let done: Vec<Resource> = done;
                for resource in &done {
                    busy.remove(resource);
                }
            }
            // What does not fit stays in the channel, where whoever sends it waits.
            count = jobs.recv_many(&mut room, QUEUE_MAX - waiting.len()),
                if is_open && waiting.len() < QUEUE_MAX =>
            {
                is_open = count > 0;
                waiting.extend(room.drain(..));
            }
        }
        while batches.len() < BATCHES_MAX {
            let batch = choose(&shared, &mut waiting, &busy);
            if batch.is_empty() {
                break;
            }
            busy.extend(batch.iter().map(|job| job.swap.resource.clone()));
            batches.push(carry_out(&shared, batch));
        }
    }
}

/// The next batch: the oldest of each row that is not on its way, of one session.
fn choose(shared: &Shared, waiting: &mut VecDeque<Job>, busy: &HashSet<Resource>) -> Vec<Job> {
    let max = shared.store.swaps_max().max(1);
    let mut batch: Vec<Job> = Vec::new();
    let mut chosen = HashSet::new();
    let mut kept = VecDeque::new();
    let held = shared.held();
    while batch.len() < max
        && let Some(job) = waiting.pop_front()
    {
        let resource = &job.swap.resource;
        if job.reply.is_closed() {
            continue; // Nobody waits for it, and it was never sent.
        }
        if busy.contains(resource)
            || chosen.contains(resource)
            || batch.first().is_some_and(|first| first.session != job.session)
        {
            kept.push_back(job);
        } else if held.recent(resource).is_some_and(|seen| seen.version > job.swap.expected) {
            let _ = job.reply.send(Sent::Overtaken);
        } else {
            chosen.insert(resource.clone());
            batch.push(job);
        }
    }
    while let Some(job) = kept.pop_back() {
        waiting.push_front(job);
    }
    batch
}

async fn carry_out(shared: &Shared, batch: Vec<Job>) -> Vec<Resource> {
    let Some(session) = batch.first().map(|job| job.session.clone()) else { return Vec::new() };
    let mut swaps = Vec::with_capacity(batch.len());
    let mut replies = Vec::with_capacity(batch.len());
    for Job { swap, reply, .. } in batch {
        swaps.push(swap);
        replies.push(reply);
    }
    let count = swaps.len();
    let answers = match shared.timed(Operation::Swap, shared.store.swap(&session, &swaps)).await {
        Ok(answers) => answers,
        Err(late) => vec![Swapped::Unknown(late.0); count],
    };
    let metrics = &shared.metrics;
    if answers.iter().any(|answer| matches!(answer, Swapped::Done(_))) {
        metrics.commits.increment(1);
        metrics.batch_changes.record(count as f64);
    }
    let none = || Swapped::Unknown("the store did not answer for every change".into());
    let mut answers = answers.into_iter();
    for reply in replies {
        let answer = answers.next().unwrap_or_else(none);
        if answer == Swapped::NoSession {
            shared.is_lost(&session);
        }
        // Who has gone away meanwhile has left a note of its doubt.
        let _ = reply.send(Sent::Answered(answer));
    }
    swaps.into_iter().map(|swap| swap.resource).collect()
}
