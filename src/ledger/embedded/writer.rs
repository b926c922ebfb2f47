//! The one thread that changes the file. Everything that waits for it goes into one
//! transaction, so that an fsync is shared by as many raises as came during the one before.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::DropGuard;

use super::file;
use super::shared::{Shared, closed};
use super::tables::{self, Change, Changed, Session};
use crate::fence::{Record, Resource};
use crate::ledger::Unavailable;

/// What the thread is asked.
pub(super) enum Order {
    Change(Job),
    /// Answer once everything before has been answered.
    Barrier(oneshot::Sender<()>),
    /// Commit the clean mark, and end.
    Close(oneshot::Sender<Result<(), Unavailable>>),
}

/// A change and who waits for it.
pub(super) struct Job {
    pub(super) resource: Resource,
    pub(super) change: Change,
    pub(super) reply: oneshot::Sender<Outcome>,
}

impl Job {
    fn answer(self, outcome: Outcome) {
        // Whoever asked may have gone away. What it asked for is done, or not, all the same.
        let _ = self.reply.send(outcome);
    }
}

/// What became of a change.
#[derive(Debug)]
pub(super) enum Outcome {
    Record(Record),
    Granted(bool),
    /// Certainly not done.
    Failed,
    /// Nobody can tell before the file is opened again.
    Unknown,
}

/// Why a batch was not done.
enum Trouble {
    NotDone(String),
    Unknown(String),
}

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) orders: mpsc::Receiver<Order>,
    /// The most changes in one transaction.
    pub(super) batch_max: usize,
    /// Tells that the thread is gone. The last field, so that it is dropped behind `orders`: an
    /// order that is sent while they are dropped is never taken out, and nobody would answer it.
    pub(super) _gone: DropGuard,
}

impl Writer {
    /// Works until it is closed, or until nobody can ask any more.
    pub(super) fn run(mut self) {
        // Also when redb panics: a thread that is gone takes no raises.
        let _stop = StopOnPanic(self.shared.clone());
        let mut orders = Vec::new();
        loop {
            if self.orders.blocking_recv_many(&mut orders, self.batch_max) == 0 {
                break; // Dropped without a close: the session's mark stays open.
            }
            let mut jobs = Vec::with_capacity(orders.len());
            let mut barriers = Vec::new();
            let mut batch = orders.drain(..);
            while let Some(order) = batch.next() {
                match order {
                    Order::Change(job) => jobs.push(job),
                    Order::Barrier(reply) => barriers.push(reply),
                    Order::Close(reply) => {
                        self.work(jobs);
                        self.orders.close();
                        let _ = reply.send(self.close());
                        batch.for_each(|order| self.refuse(order));
                        while let Some(order) = self.orders.blocking_recv() {
                            self.refuse(order);
                        }
                        return;
                    }
                }
            }
            drop(batch);
            self.work(jobs);
            for reply in barriers {
                let _ = reply.send(());
            }
        }
        self.shared.release();
    }

    fn work(&self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        if self.shared.healthy().is_err() {
            return jobs.into_iter().for_each(|job| job.answer(Outcome::Failed));
        }
        let (why, unknown) = match self.commit(&jobs) {
            Ok(changed) => return self.answer(jobs, changed),
            Err(Trouble::NotDone(why)) => (why, false),
            Err(Trouble::Unknown(why)) => (why, true),
        };
        // Before anybody hears of it, so that no later load answers from the file.
        self.shared.stop(&why);
        for job in jobs {
            job.answer(if unknown { Outcome::Unknown } else { Outcome::Failed });
        }
    }

    /// Does all of them, or none; or nobody can tell.
    fn commit(&self, jobs: &[Job]) -> Result<Vec<Changed>, Trouble> {
        let not_done = |error: redb::Error| Trouble::NotDone(format!("a write failed ({error})"));
        let guard = self.shared.database();
        let Some(database) = guard.as_ref() else {
            return Err(Trouble::NotDone("the file has been closed".into()));
        };
        let _running = self.shared.begin_commit();
        let started = Instant::now();
        let txn = file::begin(database).map_err(not_done)?;
        let changes = jobs.iter().map(|job| (&job.resource, &job.change));
        let (changed, dirty) =
            tables::change(&txn, changes, SystemTime::now()).map_err(not_done)?;
        if !dirty {
            txn.abort().map_err(|error| not_done(error.into()))?;
            return Ok(changed);
        }
        txn.commit().map_err(|error| {
            Trouble::Unknown(format!("a commit failed ({error}), and may have been done or not"))
        })?;
        let metrics = &self.shared.metrics;
        metrics.commits.increment(1);
        metrics.commit_seconds.record(started.elapsed());
        metrics.batch_changes.record(jobs.len() as f64);
        self.shared.measure_file();
        Ok(changed)
    }

    fn answer(&self, jobs: Vec<Job>, changed: Vec<Changed>) {
        let metrics = &self.shared.metrics;
        for (job, changed) in jobs.into_iter().zip(changed) {
            let outcome = match changed {
                Changed::Raised(record) => {
                    metrics.raised.increment(1);
                    Outcome::Record(record)
                }
                Changed::Unchanged(record) => {
                    metrics.unchanged.increment(1);
                    Outcome::Record(record)
                }
                Changed::Granted(done) => Outcome::Granted(done),
                Changed::Refused(why) => {
                    self.shared.complain(&why);
                    Outcome::Failed
                }
            };
            job.answer(outcome);
        }
    }

    fn close(&self) -> Result<(), Unavailable> {
        self.shared.healthy()?;
        let done = match self.shared.database().as_ref() {
            Some(database) => file::begin(database).and_then(|txn| {
                tables::set_session(&txn, Session::Closed)?;
                Ok(txn.commit()?)
            }),
            None => return Err(closed()),
        };
        match done {
            Ok(()) => {
                self.shared.release();
                Ok(())
            }
            Err(error) => {
                self.shared.stop(&format!("the clean mark was not written ({error})"));
                self.shared.healthy()
            }
        }
    }

    /// What comes after the close.
    fn refuse(&self, order: Order) {
        match order {
            Order::Change(job) => job.answer(Outcome::Failed),
            Order::Barrier(reply) => {
                let _ = reply.send(());
            }
            Order::Close(reply) => {
                let _ = reply.send(self.shared.healthy());
            }
        }
    }
}

struct StopOnPanic(Arc<Shared>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("the thread that writes it has died");
        }
    }
}
