//! How many connections there are, in all and of each identity.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::Gauge;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Places for connections.
pub(super) struct Slots {
    max: usize,
    per_identity_max: usize,
    open: AtomicUsize,
    by_identity: Mutex<HashMap<Arc<str>, usize>>,
    /// Those that nobody knows yet, in the order in which they came. To drop one's end of the
    /// channel sends it away.
    unknown: Mutex<BTreeMap<u64, oneshot::Sender<()>>>,
    next: AtomicU64,
    gauge: Gauge,
    tracker: TaskTracker,
}

/// The place of one connection, until it is dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    number: u64,
    stays: oneshot::Receiver<()>,
    identity: Option<Arc<str>>,
    _open: TaskTrackerToken,
}

impl Slots {
    pub(super) fn new(max: usize, per_identity_max: usize, gauge: Gauge) -> Arc<Self> {
        gauge.set(0.0);
        Arc::new(Self {
            max,
            per_identity_max,
            open: AtomicUsize::new(0),
            by_identity: Mutex::default(),
            unknown: Mutex::default(),
            next: AtomicU64::new(0),
            gauge,
            tracker: TaskTracker::new(),
        })
    }

    /// A place. If all are taken, whoever has been in its handshake for longest has to leave, or
    /// those who show no certificate could keep out everybody who has one. `None` if all are
    /// known.
    pub(super) fn take(self: &Arc<Self>) -> Option<Slot> {
        let taken = self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| {
            (open < self.max).then_some(open + 1)
        });
        if taken.is_err() {
            self.unknown().pop_first()?;
            self.open.fetch_add(1, Ordering::AcqRel);
        }
        self.gauge.increment(1.0);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (leave, stays) = oneshot::channel();
        self.unknown().insert(number, leave);
        let _open = self.tracker.token();
        Some(Slot { slots: self.clone(), number, stays, identity: None, _open })
    }

    fn unknown(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<()>>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are taken.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Resolves when none is taken.
    pub(super) async fn empty(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl Slot {
    /// Resolves when the connection has to leave, because its place is needed and nobody knows
    /// whose it is.
    pub(super) async fn evicted(&mut self) {
        let _ = (&mut self.stays).await;
    }

    /// Counts the connection as one of that identity; false if that one has too many.
    pub(super) fn identify(&mut self, name: &Arc<str>) -> bool {
        let slots = self.slots.clone();
        slots.unknown().remove(&self.number);
        let mut by_identity = slots.by_identity.lock().unwrap_or_else(PoisonError::into_inner);
        let open = by_identity.get(name).copied().unwrap_or(0);
        if self.identity.is_some() || open >= slots.per_identity_max {
            return false;
        }
        by_identity.insert(name.clone(), open + 1);
        self.identity = Some(name.clone());
        true
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.unknown().remove(&self.number);
        if let Some(name) = self.identity.take() {
            let by_identity = &self.slots.by_identity;
            let mut by_identity = by_identity.lock().unwrap_or_else(PoisonError::into_inner);
            match by_identity.get_mut(&name) {
                Some(open) if *open > 1 => *open -= 1,
                _ => drop(by_identity.remove(&name)),
            }
        }
        self.slots.open.fetch_sub(1, Ordering::AcqRel);
        self.slots.gauge.decrement(1.0);
    }
}
