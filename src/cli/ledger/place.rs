//! A ledger that is opened for a command.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use futures_util::future::join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Mutex;

use super::file::Kept;
use crate::app;
use crate::config::Ledger as Choice;
use crate::fence::{Holder, Mark, RaiseOutcome, Resource, Token};
use crate::ledger::embedded::Embedded;
use crate::ledger::replicated::marks::{self, Import, Imported, Marked};
use crate::ledger::replicated::store::Store;
use crate::ledger::{Ledger as _, Unavailable};

/// Rows of a shared ledger that are read at once.
const READS_MAX: usize = 32;

/// What it is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// What is not there is an error.
    Read,
    /// It is made if it is not there.
    Write,
}

/// What became of a mark that was to be raised.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Put {
    /// It was.
    Raised,
    /// It was there.
    Same,
    /// It was there with another holder.
    Holder(Holder),
    /// A higher one was there.
    Higher(Token),
    /// It was not, or nobody knows.
    Failed(String),
}

/// See the module.
pub(super) struct Place {
    name: String,
    kind: Kind,
}

enum Kind {
    Embedded(Embedded),
    Shared { store: Arc<dyn Store>, import: Option<Mutex<Import>> },
}

impl Place {
    pub(super) async fn open(choice: Choice, need: Need) -> anyhow::Result<Self> {
        let name = choice.place();
        let kind = match choice {
            Choice::Embedded { path, settings } => {
                if need == Need::Read && !path.exists() {
                    bail!("there is no ledger {name}");
                }
                let opening = tokio::task::spawn_blocking(move || Embedded::open(&path, settings));
                Kind::Embedded(opening.await??)
            }
            shared @ (Choice::Etcd { .. } | Choice::Redis { .. }) => {
                let store =
                    app::ledger::store(&shared).await.context("it is no shared ledger")??;
                let import = match need {
                    Need::Read => None,
                    Need::Write => Some(Mutex::new(Import::begin(Arc::clone(&store)).await?)),
                };
                Kind::Shared { store, import }
            }
        };
        Ok(Self { name, kind })
    }

    /// Where it is, for people.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What whoever imports an export of it has to know.
    pub(super) async fn notes(&self) -> anyhow::Result<Vec<String>> {
        match &self.kind {
            Kind::Embedded(ledger) if ledger.ended_uncleanly() => Ok(vec![
                "the Palisade that used this ledger did not end cleanly: what it had sent may still \
                 land, so serve from an import of this only after settle_timeout"
                    .to_owned(),
            ]),
            Kind::Embedded(_) => Ok(Vec::new()),
            Kind::Shared { store, .. } => {
                let mut notes = Vec::new();
                let sessions = store.sessions().await?;
                let names: Vec<_> = sessions.iter().map(|it| it.id.to_string()).collect();
                if !names.is_empty() {
                    notes.push(format!(
                        "replicas used this ledger during the export, and may have raised marks \
                         since: {}; that is fine for a backup; before another ledger is served \
                         from, stop them and export again",
                        names.join(", ")
                    ));
                }
                if let Err(Unavailable(why)) = store.frozen() {
                    notes.push(format!("this ledger has lost something: {why}"));
                }
                Ok(notes)
            }
        }
    }

    /// What comes behind a name.
    pub(super) async fn page(&self, after: Option<&str>, max: usize) -> anyhow::Result<Vec<Kept>> {
        match &self.kind {
            Kind::Embedded(ledger) => {
                let entries = ledger.list(after, max).await?;
                let kept = entries.into_iter().map(|entry| Kept {
                    resource: entry.resource,
                    mark: entry.record.mark,
                    history: entry.history,
                });
                Ok(kept.collect())
            }
            Kind::Shared { store, .. } => {
                let after = after.map(Resource::new).transpose()?;
                let marked = marks::export(&**store, after.as_ref(), max).await?;
                let kept =
                    |Marked { resource, mark, history, .. }| Kept { resource, mark, history };
                Ok(marked.into_iter().map(kept).collect())
            }
        }
    }

    /// The marks of resources; 0 for what is not there.
    pub(super) async fn marks(&self, of: &[Resource]) -> anyhow::Result<Vec<Mark>> {
        match &self.kind {
            Kind::Embedded(ledger) => {
                let entries = join_all(of.iter().map(|resource| ledger.entry(resource))).await;
                let mark = |entry: Option<crate::ledger::Entry>| {
                    entry.map(|entry| entry.record.mark).unwrap_or_default()
                };
                entries.into_iter().map(|entry| Ok(mark(entry?))).collect()
            }
            Kind::Shared { store, .. } => {
                let read = async |resource| marks::read(&**store, resource).await;
                let read = stream::iter(of).map(read).buffered(READS_MAX);
                Ok(read.try_collect().await?)
            }
        }
    }

    /// Raises marks, each resource once; one answer for each.
    pub(super) async fn put(&self, all: &[Kept]) -> anyhow::Result<Vec<Put>> {
        match &self.kind {
            Kind::Embedded(ledger) => {
                let names: Vec<_> = all.iter().map(|kept| kept.resource.clone()).collect();
                let before = self.marks(&names).await?;
                let puts = all.iter().zip(before).map(async |(kept, before)| {
                    match compared(&kept.mark, &before) {
                        Some(put) => put,
                        None => embed(ledger, kept).await,
                    }
                });
                Ok(join_all(puts).await)
            }
            Kind::Shared { import: None, .. } => bail!("it was opened for reading"),
            Kind::Shared { import: Some(import), .. } => {
                let marked = all.iter().cloned().map(|Kept { resource, mark, history }| Marked {
                    resource,
                    mark,
                    history,
                    grants: 0,
                });
                let marked: Vec<_> = marked.collect();
                let answers = import.lock().await.put(&marked).await?;
                let put = |(kept, answer): (&Kept, Imported)| match answer {
                    Imported::Raised { .. } => Put::Raised,
                    Imported::Refused { why } => Put::Failed(why),
                    Imported::Present { mark } => compared(&kept.mark, &mark).unwrap_or(Put::Same),
                };
                Ok(all.iter().zip(answers).map(put).collect())
            }
        }
    }

    /// Lets it go as it was found.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        match self.kind {
            // One that was not closed cleanly stays so: the next start has to wait for what the
            // process before it had sent.
            Kind::Embedded(ledger) if ledger.ended_uncleanly() => Ok(()),
            Kind::Embedded(ledger) => ledger.close().await.context("the ledger was not closed"),
            Kind::Shared { import: None, .. } => Ok(()),
            Kind::Shared { import: Some(import), .. } => {
                import.into_inner().end().await.context("the session of the import ends by itself")
            }
        }
    }
}

/// What is to be said of a mark that is not to be raised.
fn compared(wanted: &Mark, there: &Mark) -> Option<Put> {
    match there.token.cmp(&wanted.token) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Greater => Some(Put::Higher(there.token)),
        std::cmp::Ordering::Equal if there.holder == wanted.holder => Some(Put::Same),
        std::cmp::Ordering::Equal => Some(Put::Holder(there.holder.clone())),
    }
}

/// Raises in the embedded ledger, which writes its own history: of raises before the last one the
/// times are lost. No grant moves: what may be left below the mark is for who serves from it.
async fn embed(ledger: &Embedded, kept: &Kept) -> Put {
    let earlier = kept.history.iter().filter(|raised| raised.token < kept.mark.token);
    let earlier = earlier.map(|it| Mark { token: it.token, holder: it.holder.clone() });
    for mark in earlier.chain([kept.mark.clone()]) {
        match ledger.raise(&kept.resource, &mark, false).await {
            RaiseOutcome::Done(_) => {}
            RaiseOutcome::Failed => return Put::Failed("the ledger refused it".to_owned()),
            RaiseOutcome::Unknown => {
                return Put::Failed("nobody knows whether it was raised; import again".to_owned());
            }
        }
    }
    Put::Raised
}
