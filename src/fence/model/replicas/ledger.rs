//! The ledger: the row's own transitions, in transactions, as `ledger::replicated` has them done.

use super::mutation::Mutation;
use super::world::{Answer, Model, Op, Stray, Work, World};
use crate::fence::{Granted, Loaded, Own, RaiseOutcome, SessionId, Token};

/// How the ledger ends what it was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reply {
    Done,
    /// Certainly not done.
    Failed,
    /// Nobody can tell that it was done.
    LostDone,
    /// Nobody can tell that it was not done; it still may be.
    LostPending,
}

impl Model {
    /// The ledger does, or does not do, what a fence has asked of it. The answer comes later.
    pub(super) fn serve(&self, world: &mut World, at: usize, reply: Reply) {
        let process = world.process(at);
        let Some(Work::Asked(op)) = process.work.take() else {
            unreachable!("only offered with a request")
        };
        let own = process.own.clone();
        let is_lost = matches!(reply, Reply::LostDone | Reply::LostPending);
        process.unsure |= is_lost;
        let answer = match reply {
            Reply::Done => self.does(world, at, &op, &own),
            _ => {
                match reply {
                    Reply::LostDone => drop(self.does(world, at, &op, &own)),
                    Reply::LostPending => {
                        world.ledger.strays.push(Stray { op: op.clone(), own });
                    }
                    Reply::Done | Reply::Failed => {}
                }
                match &op {
                    Op::Load => Some(Answer::Loaded(Loaded::Unavailable)),
                    Op::Raise { .. } if is_lost => Some(Answer::Raised(RaiseOutcome::Unknown)),
                    Op::Raise { .. } => Some(Answer::Raised(RaiseOutcome::Failed)),
                    Op::Grant { at } => Some(Answer::Granted(*at, Granted::Failed)),
                    Op::Release => None,
                }
            }
        };
        let answer = answer.or_else(|| {
            // A release is tried again, until the fence is suspended.
            let is_believed = self.is(Mutation::ReleaseNotRetried);
            let is_over = world.fence(at).is_suspended() || is_believed;
            is_over.then_some(Answer::Released(is_believed))
        });
        world.process(at).work = Some(answer.map_or(Work::Asked(op), Work::Answered));
    }

    /// `None` for a release that was not done.
    fn does(&self, world: &mut World, at: usize, op: &Op, own: &Own) -> Option<Answer> {
        let is_alive = world.is_alive(own);
        Some(match op {
            Op::Load => {
                let process = world.process(at);
                if process.unsure && !self.is(Mutation::NotMadeSure) {
                    if !is_alive {
                        return Some(Answer::Loaded(Loaded::Unavailable));
                    }
                    process.unsure = false;
                    world.ledger.strays.clear(); // The row has another version now.
                }
                let mut record = world.ledger.row.record(own);
                if self.is(Mutation::FormerGrantIsOwn) {
                    let grants = &world.ledger.row.grants;
                    let former = own.former.iter().filter_map(|session| grants.get(session));
                    record.grant = former.copied().fold(record.grant, Token::max);
                }
                record.behind &= !self.is(Mutation::OthersNotAwaited);
                Answer::Loaded(Loaded::Found { record, leftovers: false })
            }
            Op::Raise { to, .. } => {
                let is_higher = to.token > world.ledger.row.mark.token;
                if is_higher && !self.change(world, op, own) {
                    Answer::Raised(RaiseOutcome::Failed)
                } else {
                    let mut record = world.ledger.row.record(own);
                    record.behind &= !self.is(Mutation::OthersNotAwaited);
                    Answer::Raised(RaiseOutcome::Done(record))
                }
            }
            Op::Grant { at: token } => {
                let is_there =
                    world.ledger.row.mark.token == *token || self.is(Mutation::GrantedAnyway);
                let outcome = if !is_there {
                    Granted::Moved
                } else if self.change(world, op, own) {
                    let behind = world.ledger.row.behind(own, *token).next().is_some();
                    Granted::Done { behind: behind && !self.is(Mutation::OthersNotAwaited) }
                } else {
                    Granted::Failed
                };
                Answer::Granted(*token, outcome)
            }
            Op::Release => {
                let is_owing = world.ledger.row.is_owing(own);
                return (!is_owing || self.change(world, op, own))
                    .then_some(Answer::Released(true));
            }
        })
    }

    /// Compare-and-swap of the row, in one transaction with "session alive".
    fn change(&self, world: &mut World, op: &Op, own: &Own) -> bool {
        if !world.is_alive(own) && !self.is(Mutation::SessionNotChecked) {
            return false;
        }
        let row = &mut world.ledger.row;
        match op {
            Op::Load => {}
            Op::Raise { to, quiesced } => {
                row.raise(to, own, *quiesced || self.is(Mutation::GrantMovesWithMark));
            }
            Op::Grant { at } => {
                if !row.grant(own, *at) {
                    row.leave(own); // Only under a mutation.
                    row.grants.insert(own.current.clone(), *at);
                }
            }
            Op::Release => row.release(own),
        }
        self.changed(world);
        true
    }

    /// The row is another one: all hear of it, and what was asked of the one before is void.
    pub(super) fn changed(&self, world: &mut World) {
        world.ledger.strays.clear();
        for replica in &mut world.replicas {
            if let Some(process) = &mut replica.process {
                process.has_news = !self.is(Mutation::FeedNotFollowed);
            }
        }
    }

    /// A request is done after all, whose answer nobody waits for any more.
    pub(super) fn stray(&self, world: &mut World, which: usize) {
        let Stray { op, own } = world.ledger.strays.remove(which);
        let is_there = match &op {
            Op::Raise { to, .. } => to.token > world.ledger.row.mark.token,
            Op::Grant { at } => world.ledger.row.mark.token == *at,
            Op::Release => true,
            Op::Load => false,
        };
        if is_there {
            self.change(world, &op, &own);
        }
    }

    /// The ledger ends a session. Its grant stays.
    pub(super) fn end_session(&self, world: &mut World, session: &SessionId) {
        world.ledger.alive.remove(session);
        if self.is(Mutation::GrantsVanish) && world.ledger.row.grants.remove(session).is_some() {
            self.changed(world);
        }
    }
}
