//! What is told when something changes at the server: another primary, or writes that are lost.
//!
//! The marks are not kept there, so they do not go down with it.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;

use super::metrics::UpstreamMetrics;
use super::upstream::{Change, ChangeKind, Control, Upstream};
use crate::audit::{self, Audit};

/// All kinds.
pub(super) const KINDS: [ChangeKind; 5] = [
    ChangeKind::Restarted,
    ChangeKind::OtherPrimary,
    ChangeKind::Demoted,
    ChangeKind::DataLost,
    ChangeKind::HistoryUnknown,
];

/// The word for metrics and the audit log.
pub(super) fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Restarted => "restarted",
        ChangeKind::OtherPrimary => "other_primary",
        ChangeKind::Demoted => "demoted",
        ChangeKind::DataLost => "data_lost",
        ChangeKind::HistoryUnknown => "history_unknown",
    }
}

/// Tells of each change, for as long as there is anybody to hear of it from.
pub(super) async fn tell(control: Arc<Control>, upstream: Arc<Upstream>, audit: Audit) {
    let metrics = UpstreamMetrics::new(&upstream);
    let mut changes = control.changes();
    drop(control);
    loop {
        match changes.recv().await {
            Ok(change) => told(&change, &upstream, &metrics, &audit),
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(upstream = %upstream.name, missed, "changes at the server went untold");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn told(change: &Change, upstream: &Upstream, metrics: &UpstreamMetrics, audit: &Audit) {
    let Change { from, to, expected_offset, found_offset, lost_bytes, .. } = change;
    let kind = word(change.kind);
    metrics.changed(kind, lost_bytes.unwrap_or(0));
    let (from, to) = (&*from.host, &*to.host);
    match change.kind {
        ChangeKind::DataLost => tracing::error!(
            upstream = %upstream.name, from, to, expected_offset, found_offset, lost_bytes,
            "the primary lacks writes that were answered: leaders have to look at what is there; \
             the marks stand as they were"
        ),
        ChangeKind::HistoryUnknown => tracing::error!(
            upstream = %upstream.name, from, to, expected_offset,
            "the server goes on from no history that was seen: whether writes that were answered \
             are lost cannot be told; the marks stand as they were"
        ),
        _ => tracing::warn!(upstream = %upstream.name, kind, from, to, "the server has changed"),
    }
    audit.record(audit::Event {
        event: "upstream_changed",
        reason: Some(kind),
        detail: Some(serde_json::json!({
            "upstream": &*upstream.name,
            "from": from,
            "to": to,
            "expected_offset": expected_offset,
            "found_offset": found_offset,
            "lost_bytes": lost_bytes,
        })),
        ..audit::Event::default()
    });
}
