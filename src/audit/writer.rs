//! The thread that writes the log.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::event::{Entry, Event, Gap};
use super::sink::Sink;
use super::{FAILING, LOST_TOTAL, Limits, Message};

/// Events taken from the channel before they are written: bounds how long one write is.
const BATCH_MAX: usize = 1_000;
/// With many events, one batch in this time: to be woken for each costs more than to write it.
const BATCH_INTERVAL: Duration = Duration::from_millis(5);
/// A log that keeps failing is complained about once in this time.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);
/// With nothing to do, the channel is waited at in turns of this length.
const IDLE: Duration = Duration::from_secs(3600);

/// The latest entries, refusals apart from everything else.
#[derive(Debug)]
pub(super) struct Recent {
    max: usize,
    refused: VecDeque<Entry>,
    others: VecDeque<Entry>,
}

impl Recent {
    pub(super) fn new(max: usize) -> Self {
        Self { max, refused: VecDeque::new(), others: VecDeque::new() }
    }

    fn push(&mut self, entry: Entry) {
        let ring =
            if entry.event.event == "refused" { &mut self.refused } else { &mut self.others };
        if ring.len() >= self.max {
            ring.pop_front();
        }
        ring.push_back(entry);
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<_> = self.refused.iter().chain(&self.others).cloned().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.sequence));
        entries
    }
}

pub(super) struct Writer {
    sink: Sink,
    limits: Limits,
    /// Lost in front of the channel, told by those who record.
    overflow: Arc<AtomicU64>,
    recent: Arc<Mutex<Recent>>,
    sequence: u64,
    /// Lines that are not written yet, and how many were lost behind them.
    backlog: Vec<u8>,
    lost: u64,
    /// Written and not yet durable.
    dirty: bool,
    synced_at: Instant,
    /// Not to be written before.
    retry_at: Option<Instant>,
    failing: bool,
    complained_at: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        sink: Sink,
        limits: Limits,
        overflow: Arc<AtomicU64>,
        recent: Arc<Mutex<Recent>>,
    ) -> Self {
        Self {
            sink,
            limits,
            overflow,
            recent,
            sequence: 0,
            backlog: Vec::new(),
            lost: 0,
            dirty: false,
            synced_at: Instant::now(),
            retry_at: None,
            failing: false,
            complained_at: None,
        }
    }

    /// Until it is told to close, or nobody can record any more.
    pub(super) fn run(mut self, receiver: Receiver<Message>) {
        let mut closing = None;
        let mut batch_at = Instant::now();
        while closing.is_none() {
            let first = match receiver.recv_timeout(self.patience()) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if matches!(first, Some(Message::Event(..))) {
                // The first event after a quiet time is written at once.
                std::thread::sleep(batch_at.saturating_duration_since(Instant::now()));
                batch_at = Instant::now() + BATCH_INTERVAL;
            }
            for message in first.into_iter().chain(receiver.try_iter().take(BATCH_MAX)) {
                match message {
                    Message::Event(at, event) => self.take(at, *event),
                    Message::Flush(answer) => self.flush(&answer),
                    // What came in beside it still belongs in the log.
                    Message::Close(answer) => closing = Some(answer),
                }
            }
            self.take_overflow();
            self.write();
            if self.synced_at.elapsed() >= self.limits.sync_interval {
                self.sync();
            }
        }
        drop(receiver);
        match closing {
            Some(answer) => self.flush(&answer),
            None => {
                self.write();
                self.sync();
            }
        }
    }

    /// How long there is nothing to do but wait for events.
    fn patience(&self) -> Duration {
        let now = Instant::now();
        match self.retry_at {
            Some(at) => at.saturating_duration_since(now),
            None if self.dirty => {
                (self.synced_at + self.limits.sync_interval).saturating_duration_since(now)
            }
            None => IDLE,
        }
    }

    fn take(&mut self, at: SystemTime, event: Event) {
        self.sequence += 1;
        let entry = Entry::new(at, self.sequence, event);
        let line = entry.line(self.limits.line_bytes_max);
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        let full =
            |writer: &Self| writer.backlog.len() + line.len() > writer.limits.backlog_bytes_max;
        if full(self) {
            self.write();
        }
        // Once one is lost, the later ones are too, so that the gap is in one place.
        if self.lost > 0 || full(self) {
            self.lost += 1;
            metrics::counter!(LOST_TOTAL).increment(1);
        } else {
            self.backlog.extend_from_slice(&line);
        }
    }

    /// Those were counted where they were lost, and had no number yet.
    fn take_overflow(&mut self) {
        let overflow = self.overflow.swap(0, Ordering::Relaxed);
        self.sequence += overflow;
        self.lost += overflow;
    }

    /// Whether it is too early to try again.
    fn is_waiting(&mut self) -> bool {
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.retry_at = None;
        }
        self.retry_at.is_some()
    }

    fn write(&mut self) {
        if self.is_waiting() || !self.write_backlog() {
            return;
        }
        if self.lost > 0 {
            self.sequence += 1;
            let lost = std::mem::take(&mut self.lost);
            tracing::error!(lost, "audit events were lost: the log could not take them");
            self.backlog = Gap::line(SystemTime::now(), self.sequence, lost);
            self.write_backlog();
        }
    }

    /// Whether nothing is left of it.
    fn write_backlog(&mut self) -> bool {
        if self.backlog.is_empty() {
            return true;
        }
        let (done, outcome) = self.sink.write(&self.backlog);
        self.backlog.drain(..done);
        self.dirty |= done > 0;
        self.heed(outcome)
    }

    fn sync(&mut self) {
        if self.dirty && !self.is_waiting() {
            let outcome = self.sink.sync();
            if self.heed(outcome) {
                self.dirty = false;
                self.synced_at = Instant::now();
            }
        }
    }

    fn flush(&mut self, answer: &SyncSender<bool>) {
        self.retry_at = None;
        self.write();
        self.sync();
        // Nobody may be waiting any more.
        let _ = answer.try_send(!self.failing && self.backlog.is_empty());
    }

    /// Whether all is well; else says so, not too often, and waits before the next try.
    fn heed(&mut self, outcome: io::Result<()>) -> bool {
        let Err(error) = outcome else {
            if std::mem::take(&mut self.failing) {
                tracing::info!("the audit log can be written again");
                metrics::gauge!(FAILING).set(0.0);
            }
            return true;
        };
        let now = Instant::now();
        self.retry_at = Some(now + self.limits.retry_interval);
        self.failing = true;
        metrics::gauge!(FAILING).set(1.0);
        if self.complained_at.is_none_or(|at| now - at >= COMPLAINT_INTERVAL) {
            self.complained_at = Some(now);
            tracing::error!(
                %error,
                "the audit log cannot be written; free its disk: events are held in memory \
                 up to a bound and lost beyond it, and writes go on"
            );
        }
        false
    }
}
