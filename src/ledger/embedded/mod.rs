//! The embedded ledger: one crash-safe file, for one process at a time.
//!
//! ```text
//! raise, grant ──▶ bounded queue ──▶ writer thread: one transaction for all that wait, fsync
//! load, list   ──▶ bounded queue ──▶ reader threads: one snapshot for all that wait
//! ```
//!
//! The file is a redb database. Memory does not grow with it: only a cache of fixed size is
//! kept. After any failed commit the ledger stops: what is on disk can then only be known by
//! opening the file again, so raises fail and loads are refused until a restart.
//!
//! File locks are local to a machine: the file does not belong on a shared volume.

mod file;
mod reader;
mod row;
mod shared;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use redb::StorageBackend;
use redb::backends::FileBackend;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::reader::{Query, Reader};
use self::row::Row;
use self::shared::{Shared, closed};
use self::tables::Change;
use self::writer::{Job, Order, Outcome, Writer};
use super::lease::Lease;
use super::{Entry, Ledger, Pending, Unavailable};
use crate::fence::{Granted, Mark, RaiseOutcome, Record, Resource, Token};

pub use self::file::OpenError;

/// The bounds of the embedded ledger.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How much of the file is kept in memory, in bytes. It bounds what 10 million resources cost.
    pub cache_bytes: usize,
    /// How many requests of each kind, changes and reads, wait before those who ask have to.
    pub queue_max: usize,
    /// How many changes share one transaction at most. Its pages are in memory until it is done.
    pub batch_max: usize,
    /// Threads that read.
    pub readers: usize,
    /// Verify the checksum of every page at each start, instead of trusting a file that was
    /// closed cleanly: a page that rotted on disk is found before it can answer for a mark.
    pub verify_on_open: bool,
    /// How long a commit may take before the ledger's health says so. It goes on all the same.
    pub commit_stall_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            queue_max: 16_384,
            batch_max: 4_096,
            readers: 2,
            verify_on_open: true,
            commit_stall_timeout: Duration::from_secs(10),
        }
    }
}

/// The most entries in one answer of [`Ledger::list`].
pub const LIST_MAX: usize = 10_000;

/// See the module.
///
/// Dropped without [`Ledger::close`], it leaves the file marked as in use, as a crash does;
/// the file's lock is let go a moment later.
pub struct Embedded {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    /// The writer is.
    gone: CancellationToken,
    queries: mpsc::Sender<Query>,
    ended_uncleanly: bool,
    lease: Lease,
}

impl Embedded {
    /// Opens the ledger at `path`; makes it when there is no such file. The folder must exist.
    /// When it returns, the file is locked and durably marked as in use.
    ///
    /// Blocking: it reads the whole file when `verify_on_open`. Not to be called on an async
    /// worker; and only after a metrics recorder is installed, or nothing is counted.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do. Never mended by starting afresh.
    pub fn open(path: &Path, settings: Settings) -> Result<Self, OpenError> {
        Self::open_with(path, settings, |file| file)
    }

    fn open_with<B: StorageBackend>(
        path: &Path,
        settings: Settings,
        wrap: impl FnOnce(FileBackend) -> B,
    ) -> Result<Self, OpenError> {
        let opened = file::open(path, &settings, wrap)?;
        let shared = Arc::new(Shared::new(
            path.to_path_buf(),
            opened.database,
            settings.commit_stall_timeout,
        ));
        shared.measure_file();
        let (orders, order_receiver) = mpsc::channel(settings.queue_max.max(1));
        let (queries, query_receiver) = mpsc::channel(settings.queue_max.max(1));
        let gone = CancellationToken::new();
        let writer = Writer {
            shared: shared.clone(),
            orders: order_receiver,
            batch_max: settings.batch_max.max(1),
            _gone: gone.clone().drop_guard(),
        };
        let reader =
            Reader { shared: shared.clone(), queries: Arc::new(Mutex::new(query_receiver)) };
        let started = || {
            for _ in 0..settings.readers.max(1) {
                let reader = reader.clone();
                thread::Builder::new().name("ledger-reader".into()).spawn(|| reader.run())?;
            }
            thread::Builder::new().name("ledger-writer".into()).spawn(|| writer.run())
        };
        started().map_err(|source| OpenError::Io {
            path: path.into(),
            action: "start the threads of",
            source,
        })?;
        let ended_uncleanly = opened.ended_uncleanly;
        Ok(Self { shared, orders, gone, queries, ended_uncleanly, lease: Lease::unlimited() })
    }

    async fn change(&self, resource: &Resource, change: Change) -> Outcome {
        if self.shared.healthy().is_err() {
            return Outcome::Failed;
        }
        let (reply, answer) = oneshot::channel();
        let job = Job { resource: resource.clone(), change, reply };
        // While it waits for room it is not queued, and going away is harmless.
        if self.orders.send(Order::Change(job)).await.is_err() {
            return Outcome::Failed; // Never queued.
        }
        let abandoned = Abandoned(&self.shared);
        let outcome = self.answered(answer).await;
        std::mem::forget(abandoned);
        outcome.unwrap_or_else(|| {
            self.shared.stop("the thread that writes it has died");
            Outcome::Unknown
        })
    }

    /// What the writer answers; `None` when it is gone and has not.
    async fn answered<T>(&self, mut answer: oneshot::Receiver<T>) -> Option<T> {
        tokio::select! {
            biased;
            answer = &mut answer => answer.ok(),
            () = self.gone.cancelled() => answer.try_recv().ok(),
        }
    }

    /// Returns when every change that nobody waits for any more has been done, or never will be.
    async fn settle_abandoned(&self) -> Result<(), Unavailable> {
        let abandoned = self.shared.abandoned.load(Ordering::SeqCst);
        if self.shared.settled.load(Ordering::SeqCst) < abandoned {
            let (reply, answer) = oneshot::channel();
            self.orders.send(Order::Barrier(reply)).await.map_err(|_| closed())?;
            self.answered(answer).await.ok_or_else(closed)?;
            self.shared.settled.fetch_max(abandoned, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn query<T>(
        &self,
        query: impl FnOnce(oneshot::Sender<Result<T, Unavailable>>) -> Query,
    ) -> Result<T, Unavailable> {
        self.shared.healthy()?;
        let (reply, answer) = oneshot::channel();
        self.queries.send(query(reply)).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| {
            self.shared.healthy()?;
            Err(Unavailable("a read of it was not answered; restart palisade".into()))
        })
    }

    async fn find(&self, resource: &Resource) -> Result<Option<Row>, Unavailable> {
        self.query(|reply| Query::Find { resource: resource.clone(), reply }).await
    }
}

/// A change whose future went away before its answer came.
struct Abandoned<'a>(&'a Shared);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        self.0.abandoned.fetch_add(1, Ordering::SeqCst);
    }
}

/// A raise or grant whose future is dropped may still be done. A load that comes later
/// waits until that is known.
impl Ledger for Embedded {
    fn load<'a>(&'a self, resource: &'a Resource) -> Pending<'a, Result<Record, Unavailable>> {
        Box::pin(async {
            self.settle_abandoned().await?;
            let row = self.find(resource).await?;
            Ok(row.map(|row| row.record).unwrap_or_default())
        })
    }

    fn raise<'a>(
        &'a self,
        resource: &'a Resource,
        to: &'a Mark,
        quiesced: bool,
    ) -> Pending<'a, RaiseOutcome> {
        Box::pin(async move {
            let to = to.clone();
            match self.change(resource, Change::Raise { to, quiesced }).await {
                Outcome::Record(record) => RaiseOutcome::Done(record),
                Outcome::Failed => {
                    self.shared.metrics.failed.increment(1);
                    RaiseOutcome::Failed
                }
                Outcome::Granted(_) | Outcome::Unknown => {
                    self.shared.metrics.unknown.increment(1);
                    RaiseOutcome::Unknown
                }
            }
        })
    }

    fn grant<'a>(&'a self, resource: &'a Resource, at: Token) -> Pending<'a, Granted> {
        Box::pin(async move {
            match self.change(resource, Change::Grant { at }).await {
                Outcome::Granted(true) => Granted::Done { behind: false },
                Outcome::Granted(false) => Granted::Moved,
                Outcome::Record(_) | Outcome::Failed | Outcome::Unknown => Granted::Failed,
            }
        })
    }

    /// At most [`LIST_MAX`] entries at a time.
    fn list<'a>(
        &'a self,
        after: Option<&'a str>,
        max: usize,
    ) -> Pending<'a, Result<Vec<Entry>, Unavailable>> {
        let (after, max) = (after.map(str::to_owned), max.min(LIST_MAX));
        Box::pin(self.query(move |reply| Query::List { after, max, reply }))
    }

    fn entry<'a>(
        &'a self,
        resource: &'a Resource,
    ) -> Pending<'a, Result<Option<Entry>, Unavailable>> {
        Box::pin(async {
            let row = self.find(resource).await?;
            Ok(row.map(|row| Entry {
                resource: resource.clone(),
                record: row.record,
                history: row.history,
            }))
        })
    }

    fn lease(&self) -> &Lease {
        &self.lease
    }

    fn ended_uncleanly(&self) -> bool {
        self.ended_uncleanly
    }

    fn health(&self) -> Result<(), Unavailable> {
        self.shared.healthy()?;
        self.shared.commits_in_time()?;
        if self.orders.is_closed() { Err(closed()) } else { Ok(()) }
    }

    fn close(&self) -> Pending<'_, Result<(), Unavailable>> {
        Box::pin(async {
            let (reply, answer) = oneshot::channel();
            if self.orders.send(Order::Close(reply)).await.is_err() {
                return self.shared.healthy(); // Closed already, or stopped.
            }
            self.answered(answer).await.unwrap_or_else(|| {
                self.shared.stop("the thread that writes it has died");
                self.shared.healthy()
            })
        })
    }
}
