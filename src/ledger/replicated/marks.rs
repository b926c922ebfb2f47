//! Marks read from one ledger and raised in another, whatever they are kept in: export, import,
//! and the comparison of the two.
//!
//! A mark is never lowered. Grants are not moved: they are of sessions that only their own ledger
//! knows, so whoever moves marks first stops the replicas that use them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;

use super::store::{Kept as Keeps, Store, Swap, Swapped};
use super::text::Kept;
use crate::fence::{Mark, RaiseOutcome, Resource, SessionId, Token};
use crate::ledger::lease::Moment;
use crate::ledger::{Entry, HOLDER_LEN_MAX_BYTES, Ledger, Raised, Unavailable};

/// The name of the session under which marks are raised.
pub const IMPORT_REPLICA: &str = "import";
/// How long it lives when nothing is done under it.
const IMPORT_TTL: Duration = Duration::from_secs(30);
/// How often one mark is tried while others change its row.
const TRIES_MAX: usize = 16;
/// How many rows are read at once.
const READS_MAX: usize = 32;

/// What is moved of a resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Marked {
    /// Its name.
    pub resource: Resource,
    /// The high-water mark.
    pub mark: Mark,
    /// The latest raises, oldest first.
    pub history: Vec<Raised>,
    /// How many sessions have a grant in it: of a shared ledger that all replicas were stopped
    /// cleanly in, none.
    pub grants: usize,
}

/// What became of one mark.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Imported {
    /// The mark is now what was to be imported.
    Raised {
        /// What it was.
        from: Token,
    },
    /// It was that already, or higher; nothing was changed.
    Present {
        /// What it is.
        mark: Mark,
    },
    /// It was not raised.
    Refused {
        /// Why.
        why: String,
    },
}

/// At most `max` marks of resources that come after `after`, in the order of their names, from the
/// store itself; no session is begun. An answer with fewer than `max` (at least 1) is the last.
///
/// # Errors
/// When the store cannot be read, or a row in it: which, and why.
pub async fn export(
    store: &dyn Store,
    after: Option<&Resource>,
    max: usize,
) -> Result<Vec<Marked>, Unavailable> {
    let max = max.max(1);
    let mut after = after.cloned();
    let mut marks = Vec::new();
    while marks.len() < max {
        let asked = max - marks.len();
        let rows = store.list(after.as_ref().map(Resource::as_str), asked).await?;
        let is_last = rows.len() < asked;
        for (resource, stored) in rows {
            let kept = decode(&resource, &stored.text)?;
            after = Some(resource.clone());
            if kept.row.mark.token > Token::ZERO {
                let grants = kept.row.grants.len();
                let (mark, history) = (kept.row.mark.clone(), kept.history);
                marks.push(Marked { resource, mark, history, grants });
            }
        }
        if is_last {
            break;
        }
    }
    Ok(marks)
}

/// The mark of one resource, from the store itself; 0 for one that was never raised.
///
/// # Errors
/// When the store cannot be read, or the row.
pub async fn read(store: &dyn Store, resource: &Resource) -> Result<Mark, Unavailable> {
    match store.read(resource).await? {
        Some(stored) => Ok(decode(resource, &stored.text)?.row.mark.clone()),
        None => Ok(Mark::default()),
    }
}

/// The same from any open ledger, such as the embedded one.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn export_ledger(
    ledger: &dyn Ledger,
    after: Option<&Resource>,
    max: usize,
) -> Result<Vec<Marked>, Unavailable> {
    let entries = ledger.list(after.map(Resource::as_str), max.max(1)).await?;
    let marks = entries.into_iter().map(|Entry { resource, record, history }| {
        let grants = usize::from(record.grant > Token::ZERO);
        Marked { resource, mark: record.mark, history, grants }
    });
    Ok(marks.collect())
}

/// Raises marks in any open ledger, such as the embedded one: one outcome for each. What it tells
/// of their past there begins now.
pub async fn import_ledger(ledger: &dyn Ledger, marks: &[Marked]) -> Vec<Imported> {
    let raises = marks.iter().map(|Marked { resource, mark, .. }| async move {
        if let Err(why) = is_plausible(mark) {
            return Imported::Refused { why };
        }
        let before = match ledger.load(resource).await {
            Ok(record) => record.mark,
            Err(Unavailable(why)) => return Imported::Refused { why },
        };
        if before.token >= mark.token {
            return Imported::Present { mark: before };
        }
        // Its grant stays where it was: what is below the mark is quiesced by who opens it.
        match ledger.raise(resource, mark, false).await {
            RaiseOutcome::Done(record) if record.mark == *mark => {
                Imported::Raised { from: before.token }
            }
            RaiseOutcome::Done(record) => Imported::Present { mark: record.mark },
            RaiseOutcome::Failed => Imported::Refused { why: "the ledger refused it".into() },
            RaiseOutcome::Unknown => Imported::Refused { why: UNKNOWN.into() },
        }
    });
    futures_util::future::join_all(raises).await
}

const UNKNOWN: &str = "nobody can tell whether it was raised; import it again";

/// Raises marks in a store, under a session of its own. To be [ended](Import::end).
pub struct Import {
    store: Arc<dyn Store>,
    session: SessionId,
    kept: Moment,
}

impl Import {
    /// Begins the session.
    ///
    /// # Errors
    /// When it cannot be begun, or the store says that it has lost something.
    pub async fn begin(store: Arc<dyn Store>) -> Result<Self, Unavailable> {
        let kept = Moment::now();
        let about = super::peers::About::new().text();
        let session = store.begin(IMPORT_REPLICA, IMPORT_TTL, &about).await?;
        if let Err(frozen) = store.frozen() {
            let _ = store.end(&session).await;
            return Err(frozen);
        }
        Ok(Self { store, session, kept })
    }

    /// Raises marks: one outcome for each, in their order. No two are of one resource.
    ///
    /// # Errors
    /// When the session is over, or the store out of reach before anything was changed: what was
    /// raised before stays, and can be imported again.
    pub async fn put(&mut self, marks: &[Marked]) -> Result<Vec<Imported>, Unavailable> {
        let mut outcomes = Vec::with_capacity(marks.len());
        for chunk in marks.chunks(self.store.swaps_max().max(1)) {
            self.keep().await?;
            outcomes.extend(self.put_some(chunk).await?);
        }
        Ok(outcomes)
    }

    /// Ends the session. What was raised stays.
    ///
    /// # Errors
    /// When the store did not answer; the session then ends by itself.
    pub async fn end(self) -> Result<(), Unavailable> {
        self.store.end(&self.session).await
    }

    async fn keep(&mut self) -> Result<(), Unavailable> {
        let now = Moment::now();
        if now.since(self.kept) < IMPORT_TTL / 3 {
            return Ok(());
        }
        match self.store.keep(&self.session, "{}").await? {
            Keeps::Alive => self.kept = now,
            Keeps::Gone => {
                return Err(Unavailable("the session of the import is over; import again".into()));
            }
        }
        Ok(())
    }

    async fn put_some(&self, marks: &[Marked]) -> Result<Vec<Imported>, Unavailable> {
        let mut outcomes: Vec<Option<Imported>> = vec![None; marks.len()];
        for (outcome, marked) in outcomes.iter_mut().zip(marks) {
            *outcome = is_plausible(&marked.mark).err().map(|why| Imported::Refused { why });
        }
        for _ in 0..TRIES_MAX {
            let open: Vec<usize> = (0..marks.len()).filter(|at| outcomes[*at].is_none()).collect();
            if open.is_empty() {
                break;
            }
            // Each time from what is there: an answer that was lost is found done.
            let looks = open.iter().map(|at| self.propose(&marks[*at]));
            let looks: Vec<_> =
                futures_util::stream::iter(looks).buffered(READS_MAX).collect().await;
            let (mut swaps, mut swapped) = (Vec::new(), Vec::new());
            for (at, look) in open.into_iter().zip(looks) {
                match look? {
                    Ok((swap, from)) => {
                        swaps.push(swap);
                        swapped.push((at, from));
                    }
                    Err(outcome) => outcomes[at] = Some(outcome),
                }
            }
            if swaps.is_empty() {
                continue;
            }
            let answers = self.store.swap(&self.session, &swaps).await;
            for ((at, from), answer) in swapped.into_iter().zip(answers) {
                match answer {
                    Swapped::Done(_) => outcomes[at] = Some(Imported::Raised { from }),
                    Swapped::Differs(_) | Swapped::Unknown(_) => {}
                    Swapped::Failed(why) => outcomes[at] = Some(Imported::Refused { why }),
                    Swapped::NoSession => {
                        let why = "the session of the import is over; import again";
                        return Err(Unavailable(why.into()));
                    }
                }
            }
        }
        let unknown = || Imported::Refused { why: UNKNOWN.into() };
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unknown)).collect())
    }

    /// How a row is to be changed, or why it is not.
    async fn propose(
        &self,
        marked: &Marked,
    ) -> Result<Result<(Swap, Token), Imported>, Unavailable> {
        let refused = |why: String| Ok(Err(Imported::Refused { why }));
        let stored = self.store.read(&marked.resource).await?;
        let expected = stored.as_ref().map_or(0, |stored| stored.version);
        let mut kept = match stored.map(|stored| decode(&marked.resource, &stored.text)) {
            Some(Ok(kept)) => kept,
            Some(Err(Unavailable(why))) => return refused(why),
            None => Kept::default(),
        };
        let from = kept.row.mark.token;
        if from >= marked.mark.token {
            return Ok(Err(Imported::Present { mark: kept.row.mark.clone() }));
        }
        // No grant moves: none of this process's is there, and none is set.
        Arc::make_mut(&mut kept.row).mark = marked.mark.clone();
        let told = marked.history.iter().filter(|raised| raised.token > from);
        kept.history.extend(told.cloned());
        if marked.history.is_empty() {
            kept.remember(SystemTime::now());
        }
        kept.forget_oldest();
        match kept.encode() {
            Ok(text) => Ok(Ok((Swap { resource: marked.resource.clone(), expected, text }, from))),
            Err(error) => refused(error.to_string()),
        }
    }
}

fn is_plausible(mark: &Mark) -> Result<(), String> {
    if mark.token == Token::ZERO {
        return Err("the mark 0 outranks nothing".into());
    }
    if mark.holder.as_str().len() > HOLDER_LEN_MAX_BYTES {
        return Err(format!("the name of its holder has more than {HOLDER_LEN_MAX_BYTES} bytes"));
    }
    Ok(())
}

fn decode(resource: &Resource, text: &[u8]) -> Result<Kept, Unavailable> {
    Kept::decode(text).map_err(|error| {
        Unavailable(format!("the row of resource `{resource}` cannot be used: {error}"))
    })
}
