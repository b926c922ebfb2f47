//! A client of the server, and the proofs for what it may still do: neither is let go of without
//! the other.

use std::sync::Arc;

use smallvec::SmallVec;

use super::orphans::Orphan;
use super::server::Front;
use super::upstream::ServerId;
use crate::fence::{Resource, Token};
use crate::gate::Admission;

/// What a session holds of its connection to the server. Dropped while something may still run,
/// however that came about, the client is killed at the server, and only then does what it was
/// admitted for count as settled.
pub(super) struct Hold {
    front: Arc<Front>,
    pub(super) server: Arc<ServerId>,
    pub(super) client_id: u64,
    admissions: SmallVec<[Admission; 2]>,
    /// Where nobody waits for the answers any more: one for each admission.
    orphans: Vec<Orphan>,
    is_reaped: bool,
}

impl Hold {
    pub(super) fn new(front: &Arc<Front>, server: Arc<ServerId>, client_id: u64) -> Self {
        Self {
            front: Arc::clone(front),
            server,
            client_id,
            admissions: SmallVec::new(),
            orphans: Vec::new(),
            is_reaped: false,
        }
    }

    /// Whether writes to a resource are admitted now, under that token.
    pub(super) fn is_admitted(&self, resource: &Resource, token: Token) -> bool {
        self.admissions
            .iter()
            .any(|admission| admission.token() == token && admission.resource() == resource)
    }

    /// Whether nothing that may write is with the server, nor was when it was told to kill.
    pub(super) fn is_clean(&self) -> bool {
        self.admissions.is_empty() && !self.is_reaped
    }

    /// Past its commit point: from here on things are forwarded.
    pub(super) fn admit(&mut self, admission: Admission) {
        self.admissions.push(admission);
    }

    /// The server has answered all of it, or certainly never gets it whole.
    pub(super) fn settle(&mut self) {
        for admission in self.admissions.drain(..) {
            admission.settle();
        }
        if !self.orphans.is_empty() {
            self.orphans.clear();
        }
    }

    /// The client is gone, and what it has sent may still run.
    pub(super) fn orphan(&mut self) {
        if self.orphans.is_empty() {
            let orphan = |admission: &Admission| self.front.orphans.add(admission.resource());
            self.orphans = self.admissions.iter().map(orphan).collect();
        }
    }

    /// Has the client killed at the server, if anything may still run.
    pub(super) fn reap(&mut self) {
        if !self.admissions.is_empty() {
            self.orphan();
            let orphans = std::mem::take(&mut self.orphans);
            let admissions = std::mem::take(&mut self.admissions).into_vec();
            self.is_reaped = true;
            self.front.reap(&self.server, self.client_id, (admissions, orphans));
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.reap();
    }
}
