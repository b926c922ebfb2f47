//! What must hold, whatever happens: the properties of the contract.

use super::search::System;
use super::world::{Model, Phase, Request, Wire, World};
use crate::fence::{Mark, Refusal, Takeover};

/// What can be broken. G1 to G6 as in the contract.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Property {
    /// Once a request with token t has gone forward, no write below t does.
    G1,
    /// Once a request with token t has gone forward or was sealed, nothing below t lands.
    G2,
    /// The durable mark is at the token before the first request under it goes forward.
    G3,
    /// Nobody is refused whose write may be applied, or for a reason that is not true.
    G6,
    /// One token has one holder, unless the rule shares it; the mark is only raised for
    /// somebody who may, and only so far.
    Admission,
    /// Those who wait with one token go on in the order of their arrival, within the bound.
    Order,
    /// The fence counts exactly what is in flight.
    Books,
    /// Among replicas: what may still land is covered by a grant of its process, at or below it.
    Grants,
    /// The evidence of a takeover leaves nothing out.
    Evidence,
    /// Without faults, everybody who waits gets an answer.
    Progress,
}

/// A broken property, in words.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub property: Property,
    pub how: String,
}

impl Model {
    /// A request is admitted, or its seal is answered.
    pub(super) fn let_through(&self, world: &mut World, which: usize) -> Result<(), Broken> {
        let request = &self.requests[which];
        let claim = request.claim();
        let (token, through) = (claim.token, world.through.token);
        self.check(Property::G1, token >= through, || {
            format!("request {which} with token {token} was let through after {through}")
        })?;
        let durable = world.ledger.record.mark.token;
        self.check(Property::G3, durable >= token, || {
            format!("token {token} was let through while the durable mark was {durable}")
        })?;
        let same = token != through || claim.holder == world.through.holder || request.share;
        self.check(Property::Admission, same, || {
            format!("{} and {} both went on with token {token}", world.through.holder, claim.holder)
        })?;
        let place = world.waiting.iter().position(|w| usize::from(*w) == which);
        let overtaken = |w: &&u8| self.requests[usize::from(**w)].token == request.token;
        let first = place.and_then(|place| world.waiting[..place].iter().find(overtaken));
        self.check(Property::Order, place.is_some() && first.is_none(), || {
            format!("request {which} overtook {}", first.copied().unwrap_or_default())
        })?;
        world.waiting.retain(|w| usize::from(*w) != which);
        if token > through {
            world.through = claim;
        }
        Ok(())
    }

    /// A write passes its commit point.
    pub(super) fn forward(&self, world: &World, which: usize) -> Result<(), Broken> {
        let token = self.requests[which].token();
        let through = world.through.token;
        self.check(Property::G1, token >= through, || {
            format!("write {which} with token {token} passed its commit point after {through}")
        })
    }

    /// The store applies a write.
    pub(super) fn land(&self, world: &World, which: usize) -> Result<(), Broken> {
        let token = self.requests[which].token();
        let through = world.through.token;
        self.check(Property::G2, token >= through, || {
            format!("write {which} with token {token} landed after {through} was let through")
        })
    }

    /// A request ends with a refusal.
    pub(super) fn tell(
        &self,
        world: &World,
        which: usize,
        refusal: &Refusal,
    ) -> Result<(), Broken> {
        let request = &self.requests[which];
        let mark = &world.ledger.record.mark;
        self.check(Property::G6, !world.phases[which].can_land(), || {
            format!("write {which} was told {refusal}; it may still land")
        })?;
        let truthful = match refusal {
            Refusal::Stale { .. } => mark.token > request.token(),
            Refusal::Conflict { .. } => {
                mark.token == request.token() && mark.holder.as_str() != request.holder
            }
            Refusal::Implausible { .. } => self.is_implausible(request, mark),
            Refusal::Forbidden { .. } => !request.may_raise && request.token() > mark.token,
            Refusal::Overloaded { .. } => world.waiting.len() > self.queue_max as usize,
            Refusal::LedgerUnavailable => true,
            Refusal::Unsettled => false, // Only the gate says so.
        };
        self.check(Property::G6, truthful, || {
            let Mark { token, holder } = mark;
            format!("request {which} was told {refusal}; the durable mark is {token} of {holder}")
        })
    }

    /// The mark is about to be raised.
    pub(super) fn raise(&self, world: &World, to: &Mark) -> Result<(), Broken> {
        let mark = &world.ledger.record.mark;
        let may = world.waiting.iter().map(|w| &self.requests[usize::from(*w)]).any(|request| {
            request.may_raise && request.claim() == *to && !self.is_implausible(request, mark)
        });
        self.check(Property::Admission, may, || {
            format!("nobody who waits may raise from {} to {}", mark.token, to.token)
        })
    }

    fn is_implausible(&self, request: &Request, mark: &Mark) -> bool {
        request.token - mark.token.counter().min(request.token) > self.max_jump
    }

    /// A takeover has ended.
    pub(super) fn opened(&self, world: &mut World, evidence: &Takeover) -> Result<(), Broken> {
        let seen = std::mem::take(&mut world.seen);
        let complete = evidence.cut == u32::from(seen.cut)
            && evidence.awaited >= u32::from(seen.awaited)
            && evidence.unknown >= u32::from(seen.unknown)
            && evidence.leftovers >= seen.leftovers;
        self.check(Property::Evidence, complete, || format!("{seen:?}; told: {evidence:?}"))?;
        let (from, to) = (evidence.from.token, evidence.to.token);
        let through = world.through.token;
        let marks = through <= from && from < to && evidence.to == world.ledger.record.mark;
        self.check(Property::Evidence, marks, || format!("from {through}; told: {evidence:?}"))
    }

    /// A seal is answered.
    pub(super) fn sealed(&self, which: usize, evidence: Option<&Takeover>) -> Result<(), Broken> {
        let token = self.requests[which].token();
        let told = evidence.is_none_or(|evidence| evidence.to.token == token);
        self.check(Property::Evidence, told, || format!("sealed at {token}; told: {evidence:?}"))
    }

    /// A fence is about to be forgotten: nobody holds what only this fence can judge.
    pub(super) fn forget(&self, world: &World) -> Result<(), Broken> {
        let held = world.count(|phase| {
            matches!(
                phase,
                Phase::Waiting
                    | Phase::Streaming { cut: false, .. }
                    | Phase::Sent { wire: Wire::Open(_), .. }
            )
        });
        self.check(Property::Books, held == 0, || format!("forgotten by {held} requests"))
    }

    /// What holds after every step.
    pub(super) fn check_state(&self, world: &World) -> Result<(), Broken> {
        let Some(fence) = &world.fence else { return Ok(()) };
        let counted = (
            world.count(|p| matches!(p, Phase::Streaming { cut: false, .. })),
            world.count(|p| matches!(p, Phase::Sent { wire: Wire::Open(_), .. })),
            world.count(|p| matches!(p, Phase::Sent { wire: Wire::Broken, .. })),
        );
        let told = fence.in_flight();
        self.check(Property::Books, told == counted, || {
            format!("the fence counts {told:?} (streaming, sent, unknown); there are {counted:?}")
        })?;
        let waiting = world.waiting.len();
        self.check(Property::Order, waiting <= self.queue_max as usize, || {
            format!("{waiting} requests wait; the bound is {}", self.queue_max)
        })
    }

    /// What holds where nothing happens any more but by clients and faults.
    pub(super) fn check_quiet(&self, world: &World) -> Result<(), Broken> {
        let stuck = world
            .phases
            .iter()
            .position(|phase| matches!(phase, Phase::Waiting | Phase::Streaming { cut: true, .. }));
        self.check(Property::Progress, stuck.is_none() || world.fence.is_none(), || {
            format!("request {} is never told", stuck.unwrap_or_default())
        })
    }
}
