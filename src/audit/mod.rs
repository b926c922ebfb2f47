//! The record of takeovers and refusals, in JSON lines.
//!
//! [`Audit::record`] hands an event to a thread of its own over a bounded channel, so that
//! no disk is ever waited for on the way of a write. The thread writes in batches, makes
//! them durable, and rotates. A disk that is full or fails does not stop the fence and is
//! not silent: lines are held in memory up to a bound, further ones are counted in
//! [`LOST_TOTAL`] and told in the log itself (`audit_gap`) when it can be written again.

mod event;
mod sink;
mod writer;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

pub use event::{Entry, Event};

use writer::{Recent, Writer};

/// Metric: events that the audit log could not keep.
pub const LOST_TOTAL: &str = "palisade_audit_lost_total";
/// Metric: 1 while the audit log cannot be written.
pub const FAILING: &str = "palisade_audit_failing";

/// Where the audit log goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// To a file, rotated.
    File {
        /// The file that is written; rotated ones get a number behind it.
        path: PathBuf,
        /// Rotated when larger than that.
        rotate_bytes: u64,
        /// How many rotated files are kept.
        keep: usize,
    },
    /// To standard output.
    Stdout,
}

/// The bounds of the audit log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Events that wait for the writer; further ones are lost and counted.
    pub events_max: usize,
    /// Bytes of lines kept in memory while the disk does not take them.
    pub backlog_bytes_max: usize,
    /// Bytes of one line; longer ones lose their detail.
    pub line_bytes_max: usize,
    /// The log is made durable at most once in this time; so much can a power cut take.
    pub sync_interval: Duration,
    /// How long to wait before a failing disk is tried again.
    pub retry_interval: Duration,
    /// Entries kept for people to look at, of refusals and of everything else.
    pub recent_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            events_max: 10_000,
            backlog_bytes_max: 4 * 1024 * 1024,
            line_bytes_max: 16 * 1024,
            sync_interval: Duration::from_millis(100),
            retry_interval: Duration::from_secs(1),
            recent_max: 100,
        }
    }
}

/// A handle on the audit log: cheap to clone, never blocks.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    shared: Option<Arc<Shared>>,
}

#[derive(Debug)]
struct Shared {
    sender: SyncSender<Message>,
    closed: AtomicBool,
    /// Lost since the writer last told about it.
    lost: Arc<AtomicU64>,
    recent: Arc<Mutex<Recent>>,
}

/// What the writer is sent.
enum Message {
    Event(SystemTime, Box<Event>),
    Flush(SyncSender<bool>),
    Close(SyncSender<bool>),
}

impl Audit {
    /// A log that goes nowhere, for tests.
    pub fn disabled() -> Self {
        Self::default()
    }

    /// Opens the log and starts its thread.
    ///
    /// # Errors
    /// When the file cannot be opened for appending: a log that was never writable is a
    /// mistake of the configuration, and better told at the start.
    pub fn open(target: Target) -> io::Result<Self> {
        Self::open_with(target, Limits::default())
    }

    /// As [`Audit::open`], with bounds other than the default ones.
    ///
    /// # Errors
    /// As there.
    pub fn open_with(target: Target, limits: Limits) -> io::Result<Self> {
        let sink = sink::Sink::open(target)?;
        let (audit, receiver) = Self::channel(limits);
        // Cannot be `None`: `channel` has just made it.
        if let Some(shared) = &audit.shared {
            let (lost, recent) = (Arc::clone(&shared.lost), Arc::clone(&shared.recent));
            let writer = Writer::new(sink, limits, lost, recent);
            std::thread::Builder::new().name("audit".into()).spawn(|| writer.run(receiver))?;
        }
        Ok(audit)
    }

    fn channel(limits: Limits) -> (Self, Receiver<Message>) {
        metrics::describe_counter!(LOST_TOTAL, "Events that the audit log could not keep");
        metrics::describe_gauge!(FAILING, "1 while the audit log cannot be written");
        metrics::counter!(LOST_TOTAL).increment(0);
        metrics::gauge!(FAILING).set(0.0);
        let (sender, receiver) = sync_channel(limits.events_max);
        let recent = Arc::new(Mutex::new(Recent::new(limits.recent_max)));
        let shared =
            Shared { sender, closed: AtomicBool::new(false), lost: Arc::default(), recent };
        (Self { shared: Some(Arc::new(shared)) }, receiver)
    }

    /// Records an event. Never blocks and never fails; what cannot be written is counted.
    pub fn record(&self, event: Event) {
        let Some(shared) = &self.shared else { return };
        let message = Message::Event(SystemTime::now(), Box::new(event));
        if shared.closed.load(Ordering::Relaxed) || shared.sender.try_send(message).is_err() {
            shared.lost.fetch_add(1, Ordering::Relaxed);
            metrics::counter!(LOST_TOTAL).increment(1);
        }
    }

    /// The latest entries, newest first: up to [`Limits::recent_max`] refusals and as
    /// many of everything else, so that neither kind pushes the other out.
    pub fn recent(&self) -> Vec<Entry> {
        let Some(shared) = &self.shared else { return Vec::new() };
        shared.recent.lock().unwrap_or_else(PoisonError::into_inner).entries()
    }

    /// Waits until everything recorded before is durable. False when that has not
    /// happened within `timeout`. Blocks its thread: not for async workers.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.ask(Message::Flush, timeout)
    }

    /// As [`Audit::flush`], and ends the log. What is recorded later is lost and counted.
    pub fn close(&self, timeout: Duration) -> bool {
        if let Some(shared) = &self.shared {
            shared.closed.store(true, Ordering::Relaxed);
        }
        self.ask(Message::Close, timeout)
    }

    fn ask(&self, message: impl Fn(SyncSender<bool>) -> Message, timeout: Duration) -> bool {
        const POLL: Duration = Duration::from_millis(1);
        let Some(shared) = &self.shared else { return true };
        let deadline = Instant::now() + timeout;
        let (sender, answer) = sync_channel(1);
        loop {
            match shared.sender.try_send(message(sender.clone())) {
                Ok(()) => break,
                Err(TrySendError::Full(_)) if Instant::now() < deadline => {
                    std::thread::sleep(POLL);
                }
                Err(_) => return false,
            }
        }
        answer.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap_or(false)
    }
}
