//! What a server may still be busy with: followed by looking at the tags that pass, both ways.
//!
//! **Invariant.** [`Tracker::is_idle`] says yes only when the server has answered everything that
//! can have an effect and is in no transaction. It may say no for longer than it has to.
//!
//! Query, FunctionCall and Sync bring one ReadyForQuery each, in order, so those that are not
//! answered yet are kept as a queue; all else of the extended protocol is open until a Sync. What
//! makes it hard is COPY: a server that takes COPY data **eats Sync and Flush** without an answer,
//! and a client may have sent them before it learned of the COPY. So when the server says that it
//! takes data, the Syncs up to the end of the data are taken out of the queue. If that COPY then
//! fails, nobody can tell which of them it had eaten before: see [`Doubt`].
//!
//! Copy data and its end outside of a COPY are ignored by servers, and here. That Flush and
//! Terminate change nothing, and that no Sync fails on its own, rests on
//! [`header`](super::codec::frame::header), which lets none with a body through.

use std::mem;

use super::codec::message::read::Status;

mod queue;
#[cfg(test)]
pub(super) mod tests;

use queue::{Item, Queue};

/// Follows one session from its first ReadyForQuery on.
#[derive(Debug, Default)]
pub struct Tracker {
    status: Status,
    /// What is not answered yet by a ReadyForQuery.
    queue: Queue,
    /// Something of the extended protocol was forwarded behind the last Sync in the queue.
    is_open: bool,
    copy: Option<Copying>,
    doubt: Doubt,
    is_completed: bool,
    is_failed: bool,
}

/// The server said that it takes COPY data, and not yet how that ended.
#[derive(Debug)]
struct Copying {
    /// CopyDone or CopyFail was forwarded.
    is_done: bool,
    /// It may have eaten a Sync.
    has_eaten: bool,
    /// Something was forwarded behind its command that the server may run after it.
    is_mixed: bool,
}

/// Whether more ReadyForQuery may come than the queue knows.
///
/// After a failed COPY each Sync that it may have eaten may bring one. They come before the answer
/// to anything that is forwarded later, and nothing but Syncs is left between; so the first reply
/// of another kind to something later ends the doubt.
#[derive(Debug, Default, PartialEq)]
enum Doubt {
    #[default]
    None,
    /// A COPY failed, and nothing but Syncs was forwarded behind it.
    Syncs {
        /// A ReadyForQuery has come: the server no longer skips messages up to a Sync.
        is_past_one: bool,
    },
    /// The queue begins behind them.
    Queued,
    /// For good.
    Forever,
}

/// What is known of the batch that the server is at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// Something is outstanding.
    pub is_begun: bool,
    /// It is a Query or a FunctionCall: the server itself commits what is no transaction block,
    /// before it says so. Otherwise that is done at the Sync, after CommandComplete.
    pub is_simple: bool,
    /// A CommandComplete came since the last ReadyForQuery.
    pub is_completed: bool,
    /// An error came since then.
    pub is_failed: bool,
}

impl Tracker {
    /// After the first ReadyForQuery, which said that the session is idle.
    pub fn new() -> Self {
        Self::default()
    }

    /// A message is forwarded to the server.
    pub fn client(&mut self, tag: u8) {
        match tag {
            b'd' | b'H' | b'X' => {}
            b'c' | b'f' => self.copy_end(),
            b'S' => self.sync(),
            b'Q' | b'F' => {
                self.begin();
                self.push(Item::Query);
            }
            _ => {
                self.begin();
                self.is_open = true;
            }
        }
    }

    /// A message of the server has come. Of ReadyForQuery its status has to be given.
    pub fn server(&mut self, tag: u8, first_body_byte: Option<u8>) {
        match tag {
            // They come at any time, or only before the first ReadyForQuery.
            b'N' | b'S' | b'A' | b'R' | b'K' | b'v' => return,
            b'E' => self.is_failed = true,
            b'C' => self.is_completed = true,
            b'Z' => match first_body_byte.and_then(Status::from_byte) {
                Some(status) => {
                    (self.status, self.is_failed, self.is_completed) = (status, false, false);
                }
                None => self.doubt = Doubt::Forever,
            },
            _ => {}
        }
        match (&mut self.doubt, tag) {
            (Doubt::None, _) => {}
            (Doubt::Syncs { is_past_one }, b'Z') => {
                *is_past_one = true;
                return;
            }
            (Doubt::Queued, b'Z') | (Doubt::Forever, _) => return,
            // Of an error nobody can say that it is the answer to what is queued.
            (Doubt::Queued, b'E') | (Doubt::Syncs { .. }, _) => {
                self.doubt = Doubt::Forever;
                return;
            }
            (Doubt::Queued, _) => self.doubt = Doubt::None,
        }
        match tag {
            b'Z' => self.ready(),
            b'G' | b'W' => self.copy_begins(),
            b'C' => match self.copy.take() {
                None | Some(Copying { is_done: true, .. }) => {}
                // A COPY ends well at its CopyDone only.
                Some(_) => self.doubt = Doubt::Forever,
            },
            b'E' => match self.copy.take() {
                None | Some(Copying { has_eaten: false, .. }) => {}
                Some(Copying { is_mixed: true, .. }) => self.doubt = Doubt::Forever,
                Some(_) => {
                    self.doubt = Doubt::Syncs { is_past_one: false };
                    self.queue.clear();
                    self.is_open = false;
                }
            },
            _ => {}
        }
    }

    /// The transaction status of the last ReadyForQuery.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Nothing is outstanding: every batch that was begun is answered. There may be a transaction.
    pub fn is_quiet(&self) -> bool {
        self.doubt == Doubt::None && !self.is_open && self.queue.is_empty()
    }

    /// Nothing of it can take effect any more: quiet, and in no transaction.
    pub fn is_idle(&self) -> bool {
        self.is_quiet() && self.status == Status::Idle
    }

    /// The server takes COPY data and has not been told that it is whole, nor anything that it could
    /// run afterwards: what it is at is certainly not committed.
    pub fn is_copying_in(&self) -> bool {
        let is_undone = |copy: &Copying| !copy.is_done && !copy.is_mixed;
        self.doubt == Doubt::None && self.copy.as_ref().is_some_and(is_undone)
    }

    /// Whether nothing that was forwarded waits behind what the server is at.
    pub fn is_last(&self) -> bool {
        self.doubt == Doubt::None && self.queue.owed() + u64::from(self.is_open) <= 1
    }

    /// How far the batch is.
    pub fn progress(&self) -> Progress {
        Progress {
            is_begun: !self.is_quiet(),
            is_simple: self.queue.front() == Some(Item::Query),
            is_completed: self.is_completed,
            is_failed: self.is_failed,
        }
    }

    /// Whether it says no for want of knowledge.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubt != Doubt::None
    }

    /// Whether that stays so.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn is_in_doubt_forever(&self) -> bool {
        self.doubt == Doubt::Forever
    }

    /// Something that brings a reply is forwarded.
    fn begin(&mut self) {
        if let Some(copy) = &mut self.copy {
            copy.is_mixed = true;
        }
        match self.doubt {
            Doubt::Syncs { is_past_one: true } => self.doubt = Doubt::Queued,
            // It may be skipped.
            Doubt::Syncs { is_past_one: false } => self.doubt = Doubt::Forever,
            _ => {}
        }
    }

    fn sync(&mut self) {
        match &mut self.copy {
            Some(copy) if !copy.is_done => copy.has_eaten = true,
            _ if matches!(self.doubt, Doubt::Syncs { .. }) => {}
            _ => {
                self.push(if self.is_open { Item::Batch } else { Item::Sync });
                self.is_open = false;
            }
        }
    }

    /// CopyDone or CopyFail: of the COPY that runs, or of one that may have been begun.
    fn copy_end(&mut self) {
        if let Some(copy) = &mut self.copy {
            let was_done = mem::replace(&mut copy.is_done, true);
            // A COPY fails over what is mixed into its data, and then this ends those of a later one.
            if !was_done && !copy.is_mixed {
                return;
            }
        }
        if self.is_open {
            self.push(Item::BatchEnd);
        } else if !self.queue.is_empty() {
            self.push(Item::End);
        }
    }

    fn push(&mut self, item: Item) {
        if !self.queue.push(item) {
            self.doubt = Doubt::Forever;
        }
    }

    fn copy_begins(&mut self) {
        if self.copy.is_some() || self.is_quiet() {
            self.doubt = Doubt::Forever;
        }
        let taken = self.queue.take_copy();
        let has_eaten = taken.syncs > 0;
        let is_behind = self.is_open && (taken.is_query || has_eaten);
        let is_mixed = taken.is_mixed || is_behind;
        // A batch has lost the Sync that closed it.
        if taken.has_batch && !self.queue.has_sync() {
            self.is_open = true;
        }
        self.copy = Some(Copying { is_done: taken.has_end, has_eaten, is_mixed });
    }

    fn ready(&mut self) {
        if !self.queue.pop() || self.copy.is_some() {
            self.doubt = Doubt::Forever;
        }
        if !self.is_open && !self.queue.is_owed() {
            self.queue.clear();
        }
    }
}
