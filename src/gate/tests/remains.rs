//! What is left in stores, and who waits for it.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use super::rig::{Process, bid, crashed, folder, peer};
use crate::fence::{Refusal, SessionId};
use crate::gate::Remains;

/// A store that says when it is swept.
struct Store(watch::Sender<bool>);

impl Remains for Store {
    fn end<'a>(&'a self, _: &'a SessionId) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(pending())
    }

    fn swept(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let mut swept = self.0.subscribe();
            let _ = swept.wait_for(|is_swept| *is_swept).await;
        })
    }
}

#[tokio::test]
async fn an_operator_waits_for_the_sweep_after_a_crash() {
    let folder = folder();
    let Process { gate, .. } = Process::start(&folder);
    drop(gate.admit(&bid("a", 1)).await.expect("admitted"));
    let resource = bid("a", 1).resource;
    let operator = peer("ops");
    let store = || Arc::new(Store(watch::Sender::new(false)));
    let rule = bid("a", 1).rule.name.clone();
    gate.settles_through(&rule, store());
    gate.reseal(&resource, &operator).await.expect("there was no crash");

    let left = crashed(&folder);
    let Process { gate, .. } = Process::start(&left);
    let store = store();
    gate.settles_through(&rule, Arc::clone(&store) as _);
    let refusal = gate.reseal(&resource, &operator).await.expect_err("it is not swept");
    assert_eq!(refusal, Refusal::Unsettled);
    let refusal = gate.reset(&resource, &operator, "why not").await.expect_err("nor now");
    assert_eq!(refusal, Refusal::Unsettled);
    store.0.send_replace(true);
    gate.reseal(&resource, &operator).await.expect("it is swept");
    gate.reset(&resource, &operator, "why not").await.expect("it is swept");
}
