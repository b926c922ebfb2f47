//! What changes at the servers, for metrics, alerts and the audit log.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::super::server::ServerId;
use super::failover::{Finding, Seen};

/// Changes that are kept for whoever listens slowly.
pub const CHANGES_MAX: usize = 256;

/// What has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChangeKind {
    /// Another process at the same address.
    Restarted,
    /// Another server is the primary.
    OtherPrimary,
    /// The server is not the primary any more.
    Demoted,
    /// The primary lacks writes that were seen at the one before.
    DataLost,
    /// The primary goes on from no history that was seen: whether it lacks writes cannot be told,
    /// as after a restart from an append-only file.
    HistoryUnknown,
}

/// One change. A failover that loses writes is two: [`ChangeKind::OtherPrimary`], and
/// [`ChangeKind::DataLost`].
#[derive(Clone, Debug)]
pub struct Change {
    /// What.
    pub kind: ChangeKind,
    /// The primary before.
    pub from: Arc<ServerId>,
    /// The server now.
    pub to: Arc<ServerId>,
    /// How far the primary before was seen to have written, in bytes of its replication history.
    pub expected_offset: u64,
    /// How far of that the one now goes, where it can be told.
    pub found_offset: Option<u64>,
    /// Bytes of that history that are missing, as far as was looked; `None` where it cannot be
    /// told.
    pub lost_bytes: Option<u64>,
}

/// Compares each look at a primary with the one before.
pub(super) struct Witness {
    last: Option<(Arc<ServerId>, Seen)>,
    told: broadcast::Sender<Change>,
}

impl Witness {
    pub(super) fn new(told: broadcast::Sender<Change>) -> Self {
        Self { last: None, told }
    }

    /// A server, as it was just seen.
    pub(super) fn look(&mut self, server: &Arc<ServerId>, now: Seen) {
        let Some((from, before)) = &mut self.last else {
            self.last = Some((server.clone(), now)).filter(|(_, now)| now.is_primary);
            return;
        };
        let is_same = from == server;
        if !now.is_primary {
            // Compared with what it was before, once there is a primary again.
            if is_same && std::mem::replace(&mut before.is_primary, false) {
                self.tell(ChangeKind::Demoted, server, Finding::Kept);
            }
            return;
        }
        let finding = before.is_in(&now, is_same);
        let now = if is_same { now.after(before) } else { now };
        if !is_same {
            let kind = match from.endpoint == server.endpoint {
                true => ChangeKind::Restarted,
                false => ChangeKind::OtherPrimary,
            };
            self.tell(kind, server, Finding::Kept);
        }
        match finding {
            Finding::Kept => {}
            Finding::Lost { .. } => self.tell(ChangeKind::DataLost, server, finding),
            Finding::Unknown { .. } => self.tell(ChangeKind::HistoryUnknown, server, finding),
        }
        self.last = Some((server.clone(), now));
    }

    fn tell(&self, kind: ChangeKind, to: &Arc<ServerId>, finding: Finding) {
        let Some((from, before)) = &self.last else { return };
        let (expected_offset, found_offset) = match finding {
            Finding::Kept => (before.written(), None),
            Finding::Lost { expected, found } => (expected, found),
            Finding::Unknown { expected } => (expected, None),
        };
        let lost_bytes = found_offset.map(|found| expected_offset.saturating_sub(found));
        tracing::warn!(
            from = %from.host, to = %to.host, expected_offset, found_offset, lost_bytes,
            "the primary has changed: {kind:?}",
        );
        let (from, to) = (from.clone(), to.clone());
        let change = Change { kind, from, to, expected_offset, found_offset, lost_bytes };
        // Nobody may be listening.
        let _ = self.told.send(change);
    }
}
