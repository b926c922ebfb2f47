//! What goes on at the server for clients that are gone.
//!
//! A leader that lost its connection comes back with the same token, so no takeover waits for what
//! it had sent. It has been told that nobody can tell what became of that, and to read before it
//! writes: so what it reads has to be what stays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::fence::Resource;

/// All of a listener.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    counts: Mutex<HashMap<Resource, usize, RandomState>>,
    one_less: Notify,
}

/// Something that may still be done to a resource, for nobody; until it is dropped.
#[derive(Debug)]
pub(super) struct Orphan {
    all: Arc<Orphans>,
    resource: Resource,
}

impl Orphans {
    /// One more.
    pub(super) fn add(self: &Arc<Self>, resource: &Resource) -> Orphan {
        *self.counts().entry(resource.clone()).or_default() += 1;
        Orphan { all: Arc::clone(self), resource: resource.clone() }
    }

    /// Resolves when there is none for a resource; or tells that there still is one.
    pub(super) async fn gone(&self, resource: &Resource, wait: Duration) -> bool {
        let gone = async {
            loop {
                let one_less = self.one_less.notified();
                tokio::pin!(one_less);
                one_less.as_mut().enable();
                if !self.counts().contains_key(resource) {
                    return;
                }
                one_less.await;
            }
        };
        timeout(wait, gone).await.is_ok()
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Resource, usize, RandomState>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        let mut counts = self.all.counts();
        if let Some(count) = counts.get_mut(&self.resource) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.resource);
            }
        }
        drop(counts);
        self.all.one_less.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_is_waited_for_and_no_longer() {
        let orphans = Arc::<Orphans>::default();
        let [a, b] = ["a", "b"].map(|name| Resource::new(name).expect("a name"));
        let wait = Duration::from_millis(50);
        assert!(orphans.gone(&a, wait).await);
        let (first, second) = (orphans.add(&a), orphans.add(&a));
        assert!(!orphans.gone(&a, wait).await);
        assert!(orphans.gone(&b, wait).await);
        drop(first);
        assert!(!orphans.gone(&a, wait).await);
        let later = tokio::spawn(async move {
            tokio::time::sleep(wait / 2).await;
            drop(second);
        });
        assert!(orphans.gone(&a, wait).await);
        later.await.expect("it does not panic");
        assert!(orphans.counts().is_empty());
    }
}
