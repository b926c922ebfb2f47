//! Opens the ledger that is configured, and says what it adds to what is guaranteed.

use std::sync::Arc;

use super::StartError;
use crate::config::{Ledger as Choice, show_duration};
use crate::ledger::embedded::Embedded;
use crate::ledger::etcd::Etcd;
use crate::ledger::redis::Redis;
use crate::ledger::replicated::Replicated;
use crate::ledger::replicated::store::Store;
use crate::ledger::{Ledger, Unavailable};

/// The store of a shared ledger; `None` for the embedded one. No session is begun.
///
/// # Errors
/// When its TLS files cannot be used.
pub async fn store(choice: &Choice) -> Option<Result<Arc<dyn Store>, Unavailable>> {
    let choice = choice.clone();
    // Both read files.
    let opening = tokio::task::spawn_blocking(move || -> Option<Result<Arc<dyn Store>, _>> {
        match choice {
            Choice::Embedded { .. } => None,
            Choice::Etcd { settings, .. } => {
                Some(Etcd::new(*settings).map(|store| -> Arc<dyn Store> { Arc::new(store) }))
            }
            Choice::Redis { settings, .. } => {
                Some(Redis::new(*settings).map(|store| -> Arc<dyn Store> { Arc::new(store) }))
            }
        }
    });
    opening.await.unwrap_or_else(|error| Some(Err(Unavailable(error.to_string()))))
}

/// Opens it. A shared ledger that is out of reach is asked once, each of its endpoints: whoever
/// started this process starts it again, and sees why until then.
pub(super) async fn open(choice: &Choice) -> Result<Arc<dyn Ledger>, StartError> {
    let place = choice.place();
    let unusable = |error| StartError::SharedLedger { place: place.clone(), error };
    match (choice, store(choice).await, choice.session()) {
        (Choice::Embedded { path, settings }, ..) => {
            let (path, settings) = (path.clone(), *settings);
            let opening = tokio::task::spawn_blocking(move || Embedded::open(&path, settings));
            Ok(Arc::new(opening.await.map_err(std::io::Error::other)??))
        }
        (_, Some(store), Some(session)) => {
            let store = store.map_err(unusable)?;
            let about = Arc::clone(&store);
            let ledger = Replicated::open(store, session.clone()).await.map_err(unusable)?;
            let session = ledger.session().map(|session| session.to_string());
            tracing::info!(session, ledger = %place, what = %about.about().what, "session begun");
            Ok(ledger)
        }
        _ => Err(unusable(Unavailable("it has no session".to_owned()))),
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
