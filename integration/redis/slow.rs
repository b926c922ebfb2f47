//! Memory, with large values, long pipelines, and clients that do not read.

use std::time::{Duration, Instant};

use crate::rig::redis::{Choice, Front, Value, Wire, command, send, words};

/// What Palisade may take for one session, in this build.
const GROWTH_BYTES_MAX: u64 = 16 << 20;
const VALUE_BYTES: usize = 64 << 20;
const COMMANDS: usize = 1_000_000;

/// Looks at Palisade's memory until that is done; it must not have grown.
async fn bounded<T: Send + 'static>(
    front: &mut Front,
    doing: impl Future<Output = T> + Send + 'static,
) -> T {
    let before = front.palisade().rss_bytes();
    let doing = tokio::spawn(doing);
    let mut highest = 0;
    while !doing.is_finished() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        highest = highest.max(front.palisade().rss_bytes());
    }
    let growth = highest.saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "it grew by {} KiB", growth >> 10);
    doing.await.unwrap()
}

/// A session that has sent and taken something before, so that its buffers are there.
async fn used(front: &Front) -> Wire {
    let mut session = front.leader("leader-a", 33).await;
    let some = "x".repeat(1 << 20);
    assert_eq!(session.call(&["SET", "a", &some]).await.to_string(), "OK");
    assert_eq!(session.say("GET a").await.len(), some.len());
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_value_is_not_held() {
    let mut front = Front::start().await;
    let mut session = used(&front).await;
    bounded(&mut front, async move {
        let value = vec![b'y'; VALUE_BYTES];
        let set = command(&[b"SET".as_slice(), b"big", &value]);
        session.send(&set).await;
        assert_eq!(session.hear().await, "OK");
        session.tell("GET big").await;
        assert_eq!(session.answer().await, Some(Value::Bulk(value)));
        // In a transaction, and as one of several.
        session.send(&[words("MULTI"), set, words("GET big"), words("EXEC")].concat()).await;
        for expected in ["OK", "QUEUED", "QUEUED"] {
            assert_eq!(session.hear().await, expected);
        }
        let told = session.answer().await.unwrap();
        assert_eq!(told.list()[0].to_string(), "OK");
        assert!(matches!(&told.list()[1], Value::Bulk(bytes) if bytes.len() == VALUE_BYTES));
    })
    .await;
}

/// The client writes them all before it reads the first answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_million_commands_and_then_their_answers() {
    let mut front = Front::start().await;
    let mut session = used(&front).await;
    bounded(&mut front, async move {
        session.send(&words("INCR n").repeat(COMMANDS)).await;
        for n in 1..=COMMANDS {
            let told = session.answer().await;
            assert_eq!(told, Some(Value::Integer(i64::try_from(n).unwrap())));
        }
        assert_eq!(session.say("GET n").await, COMMANDS.to_string());
    })
    .await;
}

/// The client reads along; some of what it sends is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_million_commands_with_refusals_between_them() {
    let mut front = Front::start().await;
    let session = used(&front).await;
    bounded(&mut front, async move {
        let (mut reading, mut writing) = session.apart();
        // 20 in a part, of which one is refused.
        let plain = [words("PING").repeat(17), words("GET n"), words("INCR n")].concat();
        let part = [plain, words("CLIENT REPLY OFF")].concat();
        let parts = COMMANDS / 20;
        tokio::spawn(async move {
            let some = part.repeat(100);
            for _ in 0..parts / 100 {
                send(&mut writing, &some).await;
            }
            // Keeps its side open until all has been answered.
            tokio::time::sleep(Duration::from_secs(60)).await;
        });
        for n in 0..parts {
            let mut told = Vec::new();
            for _ in 0..20 {
                told.push(reading.next().await.unwrap());
            }
            let pong = Value::Simple("PONG".to_owned());
            assert!(told[..17].iter().all(|value| *value == pong), "{told:?}");
            let expected = if n == 0 { "nil".to_owned() } else { n.to_string() };
            assert_eq!(told[17].to_string(), expected);
            assert_eq!(told[18], Value::Integer(i64::try_from(n + 1).unwrap()));
            assert!(matches!(told[19], Value::Error(_)), "{told:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_takes_no_memory_and_holds_nobody_up() {
    let mut front = Front::start().await;
    let mut session = used(&front).await;
    assert_eq!(session.call(&["SET", "a", &"x".repeat(4 << 20)]).await.to_string(), "OK");
    // 400 MB, of which it takes nothing.
    let mut slow = bounded(&mut front, async move {
        session.send(&words("GET a").repeat(100)).await;
        session.send(&words("SET last 1")).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        session
    })
    .await;
    let begun = Instant::now();
    let mut next = front.leader("leader-b", 34).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited {:?}", begun.elapsed());
    let found = next.say("GET last").await;
    assert_eq!(next.say("SET last 2").await, "OK");
    assert_eq!(front.server.sessions().await.len(), 1, "the old one is still there");
    // The client finds the end when it looks.
    let mut bytes = 0;
    let mut last = Vec::new();
    while let Some(some) = slow.reading.bytes().await {
        bytes += some.len();
        last = some;
    }
    println!("it found {bytes} bytes; SET was {found}");
    assert!(!last.ends_with(b"+OK\r\n"), "it was told that all is done");
    assert_eq!(next.say("GET last").await, "2");
}

/// Redis itself holds what a subscriber does not take; Palisade does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_does_not_read_takes_no_memory() {
    let mut front = Front::start().await;
    let mut publisher = used(&front).await;
    let mut slow = front.session("reader").await;
    assert_eq!(slow.say("SUBSCRIBE c").await, "[subscribe, c, :1]");
    bounded(&mut front, async move {
        let message = command(&["PUBLISH", "c", &"x".repeat(1 << 20)]);
        for _ in 0..25 {
            publisher.send(&message).await;
            assert_eq!(publisher.hear().await, ":1");
        }
    })
    .await;
    drop(slow);
}

/// Only Palisade's own answers are bounded in number; the server's are read by nobody before they
/// can go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_no_refusal_is_let_go_of() {
    let limits = "upstream = \"store\"\nlimits = { unread_timeout = \"1s\" }".into();
    let edits = vec![("upstream = \"store\"", limits)];
    let mut front = Front::with(Choice { edits, ..Choice::default() }).await;
    let session = front.session("reader").await;
    bounded(&mut front, async move {
        let (mut reading, mut writing) = session.apart();
        // Alternating, so that no two that follow each other are one.
        let pair = [words("PING"), words("SET a 1")].concat();
        let all = pair.repeat(200_000);
        let sending = tokio::spawn(async move { send(&mut writing, &all).await });
        let wait = tokio::time::timeout(Duration::from_secs(10), sending);
        assert!(wait.await.is_ok(), "it is still being sent");
        let mut rest = Vec::new();
        while let Some(bytes) = reading.bytes().await {
            rest = bytes;
        }
        println!("the end: {}", String::from_utf8_lossy(&rest[rest.len().saturating_sub(80)..]));
    })
    .await;
    let reason = "unread";
    assert!(front.metric("palisade_redis_sessions_ended_total", reason).await >= 1.0);
}
