//! Does what a fence asks for: the ledger's work, the passing of time, the record of it.
//!
//! Nothing here belongs to a request: a takeover ends even when nobody waits for it.

use std::sync::Arc;

use super::cell::Cell;
use super::others;
use super::state::{Outcome, Running};
use crate::audit;
use crate::fence::{Effect, Granted, Loaded, Mark, RaiseOutcome, Takeover, Token};

/// Sends the replies and begins the work. Never blocks.
pub(super) fn carry_out(cell: &Arc<Cell>, outcome: Outcome) {
    for delivery in outcome.deliveries {
        delivery.send();
    }
    for effect in outcome.work {
        let (cell, runtime) = (Arc::clone(cell), &cell.shared.runtime);
        match effect {
            Effect::Load => drop(runtime.spawn(load(cell))),
            Effect::Raise { to, quiesced } => drop(runtime.spawn(raise(cell, to, quiesced))),
            Effect::Grant { at } => drop(runtime.spawn(grant(cell, at))),
            Effect::Quiesce => drop(runtime.spawn(settle_by_time(cell))),
            Effect::Await { at } => drop(runtime.spawn(await_others(cell, at))),
            Effect::Release => drop(runtime.spawn(release(cell))),
            Effect::Opened(takeover) => record(&cell, &takeover),
            Effect::Yielded(takeover) => yielded(&cell, &takeover),
            other => unreachable!("{other:?} is carried out by the cell itself"),
        }
    }
}

async fn load(cell: Arc<Cell>) {
    let shared = &cell.shared;
    let loaded = match shared.ledger.load(&cell.resource).await {
        Ok(record) => {
            let until = shared.started + cell.settle_timeout();
            let leftovers = shared.ledger.ended_uncleanly() && tokio::time::Instant::now() < until;
            Loaded::Found { record, leftovers }
        }
        Err(error) => {
            tracing::error!(resource = %cell.resource, %error, "cannot load a mark; writes are refused");
            Loaded::Unavailable
        }
    };
    carry_out(&cell, cell.step(|register| register.loaded(loaded)));
}

async fn raise(cell: Arc<Cell>, to: Mark, quiesced: bool) {
    let outcome = cell.shared.ledger.raise(&cell.resource, &to, quiesced).await;
    if !matches!(outcome, RaiseOutcome::Done(_)) {
        tracing::error!(resource = %cell.resource, token = %to.token, ?outcome, "the ledger did not raise a mark");
    }
    cell.ledger_answered();
    carry_out(&cell, cell.step(|register| register.raised(outcome)));
}

async fn grant(cell: Arc<Cell>, at: Token) {
    let outcome = cell.shared.ledger.grant(&cell.resource, at).await;
    if outcome == Granted::Failed {
        tracing::error!(resource = %cell.resource, token = %at, "the ledger did not record that a takeover is complete");
    }
    carry_out(&cell, cell.step(|register| register.granted(at, outcome)));
}

async fn await_others(cell: Arc<Cell>, at: Token) {
    if let Some(outcome) = others::settled(&cell, at).await {
        carry_out(&cell, cell.step(|register| register.awaited(at, outcome)));
    }
}

async fn release(cell: Arc<Cell>) {
    let done = others::give_up(&cell.shared, &cell.resource, || cell.is_suspended()).await;
    carry_out(&cell, cell.step(|register| register.released(done)));
}

/// Waits for what only time can end. Ends when the takeover waits for nothing of that kind.
async fn settle_by_time(cell: Arc<Cell>) {
    let leftovers_until = cell.shared.started + cell.settle_timeout();
    while let Some(deadline) = cell.next_deadline(leftovers_until) {
        tokio::time::sleep_until(deadline).await;
        carry_out(&cell, cell.expire(leftovers_until));
    }
}

/// Another replica has taken over: what that did to the writes of this one.
fn yielded(cell: &Cell, takeover: &Takeover) {
    let Takeover { from, to, cut, awaited, unknown, .. } = takeover;
    cell.metrics.writes_cut.increment(u64::from(*cut));
    tracing::debug!(
        resource = %cell.resource, token = %to.token, from = %from.token, cut, awaited, unknown,
        "yielded to another replica"
    );
    if *cut == 0 && *awaited == 0 && *unknown == 0 {
        return;
    }
    cell.shared.audit.record(audit::Event {
        event: "yield",
        resource: Some(cell.resource.to_string()),
        token: Some(to.token.to_string()),
        mark: Some(from.token.to_string()),
        holder: Some(to.holder.to_string()),
        outcome: Some(if *unknown == 0 { "settled" } else { "unknown" }),
        detail: Some(serde_json::json!({ "cut": cut, "awaited": awaited, "unknown": unknown })),
        ..audit::Event::default()
    });
}

fn record(cell: &Cell, takeover: &Takeover) {
    let Some(Running { claimant, tenure, evidence: Some(evidence), .. }) = cell.takeover() else {
        return;
    };
    let (peer, rule) = claimant.unzip();
    let Takeover { from, to, cut, awaited, unknown, leftovers } = takeover;
    cell.metrics.took_over(to.token, evidence.ledger, evidence.quiesce, tenure);
    cell.metrics.writes_cut.increment(u64::from(*cut));
    tracing::info!(
        resource = %cell.resource, token = %to.token, holder = %to.holder, from = %from.token,
        cut, awaited, unknown, leftovers, "takeover"
    );
    cell.shared.audit.record(audit::Event {
        event: "takeover",
        rule: rule.flatten().map(|rule| Arc::clone(&rule.name)),
        resource: Some(cell.resource.to_string()),
        token: Some(to.token.to_string()),
        mark: Some(from.token.to_string()),
        holder: Some(from.holder.to_string()),
        outcome: Some(if *unknown == 0 { "settled" } else { "unknown" }),
        detail: Some(serde_json::json!({
            "cut": cut,
            "awaited": awaited,
            "unknown": unknown,
            "leftovers": leftovers,
            "ledger_ms": evidence.ledger.as_millis() as u64,
            "quiesce_ms": evidence.quiesce.as_millis() as u64,
        })),
        ..peer.as_ref().map(audit::Event::by).unwrap_or_default()
    });
}
