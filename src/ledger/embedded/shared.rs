//! What the ledger and its threads have in common.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use redb::Database;

use crate::ledger::Unavailable;
use crate::ledger::metrics::Metrics;

/// How often a damaged row may be told of.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) metrics: Metrics,
    /// `None` once closed, so that the file's lock is let go at a known moment.
    database: RwLock<Option<Database>>,
    /// Why nothing more is done until the file is opened again. Set before the first answer
    /// that rests on it.
    stopped: OnceLock<String>,
    complained: Mutex<Option<Instant>>,
    commit_stall_timeout: Duration,
    /// Since when the commit runs that runs.
    commit_began: Mutex<Option<Instant>>,
    /// How many changes were given up by those who asked, while they were queued.
    pub(super) abandoned: AtomicU64,
    /// How many of those are known to be done, or never to be done.
    pub(super) settled: AtomicU64,
}

impl Shared {
    pub(super) fn new(path: PathBuf, database: Database, commit_stall_timeout: Duration) -> Self {
        let metrics = Metrics::new();
        metrics.up.set(1.0);
        Self {
            path,
            metrics,
            database: RwLock::new(Some(database)),
            stopped: OnceLock::new(),
            complained: Mutex::new(None),
            commit_stall_timeout,
            commit_began: Mutex::new(None),
            abandoned: AtomicU64::new(0),
            settled: AtomicU64::new(0),
        }
    }

    /// `Err` once a raise of this process may or may not be on disk. What the file then shows
    /// proves nothing: after a failed fsync the system may show pages that never got there.
    pub(super) fn healthy(&self) -> Result<(), Unavailable> {
        match self.stopped.get() {
            Some(why) => Err(Unavailable(why.clone())),
            None => Ok(()),
        }
    }

    /// Notes that a commit has begun, until what it returns is dropped.
    pub(super) fn begin_commit(&self) -> Committing<'_> {
        *self.commit_began() = Some(Instant::now());
        Committing(self)
    }

    /// `Err` while a commit runs for longer than it should: nobody can take over meanwhile.
    pub(super) fn commits_in_time(&self) -> Result<(), Unavailable> {
        let running = self.commit_began().map_or(Duration::ZERO, |began| began.elapsed());
        self.metrics.commit_running_seconds.set(running.as_secs_f64());
        if running <= self.commit_stall_timeout {
            return Ok(());
        }
        Err(Unavailable(format!(
            "a commit has been running for {} s; look at the disk that {} is on",
            running.as_secs(),
            self.path.display()
        )))
    }

    fn commit_began(&self) -> MutexGuard<'_, Option<Instant>> {
        self.commit_began.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stop(&self, why: &str) {
        let path = self.path.display();
        let text = format!("{why}; check the disk that {path} is on, then restart palisade");
        if self.stopped.set(text.clone()).is_ok() {
            self.metrics.up.set(0.0);
            tracing::error!("the ledger has stopped: {text}");
        }
    }

    /// Says what is wrong with one resource, and not again for a while: it may be asked for
    /// in a loop.
    pub(super) fn complain(&self, why: &str) {
        let mut last = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL) {
            *last = Some(Instant::now());
            tracing::error!("the ledger {} refuses: {why}", self.path.display());
        }
    }

    /// The file; held by readers and the writer only while they work.
    pub(super) fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        // A thread that panicked while it held the guard could only read what is in the lock.
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the file go. Waits for the reads under way.
    pub(super) fn release(&self) {
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        self.metrics.up.set(0.0);
        if let Some(Err(error)) = database.map(Database::close) {
            // All that was promised is committed; the next start has more to verify, no more.
            tracing::warn!("closing {}: {error}", self.path.display());
        }
    }

    pub(super) fn measure_file(&self) {
        if let Ok(found) = self.path.metadata() {
            self.metrics.file_bytes.set(found.len() as f64);
        }
    }
}

/// A commit that runs.
pub(super) struct Committing<'a>(&'a Shared);

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        *self.0.commit_began() = None;
    }
}

/// The answer after [`Shared::release`].
pub(super) fn closed() -> Unavailable {
    Unavailable("the ledger has been closed; restart palisade".into())
}
