//! What a replica that is dead has left in the stores, and how it is made sure that it has settled.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::time::timeout;

use super::Gate;
use crate::fence::{Refusal, SessionId};

/// A store that can be asked to end what somebody has left in it, and says when that is done.
pub trait Remains: Send + Sync {
    /// Returns when nothing can take effect any more of what connections of that session, or of
    /// earlier ones of that replica, had begun. Asked again it goes on, or answers at once.
    fn end<'a>(&'a self, dead: &'a SessionId) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

    /// Returns when nothing can take effect any more of what an earlier process of this replica had
    /// begun; at once where that is not looked for at the start.
    fn swept(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }
}

/// The stores behind one rule.
type Behind = Vec<Arc<dyn Remains>>;

/// Which stores are behind which rule. A rule without one is settled by time.
#[derive(Default)]
pub(super) struct Stores {
    by_rule: RwLock<HashMap<Arc<str>, Behind>>,
}

impl Stores {
    pub(super) fn add(&self, rule: &Arc<str>, store: Arc<dyn Remains>) {
        let mut by_rule = self.by_rule.write().unwrap_or_else(PoisonError::into_inner);
        by_rule.entry(Arc::clone(rule)).or_default().push(store);
    }

    /// Those behind a rule; all of them for an operator, who has none.
    pub(super) fn behind(&self, rule: Option<&str>) -> Vec<Arc<dyn Remains>> {
        let by_rule = self.by_rule.read().unwrap_or_else(PoisonError::into_inner);
        match rule {
            Some(rule) => by_rule.get(rule).cloned().unwrap_or_default(),
            None => by_rule.values().flatten().cloned().collect(),
        }
    }
}

impl Gate {
    /// For an operator, who has no rule: after a crash no store may have anything left of it. Whoever
    /// has a rule has waited for its store before the gate is asked.
    pub(super) async fn swept(&self) -> Result<(), Refusal> {
        if !self.shared.ledger.ended_uncleanly() {
            return Ok(());
        }
        let sweeping = async {
            for store in self.shared.stores.behind(None) {
                store.swept().await;
            }
        };
        let wait = self.shared.settings.settle_timeout_max * 2;
        timeout(wait, sweeping).await.map_err(|_| Refusal::Unsettled)
    }
}
