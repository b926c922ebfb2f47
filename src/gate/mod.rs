//! Drives the fences: table, admission in the order of arrival, takeover, settling.
//!
//! [`Gate::admit`] is the only way to an [`Admission`], and an admission is the only way to
//! the store. Everything here is cancellation-safe: a request that goes away at any await
//! leaves nothing behind, and a write dropped past its commit point is counted as unknown.
//!
//! The files, from the outside in: `driver` does what the fence asks for (ledger, timers),
//! `admission` is the proof that a request carries, `table` finds the cell of a resource,
//! `cell` is one fence with those who wait for it, `state` what its lock guards, `ended` why it is
//! over for somebody. `membership` is the cell's part in what `others`, the other replicas, do;
//! `remains` is what dead ones leave in stores.

mod admission;
mod bid;
mod cell;
mod driver;
mod ended;
mod membership;
mod others;
mod remains;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod waiting;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

pub use admission::Admission;
pub use bid::{Bid, Evidence, Sealed, Status};
pub use remains::Remains;
pub use watch::Watch;

use crate::audit::{self, Audit};
use crate::fence::{
    Action, Ask, Claim, Holder, Intent, Refusal, Resource, SessionId, Ticket, Token, TokenRules,
};
use crate::ledger::Ledger;
use crate::net::identity::Peer;
use crate::rules::Rule;
use crate::telemetry::GateMetrics;
use cell::{Asked, Cell, Reply};
use remains::Stores;
use table::Table;

/// The bounds of the gate.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many resources are kept in memory. Idle ones make room for others.
    pub active_resources_max: usize,
    /// How many requests wait for one resource while a takeover of it runs.
    pub takeover_queue_max: u32,
    /// How many writes of one resource are under way at once, so that one that hangs cannot
    /// take every connection to the store.
    pub writes_per_resource_max: u32,
    /// The longest `settle_timeout` of any rule: what an operator waits for, who has no rule.
    pub settle_timeout_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            active_resources_max: 1_000_000,
            takeover_queue_max: 10_000,
            writes_per_resource_max: 1_000,
            settle_timeout_max: Duration::from_secs(30),
        }
    }
}

/// See the module.
pub struct Gate {
    shared: Arc<Shared>,
    table: Arc<Table>,
    tickets: AtomicU64,
}

/// What every cell needs to carry out what its fence asks for.
struct Shared {
    ledger: Arc<dyn Ledger>,
    /// Other replicas share the ledger.
    is_replicated: bool,
    stores: Stores,
    settings: Settings,
    audit: Audit,
    runtime: Handle,
    started: Instant,
    closing: AtomicBool,
    metrics: GateMetrics,
}

/// What a request is told that comes, or still waits, when the process ends.
const ENDING: Refusal = Refusal::Overloaded { limit: "drain_timeout" };

/// What the fence is asked, after rules and identities have been looked at.
struct Question<'a> {
    resource: &'a Resource,
    claim: Claim,
    intent: Intent,
    may_raise: bool,
    rules: TokenRules,
    peer: &'a Peer,
    rule: Option<&'a Arc<Rule>>,
    settle_timeout: Duration,
    wait: Duration,
}

impl Gate {
    /// A gate over a ledger. Takeovers run on `runtime`, so that they end even when
    /// nobody waits for them any more.
    pub fn new(ledger: Arc<dyn Ledger>, settings: Settings, audit: Audit, runtime: Handle) -> Self {
        let started = Instant::now();
        let closing = AtomicBool::new(false);
        let table = Arc::new(Table::new(settings.active_resources_max));
        let metrics = GateMetrics::new();
        let (is_replicated, news) = (ledger.session().is_some(), ledger.news());
        let shared = Arc::new(Shared {
            ledger,
            is_replicated,
            stores: Stores::default(),
            settings,
            audit,
            runtime,
            started,
            closing,
            metrics,
        });
        if let Some(news) = news {
            let following = others::follow(news, Arc::clone(&shared), Arc::clone(&table));
            shared.runtime.spawn(following);
        }
        Self { shared, table, tickets: AtomicU64::new(0) }
    }

    /// What a dead replica has left under a rule is settled by that store, not by time.
    pub fn settles_through(&self, rule: &Arc<str>, store: Arc<dyn Remains>) {
        self.shared.stores.add(rule, store);
    }

    /// This process's session with a shared ledger, by whose name its connections to stores are to
    /// be known. `None` where the ledger is not shared.
    pub fn session(&self) -> Option<SessionId> {
        self.shared.ledger.session()
    }

    /// Admits a write, after a takeover if its token is larger than the mark.
    ///
    /// # Errors
    /// The refusal.
    pub async fn admit(&self, bid: &Bid) -> Result<Admission, Refusal> {
        match self.ask(Question::of(bid, Intent::Write)).await? {
            Reply::Admitted(admission) => Ok(admission),
            Reply::Sealed(_) => unreachable!("a write is never answered as a seal"),
        }
    }

    /// Returns when every write with a smaller token has settled: for seals, and for
    /// reads that bring a token.
    ///
    /// # Errors
    /// The refusal.
    pub async fn seal(&self, bid: &Bid) -> Result<Sealed, Refusal> {
        self.sealed(Question::of(bid, Intent::Seal)).await
    }

    /// Watches a resource for the token of a bid that was sealed.
    ///
    /// # Errors
    /// [`Refusal::Overloaded`] when there is no room for the resource in memory.
    pub fn watch(&self, bid: &Bid) -> Result<Watch, Refusal> {
        let cell = self.cell(&bid.resource, Some(&bid.rule))?;
        let epoch = cell.epoch();
        Ok(Watch { cell, token: bid.claim.token, epoch })
    }

    /// What is known of a resource, from memory or else from the ledger.
    ///
    /// # Errors
    /// [`Refusal::LedgerUnavailable`].
    pub async fn status(&self, resource: &Resource) -> Result<Status, Refusal> {
        if let Some(cell) = self.table.find(resource)
            && let Some(status) = cell.status()
        {
            return Ok(status);
        }
        let record =
            self.shared.ledger.load(resource).await.map_err(|_| Refusal::LedgerUnavailable)?;
        Ok(Status {
            mark: record.mark,
            busy: false,
            streaming: 0,
            sent: 0,
            unknown: 0,
            evidence: None,
        })
    }

    /// Returns when every write below the mark has settled, and leaves the mark where it
    /// is: an operator's seal, which takes the resource from nobody.
    ///
    /// # Errors
    /// The refusal; [`Refusal::Stale`] when the mark has moved on meanwhile.
    pub async fn reseal(&self, resource: &Resource, operator: &Peer) -> Result<Sealed, Refusal> {
        self.swept().await?;
        let mark = self.status(resource).await?.mark;
        let settle_timeout = self.shared.settings.settle_timeout_max;
        self.sealed(Question {
            resource,
            claim: mark,
            intent: Intent::Seal,
            may_raise: false,
            rules: TokenRules::default(),
            peer: operator,
            rule: None,
            settle_timeout,
            wait: settle_timeout * 2,
        })
        .await
    }

    /// Raises a resource to the next incarnation in the name of an operator, so that
    /// tokens of a reset source (`incarnation.counter`) outrank every old one. Quiesces first.
    ///
    /// # Errors
    /// The refusal.
    pub async fn reset(
        &self,
        resource: &Resource,
        operator: &Peer,
        reason: &str,
    ) -> Result<Sealed, Refusal> {
        self.swept().await?;
        let mark = self.status(resource).await?.mark.token;
        let Some(incarnation) = mark.incarnation().checked_add(1) else {
            return Err(Refusal::Implausible { token: mark, mark, limit: Token::MAX });
        };
        let claim = Claim {
            token: Token::new(incarnation, 0),
            holder: Holder::new(format!("operator:{}", operator.identity.name)),
        };
        let settle_timeout = self.shared.settings.settle_timeout_max;
        let sealed = self
            .sealed(Question {
                resource,
                claim,
                intent: Intent::Seal,
                may_raise: true,
                rules: TokenRules { incarnation, ..TokenRules::default() },
                peer: operator,
                rule: None,
                settle_timeout,
                wait: settle_timeout * 2,
            })
            .await?;
        if let Some(cell) = self.table.find(resource) {
            cell.metrics.resets.increment(1);
        }
        self.shared.audit.record(audit::Event {
            event: "reset",
            resource: Some(resource.to_string()),
            token: Some(sealed.mark.token.to_string()),
            mark: Some(sealed.mark.token.to_string()),
            holder: Some(sealed.mark.holder.to_string()),
            detail: Some(serde_json::json!({ "reason": reason, "from": mark.to_string() })),
            ..audit::Event::by(operator)
        });
        Ok(sealed)
    }

    /// Admits nothing any more, refuses those who wait, and cuts every write before its commit
    /// point: nothing of those is in the store. Writes past it go on.
    pub fn halt(&self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        self.table.each(Cell::halt);
    }

    /// Has every write past its commit point close its connection and be told `unknown`: there
    /// is no time left to wait for the store.
    pub fn give_up(&self) {
        self.table.each(Cell::give_up);
    }

    /// Admits nothing any more, waits until nothing is in flight, at most until
    /// `deadline`, and then gives all grants up, so that the next start need not wait.
    ///
    /// # Errors
    /// How many writes may still land. The ledger is then left as after a crash, which is safe.
    pub async fn close(&self, deadline: Instant) -> Result<(), usize> {
        self.shared.closing.store(true, Ordering::SeqCst);
        // What a process before this one left has to be waited out before it is forgotten.
        let leftovers_until = self
            .shared
            .ledger
            .ended_uncleanly()
            .then(|| self.shared.started + self.shared.settings.settle_timeout_max);
        loop {
            let now = Instant::now();
            let in_flight = self.table.count(|cell| !cell.is_quiet(now))
                + usize::from(leftovers_until.is_some_and(|until| now < until));
            if in_flight == 0 {
                return self.shared.ledger.close().await.map_err(|_| 0);
            }
            if now >= deadline {
                return Err(in_flight);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Begins to count for a rule, so that its first stale write is seen as an increase.
    pub fn count_rule(&self, name: &Arc<str>) {
        self.shared.metrics.rule(name);
    }

    /// Resources in memory.
    pub fn active_resources(&self) -> usize {
        self.table.len()
    }

    async fn sealed(&self, question: Question<'_>) -> Result<Sealed, Refusal> {
        let mark = question.claim.clone();
        match self.ask(question).await? {
            Reply::Sealed(evidence) => Ok(Sealed { mark, evidence }),
            Reply::Admitted(_) => unreachable!("a seal is never answered with a permit"),
        }
    }

    async fn ask(&self, question: Question<'_>) -> Result<Reply, Refusal> {
        let Question { resource, claim, intent, may_raise, rules, .. } = question;
        let cell = self.cell(resource, question.rule)?;
        let ticket = Ticket(self.tickets.fetch_add(1, Ordering::Relaxed));
        let ask = Ask { ticket, claim, intent, may_raise, rules };
        let reply = match cell.ask(ask, question.peer, question.rule, question.settle_timeout) {
            Asked::Now(reply) => reply,
            Asked::Later { outcome, waiting } => {
                driver::carry_out(&cell, outcome);
                waiting.reply(question.wait).await
            }
        };
        let action = match intent {
            Intent::Write => Action::Write,
            Intent::Seal => Action::Read,
        };
        match &reply {
            Ok(_) => cell.metrics.admitted(action).increment(1),
            Err(refusal) => {
                if let Some(counter) = cell.metrics.refused(action, refusal.reason()) {
                    counter.increment(1);
                }
                if *refusal == Refusal::Unsettled {
                    cell.metrics.unsettled.increment(1);
                }
            }
        }
        reply
    }

    fn cell(&self, resource: &Resource, rule: Option<&Arc<Rule>>) -> Result<Arc<Cell>, Refusal> {
        let cell = self.table.cell(resource, || self.new_cell(resource, rule));
        cell.ok_or(Refusal::Overloaded { limit: "active_resources_max" })
    }

    fn new_cell(&self, resource: &Resource, rule: Option<&Arc<Rule>>) -> Cell {
        self.shared.metrics.active_resources.set(self.table.len() as f64 + 1.0);
        let rule = rule.map_or_else(|| Arc::from("(operator)"), |rule| Arc::clone(&rule.name));
        Cell::new(resource.clone(), &self.shared, self.shared.metrics.rule(&rule))
    }
}

impl<'a> Question<'a> {
    fn of(bid: &'a Bid, intent: Intent) -> Self {
        let rule = &bid.rule;
        Self {
            resource: &bid.resource,
            claim: bid.claim.clone(),
            intent,
            may_raise: rule.who.may(&bid.peer.identity.name, Action::Raise),
            rules: rule.tokens,
            peer: &bid.peer,
            rule: Some(rule),
            settle_timeout: rule.settle_timeout,
            wait: bid.wait.min(rule.takeover_timeout),
        }
    }
}
