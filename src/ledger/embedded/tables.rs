//! The tables of the file, and what is done to them inside one transaction.

use std::fmt;
use std::ops::Bound;
use std::time::SystemTime;

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::row::{Row, RowError};
use crate::fence::{Mark, Record, Resource, Token};
use crate::ledger::{Entry, HOLDER_LEN_MAX_BYTES};

/// Resource name to [`Row`].
const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("palisade.resources");
/// What the file is and whose.
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("palisade.meta");

const MAGIC: &str = "magic";
const LAYOUT: &str = "layout";
const SESSION: &str = "session";

const MAGIC_VALUE: &[u8] = b"palisade ledger";
/// Bumped when the tables or their rows change so that older programs cannot read them.
pub(super) const LAYOUT_VERSION: u32 = 1;

/// Whether the process that has (or had) the file has given its grants up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Session {
    Closed = 0,
    Open = 1,
}

/// What a file that redb can read turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Identity {
    Ours(Session),
    OtherLayout(u32),
    Foreign(&'static str),
    Damaged(&'static str),
}

/// Why nothing can be said of a resource.
#[derive(Debug)]
pub(super) enum TableFault {
    /// The file could not be read or written.
    Store(redb::Error),
    /// One row is not readable; the others may be.
    Row { name: String, error: RowError },
}

impl fmt::Display for TableFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Row { name, error } => write!(
                f,
                "the row of resource `{name}` is damaged ({error}); stop palisade, restore the \
                 newest backup of the file, and compare its marks with the current tokens"
            ),
        }
    }
}

impl<E: Into<redb::Error>> From<E> for TableFault {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

fn damaged(key: &[u8]) -> impl FnOnce(RowError) -> TableFault {
    let name = String::from_utf8_lossy(key).into_owned();
    move |error| TableFault::Row { name, error }
}

/// A change of one resource.
#[derive(Debug)]
pub(super) enum Change {
    Raise { to: Mark, quiesced: bool },
    Grant { at: Token },
}

/// What became of a change, once its transaction is committed.
#[derive(Debug)]
pub(super) enum Changed {
    /// The mark moved.
    Raised(Record),
    /// It was there already, or higher.
    Unchanged(Record),
    Granted(bool),
    /// Not done, and never will be.
    Refused(String),
}

/// Does changes in order, in a transaction that is not committed yet. The second part is
/// whether there is anything to commit.
///
/// # Errors
/// When the file cannot be read or written. Nothing is done then, unless it is committed.
pub(super) fn change<'a>(
    txn: &WriteTransaction,
    changes: impl Iterator<Item = (&'a Resource, &'a Change)>,
    now: SystemTime,
) -> Result<(Vec<Changed>, bool), redb::Error> {
    let mut rows = txn.open_table(ROWS)?;
    let mut done = Vec::with_capacity(changes.size_hint().0);
    let mut dirty = false;
    for (resource, change) in changes {
        let key = resource.as_str().as_bytes();
        let found = match rows.get(key)? {
            Some(bytes) => Row::decode(key, bytes.value()).map_err(damaged(key)),
            None => Ok(Row::default()),
        };
        let mut row = match found {
            Ok(row) => row,
            Err(fault) => {
                done.push(Changed::Refused(fault.to_string()));
                continue;
            }
        };
        let answer = match change {
            Change::Raise { to, .. } if to.holder.as_str().len() > HOLDER_LEN_MAX_BYTES => {
                done.push(Changed::Refused(format!(
                    "the name of the holder is longer than {HOLDER_LEN_MAX_BYTES} bytes"
                )));
                continue;
            }
            Change::Raise { to, quiesced } if to.token > row.record.mark.token => {
                row.raise(to, *quiesced, now);
                Changed::Raised(row.record.clone())
            }
            Change::Raise { .. } => {
                done.push(Changed::Unchanged(row.record));
                continue;
            }
            Change::Grant { at } => {
                let holds = row.record.mark.token == *at;
                if !holds || row.record.grant == *at {
                    done.push(Changed::Granted(holds));
                    continue;
                }
                row.record.grant = *at;
                Changed::Granted(true)
            }
        };
        rows.insert(key, row.encode(key).as_slice())?;
        dirty = true;
        done.push(answer);
    }
    Ok((done, dirty))
}

/// Makes the tables of a new ledger.
pub(super) fn initialise(txn: &WriteTransaction) -> Result<(), redb::Error> {
    txn.open_table(ROWS)?;
    let mut meta = txn.open_table(META)?;
    meta.insert(MAGIC, MAGIC_VALUE)?;
    meta.insert(LAYOUT, LAYOUT_VERSION.to_le_bytes().as_slice())?;
    meta.insert(SESSION, [Session::Closed as u8].as_slice())?;
    Ok(())
}

/// Writes the session's mark.
pub(super) fn set_session(txn: &WriteTransaction, session: Session) -> Result<(), redb::Error> {
    txn.open_table(META)?.insert(SESSION, [session as u8].as_slice())?;
    Ok(())
}

/// What the file is.
pub(super) fn identify(txn: &ReadTransaction) -> Result<Identity, redb::Error> {
    use redb::TableError::{TableDoesNotExist, TableTypeMismatch};
    const NOT_OURS: Identity = Identity::Foreign("it is a database of another application");

    let meta = match txn.open_table(META) {
        Ok(meta) => meta,
        Err(TableDoesNotExist(_) | TableTypeMismatch { .. }) => return Ok(NOT_OURS),
        Err(error) => return Err(error.into()),
    };
    if meta.get(MAGIC)?.is_none_or(|found| found.value() != MAGIC_VALUE) {
        return Ok(NOT_OURS);
    }
    let layout = meta.get(LAYOUT)?.and_then(|found| found.value().try_into().ok());
    match layout.map(u32::from_le_bytes) {
        Some(LAYOUT_VERSION) => {}
        Some(other) => return Ok(Identity::OtherLayout(other)),
        None => return Ok(Identity::Damaged("its layout version is missing")),
    }
    match txn.open_table(ROWS) {
        Ok(_) => {}
        Err(TableDoesNotExist(_) | TableTypeMismatch { .. }) => {
            return Ok(Identity::Damaged("its table of resources is missing"));
        }
        Err(error) => return Err(error.into()),
    }
    let session = meta.get(SESSION)?.and_then(|found| found.value().first().copied());
    Ok(match session {
        Some(0) => Identity::Ours(Session::Closed),
        Some(1) => Identity::Ours(Session::Open),
        _ => Identity::Damaged("its session mark is missing"),
    })
}

/// The row of a resource, if it was ever raised.
pub(super) fn find(txn: &ReadTransaction, resource: &Resource) -> Result<Option<Row>, TableFault> {
    let key = resource.as_str().as_bytes();
    match txn.open_table(ROWS)?.get(key)? {
        Some(bytes) => Row::decode(key, bytes.value()).map(Some).map_err(damaged(key)),
        None => Ok(None),
    }
}

/// At most `max` rows after `after`, in the order of their names.
pub(super) fn list(
    txn: &ReadTransaction,
    after: Option<&str>,
    max: usize,
) -> Result<Vec<Entry>, TableFault> {
    let from = after.map_or(Bound::Unbounded, |name| Bound::Excluded(name.as_bytes()));
    let rows = txn.open_table(ROWS)?;
    let mut entries = Vec::new();
    for found in rows.range::<&[u8]>((from, Bound::Unbounded))?.take(max) {
        let (key, bytes) = found?;
        let row = Row::decode(key.value(), bytes.value()).map_err(damaged(key.value()))?;
        let resource = std::str::from_utf8(key.value())
            .ok()
            .and_then(|name| Resource::new(name).ok())
            .ok_or(RowError::Contradiction)
            .map_err(damaged(key.value()))?;
        entries.push(Entry { resource, record: row.record, history: row.history });
    }
    Ok(entries)
}
