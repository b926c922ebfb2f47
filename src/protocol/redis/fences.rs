//! A token, and the resources for which it was brought.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::fence::{Claim, Resource, Token};
use crate::gate::{Bid, Watch};
use crate::net::identity::Peer;
use crate::rules::Matched;

/// A token of a connection or of a transaction.
#[derive(Debug)]
pub(super) struct Fences {
    pub(super) token: Token,
    sealed: HashMap<Resource, Fence, RandomState>,
}

/// A resource that was sealed with it.
#[derive(Debug)]
pub(super) struct Fence {
    pub(super) bid: Bid,
    pub(super) watch: Arc<Watch>,
}

impl Fences {
    pub(super) fn new(token: Token) -> Self {
        Self { token, sealed: HashMap::default() }
    }

    /// What the gate is asked for a resource.
    pub(super) fn bid(&self, matched: &Matched, peer: &Peer) -> Bid {
        let rule = &matched.rule;
        Bid {
            resource: matched.resource.clone(),
            claim: Claim { token: self.token, holder: rule.holder(&peer.identity) },
            peer: peer.clone(),
            wait: rule.takeover_timeout,
            rule: Arc::clone(rule),
        }
    }

    pub(super) fn of(&self, resource: &Resource) -> Option<&Fence> {
        self.sealed.get(resource)
    }

    /// Every write to the resource with a smaller token has settled.
    pub(super) fn sealed(&mut self, fence: Fence) {
        self.sealed.insert(fence.bid.resource.clone(), fence);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Fence> {
        self.sealed.values()
    }

    pub(super) fn len(&self) -> usize {
        self.sealed.len()
    }

    /// Forgets the resources: each is sealed again when it is used the next time.
    pub(super) fn forget(&mut self) {
        self.sealed.clear();
    }

    /// Forgets one of them.
    pub(super) fn forget_one(&mut self, resource: &Resource) {
        self.sealed.remove(resource);
    }

    /// The first of them that a newer leader has taken, or that is admitted no more because the
    /// session with the ledger was lost or the process ends.
    pub(super) fn over(&self) -> Option<&Fence> {
        self.iter().find(|fence| fence.watch.is_over())
    }
}
