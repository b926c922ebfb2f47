//! How many connections there are, in all and of each identity.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::Gauge;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Places for connections.
pub(super) struct Slots {
    max: usize,
    per_identity_max: usize,
    open: AtomicUsize,
    by_identity: Mutex<HashMap<Arc<str>, usize>>,
    gauge: Gauge,
    tracker: TaskTracker,
}

/// The place of one connection, until it is dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
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
            gauge,
            tracker: TaskTracker::new(),
        })
    }

    /// A place, unless all are taken.
    pub(super) fn take(self: &Arc<Self>) -> Option<Slot> {
        self.open
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| {
                (open < self.max).then_some(open + 1)
            })
            .ok()?;
        self.gauge.increment(1.0);
        Some(Slot { slots: self.clone(), identity: None, _open: self.tracker.token() })
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
    /// Counts the connection as one of that identity; false if that one has too many.
    pub(super) fn identify(&mut self, name: &Arc<str>) -> bool {
        let slots = self.slots.clone();
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
