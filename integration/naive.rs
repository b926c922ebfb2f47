//! The history checker catches a proxy that compares on arrival and then forwards.

use std::time::Duration;

use crate::history::{self, Answers, Told};
use crate::rig::{Client, naive};

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_check_on_arrival_is_bad() {
    let dir = tempfile::tempdir().unwrap();
    let store = crate::rig::open_store(dir.path());
    let (_naive, address) = naive(store.address, dir.path());
    let write = |token: u64, name: &'static str, delay_ms: u64| {
        let client = Client::plain(address)
            .token(token)
            .with("x-amz-meta-token", token)
            .with("x-amz-meta-write", name)
            .with("x-amz-meta-delay-ms", delay_ms);
        async move { client.put("/fenced/x/state", name).await.status.as_u16() }
    };
    // Admitted, whole, and on its way into the store when the next leader comes.
    let late = tokio::spawn(write(33, "late", 1_500));
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(write(34, "first", 0).await, 200);
    assert_eq!(write(33, "stale", 0).await, 412, "what arrives late is refused");
    assert_eq!(late.await.unwrap(), 200);
    let answers: Answers =
        [("first", Told::Applied), ("late", Told::Applied), ("stale", Told::NotApplied)]
            .map(|(write, told)| (write.to_owned(), told))
            .into();
    let verdict = history::check(&history::journal(&store.journal), &answers);
    assert_eq!(
        verdict.unwrap_err(),
        "/fenced/x: late with token 33 was applied after first with token 34"
    );
}
