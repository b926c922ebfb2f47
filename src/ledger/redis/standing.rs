//! What this process knows the ledger has: the measure by which a loss is noticed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::script::{Answer, Call};
use crate::ledger::Unavailable;

/// See the module.
pub(super) struct Standing {
    /// Its name among the processes: nobody else has it.
    process: String,
    /// The newest change of its own that was acknowledged.
    floor: AtomicU64,
    calls: AtomicU64,
    /// The newest change that its feed has told, with its tag.
    told: Mutex<Option<(u64, String)>>,
    /// Why nothing may be raised, by the latest answer.
    frozen: Mutex<Option<String>>,
}

impl Standing {
    pub(super) fn new(process: String) -> Self {
        Self {
            process,
            floor: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            told: Mutex::default(),
            frozen: Mutex::default(),
        }
    }

    /// What every script is told first: see `lua/prelude.lua`.
    pub(super) fn args(&self, log_max: usize) -> Vec<Vec<u8>> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let tag = format!("{}/{number}", self.process);
        let floor = self.floor.load(Ordering::Acquire).to_string();
        [self.process.clone(), floor, tag, log_max.to_string()].map(String::into_bytes).into()
    }

    /// What an answer tells of the whole ledger.
    pub(super) fn hear(&self, answer: &Answer) {
        let mut frozen = lock(&self.frozen);
        if let Some(why) = answer.frozen.as_ref().filter(|_| frozen.is_none()) {
            tracing::error!(%why, "the Redis ledger has lost changes; takeovers are refused");
        }
        frozen.clone_from(&answer.frozen);
    }

    /// The change that the answer names is where it has to be, for good.
    pub(super) fn acknowledge(&self, answer: &Answer) {
        self.floor.fetch_max(answer.made, Ordering::AcqRel);
    }

    /// The feed has told that change.
    pub(super) fn tell(&self, generation: u64, tag: String) {
        *lock(&self.told) = Some((generation, tag));
    }

    pub(super) fn told(&self) -> Option<(u64, String)> {
        lock(&self.told).clone()
    }

    /// What the feed has told is not there any more.
    pub(super) fn forget_told(&self) {
        *lock(&self.told) = None;
    }

    /// The newest change that is known of.
    pub(super) fn highest(&self) -> u64 {
        let told = lock(&self.told).as_ref().map_or(0, |told| told.0);
        self.floor.load(Ordering::Acquire).max(told)
    }

    pub(super) fn frozen(&self) -> Result<(), Unavailable> {
        match &*lock(&self.frozen) {
            None => Ok(()),
            Some(why) => Err(Unavailable(format!(
                "the Redis that keeps it has lost changes that it had acknowledged, or may have: \
                 {why}; compare the marks (palisade ledger export) with the tokens of the leaders \
                 that are at work, stop older leaders, let takeovers go on with: palisade ledger \
                 confirm, and raise what is too low at once with: palisade ledger import"
            ))),
        }
    }
}

/// Keys and arguments of a script.
pub(super) fn call(fixed: &[String], keys: &[String], first: Vec<Vec<u8>>) -> Call {
    Call { keys: fixed.iter().chain(keys).cloned().collect(), args: first }
}

/// What a task that panicked has left is whole: it is only ever replaced.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
