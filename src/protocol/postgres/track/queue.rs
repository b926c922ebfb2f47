//! What the server owes an answer to, in order, and where COPY data end between.

use std::collections::VecDeque;

/// How many runs of equal items are kept: a client has to mix its messages without reading any
/// answer to need more.
const RUNS_MAX: usize = 1024;

/// Something that was forwarded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Item {
    /// Query or FunctionCall. A ReadyForQuery comes.
    Query,
    /// Sync that closes something of the extended protocol. A ReadyForQuery comes.
    Batch,
    /// Sync with nothing to close. A ReadyForQuery comes.
    Sync,
    /// The end of COPY data with nothing behind the item before it that could be a COPY.
    End,
    /// The end of COPY data behind something of the extended protocol that could be a COPY.
    BatchEnd,
}

impl Item {
    fn is_owed(self) -> bool {
        self == Self::Query || self.is_sync()
    }

    fn is_sync(self) -> bool {
        matches!(self, Self::Batch | Self::Sync)
    }
}

/// Items, equal ones in a row counted.
#[derive(Debug, Default)]
pub struct Queue(VecDeque<(Item, u32)>);

/// What a COPY that begins has done to the queue.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Taken {
    /// It was begun by a Query, which is still there.
    pub is_query: bool,
    /// How many Syncs it eats.
    pub syncs: u32,
    /// One of them closed something of the extended protocol.
    pub has_batch: bool,
    /// The end of its data was there already.
    pub has_end: bool,
    /// There is more than it, and Syncs.
    pub is_mixed: bool,
}

impl Queue {
    /// Whether there was room for one more.
    #[must_use]
    pub fn push(&mut self, item: Item) -> bool {
        if let Some((last, count)) = self.0.back_mut()
            && *last == item
        {
            let more = count.checked_add(1);
            *count = more.unwrap_or(*count);
            return more.is_some();
        }
        let has_room = self.0.len() < RUNS_MAX;
        if has_room {
            self.0.push_back((item, 1));
        }
        has_room
    }

    /// A ReadyForQuery: takes what it answers. Whether anything was owed.
    #[must_use]
    pub fn pop(&mut self) -> bool {
        while self.front().is_some_and(|item| !item.is_owed()) {
            self.0.pop_front();
        }
        let was_owed = self.take_one(0);
        // Nothing that could be a COPY is left before them.
        while self.front() == Some(Item::End) {
            self.0.pop_front();
        }
        was_owed
    }

    /// A COPY of the first item, or of something before it, takes the Syncs that it eats and the
    /// end of its data.
    pub fn take_copy(&mut self) -> Taken {
        let is_query = self.front() == Some(Item::Query);
        let (queries, batches) = (self.count(Item::Query), self.count(Item::Batch));
        let is_mixed = match is_query {
            true => queries > 1 || batches > 0,
            false => queries > 0 || batches > 1,
        };
        let mut taken = Taken { is_query, is_mixed, ..Taken::default() };
        if is_query && self.0[0].1 > 1 {
            return taken;
        }
        let at = usize::from(is_query);
        let mut batches = 0_u32;
        while let Some((item, count)) = self.0.get(at).copied()
            && item.is_sync()
        {
            taken.syncs = taken.syncs.saturating_add(count);
            batches = count.saturating_mul(u32::from(item == Item::Batch)).saturating_add(batches);
            self.0.remove(at);
        }
        taken.has_batch = batches > 0;
        let end = self.0.get(at).map(|(item, _)| *item);
        taken.has_end = matches!(end, Some(Item::End | Item::BatchEnd));
        // If anything but Syncs is before it, the COPY may fail over that, and then this is the end
        // of a later one's data: it is left.
        let is_own = match end {
            Some(Item::End) => batches == 0 || (!is_query && batches == 1),
            Some(Item::BatchEnd) => !is_query && batches == 0,
            _ => false,
        };
        if is_own {
            self.take_one(at);
        }
        taken
    }

    /// How many ReadyForQuery are to come.
    pub fn owed(&self) -> u64 {
        self.0.iter().filter(|(item, _)| item.is_owed()).map(|(_, count)| u64::from(*count)).sum()
    }

    fn count(&self, wanted: Item) -> u64 {
        self.0.iter().filter(|(item, _)| *item == wanted).map(|(_, count)| u64::from(*count)).sum()
    }

    /// Whether there was one.
    fn take_one(&mut self, at: usize) -> bool {
        let Some((_, count)) = self.0.get_mut(at) else { return false };
        *count -= 1;
        if *count == 0 {
            self.0.remove(at);
        }
        true
    }

    pub fn front(&self) -> Option<Item> {
        self.0.front().map(|(item, _)| *item)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether any ReadyForQuery is to come.
    pub fn is_owed(&self) -> bool {
        self.0.iter().any(|(item, _)| item.is_owed())
    }

    pub fn has_sync(&self) -> bool {
        self.0.iter().any(|(item, _)| item.is_sync())
    }
}
