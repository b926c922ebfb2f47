//! What a step does.

use super::ledger::Reply;
use super::mutation::Mutation;
use super::step::{Step, Steps};
use super::world::{Answer, Keeper, Model, News, Op, Phase, Store, Stray, Wire, Work, World};
use crate::fence::model::safety::{Broken, Property};
use crate::fence::model::search::System;
use crate::fence::{Fate, SessionId, Ticket, Token};

impl System for Model {
    type World = World;
    type Step = Step;
    type Steps = Steps;

    fn only(&self) -> Option<Property> {
        self.only
    }

    fn start(&self) -> World {
        self.beginning()
    }

    fn steps(&self, world: &World) -> Steps {
        self.possible(world)
    }

    fn is_certain(&self, world: &World, step: Step) -> bool {
        self.is_sure(world, step)
    }

    fn apply(&self, before: &World, step: Step) -> Result<World, Broken> {
        let mut after = before.clone();
        let world = &mut after;
        self.make(world, step)?;
        self.tidy(world);
        self.check_state(world)?;
        Ok(after)
    }

    fn check_rest(&self, world: &World) -> Result<(), Broken> {
        self.check_quiet(world)
    }

    fn tell_step(&self, world: &World, step: Step) -> String {
        self.step_in_words(world, step)
    }

    fn tell_world(&self, world: &World) -> String {
        world.in_words()
    }
}

impl Model {
    fn make(&self, world: &mut World, step: Step) -> Result<(), Broken> {
        match step {
            Step::Answer(at) => self.answer(world, at),
            Step::Ask(at, which) => self.ask_fence(world, at, which),
            Step::Awaited(at) | Step::Clear(at) => self.awaited(world, at),
            Step::AwaitFails(at) => {
                world.left.lost -= 1;
                self.not_awaited(world, at)
            }
            Step::Break(which) => self.settle(world, which, Fate::Unknown),
            Step::Commit(which) => self.commit(world, which),
            Step::Deliver(at) => self.deliver(world, at),
            Step::Expire(at) => self.expire(world, at),
            Step::Send(which) => self.send(world, which),
            Step::Settle(which) => self.settle(world, which, Fate::Known),
            Step::Tell(at) => self.tell(world, at),
            Step::Serve(at, _) => {
                self.make_unseen(world, step);
                match world.process(at).work {
                    // What a read says is told at once, unless this world is about being late.
                    Some(Work::Answered(Answer::Loaded(_))) if !self.late_rows => {
                        self.answer(world, at)
                    }
                    _ => Ok(()),
                }
            }
            Step::Suspend(_) | Step::HangUp(_) | Step::NewSession(_) | Step::Prolong(_) => {
                let at = self.keep(world, step);
                while !self.late_keeper && !world.process(at).news.is_empty() {
                    self.deliver(world, at)?;
                }
                Ok(())
            }
            other => {
                self.make_unseen(world, other);
                Ok(())
            }
        }
    }

    /// Steps that a fence does not see.
    fn make_unseen(&self, world: &mut World, step: Step) {
        match step {
            Step::Bury(_, at, number) => self.bury(world, at, number),
            Step::Close(at) => {
                let own = world.process(at).own.clone();
                let before = world.ledger.row.clone();
                world.ledger.row.leave(&own);
                if world.ledger.row != before {
                    self.changed(world);
                }
                world.ledger.alive.remove(&own.current);
                end(world, at);
            }
            Step::Crash(at) => {
                let process = world.process(at);
                let own = process.own.clone();
                if let Some(Work::Asked(op)) = process.work.take()
                    && op != Op::Load
                {
                    world.ledger.strays.push(Stray { op, own });
                }
                end(world, at);
            }
            Step::EndSession(at, number) => {
                let session = SessionId::new(["r1", "r2", "r3"][at], number);
                self.end_session(world, &session);
            }
            Step::Evict(at) => world.process(at).fence = None,
            Step::Freeze(at) => {
                world.left.freezes -= 1;
                let process = world.process(at);
                (process.frozen, process.overdue, process.lease) = (true, true, false);
            }
            Step::GiveUp(at) => self.give_up(world, at),
            Step::Lapse(which) => lapse(&mut world.phases[which]),
            Step::Leave(which) => {
                world.left.leaves -= 1;
                let Phase::Waiting { at } = world.take(which) else {
                    unreachable!("only offered while it waits")
                };
                world.fence(at).withdraw(Ticket(which as u64));
            }
            Step::LeaseEnds(at) => {
                world.left.lapses -= 1;
                world.process(at).lease = false;
            }
            Step::Restart(at) => {
                let former = world.replicas[at].sessions;
                let taken_up = SessionId::new(["r1", "r2", "r3"][at], former);
                let again =
                    self.is(Mutation::SessionTakenUp) && world.ledger.alive.contains(&taken_up);
                world.replicas[at].sessions -= u64::from(again);
                world.begin(at);
                if self.is(Mutation::DeadTakenForFormer) {
                    world.process(at).own.former.push(taken_up);
                }
            }
            Step::Serve(at, reply) => {
                world.left.lost -= u8::from(reply != Reply::Done);
                self.serve(world, at, reply);
            }
            Step::Stray(which) => self.stray(world, which),
            Step::Thaw(at) => world.process(at).frozen = false,
            other => unreachable!("{other:?} is told to a fence"),
        }
    }

    /// The keeper of a session goes on, and tells the gate.
    fn keep(&self, world: &mut World, step: Step) -> usize {
        let (at, news, keeper) = match step {
            Step::Suspend(at) => (at, News::Suspended, Keeper::Suspended),
            Step::HangUp(at) => (at, News::HangUp, Keeper::HungUp),
            Step::NewSession(at) | Step::Prolong(at) => (at, News::Resumed, Keeper::Keeps),
            other => unreachable!("{other:?} is not the keeper's"),
        };
        if matches!(step, Step::NewSession(_)) {
            let session = world.new_session(at);
            let own = &mut world.process(at).own;
            let before = std::mem::replace(&mut own.current, session);
            own.former.push(before);
        }
        let process = world.process(at);
        process.keeper = keeper;
        if keeper == Keeper::Keeps {
            (process.lease, process.overdue) = (true, false);
        }
        let is_silent = matches!(step, Step::Prolong(_)) && self.is(Mutation::ProlongedInSilence);
        if process.fence.is_some() && !is_silent {
            process.news.push(news);
        }
        at
    }

    /// The feed tells the row. Of several that wait to be taken only the newest counts.
    fn tell(&self, world: &mut World, at: usize) -> Result<(), Broken> {
        let row = world.ledger.row.clone();
        let process = world.process(at);
        process.has_news = false;
        let record = row.record(&process.own);
        let owing = row.is_owing(&process.own);
        if matches!(process.news.last(), Some(News::Row { .. })) {
            process.news.pop();
        }
        process.news.push(News::Row { record, owing });
        // What was told before it is taken before it.
        if self.late_rows || world.process(at).news.len() > 1 {
            return Ok(());
        }
        self.deliver(world, at)
    }

    fn give_up(&self, world: &mut World, at: usize) {
        let process = world.process(at);
        let own = process.own.clone();
        let at_mark = process.giving_up.take();
        let is_there = at_mark == Some(world.ledger.row.mark.token);
        let is_owing = world.ledger.row.is_owing(&own);
        if !is_owing || !(is_there || self.is(Mutation::GivenUpAtAnyMark)) {
            return; // A mark that has moved on is told anew.
        }
        if world.is_alive(&own) {
            world.ledger.row.release(&own);
            self.changed(world);
        } else {
            world.process(at).giving_up = at_mark;
        }
    }

    fn bury(&self, world: &mut World, at: usize, number: u64) {
        let dead = SessionId::new(["r1", "r2", "r3"][at], number);
        if self.store == Store::Asked {
            for phase in &mut world.phases {
                close(phase, &dead);
            }
        }
        world.ledger.row.bury(&dead);
        self.changed(world);
    }
}

/// The store closes a connection of a dead session, or of one before it: nothing more can come
/// of it.
fn close(phase: &mut Phase, dead: &SessionId) {
    let (Phase::Checked { link, .. } | Phase::Sent { link, .. }) = phase else { return };
    if link.session.replica() == dead.replica() && link.session.number() <= dead.number() {
        link.closed = true;
        lapse(phase);
    }
}

fn lapse(phase: &mut Phase) {
    if let Phase::Sent { can_land, wire, .. } = phase {
        *can_land = false;
        if *wire == Wire::Unwatched {
            *phase = Phase::Ended;
        }
    }
}

/// The process is gone. Writes before their commit point die with it, for certain.
fn end(world: &mut World, which: usize) {
    world.left.ends -= 1;
    world.replicas[which].process = None;
    for phase in &mut world.phases {
        match phase {
            Phase::Waiting { at } | Phase::Streaming { at, .. } if *at == which => {
                *phase = Phase::Ended;
            }
            Phase::Checked { link, .. } if link.at == which => *phase = Phase::Ended,
            Phase::Sent { link, can_land, .. } if link.at == which => {
                *phase = Phase::unwatched(link.clone(), *can_land);
            }
            _ => {}
        }
    }
}

impl Model {
    /// What makes no difference (any more) is forgotten, so that there are fewer worlds.
    fn tidy(&self, world: &mut World) {
        let ledger = &mut world.ledger;
        for replica in &mut world.replicas {
            let Some(process) = &mut replica.process else { continue };
            let matters = |session: &SessionId| {
                ledger.alive.contains(session) || ledger.row.grants.contains_key(session)
            };
            process.own.former.retain(|session| matters(session));
            let owes = ledger.row.is_owing(&process.own);
            match &mut process.fence {
                None => process.has_news &= owes,
                Some(fence) => {
                    fence.forget_evidence();
                    let is_higher = ledger.row.mark.token > fence.mark_at_least().token;
                    process.has_news &= self.late_rows || owes || is_higher;
                }
            }
            if !self.late_rows {
                // A row told just now says no more than the ledger does when it is asked.
                process.clear = Token::ZERO;
            }
        }
    }
}
