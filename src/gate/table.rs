//! Finds the cell of a resource, and forgets idle ones when there are too many.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use dashmap::{DashMap, Entry};

use super::cell::Cell;
use crate::fence::Resource;

/// How many cells are looked at to make room for one more.
const SEARCH_MAX: usize = 64;

/// The cells by the name of their resource. At most `max` of them.
pub(super) struct Table {
    cells: DashMap<Resource, Arc<Cell>, foldhash::fast::RandomState>,
    /// Every resource in `cells`, in the order of a clock hand: a cell that was used since
    /// the hand last passed gets a second chance (the CLOCK page replacement algorithm).
    clock: Mutex<VecDeque<Resource>>,
    len: AtomicUsize,
    max: usize,
}

impl Table {
    pub(super) fn new(max: usize) -> Self {
        Self { cells: DashMap::default(), clock: Mutex::default(), len: AtomicUsize::new(0), max }
    }

    pub(super) fn find(&self, resource: &Resource) -> Option<Arc<Cell>> {
        self.cells.get(resource).map(|cell| Arc::clone(&cell))
    }

    /// The cell of the resource, made where there is none; `None` when there is no room.
    pub(super) fn cell(
        &self,
        resource: &Resource,
        new: impl FnOnce() -> Cell,
    ) -> Option<Arc<Cell>> {
        if let Some(cell) = self.find(resource) {
            cell.touch();
            return Some(cell);
        }
        // Taken before the map's own lock, here as in `make_room`: one order, no deadlock.
        let mut clock = self.clock.lock().expect("nothing panics while it holds this lock");
        if self.len.load(Ordering::Relaxed) >= self.max && !self.make_room(&mut clock) {
            return self.find(resource);
        }
        match self.cells.entry(resource.clone()) {
            Entry::Occupied(there) => Some(Arc::clone(there.get())),
            Entry::Vacant(vacant) => {
                clock.push_back(resource.clone());
                self.len.fetch_add(1, Ordering::Relaxed);
                Some(Arc::clone(&vacant.insert(Arc::new(new()))))
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, wanted: impl Fn(&Cell) -> bool) -> usize {
        self.cells.iter().filter(|cell| wanted(cell)).count()
    }

    pub(super) fn each(&self, visit: impl Fn(&Arc<Cell>)) {
        self.cells.iter().for_each(|cell| visit(&cell));
    }

    fn make_room(&self, clock: &mut VecDeque<Resource>) -> bool {
        for _ in 0..SEARCH_MAX.min(clock.len()) {
            let Some(resource) = clock.pop_front() else { break };
            // References are only handed out under the map's lock, which `remove_if` holds:
            // a count of one means that nobody else has the cell or can get it.
            let removed = self.cells.remove_if(&resource, |_, cell| {
                !cell.take_touch() && Arc::strong_count(cell) == 1 && cell.is_forgettable()
            });
            if removed.is_some() {
                self.len.fetch_sub(1, Ordering::Relaxed);
                return true;
            }
            clock.push_back(resource);
        }
        false
    }
}
