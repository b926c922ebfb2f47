//! What becomes of sessions with older tokens when a new leader comes.

use std::time::{Duration, Instant};

use crate::rig::redis::{Choice, Front, Wire, command, words};

/// The rule's `drain`, and some time for a slow machine.
const DRAIN: Duration = Duration::from_secs(1);
const SLACK: Duration = Duration::from_secs(3);

/// The next leader, and how long it took to be let in. Nothing of the older sessions runs by then.
async fn next(front: &Front) -> (Wire, Duration) {
    let mut session = nearly(front).await;
    let took = takes_over(&mut session).await;
    (session, took)
}

/// A session that has one at the server, and no token yet.
async fn nearly(front: &Front) -> Wire {
    let mut session = front.session("leader-b").await;
    assert_eq!(session.say("PING").await, "PONG");
    session
}

async fn takes_over(session: &mut Wire) -> Duration {
    let begun = Instant::now();
    assert_eq!(session.say("AUTH token=34 x").await, "OK");
    begun.elapsed()
}

fn is_stale(told: &str) {
    assert!(told.starts_with("-FENCED "), "{told}");
    for part in ["redis", "33", "34", "leader-b"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
}

/// Busy for that long, and then writes.
fn script(busy_ms: u64, write: &str) -> Vec<u8> {
    let text = format!(
        "local function now() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end \
         local begun = now() while now() - begun < {busy_ms} do end return redis.call({write})"
    );
    command(&["EVAL", &text, "1", "a"])
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_hold_nothing_end_at_once() {
    let front = Front::start().await;
    let mut idle = front.leader("leader-a", 33).await;
    let mut used = front.leader("leader-a", 33).await;
    assert_eq!(used.say("SET a 1").await, "OK");
    let mut waits = front.leader("leader-a", 33).await;
    let lines = ["WATCH a", "MULTI", "SET a 5", "RPUSH l 5"];
    assert_eq!(waits.pipe(&lines).await, ["OK", "OK", "QUEUED", "QUEUED"]);
    let mut pushed = front.leader("leader-a", 33).await;
    pushed.call(&["HELLO", "3"]).await;
    assert_eq!(pushed.say("CLIENT TRACKING on").await, "OK");
    let mut hears = front.leader("leader-a", 33).await;
    assert_eq!(hears.say("SUBSCRIBE c").await, "[subscribe, c, :1]");
    let mut reader = front.session("reader").await;
    assert_eq!(reader.say("GET a").await, "1");

    let (mut next, took) = next(&front).await;
    assert!(took < DRAIN, "it waited {took:?}");
    for (name, session) in [
        ("idle", &mut idle),
        ("used", &mut used),
        ("waits", &mut waits),
        ("pushed", &mut pushed),
        ("hears", &mut hears),
    ] {
        // In RESP2's subscribed mode there is no place for an error, but for the last word.
        let told = session.farewell().await;
        assert!(told.starts_with("-FENCED"), "{name}: {told}");
        is_stale(&told);
    }
    // What it says now is heard by nobody.
    waits.send(&words("EXEC")).await;
    assert_eq!(next.pipe(&["GET a", "EXISTS l"]).await, ["1", ":0"]);
    // Who has no token has no older one.
    assert_eq!(reader.say("GET a").await, "1");
    let left = async || front.server.sessions().await.len() == 2;
    crate::rig::eventually("their connections are gone", left).await;
    assert_eq!(front.server.ask("GET a").await, "1");
    let is_audited = async || {
        front.audit().iter().any(|line| line["event"] == "takeover" && line["token"] == "34")
    };
    crate::rig::eventually("the takeover is audited", is_audited).await;
    assert!(front.metric("palisade_redis_sessions_ended_total", "stale").await >= 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_being_sent_is_cut() {
    let front = Front::start().await;
    for (length, token) in [(1_000, 33), (20_000_000, 35)] {
        let mut old = front.leader("leader-a", token).await;
        assert_eq!(old.say("SET a old").await, "OK");
        let whole = command(&["SET".as_bytes(), b"a", &vec![b'x'; length]]);
        let (first, rest) = whole.split_at(whole.len() - 3);
        old.send(first).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let begun = Instant::now();
        let mut next = front.leader("leader-b", token + 1).await;
        assert!(begun.elapsed() < DRAIN, "it waited {:?}", begun.elapsed());
        old.send(rest).await;
        let told = old.farewell().await;
        assert!(told.starts_with("-FENCED"), "{told}");
        assert_eq!(next.say("GET a").await, "old");
    }
    // The last of a transaction, too: EXEC that is half sent.
    let mut old = front.leader("leader-a", 37).await;
    assert_eq!(old.pipe(&["MULTI", "SET a 5"]).await, ["OK", "QUEUED"]);
    let exec = words("EXEC");
    old.send(&exec[..exec.len() - 1]).await;
    let mut next = front.leader("leader-b", 38).await;
    old.send(&exec[exec.len() - 1..]).await;
    assert!(old.farewell().await.starts_with("-FENCED"));
    assert_eq!(next.say("GET a").await, "old");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_something_to_come_is_told_at_once_and_takes_nothing() {
    let front = Front::start().await;
    assert_eq!(front.server.ask("XGROUP CREATE x g $ MKSTREAM").await, "OK");
    let lines = [
        "BLPOP q 0",
        "BLMOVE q r LEFT LEFT 0",
        "BZPOPMIN z 0",
        "XREADGROUP GROUP g c BLOCK 0 STREAMS x >",
        "BRPOPLPUSH q r 0",
        "BLMPOP 0 1 q LEFT",
        "XREAD BLOCK 0 STREAMS x $",
        "WAIT 1 0",
    ];
    let mut waiting = Vec::new();
    for line in lines {
        let mut old = front.leader("leader-a", 33).await;
        old.tell(line).await;
        let name = line.split(' ').next().unwrap().to_lowercase();
        front.server.has_client(&format!("cmd={name} ")).await;
        waiting.push((line, old));
    }
    // Behind one that waits: never begun.
    waiting[0].1.tell("SET a 5").await;
    let (mut next, took) = next(&front).await;
    assert!(took < DRAIN, "it waited {took:?}");
    let lines = ["RPUSH q 1", "ZADD z 1 m", "XADD x 1-1 f v", "LLEN q", "ZCARD z", "EXISTS r a"];
    assert_eq!(next.pipe(&lines).await, [":1", ":1", "1-1", ":1", ":1", ":0"]);
    for (line, mut old) in waiting {
        let told = old.farewell().await;
        assert!(told.starts_with("-FENCED"), "{line}: {told}");
        is_stale(&told);
    }
    let pending = front.server.ask("XPENDING x g").await;
    assert_eq!(pending, "[:0, nil, nil, nil]", "it was handed to the old leader");
    assert_eq!(next.pipe(&["LLEN q", "ZCARD z", "EXISTS a"]).await, [":1", ":1", ":0"]);
}

/// Whoever is first: an element is told to the old leader or it is there, and never both.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_at_that_moment_is_popped_and_told_or_is_there() {
    let front = Front::start().await;
    let mut popped = 0;
    for round in 0..12_u64 {
        let token = 33 + round;
        let who = ["leader-a", "leader-b"];
        let mut old = front.leader(who[round as usize % 2], token).await;
        old.tell("BLPOP q 0").await;
        let push = async {
            tokio::time::sleep(Duration::from_micros(round * 700)).await;
            front.server.ask("RPUSH q 1").await
        };
        let raise = front.leader(who[(round as usize + 1) % 2], token + 1);
        let (_, mut next) = tokio::join!(push, raise);
        let there = next.say("DEL q").await;
        let mut told = Vec::new();
        while let Some(value) = old.next().await {
            told.push(value.to_string());
        }
        let is_popped = told.iter().any(|text| text == "[q, 1]");
        assert_eq!(there, if is_popped { ":0" } else { ":1" }, "round {round}: {told:?}");
        assert!(
            told.iter().all(|text| text == "[q, 1]" || text.starts_with("-FENCED")),
            "{told:?}"
        );
        popped += u32::from(is_popped);
    }
    println!("{popped} of 12 were popped");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_waited_for() {
    let front = Front::start().await;
    let (mut old, mut next) = (front.leader("leader-a", 33).await, nearly(&front).await);
    // Behind it is half of a command, of which the rest comes while it is waited for.
    let behind = command(&["SET".as_bytes(), b"b", &vec![b'x'; 2_000_000]]);
    let (first, rest) = behind.split_at(1_000_000);
    old.send(&[&script(600, "'SET', KEYS[1], 'drained'"), first].concat()).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    let (_, took) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            old.send(rest).await;
        },
        takes_over(&mut next)
    );
    assert_eq!(next.say("EXISTS b").await, ":0");
    assert!(took > Duration::from_millis(200), "it did not wait: {took:?}");
    assert_eq!(next.say("GET a").await, "drained");
    // It was admitted before the takeover, and is told yes; then it is over.
    assert_eq!(old.hear().await, "OK");
    is_stale(&old.farewell().await);
}

/// The kill is not heard while a script runs; so it is waited for, however long it takes.
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_longer_than_the_drain_is_waited_for_too() {
    let front = Front::start().await;
    let (mut old, mut next) = (front.leader("leader-a", 33).await, nearly(&front).await);
    old.send(&script(2_300, "'SET', KEYS[1], 'late'")).await;
    // Behind it: the kill may come before these.
    old.send(&[words("RPUSH l 1"), words("RPUSH l 2")].concat()).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    let took = takes_over(&mut next).await;
    assert!(took > Duration::from_millis(1_700), "it did not wait: {took:?}");
    assert!(took < DRAIN * 2 + SLACK, "it waited {took:?}");
    let found = next.say("GET a").await;
    let length = next.say("LLEN l").await;
    assert_eq!(next.say("SET a new").await, "OK");
    let mut told = Vec::new();
    while let Some(value) = old.next().await {
        told.push(value.to_string());
    }
    let last = told.pop().expect("a last word");
    // All that was told is there; and what is said not to be there is not.
    let done = [found == "late", *length >= *":1", length == ":2"];
    let done = done.iter().filter(|is_done| **is_done).count();
    assert!(told.len() <= done, "{told:?}, {last}; but only {done} were done");
    match last.split(' ').next().unwrap() {
        "-FENCED" => assert_eq!(told.len(), done, "{told:?}, {last}"),
        word => assert_eq!(word, "-UNKNOWN", "{told:?}, {last}"),
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(next.pipe(&["GET a", "LLEN l"]).await, ["new".to_owned(), length]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_will_not_wait_is_told_to_try_again() {
    let edits = vec![
        ("drain = \"1s\"", "drain = \"200ms\"".into()),
        ("takeover_timeout = \"10s\"", "takeover_timeout = \"1s\"".into()),
    ];
    let front = Front::with(Choice { edits, ..Choice::default() }).await;
    let (mut old, mut next) = (front.leader("leader-a", 33).await, nearly(&front).await);
    old.send(&script(2_500, "'SET', KEYS[1], 'late'")).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    let told = next.say("AUTH token=34 x").await;
    assert!(told.starts_with("-TRYAGAIN "), "{told}");
    // What it is not let in for it does not get in without, either.
    let told = next.say("SET a early").await;
    assert!(told == "OK" || told.starts_with("-TRYAGAIN "), "{told}");
    // Nor does the old one get anything more in.
    let mut again = front.session("leader-a").await;
    let told = again.say("AUTH token=33 x").await;
    assert!(told.starts_with("-FENCED") || told.starts_with("-TRYAGAIN"), "{told}");
    let let_in = async || front.try_leader("leader-b", 34).await.is_ok();
    crate::rig::eventually("it is let in after that", let_in).await;
    let (found, told) = (front.server.ask("GET a").await, old.hear().await);
    match told.split(' ').next().unwrap() {
        "OK" => assert_eq!(found, "late"),
        "-FENCED" => assert_eq!(found, "nil"),
        word => assert_eq!(word, "-UNKNOWN", "{told}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_pipeline_what_was_told_is_there_and_no_more() {
    let front = Front::start().await;
    for round in 0..4 {
        let (token, who) = (33 + round, ["leader-a", "leader-b"]);
        let who = [who[round as usize % 2], who[(round as usize + 1) % 2]];
        front.server.ask("DEL n").await;
        let (mut reading, mut writing) = front.leader(who[0], token).await.apart();
        let sending = tokio::spawn(async move {
            let many = words("INCR n").repeat(200);
            for _ in 0..500 {
                crate::rig::redis::send(&mut writing, &many).await;
            }
        });
        let hearing = tokio::spawn(async move {
            let mut told = Vec::new();
            while let Some(value) = reading.next().await {
                told.push(value);
            }
            told
        });
        tokio::time::sleep(Duration::from_millis(100 + 50 * round)).await;
        let begun = Instant::now();
        let mut next = front.leader(who[1], token + 1).await;
        assert!(begun.elapsed() < DRAIN + SLACK, "it waited {:?}", begun.elapsed());
        let found = next.say("GET n").await;
        let mut told = hearing.await.unwrap();
        sending.abort();
        let last = told.pop().unwrap().to_string();
        let count = told.len().to_string();
        let highest =
            told.last().map_or("nil".to_owned(), |value| value.to_string()[1..].to_owned());
        assert!(highest == "nil" || highest == count, "an answer is missing: {count}, {highest}");
        match last.split(' ').next().unwrap() {
            // Nothing of what had no answer is there.
            "-FENCED" => assert_eq!(found, highest, "{last}"),
            word => {
                assert_eq!(word, "-UNKNOWN", "{last}");
                let of = |text: &str| text.parse::<usize>().unwrap_or(0);
                assert!(of(&found) >= of(&highest), "{found} of {highest}: {last}");
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(next.say("GET n").await, found, "something came later");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_brought_later_takes_over_too() {
    let front = Front::start().await;
    let mut one = front.leader("leader-a", 33).await;
    let mut other = front.leader("leader-a", 33).await;
    assert_eq!(other.pipe(&["SET a 1", "MULTI", "SET a 5"]).await, ["OK", "OK", "QUEUED"]);
    // Of the same identity: what has the older token is of an older term.
    assert_eq!(one.say("PALISADE TOKEN 34").await, "OK");
    assert!(other.farewell().await.starts_with("-FENCED"));
    assert_eq!(one.pipe(&["INCR a", "GET a"]).await, [":2", "2"]);
    // By one transaction; and the session's own older token is none any more.
    let mut third = front.session("leader-b").await;
    let lines = ["MULTI", "PALISADE TOKEN 35", "INCR a", "EXEC"];
    assert_eq!(third.pipe(&lines).await[3], "[OK, :3]");
    assert!(one.farewell().await.starts_with("-FENCED"));
    // Another one of its own: what it did under the smaller one is of an older term, too.
    let mut fourth = front.leader("leader-a", 36).await;
    let lines = ["SET b 1", "PALISADE TOKEN 37", "INCR b", "PALISADE TOKEN 36", "INCR b"];
    let told = fourth.pipe(&lines).await;
    assert_eq!(told[..3], ["OK", "OK", ":2"], "{told:?}");
    assert!(told[3].starts_with("-FENCED"), "{told:?}");
    assert!(told[4].starts_with("-FENCED") || told[4] == "CUT", "{told:?}");
    assert_eq!(front.server.ask("GET b").await, "2");
}
