//! The dead sessions with the ledger whose sessions are to be ended, on one server. Pure.

use std::collections::{BTreeMap, VecDeque};

use crate::fence::SessionId;

/// Dead sessions that are known to have ended, so that asking again is answered at once. The
/// oldest make room: they would be looked for once more.
const ENDED_MAX: usize = 1_024;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Dead {
    /// Those that are to be ended, and whether somebody was told that they are, because this
    /// server was out of reach. Only what was asked for while it is, waits here for long.
    wanted: BTreeMap<SessionId, bool>,
    /// By their whole name, not up to a number: two processes may by mistake bear one name, and
    /// then the one with the smaller number may still have begun something afterwards.
    ended: VecDeque<SessionId>,
}

impl Dead {
    pub(super) fn want(&mut self, dead: &SessionId) {
        if !self.has_ended(dead) {
            self.wanted.entry(dead.clone()).or_default();
        }
    }

    pub(super) fn wanted(&self) -> impl Iterator<Item = &SessionId> {
        self.wanted.keys()
    }

    /// Nothing of it is left on this server.
    pub(super) fn end(&mut self, dead: &SessionId) {
        self.wanted.remove(dead);
        if self.ended.len() >= ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(dead.clone());
    }

    pub(super) fn has_ended(&self, dead: &SessionId) -> bool {
        self.ended.contains(dead)
    }

    /// Somebody is told that it has ended, though it may not have here.
    pub(super) fn owe(&mut self, dead: &SessionId) {
        if let Some(is_owed) = self.wanted.get_mut(dead) {
            *is_owed = true;
        }
    }

    /// Whether something may be left that was told to have ended.
    pub(super) fn is_owing(&self) -> bool {
        self.wanted.values().any(|is_owed| *is_owed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_owed_until_it_has_ended() {
        let (one, two) = (SessionId::new("r1", 1), SessionId::new("r1", 2));
        let mut dead = Dead::default();
        dead.owe(&one);
        assert!(!dead.is_owing(), "nobody wants it");
        dead.want(&two);
        dead.want(&one);
        assert_eq!(dead.wanted().collect::<Vec<_>>(), [&one, &two]);
        dead.owe(&one);
        dead.end(&two);
        assert!(dead.is_owing() && dead.has_ended(&two) && !dead.has_ended(&one));
        dead.end(&one);
        dead.want(&one);
        assert!(!dead.is_owing() && dead.wanted().next().is_none());
        for number in 0..ENDED_MAX as u64 {
            dead.end(&SessionId::new("r2", number));
        }
        assert!(!dead.has_ended(&one), "it made room");
        assert_eq!(dead.ended.len(), ENDED_MAX);
    }
}
