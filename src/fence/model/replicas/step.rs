//! What can happen next.

use smallvec::SmallVec;

use super::driver::awaits;
use super::ledger::Reply;
use super::mutation::Mutation;
use super::world::{Keeper, Model, News, Op, Phase, Process, Store, Wire, Work, World};
use crate::fence::{Register, SessionId, Token};

/// One thing that happens. The first number is the replica's, where not said otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// The ledger's answer reaches the fence.
    Answer(usize),
    /// A request (the second number) arrives.
    Ask(usize, usize),
    /// The ledger, asked by a fence that waits, says that nobody is behind.
    Awaited(usize),
    /// The ledger does not answer that.
    AwaitFails(usize),
    /// The connection that carries a write (the number) breaks, or its process hangs up.
    Break(usize),
    /// A fence that waits has the grant of a dead session (replica and number) removed.
    Bury(usize, usize, u64),
    /// The row that the feed told says that nobody is behind.
    Clear(usize),
    /// The process ends cleanly.
    Close(usize),
    /// The last byte of a write (the number) is about to go to the store.
    Commit(usize),
    /// The process is killed.
    Crash(usize),
    /// The gate takes what it is told next.
    Deliver(usize),
    /// The ledger ends a session (replica and number).
    EndSession(usize, u64),
    /// An idle fence is forgotten.
    Evict(usize),
    /// Writes of unknown outcome cannot land any more.
    Expire(usize),
    Freeze(usize),
    /// The grant of a fence that was forgotten is given up.
    GiveUp(usize),
    /// The keeper tells the gate to hang up.
    HangUp(usize),
    /// The store's promise: from now on the write (the number) cannot land.
    Lapse(usize),
    /// A client that waits (the number) goes away.
    Leave(usize),
    /// The time for which the lease admits is over.
    LeaseEnds(usize),
    NewSession(usize),
    /// A keepalive gets through although the lease had run out.
    Prolong(usize),
    Restart(usize),
    /// A write (the number) goes on the wire.
    Send(usize),
    /// The ledger deals with what a fence has asked.
    Serve(usize, Reply),
    /// The store answers a write (the number).
    Settle(usize),
    /// A request that nobody waits for is done after all.
    Stray(usize),
    /// The keeper tells the gate that the session is as good as over.
    Suspend(usize),
    /// The feed has the row as it is now.
    Tell(usize),
    Thaw(usize),
}

/// The steps possible at a moment.
pub(super) type Steps = SmallVec<[Step; 32]>;

impl Model {
    /// Whether it happens sooner or later although no client does anything and nothing fails.
    pub(super) fn is_sure(&self, world: &World, step: Step) -> bool {
        match step {
            Step::Answer(_)
            | Step::Awaited(_)
            | Step::Bury(..)
            | Step::Clear(_)
            | Step::Deliver(_)
            | Step::EndSession(..)
            | Step::Expire(_)
            | Step::GiveUp(_)
            | Step::HangUp(_)
            | Step::Lapse(_)
            | Step::NewSession(_)
            | Step::Send(_)
            | Step::Serve(_, Reply::Done)
            | Step::Suspend(_)
            | Step::Tell(_) => true,
            // What a takeover waits for too long is hung up on.
            Step::Break(which) => world.phases[which]
                .link()
                .and_then(|link| world.awake(link.at)?.fence.as_ref())
                .is_some_and(Register::is_quiescing),
            _ => false,
        }
    }

    pub(super) fn possible(&self, world: &World) -> Steps {
        let mut steps = Steps::new();
        for which in 0..world.phases.len() {
            self.steps_of(world, which, &mut steps);
        }
        for which in 0..world.ledger.strays.len() {
            steps.push(Step::Stray(which));
        }
        for session in &world.ledger.alive {
            let at = owner(session);
            if self.may_end(world, at, session) {
                steps.push(Step::EndSession(at, session.number()));
            }
        }
        for at in 0..self.replicas {
            match &world.replicas[at].process {
                None => steps.push(Step::Restart(at)),
                Some(process) if process.frozen => steps.push(Step::Thaw(at)),
                Some(process) => {
                    self.steps_at(world, at, process, &mut steps);
                    self.faults_at(world, at, process, &mut steps);
                }
            }
        }
        steps
    }

    fn steps_of(&self, world: &World, which: usize, steps: &mut Steps) {
        match &world.phases[which] {
            Phase::Idle => {
                let place = |which: usize| self.places.map(|places| places[which]);
                let same = |w: &usize| {
                    self.requests[*w] == self.requests[which] && place(*w) == place(which)
                };
                if (0..which).filter(same).any(|w| world.phases[w] == Phase::Idle) {
                    return;
                }
                // Replicas that nothing has happened to are alike: the first stands for all.
                let mut fresh = (0..self.replicas).filter(|at| world.is_untouched(*at));
                let first = fresh.next();
                let is_told_apart = |at: &usize| match place(which) {
                    Some(place) => place == *at,
                    None => Some(*at) == first || !world.is_untouched(*at),
                };
                for at in (0..self.replicas).filter(is_told_apart) {
                    if world.awake(at).is_some() {
                        steps.push(Step::Ask(at, which));
                    }
                }
            }
            Phase::Waiting { at } => {
                if world.left.leaves > 0 && world.awake(*at).is_some() {
                    steps.push(Step::Leave(which));
                }
            }
            Phase::Streaming { at, .. } if world.awake(*at).is_some() => {
                steps.push(Step::Commit(which));
            }
            Phase::Checked { link, .. } if world.awake(link.at).is_some() => {
                steps.push(Step::Send(which));
            }
            Phase::Sent { link, wire, can_land } => {
                if *can_land {
                    steps.push(Step::Lapse(which));
                }
                if matches!(wire, Wire::Open(_)) && world.awake(link.at).is_some() {
                    steps.push(Step::Break(which));
                    if !link.closed {
                        steps.push(Step::Settle(which));
                    }
                }
            }
            Phase::Streaming { .. } | Phase::Checked { .. } | Phase::Ended => {}
        }
    }

    fn steps_at(&self, world: &World, at: usize, process: &Process, steps: &mut Steps) {
        match &process.work {
            None => {}
            Some(Work::Answered(_)) => steps.push(Step::Answer(at)),
            Some(Work::Asked(_)) => steps.push(Step::Serve(at, Reply::Done)),
        }
        if process.has_news && (self.late_rows || process.news.is_empty()) {
            steps.push(Step::Tell(at));
        }
        if !process.news.is_empty() {
            steps.push(Step::Deliver(at));
        }
        if process.giving_up.is_some() {
            steps.push(Step::GiveUp(at));
        }
        self.keeping(world, at, process, steps);
        let Some(fence) = &process.fence else { return };
        let (_, _, unknown) = fence.in_flight();
        if unknown > 0 && !self.can_any_land(world, at) {
            steps.push(Step::Expire(at));
        }
        if let Some(token) = awaits(fence) {
            let mut behind = world.ledger.row.behind(&process.own, token).peekable();
            if behind.peek().is_none() {
                steps.push(Step::Awaited(at));
            }
            for dead in behind.filter(|session| self.may_bury(world, process, session)) {
                steps.push(Step::Bury(at, owner(dead), dead.number()));
            }
            let is_told = process.clear == token
                || self.is(Mutation::ToldByAnyRow) && process.clear > Token::ZERO;
            if is_told {
                steps.push(Step::Clear(at));
            }
        }
        let is_idle = fence.is_idle() && !fence.is_owing();
        if self.evicts && is_idle && process.work.is_none() && !streams(world, at) {
            steps.push(Step::Evict(at));
        }
    }

    fn keeping(&self, world: &World, at: usize, process: &Process, steps: &mut Steps) {
        let is_alive = world.is_alive(&process.own);
        match process.keeper {
            Keeper::Keeps if process.lease => {}
            Keeper::Keeps => {
                steps.push(Step::Suspend(at));
                if is_alive {
                    steps.push(Step::Prolong(at));
                }
            }
            Keeper::Suspended => steps.push(Step::HangUp(at)),
            Keeper::HungUp => {
                let untold = |news: &News| matches!(news, News::Suspended | News::HangUp);
                let is_told = !process.news.iter().any(untold);
                if is_told || self.is(Mutation::LeaseBeforeSuspended) {
                    steps.push(Step::NewSession(at));
                }
            }
        }
    }

    fn faults_at(&self, world: &World, at: usize, process: &Process, steps: &mut Steps) {
        let left = world.left;
        if left.lost > 0 {
            match &process.work {
                Some(Work::Asked(Op::Load)) => steps.push(Step::Serve(at, Reply::Failed)),
                Some(Work::Asked(_)) => {
                    let all = [Reply::Failed, Reply::LostDone, Reply::LostPending];
                    steps.extend(all.map(|reply| Step::Serve(at, reply)));
                }
                Some(Work::Answered(_)) | None => {}
            }
            if process.fence.as_ref().and_then(awaits).is_some() {
                steps.push(Step::AwaitFails(at));
            }
        }
        if world.is_untouched(at) {
            return; // Nothing of it can go wrong.
        }
        if left.ends > 0 {
            steps.push(Step::Crash(at));
            if self.may_close(world, at, process) {
                steps.push(Step::Close(at));
            }
        }
        if left.freezes > 0 {
            steps.push(Step::Freeze(at));
        }
        if left.lapses > 0 && process.lease {
            steps.push(Step::LeaseEnds(at));
        }
    }

    /// The rule of time, without a clock: the process counts from when it sent its keepalive, so
    /// it has let go of everything before the ledger ends its session; unless it was frozen.
    fn may_end(&self, world: &World, at: usize, session: &SessionId) -> bool {
        let Some(process) = &world.replicas[at].process else { return true };
        let is_its = |phase: &Phase| phase.link().is_some_and(|link| link.session == *session);
        let holds = world.phases.iter().any(|phase| phase.is_held() && is_its(phase));
        if process.frozen {
            return true;
        }
        if process.own.current != *session {
            return !holds;
        }
        process.overdue
            || match process.keeper {
                Keeper::Keeps => self.is(Mutation::CountedFromTheAnswer),
                Keeper::Suspended => self.is(Mutation::EndedBeforeHangUp),
                Keeper::HungUp => !holds || self.is(Mutation::EndedBeforeHangUp),
            }
    }

    /// Nothing of a dead session can land any more, or the store can be asked to see to that.
    fn may_bury(&self, world: &World, process: &Process, session: &SessionId) -> bool {
        let is_its = |phase: &Phase| phase.link().is_some_and(|link| link.session == *session);
        let lands = world.phases.iter().any(|phase| phase.can_land() && is_its(phase));
        let is_dead = !world.ledger.alive.contains(session) || self.is(Mutation::BuriedAlive);
        let is_settled = self.store == Store::Asked || !lands;
        is_dead && world.is_alive(&process.own) && (is_settled || self.is(Mutation::NotSettled))
    }

    fn may_close(&self, world: &World, at: usize, process: &Process) -> bool {
        let is_idle = |fence: &Register| {
            let (streaming, sent, unknown) = fence.in_flight();
            let is_settled = unknown == 0 || self.is(Mutation::ClosedWithUnknown);
            !fence.is_busy() && streaming == 0 && sent == 0 && is_settled
        };
        process.lease
            && process.work.is_none()
            && process.giving_up.is_none()
            && process.fence.as_ref().is_none_or(is_idle)
            && world.is_alive(&process.own)
            && world.awake(at).is_some()
    }

    fn can_any_land(&self, world: &World, at: usize) -> bool {
        world.phases.iter().any(|phase| match phase {
            Phase::Sent { link, wire: Wire::Broken, can_land } => link.at == at && *can_land,
            _ => false,
        })
    }
}

/// The replica of a session.
pub(super) fn owner(session: &SessionId) -> usize {
    match session.replica() {
        "r1" => 0,
        "r2" => 1,
        _ => 2,
    }
}

fn streams(world: &World, at: usize) -> bool {
    world.phases.iter().any(|phase| matches!(phase, Phase::Streaming { at: its, .. } if *its == at))
}
