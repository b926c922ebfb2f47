//! What the gate asks of a shared ledger.

use std::sync::PoisonError;

use tokio::sync::mpsc;

use super::change::{self, Change, Outcome};
use super::held::Seen;
use super::store::Stored;
use super::{LIST_MAX, Replicated, close};
use crate::fence::{Granted, Mark, Own, RaiseOutcome, Record, Resource, SessionId, Token};
use crate::ledger::lease::Lease;
use crate::ledger::metrics::Operation;
use crate::ledger::{Behind, Condition, Entry, Ledger, News, Pending, Replica, Unavailable};

impl Ledger for Replicated {
    fn load<'a>(&'a self, resource: &'a Resource) -> Pending<'a, Result<Record, Unavailable>> {
        Box::pin(async move {
            let own = self.shared.open()?;
            self.shared.thawed()?;
            if !self.shared.held().is_in_doubt(resource) {
                let seen = change::look(&self.shared, &own, resource).await?;
                return Ok(seen.kept.row.record(&own));
            }
            // What may still be done expects a version that this takes away.
            match change::make(&self.shared, own, resource, Change::Rewrite).await {
                Outcome::Done { own, seen, .. } => Ok(seen.kept.row.record(&own)),
                Outcome::Failed(why) | Outcome::Unknown(why) => Err(Unavailable(why)),
                Outcome::Moved => Err(Unavailable("the mark has moved on; try again".into())),
            }
        })
    }

    fn raise<'a>(
        &'a self,
        resource: &'a Resource,
        to: &'a Mark,
        quiesced: bool,
    ) -> Pending<'a, RaiseOutcome> {
        Box::pin(async move {
            let metrics = &self.shared.metrics;
            match self.takeover(resource, Change::Raise { to, quiesced }).await {
                Outcome::Done { own, seen, raised } => {
                    if raised { &metrics.raised } else { &metrics.unchanged }.increment(1);
                    RaiseOutcome::Done(seen.kept.row.record(&own))
                }
                Outcome::Unknown(why) => {
                    metrics.unknown.increment(1);
                    tracing::warn!(%resource, why, "nobody can tell whether the mark was raised");
                    RaiseOutcome::Unknown
                }
                Outcome::Failed(why) => {
                    metrics.failed.increment(1);
                    tracing::debug!(%resource, why, "the mark was not raised");
                    RaiseOutcome::Failed
                }
                Outcome::Moved => RaiseOutcome::Failed,
            }
        })
    }

    fn grant<'a>(&'a self, resource: &'a Resource, at: Token) -> Pending<'a, Granted> {
        Box::pin(async move {
            match self.takeover(resource, Change::Grant { at }).await {
                Outcome::Done { own, seen, .. } => {
                    Granted::Done { behind: seen.kept.row.record(&own).behind }
                }
                Outcome::Moved => Granted::Moved,
                Outcome::Failed(_) | Outcome::Unknown(_) => Granted::Failed,
            }
        })
    }

    fn release<'a>(&'a self, resource: &'a Resource) -> Pending<'a, bool> {
        Box::pin(async move { self.done(resource, Change::Release { at: None }).await })
    }

    fn release_at<'a>(&'a self, resource: &'a Resource, at: Token) -> Pending<'a, bool> {
        Box::pin(async move { self.done(resource, Change::Release { at: Some(at) }).await })
    }

    fn behind<'a>(
        &'a self,
        resource: &'a Resource,
        below: Token,
        anew: bool,
    ) -> Pending<'a, Result<Vec<Behind>, Unavailable>> {
        Box::pin(async move {
            let own = self.shared.open()?;
            let known = self.shared.held().recent(resource).filter(|_| !anew).cloned();
            let seen = match known.filter(|seen| seen.kept.row.mark.token >= below) {
                Some(seen) => seen,
                None => change::look(&self.shared, &own, resource).await?,
            };
            let behind: Vec<_> = seen.kept.row.behind(&own, below).cloned().collect();
            self.judged(behind).await
        })
    }

    fn bury<'a>(&'a self, resource: &'a Resource, dead: &'a SessionId) -> Pending<'a, bool> {
        Box::pin(async move {
            let Ok(own) = self.shared.open() else { return false };
            if own.has(dead) {
                return false;
            }
            if self.shared.peers().gone(dead).is_some() {
                return self.done(resource, Change::Bury { dead }).await;
            }
            // First the row, then the sessions: one that has a grant and is not among them is over,
            // and not about to begin.
            let Ok(seen) = change::look(&self.shared, &own, resource).await else { return false };
            if !seen.kept.row.grants.contains_key(dead) {
                return true;
            }
            // Asked anew each time: what is remembered is for waiting, not for this.
            let Ok(alive) = self.census.take(&self.shared).await else { return false };
            if alive.iter().any(|alive| alive.id == *dead) {
                self.shared.peers().is_alive(dead);
                return false;
            }
            self.shared.peers().is_gone(dead);
            self.done(resource, Change::Bury { dead }).await
        })
    }

    fn lease(&self) -> &Lease {
        &self.shared.lease
    }

    fn session(&self) -> Option<SessionId> {
        Some(self.shared.own().current.clone())
    }

    fn news(&self) -> Option<mpsc::Receiver<News>> {
        self.shared.transitions.listen();
        self.news.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn condition(&self) -> Condition {
        let condition = self.shared.condition();
        self.shared.metrics.show(&condition);
        condition
    }

    fn replicas(&self) -> Pending<'_, Result<Vec<Replica>, Unavailable>> {
        Box::pin(async {
            let sessions = self.census.take(&self.shared).await?;
            let own = self.shared.own();
            let peers = self.shared.peers();
            let mut replicas: Vec<_> =
                sessions.iter().map(|session| peers.replica(session, &own.current)).collect();
            replicas.sort_by(|a, b| a.session.cmp(&b.session));
            Ok(replicas)
        })
    }

    fn loses(&self) -> Option<String> {
        self.shared.store.about().loses
    }

    fn confirm(&self) -> Pending<'_, Result<(), Unavailable>> {
        Box::pin(async {
            self.shared.timed(Operation::Confirm, self.shared.store.confirm()).await??;
            // What was seen before is not what there is.
            self.shared.held().forget_all();
            self.shared.look.notify_one();
            self.condition();
            Ok(())
        })
    }

    /// At most [`LIST_MAX`] entries at a time.
    fn list<'a>(
        &'a self,
        after: Option<&'a str>,
        max: usize,
    ) -> Pending<'a, Result<Vec<Entry>, Unavailable>> {
        Box::pin(async move {
            self.shared.not_closed()?;
            let (mut entries, max) = (Vec::new(), max.min(LIST_MAX));
            let mut after = after.map(str::to_owned);
            while entries.len() < max {
                let asked = max - entries.len();
                let list = self.shared.store.list(after.as_deref(), asked);
                let rows = self.shared.timed(Operation::List, list).await??;
                let is_last = rows.len() < asked;
                after = rows.last().map(|(resource, _)| resource.to_string()).or(after);
                for (resource, stored) in rows {
                    entries.extend(self.entry_of(resource, Some(stored))?);
                }
                if is_last {
                    break;
                }
            }
            Ok(entries)
        })
    }

    fn entry<'a>(
        &'a self,
        resource: &'a Resource,
    ) -> Pending<'a, Result<Option<Entry>, Unavailable>> {
        Box::pin(async move {
            self.shared.not_closed()?;
            let read = self.shared.store.read(resource);
            let stored = self.shared.timed(Operation::Read, read).await??;
            self.entry_of(resource.clone(), stored)
        })
    }

    /// What another process has left behind is in its grants.
    fn ended_uncleanly(&self) -> bool {
        false
    }

    fn health(&self) -> Result<(), Unavailable> {
        self.shared.open().map(drop)
    }

    fn close(&self) -> Pending<'_, Result<(), Unavailable>> {
        Box::pin(close::close(self))
    }
}

impl Replicated {
    /// A change that lets somebody take over: not while the store says that it has lost something.
    async fn takeover(&self, resource: &Resource, change: Change<'_>) -> Outcome {
        match self.shared.open().and_then(|own| self.shared.thawed().map(|()| own)) {
            Ok(own) => change::make(&self.shared, own, resource, change).await,
            Err(Unavailable(why)) => Outcome::Failed(why),
        }
    }

    async fn done(&self, resource: &Resource, change: Change<'_>) -> bool {
        let Ok(own) = self.shared.open() else { return false };
        let outcome = change::make(&self.shared, own, resource, change).await;
        if let Outcome::Failed(why) | Outcome::Unknown(why) = &outcome {
            tracing::debug!(%resource, why, "a grant was not given up");
        }
        matches!(outcome, Outcome::Done { .. })
    }

    /// Which of them are over, as this process has seen or now sees from the store itself.
    async fn judged(&self, sessions: Vec<SessionId>) -> Result<Vec<Behind>, Unavailable> {
        let is_known = |session| self.shared.peers().gone(session).is_some();
        if !sessions.iter().all(is_known) {
            let alive = self.census.take(&self.shared).await?;
            let mut peers = self.shared.peers();
            for session in &sessions {
                if !alive.iter().any(|alive| alive.id == *session) {
                    peers.is_gone(session);
                }
            }
        }
        let peers = self.shared.peers();
        let judged = sessions.into_iter().map(|session| {
            let gone = peers.gone(&session);
            Behind { session, gone }
        });
        Ok(judged.collect())
    }

    /// A row for people; `None` where nothing was ever raised.
    fn entry_of(
        &self,
        resource: Resource,
        stored: Option<Stored>,
    ) -> Result<Option<Entry>, Unavailable> {
        let Seen { kept, .. } = change::read(&self.shared, &resource, stored)?;
        if kept.row.mark.token == Token::ZERO {
            return Ok(None);
        }
        let own: &Own = &self.shared.own();
        Ok(Some(Entry { record: kept.row.record(own), history: kept.history, resource }))
    }
}
