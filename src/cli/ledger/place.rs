//! A ledger that is opened for a command.

use anyhow::{Context as _, bail};
use futures_util::future::join_all;

use super::file::Kept;
use crate::config::Ledger as Choice;
use crate::fence::{Holder, Mark, RaiseOutcome, Resource, Token};
use crate::ledger::Ledger as _;
use crate::ledger::embedded::Embedded;

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
            Choice::Etcd { .. } | Choice::Redis { .. } => bail!("not linked in yet"),
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
        }
    }

    /// Lets it go as it was found.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        match self.kind {
            // One that was not closed cleanly stays so: the next start has to wait for what the
            // process before it had sent.
            Kind::Embedded(ledger) if ledger.ended_uncleanly() => Ok(()),
            Kind::Embedded(ledger) => ledger.close().await.context("the ledger was not closed"),
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
/// times are lost.
async fn embed(ledger: &Embedded, kept: &Kept) -> Put {
    // Nothing is in flight under a ledger that nobody serves from, unless its last process was killed.
    let quiesced = !ledger.ended_uncleanly();
    let earlier = kept.history.iter().filter(|raised| raised.token < kept.mark.token);
    let earlier = earlier.map(|it| Mark { token: it.token, holder: it.holder.clone() });
    for mark in earlier.chain([kept.mark.clone()]) {
        match ledger.raise(&kept.resource, &mark, quiesced).await {
            RaiseOutcome::Done(_) => {}
            RaiseOutcome::Failed => return Put::Failed("the ledger refused it".to_owned()),
            RaiseOutcome::Unknown => {
                return Put::Failed("nobody knows whether it was raised; import again".to_owned());
            }
        }
    }
    Put::Raised
}
