//! Steps and worlds in words, for whoever reads a counterexample.

use std::fmt::Write;

use super::ledger::Reply;
use super::step::Step;
use super::world::{Answer, Keeper, Model, News, Op, Process, Work, World};
use crate::fence::{Loaded, RaiseOutcome};

impl Model {
    pub(super) fn step_in_words(&self, world: &World, step: Step) -> String {
        let name = |which: usize| {
            let request = &self.requests[which];
            let word = if self.is_seal(which) { "seal" } else { "write" };
            format!("{word} {which} ({}, token {})", request.holder, request.token)
        };
        let of = |at: usize| world.replicas[at].process.as_ref();
        let work = |at: usize| match of(at).and_then(|process| process.work.as_ref()) {
            Some(Work::Asked(op)) => op.in_words(),
            Some(Work::Answered(answer)) => answer.in_words(),
            None => String::new(),
        };
        let r = |at: usize| format!("r{}", at + 1);
        match step {
            Step::Answer(at) => format!("{} hears of the ledger: {}", r(at), work(at)),
            Step::Ask(at, which) => format!("{} arrives at {}", name(which), r(at)),
            Step::Awaited(at) => format!("the ledger tells {} that nobody is behind", r(at)),
            Step::AwaitFails(at) => format!("the ledger does not tell {} who is behind", r(at)),
            Step::Break(which) => format!("the connection of {} breaks", name(which)),
            Step::Bury(at, dead, number) => {
                format!("{} removes the grant of the dead {}#{number}", r(at), r(dead))
            }
            Step::Clear(at) => format!("{} has been told that nobody is behind", r(at)),
            Step::Close(at) => format!("{} ends cleanly", r(at)),
            Step::Commit(which) => format!("{} reaches its commit point", name(which)),
            Step::Crash(at) => format!("{} is killed; {}", r(at), work(at)),
            Step::Deliver(at) => {
                let news = of(at).and_then(|process| process.news.first());
                format!(
                    "{} takes its news: {}",
                    r(at),
                    news.map(News::in_words).unwrap_or_default()
                )
            }
            Step::EndSession(at, number) => format!("the ledger ends {}#{number}", r(at)),
            Step::Evict(at) => format!("the idle fence of {} is forgotten", r(at)),
            Step::Expire(at) => format!("unknown writes of {} cannot land any more", r(at)),
            Step::Freeze(at) => format!("{} freezes", r(at)),
            Step::GiveUp(at) => format!("{} gives the grant up without a fence", r(at)),
            Step::HangUp(at) => format!("the session of {} is over: hang up", r(at)),
            Step::Lapse(which) => format!("the time of {} is over", name(which)),
            Step::Leave(which) => format!("the client of {} goes away", name(which)),
            Step::LeaseEnds(at) => format!("the lease of {} runs out", r(at)),
            Step::NewSession(at) => format!("{} begins a new session", r(at)),
            Step::Prolong(at) => format!("a keepalive of {} gets through after all", r(at)),
            Step::Restart(at) => format!("{} is started again", r(at)),
            Step::Send(which) => format!("{} is sent", name(which)),
            Step::Serve(at, reply) => {
                let how = match reply {
                    Reply::Done => "deals with",
                    Reply::Failed => "fails",
                    Reply::LostDone => "does, and its answer is lost,",
                    Reply::LostPending => "may still do, and nobody knows,",
                };
                format!("the ledger {how} what {} asks: {}", r(at), work(at))
            }
            Step::Settle(which) => format!("the store answers {}", name(which)),
            Step::Stray(which) => {
                let stray = &world.ledger.strays[which];
                format!("done after all, for {}: {}", stray.own.current, stray.op.in_words())
            }
            Step::Suspend(at) => format!("the lease of {} is over: suspend", r(at)),
            Step::Tell(at) => format!("the feed tells {} the row", r(at)),
            Step::Thaw(at) => format!("{} thaws", r(at)),
        }
    }
}

impl Op {
    fn in_words(&self) -> String {
        match self {
            Self::Grant { at } => format!("grant at {at}"),
            Self::Load => "load".into(),
            Self::Raise { to, quiesced: false } => format!("raise to {}", to.token),
            Self::Raise { to, quiesced: true } => format!("raise to {} with grant", to.token),
            Self::Release => "release".into(),
        }
    }
}

impl Answer {
    fn in_words(&self) -> String {
        match self {
            Self::Granted(at, outcome) => format!("grant at {at}: {outcome:?}"),
            Self::Loaded(Loaded::Unavailable) => "nothing loaded".into(),
            Self::Loaded(Loaded::Found { record, .. }) => {
                format!("loaded mark {}, own grant {}", record.mark.token, record.grant)
            }
            Self::Raised(RaiseOutcome::Done(record)) => {
                format!("raised, mark {}, own grant {}", record.mark.token, record.grant)
            }
            Self::Raised(outcome) => format!("raise: {outcome:?}"),
            Self::Released(done) => format!("released: {done}"),
        }
    }
}

impl News {
    fn in_words(&self) -> String {
        match self {
            Self::HangUp => "hang up".into(),
            Self::Resumed => "a new session".into(),
            Self::Row { record, owing } => {
                let owes = if *owing { ", owes" } else { "" };
                let behind = if record.behind { ", others behind" } else { "" };
                format!("mark {}, own grant {}{behind}{owes}", record.mark.token, record.grant)
            }
            Self::Suspended => "suspended".into(),
        }
    }
}

impl World {
    pub(super) fn in_words(&self) -> String {
        let row = &self.ledger.row;
        let mut text = format!("row: mark {}", row.mark.token);
        for (session, grant) in &row.grants {
            let dead = if self.ledger.alive.contains(session) { "" } else { " (dead)" };
            let _ = write!(text, ", {session} at {grant}{dead}");
        }
        let _ = write!(text, "; through {}", self.through.token);
        for (at, replica) in self.replicas.iter().enumerate() {
            match &replica.process {
                None => {
                    let _ = write!(text, "; r{}: no process", at + 1);
                }
                Some(_) if self.is_untouched(at) => {}
                Some(process) => {
                    let _ = write!(text, "; {}: {}", process.own.current, process.in_words());
                }
            }
        }
        text
    }
}

impl Process {
    fn in_words(&self) -> String {
        let mut text = match &self.fence {
            None => "no fence".into(),
            Some(fence) => {
                let (streaming, sent, unknown) = fence.in_flight();
                let mark = fence.mark().map(|mark| mark.token.to_string());
                let busy = if fence.is_busy() { ", busy" } else { "" };
                let suspended = if fence.is_suspended() { ", suspended" } else { "" };
                format!(
                    "mark {}, {streaming} streaming, {sent} sent, {unknown} unknown{busy}{suspended}",
                    mark.as_deref().unwrap_or("?")
                )
            }
        };
        if let Some(work) = &self.work {
            text.push_str(match work {
                Work::Asked(_) => ", asks the ledger",
                Work::Answered(_) => ", is answered",
            });
        }
        let notes = [
            (!self.lease, ", no lease"),
            (self.keeper != Keeper::Keeps, ", session given up"),
            (self.frozen, ", frozen"),
        ];
        text.extend(notes.iter().filter(|(is, _)| *is).map(|(_, note)| *note));
        text
    }
}
