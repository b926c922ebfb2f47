//! Executes a register's effects, as the gate does; or almost, under a mutation.

use super::mutation::Mutation;
use super::world::{Answer, Link, Model, News, Op, Phase, Wire, Work, World};
use crate::fence::model::safety::Broken;
use crate::fence::{
    Ask, Awaited, Cut, Effect, Effects, Fate, Intent, Linger, Refusal, Register, Ticket, Token,
    TokenRules,
};

impl Model {
    pub(super) fn run(&self, world: &mut World, at: usize, effects: Effects) -> Result<(), Broken> {
        for effect in effects {
            self.execute(world, at, effect)?;
        }
        Ok(())
    }

    fn execute(&self, world: &mut World, at: usize, effect: Effect) -> Result<(), Broken> {
        match effect {
            Effect::Load => request(world, at, Op::Load),
            Effect::Raise { to, quiesced } => request(world, at, Op::Raise { to, quiesced }),
            Effect::Grant { at: token } => request(world, at, Op::Grant { at: token }),
            Effect::Release => request(world, at, Op::Release),
            Effect::Quiesce => self.quiesce(world, at),
            // Looked after for as long as the register awaits.
            Effect::Await { .. } => {}
            // What is told to people, and who is woken: the model of one process checks that.
            Effect::Cut | Effect::Opened(_) | Effect::Yielded(_) | Effect::Wait { .. } => {}
            Effect::Admit { ticket: Ticket(ticket), permit } => {
                let which = ticket as usize;
                if world.phases[which] == (Phase::Waiting { at }) {
                    self.let_through(world, at, which)?;
                    world.phases[which] = Phase::Streaming { at, permit };
                } else {
                    world.fence(at).release(permit);
                }
            }
            Effect::Sealed { ticket: Ticket(ticket), .. } => {
                self.let_through(world, at, ticket as usize)?;
                world.phases[ticket as usize] = Phase::Ended;
            }
            Effect::Refuse { ticket: Ticket(ticket), refusal } => {
                self.tell_refusal(world, ticket as usize, &refusal)?;
                world.phases[ticket as usize] = Phase::Ended;
            }
        }
        Ok(())
    }

    fn quiesce(&self, world: &mut World, at: usize) {
        let own = world.process(at).own.clone();
        let before = world.ledger.row.clone();
        if self.is(Mutation::GrantBeforeQuiesce) {
            world.ledger.row.grant(&own, before.mark.token);
        }
        if self.is(Mutation::ReleaseBeforeQuiesce) {
            world.ledger.row.release(&own);
        }
        if world.ledger.row != before {
            self.changed(world);
        }
    }

    pub(super) fn ask_fence(
        &self,
        world: &mut World,
        at: usize,
        which: usize,
    ) -> Result<(), Broken> {
        let request = &self.requests[which];
        let fence = &mut world.process(at).fence;
        fence.get_or_insert_with(|| Register::among_replicas(self.requests.len() as u32));
        world.phases[which] = Phase::Waiting { at };
        self.look_before_admission(world, at)?;
        let effects = world.fence(at).ask(Ask {
            ticket: Ticket(which as u64),
            claim: request.claim(),
            intent: request.intent,
            may_raise: request.may_raise,
            rules: TokenRules::default(),
        });
        self.run(world, at, effects)
    }

    /// The gate looks at the lease itself, whether or not somebody has said that it is over.
    fn look_at_lease(&self, world: &mut World, at: usize) -> Result<(), Broken> {
        if !world.process(at).lease {
            return self.suspend(world, at);
        }
        Ok(())
    }

    /// The same before every transition that may admit somebody.
    fn look_before_admission(&self, world: &mut World, at: usize) -> Result<(), Broken> {
        if self.is(Mutation::NoLookAtAdmission) {
            return Ok(());
        }
        self.look_at_lease(world, at)
    }

    fn suspend(&self, world: &mut World, at: usize) -> Result<(), Broken> {
        if self.is(Mutation::SuspensionIgnored) {
            return Ok(());
        }
        let effects = world.fence(at).suspend();
        self.run(world, at, effects)
    }

    /// The ledger's answer is told to the fence.
    pub(super) fn answer(&self, world: &mut World, at: usize) -> Result<(), Broken> {
        let Some(Work::Answered(answer)) = world.process(at).work.take() else {
            unreachable!("only offered with an answer")
        };
        self.look_before_admission(world, at)?;
        let fence = world.fence(at);
        let effects = match answer {
            Answer::Granted(token, outcome) => fence.granted(token, outcome),
            Answer::Loaded(loaded) => fence.loaded(loaded),
            Answer::Raised(outcome) => fence.raised(outcome),
            Answer::Released(done) => fence.released(done),
        };
        self.run(world, at, effects)
    }

    /// The gate takes what its ledger tells next.
    pub(super) fn deliver(&self, world: &mut World, at: usize) -> Result<(), Broken> {
        if world.process(at).fence.is_some() {
            self.look_before_admission(world, at)?;
        }
        let process = world.process(at);
        let news = process.news.remove(0);
        let Some(fence) = &mut process.fence else {
            if let News::Row { record, owing: true } = news {
                process.giving_up = Some(record.mark.token);
            }
            return Ok(());
        };
        let effects = match news {
            News::Row { record, owing } => {
                // Without a grant of ours in it the row may be from before that was set.
                let own = record.grant > Token::ZERO || self.is(Mutation::ToldByAnyRow);
                let is_clear = own && !record.behind;
                process.clear = if is_clear { record.mark.token } else { Token::ZERO };
                fence.observe(record, owing)
            }
            News::Suspended => return self.suspend(world, at),
            News::HangUp => return self.hang_up(world, at),
            News::Resumed => {
                process.clear = Token::ZERO;
                fence.resume()
            }
        };
        self.run(world, at, effects)
    }

    /// Closes what was sent under a session that is over.
    fn hang_up(&self, world: &mut World, at: usize) -> Result<(), Broken> {
        let before = world.fence(at).epoch();
        for which in 0..world.phases.len() {
            let phase = &world.phases[which];
            let is_late = |link: &Link| link.at == at && link.epoch < before;
            if phase.is_held() && phase.link().is_some_and(is_late) {
                self.settle(world, which, Fate::Unknown)?;
            }
        }
        Ok(())
    }

    /// A write past its commit point has ended, or nobody waits for its end any more.
    pub(super) fn settle(&self, world: &mut World, which: usize, fate: Fate) -> Result<(), Broken> {
        let (link, sent, can_land) = match world.take(which) {
            Phase::Checked { link, sent } => (link, sent, false),
            Phase::Sent { link, wire: Wire::Open(sent), can_land } => (link, sent, can_land),
            other => unreachable!("nobody waits for {other:?}"),
        };
        let at = link.at;
        if fate == Fate::Unknown {
            world.phases[which] = Phase::Sent { link, wire: Wire::Broken, can_land };
        }
        self.look_before_admission(world, at)?;
        let effects = world.fence(at).settle(sent, fate);
        self.run(world, at, effects)
    }

    pub(super) fn expire(&self, world: &mut World, at: usize) -> Result<(), Broken> {
        for phase in &mut world.phases {
            if let Phase::Sent { link, wire: Wire::Broken, can_land } = phase
                && link.at == at
            {
                *phase = Phase::unwatched(link.clone(), *can_land);
            }
        }
        self.look_before_admission(world, at)?;
        let effects = world.fence(at).expire(Linger::Unknown);
        self.run(world, at, effects)
    }

    pub(super) fn commit(&self, world: &mut World, which: usize) -> Result<(), Broken> {
        let Phase::Streaming { at, permit } = world.phases[which].clone() else {
            unreachable!("only offered while streaming")
        };
        if !self.is(Mutation::NoLookAtCommit) {
            self.look_at_lease(world, at)?;
        }
        let session = world.process(at).own.current.clone();
        let epoch = permit.epoch();
        let link = Link { at, session, epoch, closed: false };
        let token = self.requests[which].token();
        match world.fence(at).commit(permit) {
            Ok(sent) => {
                world.phases[which] = Phase::Checked { link, sent };
                if !self.slow {
                    self.send(world, which)?;
                }
            }
            Err(Cut) if self.is(Mutation::NoSecondLook) => {
                self.forward(world, which)?;
                world.phases[which] = Phase::unwatched(link, true);
            }
            Err(Cut) => {
                let mark = world.fence(at).mark_at_least().clone();
                if mark.token > token {
                    self.tell_refusal(world, which, &Refusal::Stale { token, mark })?;
                }
                world.phases[which] = Phase::Ended;
            }
        }
        Ok(())
    }

    /// What passed its commit point goes to the store.
    pub(super) fn send(&self, world: &mut World, which: usize) -> Result<(), Broken> {
        let Phase::Checked { link, sent } = world.take(which) else {
            unreachable!("only offered before it is sent")
        };
        let can_land = !link.closed;
        if can_land {
            self.forward(world, which)?;
        }
        world.phases[which] = Phase::Sent { link, wire: Wire::Open(sent), can_land };
        Ok(())
    }

    /// Nobody has a grant below the token that a fence waits for.
    pub(super) fn awaited(&self, world: &mut World, at: usize) -> Result<(), Broken> {
        let token = awaits(world.fence(at)).expect("only offered while it waits");
        self.look_before_admission(world, at)?;
        let effects = world.fence(at).awaited(token, Awaited::Done { leftovers: false });
        self.run(world, at, effects)
    }

    pub(super) fn not_awaited(&self, world: &mut World, at: usize) -> Result<(), Broken> {
        let token = awaits(world.fence(at)).expect("only offered while it waits");
        self.look_before_admission(world, at)?;
        let effects = world.fence(at).awaited(token, Awaited::Failed);
        self.run(world, at, effects)
    }

    pub(super) fn is_seal(&self, which: usize) -> bool {
        self.requests[which].intent == Intent::Seal
    }
}

/// The token at which a fence waits for the grants of others.
pub(super) fn awaits(fence: &Register) -> Option<Token> {
    Some(fence.mark_at_least().token).filter(|token| fence.is_awaiting(*token))
}

/// The gate asks the ledger one thing at a time for a resource.
fn request(world: &mut World, at: usize, op: Op) {
    let work = &mut world.process(at).work;
    assert!(work.is_none(), "two ledger requests at once: {work:?}, {op:?}");
    *work = Some(Work::Asked(op));
}
