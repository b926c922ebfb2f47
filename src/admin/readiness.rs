//! Whether this process can do its work, and if not why.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::ledger::{Condition, Ledger};

/// A listener for writers, as the dashboard tells of it.
#[derive(Clone, Debug, Default)]
pub struct ListenerInfo {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// What is spoken on it: `http`, `s3`, `postgres`.
    pub speaks: &'static str,
    /// Which guarantee its rules give, in a sentence.
    pub guarantee: String,
}

/// One condition of being ready.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Check {
    /// `ledger`, `running`, `listener NAME`.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// Why, or why not.
    pub detail: String,
}

/// Shared by who brings listeners up and who answers `/readyz`. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    draining: AtomicBool,
    listeners: Mutex<Vec<Listener>>,
}

/// A listener and its state.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    pub(super) info: ListenerInfo,
    pub(super) addresses: Vec<SocketAddr>,
    /// Why it does not listen; `None` when it does.
    down: Option<String>,
}

impl Readiness {
    /// Not ready until each of these listeners is up.
    pub fn new(listeners: impl IntoIterator<Item = ListenerInfo>) -> Self {
        let down = Some("not bound yet".to_owned());
        let listeners = listeners
            .into_iter()
            .map(|info| Listener { info, addresses: Vec::new(), down: down.clone() })
            .collect();
        Self { shared: Arc::new(Shared { listeners: Mutex::new(listeners), ..Shared::default() }) }
    }

    /// A listener accepts connections at these addresses.
    pub fn listener_up(&self, name: &str, addresses: &[SocketAddr]) {
        self.with(name, |listener| {
            listener.addresses = addresses.to_vec();
            listener.down = None;
        });
    }

    /// A listener does not accept connections any more.
    pub fn listener_down(&self, name: &str, why: &str) {
        self.with(name, |listener| listener.down = Some(why.to_owned()));
    }

    /// The process is going down: never ready again.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::Release);
    }

    /// Every condition, in a fixed order.
    pub fn checks(&self, ledger: &dyn Ledger) -> Vec<Check> {
        let check = |name: &str, ok, detail: String| Check { name: name.into(), ok, detail };
        let draining = self.shared.draining.load(Ordering::Acquire);
        let running = if draining { "shutting down" } else { "serving" };
        let mut checks = vec![of_ledger(ledger), check("running", !draining, running.into())];
        for listener in self.listeners() {
            let name = format!("listener {}", listener.info.name);
            let ok = listener.down.is_none();
            let addresses: Vec<_> = listener.addresses.iter().map(ToString::to_string).collect();
            checks.push(Check {
                name,
                ok,
                detail: listener.down.unwrap_or_else(|| addresses.join(", ")),
            });
        }
        checks
    }

    pub(super) fn listeners(&self) -> Vec<Listener> {
        self.shared.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn with(&self, name: &str, change: impl FnOnce(&mut Listener)) {
        let mut listeners = self.shared.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = listeners.iter_mut().find(|there| *there.info.name == *name) {
            change(listener);
        }
    }
}

/// Ready while holders are served: who balances load by it sends them elsewhere only when nothing is
/// gained by staying.
fn of_ledger(ledger: &dyn Ledger) -> Check {
    let (ok, detail) = match ledger.condition() {
        Condition::Serving => match (ledger.health(), ledger.session()) {
            (Ok(()), None) => (true, "open, marks loaded".to_owned()),
            (Ok(()), Some(session)) => (true, format!("in reach, session {session}")),
            (Err(error), _) => (false, error.to_string()),
        },
        Condition::OutOfReach { why, serves_for } => {
            let seconds = serves_for.as_secs();
            (
                true,
                format!(
                    "out of reach: current holders are served for {seconds}s more, nobody can take \
                 over ({why})"
                ),
            )
        }
        Condition::Frozen { why } => (
            true,
            format!(
                "frozen: current holders are served, nobody can take over until an operator confirms \
             with `palisade ledger confirm` ({why})"
            ),
        ),
        Condition::Suspended { why } => {
            (false, format!("suspended: writes are refused, reads go on ({why})"))
        }
    };
    Check { name: "ledger".to_owned(), ok, detail }
}
