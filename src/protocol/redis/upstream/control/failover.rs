//! Whether a primary still has what was seen before, by its replication id and offset. Pure.
//!
//! Redis counts the bytes that it has told its replicas, as an offset in a history that has an id.
//! A server that becomes the primary begins a new history, and says of which one it goes on, and
//! from which offset. If that lies before what the old primary was seen to have, writes are lost.
//!
//! Not all that is counted is a write: a primary and its Sentinels tell the replicas something
//! every few seconds, and to the end. So what counts is how far it had come when it was last seen
//! to have written.
//!
//! What is seen is as old as the last look: what was written since then may be lost besides.
//! A primary that never had a replica counts nothing; then only the restart is seen.

use super::super::wire::field;

/// What a server says of its history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    pub(super) is_primary: bool,
    /// `master_replid`.
    history: String,
    /// `master_repl_offset`.
    offset: u64,
    /// That of the first look after its last write, as far as it was looked at.
    written: u64,
    /// `rdb_changes_since_last_save`, which counts writes, and `rdb_last_save_time`.
    writes: (u64, u64),
    /// The history that it has gone on from, and the offset from which on it is another one:
    /// `master_replid2`, `second_repl_offset`.
    earlier: Option<(String, u64)>,
    /// Whether the append-only file is on: then a restart may have lost nothing, though
    /// the history begins anew.
    is_logged: bool,
}

/// Whether what was seen is still there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Finding {
    /// As far as can be seen.
    Kept,
    /// It is not. `found`: how far it goes at most; `None`: it goes on from nothing that was seen.
    Lost { expected: u64, found: Option<u64> },
    /// It goes on from nothing that was seen, which may or may not be a loss.
    Unknown { expected: u64 },
}

impl Seen {
    /// How far it had come at its last write.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Of two looks at one process, this is the later one.
    pub(super) fn after(mut self, before: &Self) -> Self {
        if self.history == before.history && self.writes == before.writes {
            self.written = before.written.min(self.offset);
        }
        self
    }

    /// From INFO replication and INFO persistence.
    pub(super) fn read(replication: &str, persistence: &str) -> Option<Self> {
        let is_primary = field(replication, "role")? == "master";
        let history = field(replication, "master_replid")?.to_owned();
        let offset = field(replication, "master_repl_offset")?.parse().ok()?;
        let count = |name| field(persistence, name).and_then(|it| it.parse().ok()).unwrap_or(0);
        let writes = (count("rdb_changes_since_last_save"), count("rdb_last_save_time"));
        let earlier = field(replication, "second_repl_offset").and_then(|it| it.parse().ok());
        // -1 where there is none.
        let earlier = earlier.and_then(|offset: i64| u64::try_from(offset).ok());
        let earlier = field(replication, "master_replid2").map(str::to_owned).zip(earlier);
        let is_logged = field(persistence, "aof_enabled") == Some("1");
        Some(Self { is_primary, history, offset, written: offset, writes, earlier, is_logged })
    }

    /// Whether all that this one had is in `now`, which was seen later, of the same process or
    /// another.
    pub(super) fn is_in(&self, now: &Self, is_same_process: bool) -> Finding {
        let expected = self.written;
        let found = if now.history == self.history {
            now.offset
        } else {
            match &now.earlier {
                // What has that very offset is of the new history.
                Some((history, from)) if *history == self.history => from.saturating_sub(1),
                // A process that had no replica for long takes a new id, and counts on.
                _ if is_same_process && now.offset >= expected => return Finding::Kept,
                _ if is_same_process => return Finding::Lost { expected, found: None },
                _ if now.is_logged || expected == 0 => return Finding::Unknown { expected },
                // From memory, nothing; from a snapshot, it would go on from where that was taken.
                _ => return Finding::Lost { expected, found: None },
            }
        };
        if found < expected {
            return Finding::Lost { expected, found: Some(found) };
        }
        Finding::Kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(history: &str, offset: u64, earlier: Option<(&str, u64)>) -> Seen {
        let earlier = earlier.map(|(history, offset)| (history.to_owned(), offset));
        let history = history.to_owned();
        let (is_primary, is_logged, written, writes) = (true, false, offset, (0, 0));
        Seen { is_primary, history, offset, written, writes, earlier, is_logged }
    }

    #[test]
    fn what_is_kept_and_what_is_lost() {
        let before = seen("a", 100, None);
        let check = |now: &Seen, is_same: bool, expected: Finding| {
            assert_eq!(before.is_in(now, is_same), expected, "{now:?}");
        };
        let lost = |found| Finding::Lost { expected: 100, found };
        let unknown = Finding::Unknown { expected: 100 };
        for is_same in [true, false] {
            check(&seen("a", 100, None), is_same, Finding::Kept);
            check(&seen("a", 101, None), is_same, Finding::Kept);
            check(&seen("a", 99, None), is_same, lost(Some(99)));
            check(&seen("b", 500, Some(("a", 101))), is_same, Finding::Kept);
            check(&seen("b", 500, Some(("a", 100))), is_same, lost(Some(99)));
            check(&seen("b", 90, Some(("a", 81))), is_same, lost(Some(80)));
            check(&seen("b", 90, Some(("a", 0))), is_same, lost(Some(0)));
        }
        check(&seen("b", 100, None), true, Finding::Kept);
        check(&seen("b", 99, Some(("c", 50))), true, lost(None));
        check(&seen("b", 0, None), false, lost(None));
        check(&seen("b", 500, Some(("c", 400))), false, lost(None));
        check(&Seen { is_logged: true, ..seen("b", 0, None) }, false, unknown);
        let never_counted = seen("a", 0, None).is_in(&seen("b", 0, None), false);
        assert_eq!(never_counted, Finding::Unknown { expected: 0 });
    }

    #[test]
    fn what_is_no_write_is_no_loss() {
        let look = |offset, writes| Seen { writes, ..seen("a", offset, None) };
        let written = |first: Seen, second: Seen| second.after(&first).written();
        assert_eq!(written(look(100, (5, 9)), look(150, (5, 9))), 100);
        assert_eq!(written(look(100, (5, 9)), look(150, (6, 9))), 150);
        assert_eq!(written(look(100, (5, 9)), look(150, (5, 10))), 150);
        assert_eq!(
            written(look(100, (5, 9)), Seen { writes: (5, 9), ..seen("b", 150, None) }),
            150
        );
        let before = look(150, (5, 9)).after(&look(100, (5, 9)));
        assert_eq!(before.is_in(&seen("b", 900, Some(("a", 101))), false), Finding::Kept);
        let lost = Finding::Lost { expected: 100, found: Some(99) };
        assert_eq!(before.is_in(&seen("b", 900, Some(("a", 100))), false), lost);
    }

    #[test]
    fn as_redis_says_it() {
        let replication = "# Replication\r\nrole:master\r\nconnected_slaves:1\r\n\
            slave0:ip=127.0.0.1,port=1,state=online,offset=42,lag=1\r\nmaster_replid:aa\r\n\
            master_replid2:bb\r\nmaster_repl_offset:42\r\nsecond_repl_offset:-1\r\n";
        let read = Seen::read(replication, "aof_enabled:1\r\n").expect("it can be read");
        assert_eq!(read, Seen { is_logged: true, ..seen("aa", 42, None) });
        let promoted = replication.replace(":-1", ":43");
        let read = Seen::read(&promoted, "aof_enabled:0\r\n").expect("it can be read");
        assert_eq!(read, seen("aa", 42, Some(("bb", 43))));
        assert_eq!(Seen::read("role:master\r\n", ""), None);
    }
}
