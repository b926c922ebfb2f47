//! What must hold among replicas, whatever happens.

use super::world::{Model, Phase, Wire, World};
use crate::fence::Refusal;
use crate::fence::model::safety::{Broken, Property};
use crate::fence::model::search::System;

impl Model {
    /// A request is admitted, or its seal is answered.
    pub(super) fn let_through(
        &self,
        world: &mut World,
        at: usize,
        which: usize,
    ) -> Result<(), Broken> {
        let claim = self.requests[which].claim();
        let (token, through) = (claim.token, world.through.token);
        // What has settled stays settled: so who reads without a session need not be the last.
        let only_reads = self.is_seal(which) && world.fence(at).is_suspended();
        self.check(Property::G1, token >= through || only_reads, || {
            format!("request {which} with token {token} was let through after {through}")
        })?;
        let durable = world.ledger.row.mark.token;
        self.check(Property::G3, durable >= token, || {
            format!("token {token} was let through while the durable mark was {durable}")
        })?;
        let same = token != through || claim.holder == world.through.holder;
        self.check(Property::Admission, same, || {
            format!("{} and {} both went on with token {token}", world.through.holder, claim.holder)
        })?;
        if token > through {
            world.through = claim;
        }
        Ok(())
    }

    /// The last byte of a write goes to the store.
    pub(super) fn forward(&self, world: &World, which: usize) -> Result<(), Broken> {
        let token = self.requests[which].token();
        let through = world.through.token;
        self.check(Property::G1, token >= through, || {
            format!("write {which} with token {token} was sent after {through} was let through")
        })
    }

    /// A request ends with a refusal.
    pub(super) fn tell_refusal(
        &self,
        world: &World,
        which: usize,
        refusal: &Refusal,
    ) -> Result<(), Broken> {
        let claim = self.requests[which].claim();
        let mark = &world.ledger.row.mark;
        let truthful = match refusal {
            Refusal::Stale { .. } => mark.token > claim.token,
            Refusal::Conflict { .. } => {
                mark.token > claim.token || mark.token == claim.token && mark.holder != claim.holder
            }
            Refusal::LedgerUnavailable => true,
            _ => false,
        };
        self.check(Property::G6, truthful && !world.phases[which].can_land(), || {
            format!("request {which} was told {refusal}; the durable mark is {}", mark.token)
        })
    }

    /// What holds after every step.
    pub(super) fn check_state(&self, world: &World) -> Result<(), Broken> {
        let through = world.through.token;
        for (which, phase) in world.phases.iter().enumerate() {
            let token = self.requests[which].token();
            self.check(Property::G2, token >= through || !phase.can_land(), || {
                format!("write {which} with token {token} may land; {through} was let through")
            })?;
            self.check(Property::Grants, self.is_covered(world, which), || {
                format!("write {which} with token {token} may land; no grant says so")
            })?;
        }
        for (at, replica) in world.replicas.iter().enumerate() {
            let Some(fence) = replica.process.as_ref().and_then(|it| it.fence.as_ref()) else {
                continue;
            };
            let count = |kind: fn(&Phase) -> bool| {
                let is_its = |p: &&Phase| p.link().is_some_and(|link| link.at == at);
                world.phases.iter().filter(is_its).filter(|phase| kind(phase)).count() as u32
            };
            let counted = (
                count(Phase::is_held),
                count(|phase| matches!(phase, Phase::Sent { wire: Wire::Broken, .. })),
            );
            let (_, sent, unknown) = fence.in_flight();
            self.check(Property::Books, (sent, unknown) == counted, || {
                format!("fence {at} counts {sent} sent, {unknown} unknown; there are {counted:?}")
            })?;
        }
        Ok(())
    }

    /// Whether some grant of the process that sent it is a lower bound of its token.
    fn is_covered(&self, world: &World, which: usize) -> bool {
        let phase = &world.phases[which];
        let Some(link) = phase.link().filter(|_| phase.can_land()) else { return true };
        let token = self.requests[which].token();
        world
            .ledger
            .row
            .grants
            .iter()
            .any(|(session, grant)| session.replica() == link.session.replica() && *grant <= token)
    }

    /// What holds where nothing happens any more but by clients and faults.
    pub(super) fn check_quiet(&self, world: &World) -> Result<(), Broken> {
        let waits = |phase: &Phase| match phase {
            Phase::Waiting { at } => world.awake(*at).is_some(),
            _ => false,
        };
        let stuck = world.phases.iter().position(waits);
        self.check(Property::Progress, stuck.is_none(), || {
            format!("request {} is never told", stuck.unwrap_or_default())
        })?;
        let is_shut = |at: &usize| {
            let process = world.awake(*at).filter(|process| process.lease);
            process.and_then(|it| it.fence.as_ref()).is_some_and(|fence| fence.is_suspended())
        };
        let shut = (0..self.replicas).find(is_shut);
        self.check(Property::Progress, shut.is_none(), || {
            format!("r{} stays suspended", shut.unwrap_or_default() + 1)
        })
    }
}
