//! Memory, with clients that do not read, or send for ever.

use std::time::{Duration, Instant};

use crate::rig::postgres::{Front, query};

/// What Palisade may take for one session, in this build.
const GROWTH_BYTES_MAX: u64 = 16 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_takes_no_memory_and_holds_nobody_up() {
    let mut front = Front::start().await;
    let mut idle = front.leader("leader-a", 33).await;
    idle.simple("SELECT repeat('x', 100000) FROM generate_series(1, 50)").await.good();
    let before = front.palisade().rss_bytes();
    // 400 MB, of which it takes a little.
    let mut slow = front.leader("leader-a", 33).await;
    slow.send(&query("SELECT repeat('x', 100000) FROM generate_series(1, 4000)")).await;
    for _ in 0..10 {
        slow.next().await.unwrap();
    }
    let mut highest = 0;
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        highest = highest.max(front.palisade().rss_bytes());
    }
    let growth = highest.saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "it grew by {} KiB", growth >> 10);
    // It still runs; but it is no reason to wait for ever.
    let begun = Instant::now();
    let mut next = front.leader("leader-b", 34).await;
    assert!(begun.elapsed() < Duration::from_secs(6), "it waited {:?}", begun.elapsed());
    assert_eq!(next.value("SELECT 1").await, "1");
    let left = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT repeat%'";
    assert_eq!(front.server.ask(left).await, ["0"]);
    // The client finds the end when it looks, and no whole answer before it.
    let mut told = Vec::new();
    while let Some((tag, _)) = slow.next().await {
        told.push(tag);
    }
    assert!(!told.contains(&b'C'), "it was told that this is all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_value_is_not_held() {
    let mut front = Front::start().await;
    let mut session = front.leader("leader-a", 33).await;
    session.simple("CREATE TABLE t (data text)").await.good();
    let before = front.palisade().rss_bytes();
    let sql = format!("INSERT INTO t VALUES ('{}')", "y".repeat(100 << 20));
    let sending = tokio::spawn(async move {
        session.simple(&sql).await.good();
        session
    });
    let mut highest = 0;
    while !sending.is_finished() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        highest = highest.max(front.palisade().rss_bytes());
    }
    let mut session = sending.await.unwrap();
    assert_eq!(session.value("SELECT length(data) FROM t").await, (100 << 20).to_string());
    assert_eq!(session.simple("SELECT data FROM t").await.value().len(), 100 << 20);
    highest = highest.max(front.palisade().rss_bytes());
    let growth = highest.saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "it grew by {} KiB", growth >> 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_half_sent_is_no_reason_to_wait() {
    let front = Front::start().await;
    front.leader("leader-a", 33).await.simple("CREATE TABLE t (n int)").await.good();
    // Short enough to be looked at, and so long that it is streamed.
    for (length, who, token) in [(1_000, "leader-b", 34), (10_000_000, "leader-a", 35)] {
        let before = if who == "leader-b" { "leader-a" } else { "leader-b" };
        let mut half = front.leader(before, token - 1).await;
        let message = query(&format!("INSERT INTO t VALUES (1) -- {}", "z".repeat(length)));
        let (first, rest) = message.split_at(message.len() - 500);
        half.send(first).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        let _next = front.leader(who, token).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "it waited {:?}", begun.elapsed());
        half.send(rest).await;
        let told = half.farewell().await;
        assert!(["PF001", "CUT"].contains(&told.code()), "{told:?}");
        assert_eq!(front.server.ask("SELECT count(*) FROM t").await, ["0"]);
    }
}
