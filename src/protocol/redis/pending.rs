//! What a client waits for: answers in the order of its requests, the server's and our own.

use std::collections::VecDeque;

use super::codec::write::Protocol;

/// What is done with the answer of the server that is next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Entry {
    /// So many answers go on as they are.
    Pass(u64),
    /// Palisade's own answer, so many times.
    Own(Vec<u8>, u64),
    /// The server's answer is left out, and this comes in its place.
    Replace(Vec<u8>),
    /// The server's answer goes on, and is looked at.
    Look(Look),
}

/// Why an answer is looked at. Nothing is forwarded behind the request until it is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Look {
    /// To a command that waits for somebody else, so that it may have to be ended.
    Blocking,
    /// To HELLO with that version of the protocol.
    Hello(Option<Protocol>),
    /// To RESET.
    Reset,
    /// To SELECT of that database.
    Select(u32),
    /// To what changes subscriptions: any number of values up to the answer to our PING with this.
    Subscriptions(Box<[u8; 32]>),
}

/// The queue. Its size is that of what differs, not of how much it is: a million requests of one
/// kind are one entry.
#[derive(Debug, Default)]
pub(super) struct Pending {
    entries: VecDeque<Entry>,
    own_bytes: usize,
}

impl Pending {
    /// One more answer of the server, to go on as it is.
    pub(super) fn pass(&mut self) {
        if let Some(Entry::Pass(count)) = self.entries.back_mut() {
            *count += 1;
        } else {
            self.entries.push_back(Entry::Pass(1));
        }
    }

    /// An answer of Palisade's own.
    pub(super) fn own(&mut self, bytes: Vec<u8>) {
        if let Some(Entry::Own(last, count)) = self.entries.back_mut()
            && *last == bytes
        {
            *count += 1;
            return;
        }
        self.own_bytes += bytes.len();
        self.entries.push_back(Entry::Own(bytes, 1));
    }

    /// The server's next answer is left out; this one comes in its place.
    pub(super) fn replace(&mut self, bytes: Vec<u8>) {
        self.own_bytes += bytes.len();
        self.entries.push_back(Entry::Replace(bytes));
    }

    /// An answer that is looked at.
    pub(super) fn look(&mut self, look: Look) {
        self.entries.push_back(Entry::Look(look));
    }

    /// What comes next.
    pub(super) fn first(&self) -> Option<&Entry> {
        self.entries.front()
    }

    /// The next answer has come, or was given.
    pub(super) fn answered(&mut self) {
        match self.entries.front_mut() {
            Some(Entry::Pass(count) | Entry::Own(_, count)) if *count > 1 => *count -= 1,
            Some(Entry::Own(bytes, _) | Entry::Replace(bytes)) => {
                self.own_bytes -= bytes.len();
                self.entries.pop_front();
            }
            Some(_) => {
                self.entries.pop_front();
            }
            None => {}
        }
    }

    /// Nothing is waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Requests that the server has not answered.
    pub(super) fn unanswered(&self) -> u64 {
        let count = |entry: &Entry| match entry {
            Entry::Pass(count) => *count,
            Entry::Own(..) => 0,
            Entry::Replace(_) | Entry::Look(_) => 1,
        };
        self.entries.iter().map(count).sum()
    }

    /// Bytes of own answers that are held.
    pub(super) fn own_bytes(&self) -> usize {
        self.own_bytes
    }

    /// Entries that are held.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the last request may wait for somebody else. Nothing is sent behind it.
    pub(super) fn is_blocked(&self) -> bool {
        matches!(self.entries.back(), Some(Entry::Look(Look::Blocking)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_of_one_kind_are_one_entry() {
        let mut pending = Pending::default();
        for _ in 0..1_000_000 {
            pending.pass();
        }
        for _ in 0..1_000_000 {
            pending.own(b"-NO\r\n".to_vec());
        }
        assert_eq!((pending.len(), pending.own_bytes()), (2, 5));
        for _ in 0..1_000_000 {
            assert!(matches!(pending.first(), Some(Entry::Pass(_))));
            pending.answered();
        }
        for _ in 0..1_000_000 {
            assert!(matches!(pending.first(), Some(Entry::Own(..))));
            pending.answered();
        }
        assert!(pending.is_empty() && pending.own_bytes() == 0);
    }

    #[test]
    fn answers_come_in_the_order_of_their_requests() {
        let mut pending = Pending::default();
        pending.pass();
        pending.own(b"-A\r\n".to_vec());
        pending.own(b"-B\r\n".to_vec());
        pending.replace(b"-C\r\n".to_vec());
        pending.look(Look::Blocking);
        let mut seen = Vec::new();
        while let Some(entry) = pending.first() {
            seen.push(entry.clone());
            pending.answered();
        }
        assert_eq!(
            seen,
            [
                Entry::Pass(1),
                Entry::Own(b"-A\r\n".to_vec(), 1),
                Entry::Own(b"-B\r\n".to_vec(), 1),
                Entry::Replace(b"-C\r\n".to_vec()),
                Entry::Look(Look::Blocking),
            ]
        );
    }
}
