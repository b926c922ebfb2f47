//! What can happen next, and what it does.

use smallvec::SmallVec;

use super::mutation::Mutation;
use super::safety::{Broken, Property};
use super::search::System;
use super::world::{Model, Pending, Phase, Seen, Wire, World};
use crate::fence::{Cut, Fate, Linger, Record, Refusal, Register, Ticket};

/// One thing that happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// The store answers a write; if it has not applied it, it never will.
    Answer(usize),
    Ask(usize),
    /// The connection that carried a write breaks, its client hangs up, or the driver does.
    Break(usize),
    /// The process ends cleanly.
    Close,
    /// The last byte of a write is about to go to the store.
    Commit(usize),
    /// The process is killed; what the ledger was doing is `done` or never will be.
    Crash {
        done: bool,
    },
    /// An idle fence is forgotten.
    Evict,
    Expire(Linger),
    HangUp(usize),
    /// The store applies a write.
    Land(usize),
    /// The store's promise: from now on the write cannot land.
    Lapse(usize),
    /// The driver sees that a write was cut.
    Notice(usize),
    Reply(Reply),
    Restart,
    /// Only under a mutation: a raise of a dead process is done.
    Stray,
}

/// How the ledger ends what it was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reply {
    Done,
    Failed,
    /// Nobody can tell that it was done.
    LostDone,
    /// Nobody can tell that it was not done, and never will be.
    LostNotDone,
}

/// The steps possible at a moment.
pub(super) type Steps = SmallVec<[Step; 24]>;

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
        match step {
            Step::Expire(_) | Step::Lapse(_) | Step::Notice(_) | Step::Reply(Reply::Done) => true,
            // What a takeover waits for too long is hung up on.
            Step::Break(_) => {
                let waited_for = world.fence.as_ref().is_some_and(Register::is_quiescing);
                waited_for && !self.is(Mutation::NeverHungUp)
            }
            _ => false,
        }
    }

    fn apply(&self, before: &World, step: Step) -> Result<World, Broken> {
        let mut after = before.clone();
        let world = &mut after;
        match step {
            Step::Answer(which) => self.settle(world, which, Fate::Known)?,
            Step::Ask(which) => self.ask_fence(world, which)?,
            Step::Break(which) => self.settle(world, which, Fate::Unknown)?,
            Step::Close => {
                self.end(world);
                world.ledger.clean = true;
            }
            Step::Commit(which) => self.commit(world, which)?,
            Step::Crash { done } => {
                if let Some(pending) = world.ledger.pending.take() {
                    if done {
                        world.ledger.execute(&pending);
                    } else if self.is(Mutation::DeadRaiseDone) && pending != Pending::Load {
                        world.ledger.stray = Some(pending);
                    }
                }
                self.end(world);
            }
            Step::Evict => {
                self.forget(world)?;
                self.end(world);
                world.fence = Some(self.fresh());
            }
            Step::Expire(linger) => self.expire(world, linger)?,
            Step::HangUp(which) => self.hang_up(world, which),
            Step::Land(which) => {
                self.land(world, which)?;
                self.lapse(world, which);
            }
            Step::Lapse(which) => self.lapse(world, which),
            Step::Notice(which) => {
                self.hang_up(world, which);
                self.tell_stale(world, which)?;
            }
            Step::Reply(reply) => self.reply(world, reply)?,
            Step::Restart => {
                world.leftovers = !world.ledger.clean;
                world.ledger.clean = world.ledger.clean && self.is(Mutation::CleanMarkKept);
                if self.is(Mutation::MarkLowered) {
                    world.ledger.record = Record::default();
                }
                world.fence = Some(self.fresh());
            }
            Step::Stray => {
                let stray = world.ledger.stray.take().expect("only offered with one");
                world.ledger.execute(&stray);
            }
        }
        self.check_state(&after)?;
        Ok(after)
    }

    fn check_rest(&self, world: &World) -> Result<(), Broken> {
        self.check_quiet(world)
    }

    fn tell_step(&self, world: &World, step: Step) -> String {
        self.step_in_words(world, step)
    }

    fn tell_world(&self, world: &World) -> String {
        self.world_in_words(world)
    }
}

impl Model {
    pub(super) fn possible(&self, world: &World) -> Steps {
        let mut steps = Steps::new();
        for which in 0..world.phases.len() {
            self.steps_of(world, which, &mut steps);
        }
        match &world.ledger.pending {
            None => {}
            Some(Pending::Load) => {
                steps.extend([Step::Reply(Reply::Done), Step::Reply(Reply::Failed)]);
            }
            Some(_) => {
                let all = [Reply::Done, Reply::Failed, Reply::LostDone, Reply::LostNotDone];
                steps.extend(all.map(Step::Reply));
            }
        }
        if world.ledger.stray.is_some() {
            steps.push(Step::Stray);
        }
        let Some(fence) = &world.fence else {
            steps.push(Step::Restart);
            return steps;
        };
        self.steps_of_time(world, &mut steps);
        steps.push(Step::Crash { done: false });
        if !matches!(world.ledger.pending, None | Some(Pending::Load)) {
            steps.push(Step::Crash { done: true });
        }
        if self.may_close(world, fence) {
            steps.push(Step::Close);
        }
        let idle = fence.is_idle()
            || self.is(Mutation::EvictedWithUnknown)
                && !fence.is_busy()
                && fence.in_flight().1 == 0;
        if self.evicts && idle {
            steps.push(Step::Evict);
        }
        steps
    }

    fn steps_of(&self, world: &World, which: usize, steps: &mut Steps) {
        match &world.phases[which] {
            Phase::Idle => {
                let same = |w: &usize| self.requests[*w] == self.requests[which];
                let first = (0..which).filter(same).all(|w| world.phases[w] != Phase::Idle);
                if first && world.fence.is_some() {
                    steps.push(Step::Ask(which));
                }
            }
            Phase::Waiting => steps.push(Step::HangUp(which)),
            Phase::Streaming { woken, .. } => {
                steps.extend([Step::HangUp(which), Step::Commit(which)]);
                if *woken {
                    steps.push(Step::Notice(which));
                }
            }
            Phase::Sent { wire, can_land } => {
                if *can_land {
                    steps.extend([Step::Land(which), Step::Lapse(which)]);
                }
                if let Wire::Open(_) = wire {
                    steps.extend([Step::Answer(which), Step::Break(which)]);
                }
            }
            Phase::Ended => {}
        }
    }

    /// Time is over for a kind of writes once the store's promise says that none can land:
    /// as in `gate`, which looks only while a takeover waits or nothing is under way.
    fn steps_of_time(&self, world: &World, steps: &mut Steps) {
        let Some(fence) = &world.fence else { return };
        let (_, _, unknown) = fence.in_flight();
        let left = world.leftovers || fence.has_leftovers();
        if left && !world.can_any_land(|wire| *wire == Wire::Unwatched) {
            steps.push(Step::Expire(Linger::Leftovers));
        }
        if unknown > 0 && !world.can_any_land(|wire| *wire == Wire::Broken) {
            steps.push(Step::Expire(Linger::Unknown));
        }
    }

    /// A clean end: nothing of this process, nor of one before it, is in flight.
    fn may_close(&self, world: &World, fence: &Register) -> bool {
        let (streaming, sent, unknown) = fence.in_flight();
        !fence.is_busy()
            && streaming == 0
            && (sent == 0 || self.is(Mutation::ClosedWithSent))
            && (unknown == 0 || self.is(Mutation::ClosedWithUnknown))
            && (!world.leftovers || self.is(Mutation::ClosedWithLeftovers))
    }

    /// The fence is gone. Writes before their commit point die with it, for certain.
    fn end(&self, world: &mut World) {
        world.fence = None;
        world.waiting.clear();
        world.seen = Seen::default();
        for phase in &mut world.phases {
            match phase {
                Phase::Waiting | Phase::Streaming { .. } => *phase = Phase::Ended,
                Phase::Sent { can_land, .. } => *phase = Phase::unwatched(*can_land),
                Phase::Idle | Phase::Ended => {}
            }
        }
    }

    fn lapse(&self, world: &mut World, which: usize) {
        if let Phase::Sent { can_land, wire } = &mut world.phases[which] {
            *can_land = false;
            if *wire == Wire::Unwatched {
                world.phases[which] = Phase::Ended;
            }
        }
    }

    fn commit(&self, world: &mut World, which: usize) -> Result<(), Broken> {
        let Phase::Streaming { permit, .. } = world.take(which) else {
            unreachable!("only offered while streaming")
        };
        let fence = world.fence.as_mut().expect("permits die with their process");
        match fence.commit(permit) {
            Ok(sent) => {
                self.forward(world, which)?;
                world.phases[which] = Phase::Sent { wire: Wire::Open(sent), can_land: true };
            }
            Err(Cut) if self.is(Mutation::NoSecondLook) => {
                self.forward(world, which)?;
                world.phases[which] = Phase::unwatched(true);
            }
            Err(Cut) => self.tell_stale(world, which)?,
        }
        Ok(())
    }

    pub(super) fn tell_stale(&self, world: &World, which: usize) -> Result<(), Broken> {
        let mark = world.ledger.record.mark.clone();
        self.tell(world, which, &Refusal::Stale { token: self.requests[which].token(), mark })
    }

    fn settle(&self, world: &mut World, which: usize, fate: Fate) -> Result<(), Broken> {
        let Phase::Sent { wire, can_land } = world.take(which) else {
            unreachable!("only offered when sent")
        };
        let Wire::Open(sent) = wire else {
            unreachable!("only offered while somebody waits for the answer")
        };
        let fence = world.fence.as_mut().expect("a sent write of no process is not watched");
        let taken_for = if self.is(Mutation::UnknownIsSettled) { Fate::Known } else { fate };
        let effects = fence.settle(sent, taken_for);
        world.phases[which] = match (fate, taken_for) {
            (Fate::Known, _) => Phase::Ended,
            (Fate::Unknown, Fate::Unknown) => Phase::Sent { wire: Wire::Broken, can_land },
            (Fate::Unknown, Fate::Known) => Phase::unwatched(can_land),
        };
        self.run(world, effects)
    }

    fn hang_up(&self, world: &mut World, which: usize) {
        let fence = world.fence.as_mut().expect("requests die with their process");
        match std::mem::replace(&mut world.phases[which], Phase::Ended) {
            Phase::Streaming { .. } if self.is(Mutation::HangUpKeepsPermit) => {}
            Phase::Streaming { permit, .. } => fence.release(permit),
            _ if self.is(Mutation::WaiterNotWithdrawn) => {}
            _ => fence.withdraw(Ticket(which as u64)),
        }
        world.waiting.retain(|w| usize::from(*w) != which);
    }
}
