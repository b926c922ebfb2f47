//! What a shared ledger keeps of a resource, and every way in which that may change.
//!
//! The ledgers carry these changes out in a transaction; the model explores the same functions.

use std::collections::BTreeMap;

use super::{Mark, Record, SessionId, Token};

/// The sessions of one process.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Own {
    /// The one that is alive.
    pub current: SessionId,
    /// Those before it, which are over. Their grants are this process's to give up.
    pub former: Vec<SessionId>,
}

impl Own {
    /// Whether that is one of them.
    pub fn has(&self, session: &SessionId) -> bool {
        self.current == *session || self.former.contains(session)
    }
}

/// The high-water mark, and what each session may still have on its way.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Row {
    /// The high-water mark. It never goes down.
    pub mark: Mark,
    /// For each session a lower bound on the tokens that it may still have past their commit
    /// point. A grant outlives its session: see the contract.
    pub grants: BTreeMap<SessionId, Token>,
}

impl Row {
    /// Sets the mark to the larger one. `quiesced`: nothing of that process is in flight, so its
    /// grant moves too. False when the mark was there already, or higher: nothing has changed.
    pub fn raise(&mut self, to: &Mark, own: &Own, quiesced: bool) -> bool {
        if to.token <= self.mark.token {
            return false;
        }
        self.mark = to.clone();
        if quiesced {
            self.set_grant(own);
        }
        true
    }

    /// Sets the grant of a process that has quiesced below `at`; false, and nothing, when the mark
    /// is not there (any more).
    pub fn grant(&mut self, own: &Own, at: Token) -> bool {
        let is_there = self.mark.token == at;
        if is_there && at > Token::ZERO {
            self.set_grant(own);
        }
        is_there
    }

    /// Gives up what a process that has quiesced had below the mark.
    pub fn release(&mut self, own: &Own) {
        let mark = self.mark.token;
        self.grants.retain(|session, grant| *grant >= mark || !own.has(session));
    }

    /// Gives up everything of a process that ends, or that has nothing in flight.
    pub fn leave(&mut self, own: &Own) {
        self.grants.retain(|session, _| !own.has(session));
    }

    /// Removes the grant of a session that is over, once all that it had on its way has settled.
    pub fn bury(&mut self, dead: &SessionId) {
        self.grants.remove(dead);
    }

    /// The row as one process has it.
    pub fn record(&self, own: &Own) -> Record {
        let grant = self.grants.get(&own.current).copied().unwrap_or(Token::ZERO);
        let behind = self.behind(own, self.mark.token).next().is_some();
        Record { mark: self.mark.clone(), grant, behind }
    }

    /// The sessions of other processes with a grant below a token.
    pub fn behind<'a>(
        &'a self,
        own: &'a Own,
        below: Token,
    ) -> impl Iterator<Item = &'a SessionId> + 'a {
        let is_behind =
            move |(session, grant): &(&SessionId, &Token)| **grant < below && !own.has(session);
        self.grants.iter().filter(is_behind).map(|(session, _)| session)
    }

    /// Whether that process has a grant below the mark.
    pub fn is_owing(&self, own: &Own) -> bool {
        self.grants.iter().any(|(session, grant)| *grant < self.mark.token && own.has(session))
    }

    fn set_grant(&mut self, own: &Own) {
        self.leave(own);
        self.grants.insert(own.current.clone(), self.mark.token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fence::Holder;

    fn own(replica: &str, number: u64, former: &[u64]) -> Own {
        let former = former.iter().map(|number| SessionId::new(replica, *number)).collect();
        Own { current: SessionId::new(replica, number), former }
    }

    fn mark(counter: u64) -> Mark {
        Mark { token: Token::new(0, counter), holder: Holder::new("leader") }
    }

    fn grants(row: &Row) -> Vec<(String, u64)> {
        row.grants.iter().map(|(session, at)| (session.to_string(), at.counter())).collect()
    }

    #[test]
    fn a_takeover_from_replica_to_replica() {
        let (one, two) = (own("r1", 1, &[]), own("r2", 2, &[]));
        let mut row = Row::default();
        assert!(row.raise(&mark(5), &one, true));
        assert_eq!(
            row.record(&one),
            Record { mark: mark(5), grant: Token::new(0, 5), behind: false }
        );
        assert!(!row.raise(&mark(5), &two, true), "equal");
        assert!(row.raise(&mark(6), &two, false));
        assert_eq!(row.record(&two), Record { mark: mark(6), grant: Token::ZERO, behind: true });
        assert!(!row.grant(&one, Token::new(0, 5)), "the mark has moved on");
        assert!(row.grant(&two, Token::new(0, 6)));
        assert!(row.is_owing(&one) && !row.is_owing(&two));
        row.release(&two);
        assert_eq!(grants(&row), [("r1#1".into(), 5), ("r2#2".into(), 6)]);
        row.release(&one);
        assert_eq!(grants(&row), [("r2#2".into(), 6)]);
        assert!(!row.record(&two).behind);
    }

    #[test]
    fn a_grant_outlives_its_session_until_its_process_or_who_waits_removes_it() {
        let (before, after) = (own("r1", 1, &[]), own("r1", 3, &[1]));
        let mut row = Row::default();
        row.raise(&mark(5), &before, true);
        assert_eq!(row.record(&after), Record { mark: mark(5), grant: Token::ZERO, behind: false });
        assert!(row.grant(&after, Token::new(0, 5)));
        assert_eq!(grants(&row), [("r1#3".into(), 5)]);
        // A new process of that name is somebody else.
        let other = own("r1", 4, &[]);
        assert!(row.raise(&mark(6), &other, true));
        assert!(row.record(&other).behind);
        row.bury(&after.current);
        assert_eq!(grants(&row), [("r1#4".into(), 6)]);
        row.leave(&other);
        assert!(row.grants.is_empty());
        assert!(Row::default().grant(&other, Token::ZERO));
        assert!(Row::default().grants.is_empty());
    }
}
