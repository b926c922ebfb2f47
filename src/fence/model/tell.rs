//! Steps and worlds in words, for whoever reads a counterexample.

use std::fmt;

use super::step::{Reply, Step};
use super::world::{Model, Pending, World};
use crate::fence::{Intent, Linger};

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load => f.write_str("load"),
            Self::Raise { to, quiesced: false } => write!(f, "raise to {}", to.token),
            Self::Raise { to, quiesced: true } => write!(f, "raise to {} with grant", to.token),
            Self::Grant { at } => write!(f, "grant at {at}"),
        }
    }
}

impl Model {
    pub(super) fn step_in_words(&self, world: &World, step: Step) -> String {
        let name = |which: usize| {
            let request = &self.requests[which];
            let word = if request.intent == Intent::Seal { "seal" } else { "write" };
            format!("{word} {which} ({}, token {})", request.holder, request.token)
        };
        let pending = world.ledger.pending.as_ref().map(Pending::to_string).unwrap_or_default();
        match step {
            Step::Answer(which) => format!("the store answers {}", name(which)),
            Step::Ask(which) => format!("{} arrives", name(which)),
            Step::Break(which) => format!("the connection of {} breaks", name(which)),
            Step::Close => "the process ends cleanly".into(),
            Step::Commit(which) => format!("{} reaches its commit point", name(which)),
            Step::Crash { done: false } => "the process is killed".into(),
            Step::Crash { done: true } => {
                format!("the process is killed, but the ledger did this: {pending}")
            }
            Step::Evict => "the idle fence is forgotten".into(),
            Step::Expire(Linger::Leftovers) => "leftovers cannot land any more".into(),
            Step::Expire(Linger::Unknown) => "unknown writes cannot land any more".into(),
            Step::HangUp(which) => format!("the client of {} hangs up", name(which)),
            Step::Land(which) => format!("{} lands in the store", name(which)),
            Step::Lapse(which) => format!("the time of {} is over", name(which)),
            Step::Notice(which) => format!("{} is told that it is lost", name(which)),
            Step::Reply(Reply::Done) => format!("the ledger answers: {pending}, done"),
            Step::Reply(Reply::Failed) => format!("the ledger answers: {pending}, failed"),
            Step::Reply(Reply::LostDone) => {
                format!("the ledger does this, its answer is lost: {pending}")
            }
            Step::Reply(Reply::LostNotDone) => {
                format!("the ledger is not reached, nobody knows: {pending}")
            }
            Step::Restart => "a new process starts".into(),
            Step::Stray => "the dead process's raise is done after all".into(),
        }
    }

    pub(super) fn world_in_words(&self, world: &World) -> String {
        let record = &world.ledger.record;
        let (mark, grant) = (record.mark.token, record.grant);
        let durable =
            format!("durable: mark {mark} grant {grant}; through {}", world.through.token);
        let Some(fence) = &world.fence else { return format!("{durable}; no process") };
        let (streaming, sent, unknown) = fence.in_flight();
        let mark = fence.mark().map(|mark| mark.token.to_string());
        let mark = mark.as_deref().unwrap_or("?");
        let busy = if fence.is_busy() { ", busy" } else { "" };
        format!(
            "{durable}; fence: mark {mark}, {streaming} streaming, {sent} sent, \
             {unknown} unknown, {} waiting{busy}",
            world.waiting.len()
        )
    }
}
