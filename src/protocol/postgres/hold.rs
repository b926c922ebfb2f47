//! A backend, and the proof for what it may still do: neither is let go of without the other.

use std::sync::Arc;

use super::server::Front;
use crate::gate::Admission;

/// What a session holds of its backend. Dropped while something may still run, however that came
/// about, the backend is ended at the server, and only then does what it was admitted for count
/// as settled.
pub(super) struct Hold {
    front: Arc<Front>,
    pub(super) host: usize,
    pub(super) pid: u32,
    admission: Option<Admission>,
}

impl Hold {
    pub(super) fn new(front: &Arc<Front>, host: usize, pid: u32) -> Self {
        Self { front: Arc::clone(front), host, pid, admission: None }
    }

    /// Whether what is forwarded has been admitted.
    pub(super) fn is_admitted(&self) -> bool {
        self.admission.is_some()
    }

    /// Past its commit point: from here on things are forwarded.
    pub(super) fn admit(&mut self, admission: Admission) {
        self.admission = Some(admission);
    }

    /// The server has answered all of it, and no transaction is open.
    pub(super) fn settle(&mut self) {
        if let Some(admission) = self.admission.take() {
            admission.settle();
        }
    }

    /// Has the backend ended at the server, if anything may still run.
    pub(super) fn reap(&mut self) {
        if let Some(admission) = self.admission.take() {
            self.front.reap(self.host, self.pid, admission);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.reap();
    }
}
