//! The threads that read the file, so that no async worker waits for a disk and no read
//! waits for an fsync. Everything that waits is read from one snapshot.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use redb::{ReadTransaction, ReadableDatabase};
use tokio::sync::{mpsc, oneshot};

use super::row::Row;
use super::shared::{Shared, closed};
use super::tables::{self, TableFault};
use crate::fence::Resource;
use crate::ledger::{Entry, Unavailable};

/// What the threads are asked.
pub(super) enum Query {
    Find {
        resource: Resource,
        reply: oneshot::Sender<Result<Option<Row>, Unavailable>>,
    },
    List {
        after: Option<String>,
        max: usize,
        reply: oneshot::Sender<Result<Vec<Entry>, Unavailable>>,
    },
}

/// The most queries in one snapshot: an old snapshot keeps pages from being reused.
const BATCH_MAX: usize = 256;

#[derive(Clone)]
pub(super) struct Reader {
    pub(super) shared: Arc<Shared>,
    /// Whoever holds it waits for queries; the others wait for it.
    pub(super) queries: Arc<Mutex<mpsc::Receiver<Query>>>,
}

impl Reader {
    /// Works until nobody can ask any more.
    pub(super) fn run(self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let mut queries = self.queries.lock().unwrap_or_else(PoisonError::into_inner);
            if queries.blocking_recv_many(&mut batch, BATCH_MAX) == 0 {
                return;
            }
            drop(queries);
            // redb panics on some damaged pages. Those who asked are answered by the drop of
            // their queries; the others are not left without a reader.
            let read = catch_unwind(AssertUnwindSafe(|| self.answer(&mut batch)));
            if read.is_err() {
                self.shared.stop("reading the file failed in an unforeseen way");
                batch.clear();
            }
        }
    }

    fn answer(&self, batch: &mut Vec<Query>) {
        let guard = self.shared.database();
        let snapshot = match guard.as_ref() {
            Some(database) => database.begin_read().map_err(|error| unreadable(error.into())),
            None => Err(closed()),
        };
        for query in batch.drain(..) {
            match query {
                Query::Find { resource, reply } => {
                    let _ = reply.send(self.read(&snapshot, |txn| tables::find(txn, &resource)));
                }
                Query::List { after, max, reply } => {
                    let _ = reply
                        .send(self.read(&snapshot, |txn| tables::list(txn, after.as_deref(), max)));
                }
            }
        }
    }

    fn read<T>(
        &self,
        snapshot: &Result<ReadTransaction, Unavailable>,
        read: impl FnOnce(&ReadTransaction) -> Result<T, TableFault>,
    ) -> Result<T, Unavailable> {
        let found = read(snapshot.as_ref().map_err(Clone::clone)?).map_err(|fault| {
            let unavailable = unreadable(fault);
            self.shared.complain(&unavailable.0);
            unavailable
        })?;
        // Last: a commit that fails meanwhile makes what was read worthless.
        self.shared.healthy()?;
        Ok(found)
    }
}

fn unreadable(fault: TableFault) -> Unavailable {
    Unavailable(fault.to_string())
}
