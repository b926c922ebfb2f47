//! How fast it is, beside transactions that do nothing else. Run by hand:
//! `cargo test --release --lib etcd::tests::speed -- --ignored --nocapture`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::super::client::{Client, Repeat};
use super::super::grpc::Method;
use super::super::swap::put as put_op;
use super::super::testing::{Cluster, Options};
use super::super::wire::{TxnRequest, TxnResponse};
use super::*;

const CALLS: usize = 4000;
const CALLERS: usize = 64;

/// So many calls, so many at a time; how many a second.
async fn measure<F: Future<Output = ()> + Send + 'static>(
    calls: usize,
    callers: usize,
    call: impl Fn(usize) -> F + Send + Sync + 'static,
) -> f64 {
    let (next, call) = (Arc::new(AtomicUsize::new(0)), Arc::new(call));
    let begun = Instant::now();
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let (next, call) = (Arc::clone(&next), Arc::clone(&call));
            tokio::spawn(async move {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= calls {
                        return;
                    }
                    call(index).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    calls as f64 / begun.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and asserts little"]
async fn swaps_beside_puts() {
    for nodes in [1, 3] {
        let etcd = Cluster::start(nodes, Options::default()).await;
        let settings = etcd.settings("speed");
        let bare = Arc::new(Client::new(&settings, "").unwrap());
        let store = Arc::new(Etcd::new(settings).unwrap());
        let session = store.begin("r1", Duration::from_secs(600), "").await.unwrap();
        let text = "x".repeat(150);

        for callers in [1, CALLERS] {
            let calls = if callers == 1 { CALLS / 10 } else { CALLS };
            let puts = {
                let (bare, text) = (Arc::clone(&bare), text.clone());
                measure(calls, callers, move |index| {
                    let (bare, text) = (Arc::clone(&bare), text.clone());
                    async move {
                        let key = format!("/bare/{callers}/{index}").into_bytes();
                        let request = TxnRequest {
                            success: vec![put_op(key, text.into_bytes(), 0)],
                            ..TxnRequest::default()
                        };
                        let answer: TxnResponse =
                            bare.call(Method::TXN, &request, Repeat::Never).await.unwrap();
                        assert!(answer.succeeded);
                    }
                })
                .await
            };
            let swaps = {
                let (store, session, text) = (Arc::clone(&store), session.clone(), text.clone());
                measure(calls, callers, move |index| {
                    let (store, session) = (Arc::clone(&store), session.clone());
                    let swap = change(&format!("{callers}-{index}"), 0, &text);
                    async move {
                        let ends = store.swap(&session, &[swap]).await;
                        assert!(matches!(ends[..], [Swapped::Done(_)]), "{ends:?}");
                    }
                })
                .await
            };
            println!("{nodes} nodes, {callers} callers: {puts:.0} puts/s, {swaps:.0} swaps/s");
        }
        let batches = {
            let (store, session, text) = (Arc::clone(&store), session.clone(), text.clone());
            measure(CALLS / 20, 8, move |index| {
                let (store, session) = (Arc::clone(&store), session.clone());
                let swaps: Vec<_> =
                    (0..100).map(|row| change(&format!("batch-{index}-{row}"), 0, &text)).collect();
                async move {
                    let ends = store.swap(&session, &swaps).await;
                    assert!(ends.iter().all(|end| matches!(end, Swapped::Done(_))), "{ends:?}");
                }
            })
            .await
        };
        println!("{nodes} nodes, batches of 100, 8 at a time: {:.0} swaps/s", batches * 100.0);
    }
}
