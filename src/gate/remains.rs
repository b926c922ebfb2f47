//! What a replica that is dead has left in the stores, and how it is made sure that it has settled.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use crate::fence::SessionId;

/// A store that can be asked to end what somebody has left in it, and says when that is done.
pub trait Remains: Send + Sync {
    /// Returns when nothing can take effect any more of what connections of that session, or of
    /// earlier ones of that replica, had begun. Asked again it goes on, or answers at once.
    fn end<'a>(&'a self, dead: &'a SessionId) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// Which stores are behind which rule. A rule without one is settled by time.
#[derive(Default)]
pub(super) struct Stores {
    by_rule: RwLock<HashMap<Arc<str>, Vec<Arc<dyn Remains>>>>,
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
