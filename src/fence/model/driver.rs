//! Executes the register's effects, as the gate and the ledger do; or almost, under a mutation.

use super::mutation::Mutation;
use super::safety::Broken;
use super::step::Reply;
use super::world::{Model, Pending, Phase, Wire, World};
use crate::fence::{
    Effect, Effects, Fate, Granted, Linger, Loaded, RaiseOutcome, Record, Refusal, Register, Ticket,
};

fn fence(world: &mut World) -> &mut Register {
    world.fence.as_mut().expect("only a running process has effects")
}

impl Model {
    pub(super) fn run(&self, world: &mut World, effects: Effects) -> Result<(), Broken> {
        for effect in effects {
            self.execute(world, effect)?;
        }
        Ok(())
    }

    fn execute(&self, world: &mut World, effect: Effect) -> Result<(), Broken> {
        match effect {
            Effect::Load => request(world, Pending::Load),
            Effect::Raise { to, quiesced } => {
                self.raise(world, &to)?;
                if self.is(Mutation::ForwardedBeforeDurable) {
                    let grant = if quiesced { to.token } else { world.ledger.record.grant };
                    let record = Record { mark: to, grant, behind: false };
                    let effects = fence(world).raised(RaiseOutcome::Done(record));
                    return self.run(world, effects);
                }
                let quiesced = quiesced || self.is(Mutation::GrantMovesWithMark);
                request(world, Pending::Raise { to, quiesced });
            }
            Effect::Grant { at } => request(world, Pending::Grant { at }),
            Effect::Cut => {
                let wake = !self.is(Mutation::CutNotTold);
                for phase in &mut world.phases {
                    if let Phase::Streaming { cut, woken, .. } = phase {
                        world.seen.cut += u8::from(!*cut);
                        (*cut, *woken) = (true, wake);
                    }
                }
            }
            Effect::Quiesce => return self.quiesce(world),
            Effect::Opened(evidence) => return self.opened(world, &evidence),
            Effect::Wait { .. } => {}
            Effect::Await { .. } | Effect::Release | Effect::Yielded(_) => {
                unreachable!("only among replicas")
            }
            Effect::Admit { ticket: Ticket(ticket), permit } => {
                let which = ticket as usize;
                if world.phases[which] == Phase::Waiting {
                    self.let_through(world, which)?;
                    world.phases[which] = Phase::Streaming { permit, cut: false, woken: false };
                }
            }
            Effect::Sealed { ticket: Ticket(ticket), evidence } => {
                self.let_through(world, ticket as usize)?;
                self.sealed(ticket as usize, evidence.as_deref())?;
                world.phases[ticket as usize] = Phase::Ended;
            }
            Effect::Refuse { ticket: Ticket(ticket), refusal } => {
                self.refuse(world, ticket as usize, &refusal)?;
            }
        }
        Ok(())
    }

    fn refuse(&self, world: &mut World, which: usize, refusal: &Refusal) -> Result<(), Broken> {
        self.tell(world, which, refusal)?;
        world.phases[which] = Phase::Ended;
        world.waiting.retain(|w| usize::from(*w) != which);
        Ok(())
    }

    fn quiesce(&self, world: &mut World) -> Result<(), Broken> {
        let awaited =
            |p: &Phase| matches!(p, Phase::Sent { wire: Wire::Open(_) | Wire::Broken, .. });
        world.seen.quiesces = true;
        world.seen.awaited = world.seen.awaited.max(world.count(awaited) as u8);
        if self.is(Mutation::GrantBeforeQuiesce) {
            world.ledger.record.grant = world.ledger.record.mark.token;
        }
        if self.is(Mutation::SentToldStale) {
            for which in 0..world.phases.len() {
                if let Phase::Sent { wire: Wire::Open(_), .. } = world.phases[which] {
                    self.tell_stale(world, which)?;
                }
            }
        }
        if self.is(Mutation::NoQuiesce) {
            for linger in [Linger::Unknown, Linger::Leftovers] {
                self.expire(world, linger)?;
            }
            for which in 0..world.phases.len() {
                if let Phase::Sent { wire: Wire::Open(sent), can_land } = &world.phases[which] {
                    let (sent, unwatched) = (sent.clone(), Phase::unwatched(*can_land));
                    world.phases[which] = unwatched;
                    let effects = fence(world).settle(sent, Fate::Known);
                    self.run(world, effects)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn ask_fence(&self, world: &mut World, which: usize) -> Result<(), Broken> {
        let token = self.requests[which].token();
        world.phases[which] = Phase::Waiting;
        if let Some(Pending::Raise { to, .. }) = &world.ledger.pending
            && token < to.token
            && self.is(Mutation::RefusedOnRaiseThatMayFail)
        {
            let refusal = Refusal::Stale { token, mark: to.clone() };
            return self.refuse(world, which, &refusal);
        }
        let overtaken = world.waiting.first().copied().filter(|_| self.is(Mutation::PlaceLost));
        world.waiting.push(which as u8);
        if let Some(first) = overtaken {
            fence(world).withdraw(Ticket(u64::from(first)));
        }
        let effects = fence(world).ask(self.ask(which));
        self.run(world, effects)?;
        if let Some(first) = overtaken {
            let effects = fence(world).ask(self.ask(usize::from(first)));
            self.run(world, effects)?;
        }
        Ok(())
    }

    pub(super) fn expire(&self, world: &mut World, linger: Linger) -> Result<(), Broken> {
        match linger {
            Linger::Leftovers => {
                world.seen.leftovers |= world.seen.quiesces && world.leftovers;
                world.leftovers = false;
            }
            Linger::Unknown => {
                for phase in &mut world.phases {
                    if let Phase::Sent { wire: Wire::Broken, can_land } = phase {
                        *phase = Phase::unwatched(*can_land);
                        world.seen.unknown += u8::from(world.seen.quiesces);
                    }
                }
            }
        }
        let effects = fence(world).expire(linger);
        self.run(world, effects)
    }

    pub(super) fn reply(&self, world: &mut World, reply: Reply) -> Result<(), Broken> {
        let pending = world.ledger.pending.take().expect("only offered with one");
        let done = matches!(reply, Reply::Done | Reply::LostDone);
        if done {
            world.ledger.execute(&pending);
        }
        let effects = match pending {
            Pending::Load => {
                let loaded = if done { self.found(world) } else { Loaded::Unavailable };
                fence(world).loaded(loaded)
            }
            Pending::Raise { .. } => match self.outcome(world, reply, &pending) {
                Some(outcome) => fence(world).raised(outcome),
                None => Effects::new(),
            },
            Pending::Grant { at } => {
                let is_there = world.ledger.record.mark.token == at;
                let outcome = match (reply, is_there) {
                    (Reply::Done, true) => Granted::Done { behind: false },
                    (Reply::Done, false) => Granted::Moved,
                    _ => Granted::Failed,
                };
                fence(world).granted(at, outcome)
            }
        };
        self.run(world, effects)
    }

    fn found(&self, world: &World) -> Loaded {
        let mut record = world.ledger.record.clone();
        if self.is(Mutation::GrantNotLookedAt) && world.leftovers {
            record.grant = record.mark.token;
        }
        let leftovers = world.leftovers && !self.is(Mutation::LeftoversIgnored);
        Loaded::Found { record, leftovers }
    }

    fn outcome(&self, world: &World, reply: Reply, raise: &Pending) -> Option<RaiseOutcome> {
        Some(match reply {
            Reply::Done => RaiseOutcome::Done(world.ledger.record.clone()),
            Reply::Failed => RaiseOutcome::Failed,
            Reply::LostDone | Reply::LostNotDone => match self.mutation {
                Some(Mutation::UnknownRaiseIsDone) => {
                    let mut taken_for = world.ledger.clone();
                    taken_for.execute(raise);
                    RaiseOutcome::Done(taken_for.record)
                }
                Some(Mutation::UnknownRaiseIsFailed) => RaiseOutcome::Failed,
                Some(Mutation::UnknownRaiseNotResolved) => return None,
                _ => RaiseOutcome::Unknown,
            },
        })
    }
}

/// The ledger takes one request at a time for a resource.
fn request(world: &mut World, pending: Pending) {
    assert!(world.ledger.pending.is_none(), "two ledger requests at once: {pending:?}");
    world.ledger.pending = Some(pending);
}
