//! Opens the ledger that is configured, and says what it adds to what is guaranteed.

use std::sync::Arc;

use super::StartError;
use crate::config::{Ledger as Choice, show_duration};
use crate::ledger::embedded::Embedded;
use crate::ledger::{Ledger, Unavailable};

/// Opens it. A shared ledger that is out of reach is asked once, each of its endpoints: whoever
/// started this process starts it again, and sees why until then.
pub(super) async fn open(choice: Choice) -> Result<Arc<dyn Ledger>, StartError> {
    let place = choice.place();
    let unusable = |error| StartError::SharedLedger { place: place.clone(), error };
    match choice {
        Choice::Embedded { path, settings } => {
            let opening = tokio::task::spawn_blocking(move || Embedded::open(&path, settings));
            Ok(Arc::new(opening.await.map_err(std::io::Error::other)??))
        }
        Choice::Etcd { .. } | Choice::Redis { .. } => {
            Err(unusable(Unavailable("shared ledgers are not linked in yet".to_owned())))
        }
    }
}

/// What is added to the guarantee of every listener.
pub(super) fn guarantee(choice: &Choice, ledger: &dyn Ledger) -> String {
    let Some(session) = choice.session() else { return String::new() };
    let mut text = format!(
        "; kept across all replicas that share the ledger ({}), and without it for {}",
        choice.place(),
        show_duration(session.admits_for())
    );
    if let Some(loses) = ledger.loses() {
        text.push_str(&format!("; NOT KEPT when the ledger loses marks: {loses}"));
    }
    text
}
