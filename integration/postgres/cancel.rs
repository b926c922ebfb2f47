//! A request to cancel reaches the session that it is for, and no other.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::rig::postgres::{Front, Wire, cancel, connect_directly, query};

/// Longer than any of these tests takes.
const SLEEP: &str = "SELECT pg_sleep(30)";

async fn sleeping(front: &Front) -> Wire {
    let mut session = front.leader("leader-a", 33).await;
    session.send(&query(SLEEP)).await;
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    crate::rig::eventually("it sleeps", async || front.server.ask(asleep).await == ["1"]).await;
    session
}

async fn is_cancelled(mut session: Wire) {
    let begun = Instant::now();
    let answer = session.answer().await;
    assert_eq!((answer.code(), answer.status), ("57014", Some('I')), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    assert_eq!(session.value("SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_cancels_its_own_statement() {
    let front = Front::start().await;
    let session = sleeping(&front).await;
    front.cancel("leader-a", &session.key).await;
    is_cancelled(session).await;
    // Another certificate of the same identity.
    let session = sleeping(&front).await;
    front.cancel("leader-a2", &session.key).await;
    is_cancelled(session).await;
    // In the clear, as libpq up to 16 does it: the secret alone has to do.
    let session = sleeping(&front).await;
    cancel(Box::new(TcpStream::connect(front.address).await.unwrap()), &session.key).await;
    is_cancelled(session).await;
    // TLS at once.
    let session = sleeping(&front).await;
    let stream = connect_directly(&front.door("leader-a"), front.address).await.unwrap();
    cancel(stream, &session.key).await;
    is_cancelled(session).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_cancel_it() {
    let front = Front::start().await;
    let mut session = sleeping(&front).await;
    let (pid, secret) = session.key.clone();

    front.cancel("leader-b", &session.key).await;
    front.cancel("reader", &session.key).await;
    let mut wrong = secret.clone();
    *wrong.last_mut().unwrap() ^= 1;
    front.cancel("leader-a", &(pid, wrong.clone())).await;
    front.cancel("leader-a", &(pid.wrapping_add(1), secret.clone())).await;
    cancel(Box::new(TcpStream::connect(front.address).await.unwrap()), &(pid, wrong)).await;
    // The key is Palisade's own: on the server itself it opens nothing.
    let backend = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let backend = front.server.ask(backend).await[0].parse::<u32>().unwrap();
    for pid in [pid, backend] {
        let around = ("127.0.0.1", front.server.port);
        let stream = TcpStream::connect(around).await.unwrap();
        cancel(Box::new(stream), &(pid, secret.clone())).await;
    }
    assert!(session.is_silent(Duration::from_secs(1)).await, "somebody cancelled it");
    front.cancel("leader-a", &session.key).await;
    is_cancelled(session).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_session_that_has_ended_cancels_nothing() {
    let front = Front::start().await;
    let first = front.leader("leader-a", 33).await;
    let key = first.key.clone();
    drop(first);
    let mut session = sleeping(&front).await;
    assert_ne!(key, session.key);
    front.cancel("leader-a", &key).await;
    assert!(session.is_silent(Duration::from_millis(500)).await, "somebody cancelled it");
    front.cancel("leader-a", &session.key).await;
    is_cancelled(session).await;
}
