//! Which resource a command belongs to, by its keys and its database.

use crate::rig::redis::{Choice, Front, Layout};

async fn by(layout: Layout) -> Front {
    Front::with(Choice { layout, ..Choice::default() }).await
}

fn has(told: &str, word: &str, parts: &[&str]) {
    assert!(told.starts_with(&format!("-{word}")), "{word} is not the word of {told:?}");
    for part in parts {
        assert!(told.contains(part), "{part} is not in {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_queue_has_a_leader_of_its_own() {
    let front = by(Layout::Queues).await;
    let (mut a, mut b) = (front.leader("leader-a", 33).await, front.leader("leader-b", 7).await);
    assert_eq!(a.say("SET jobs:a:1 x").await, "OK");
    assert_eq!(b.say("SET jobs:b:1 y").await, "OK");
    // With the token of the other queue's leader nothing is done, not even half of it.
    has(&b.say("SET jobs:a:1 z").await, "FENCED", &["jobs/a", "7", "33", "leader-a"]);
    let mut b = front.leader("leader-b", 7).await;
    has(&b.say("MSET jobs:b:1 z jobs:a:1 z").await, "FENCED", &["jobs/a"]);
    assert_eq!(front.server.ask("MGET jobs:a:1 jobs:b:1").await, "[x, y]");
    // A read with a stale token is one of a leader that is none any more.
    let mut b = front.leader("leader-b", 7).await;
    has(&b.say("GET jobs:a:1").await, "FENCED", &["jobs/a"]);
    // Admitted for both.
    assert_eq!(a.say("MSET jobs:a:1 1 jobs:c:1 2").await, "OK");
    assert_eq!(a.say("RENAME jobs:c:1 jobs:c:2").await, "OK");
    // No resource: nobody's.
    for line in [
        "SET other 1",
        "SET jobs:x 1",
        "SET jobs:: 1",
        "SET jobs::x 1",
        "MSET jobs:a:1 1 other 1",
        "GET other",
    ] {
        let told = a.say(line).await;
        assert!(told.starts_with("-NOPERM"), "{line}: {told}");
    }
    // What touches everything cannot be admitted where resources cannot be counted.
    for line in [
        "FLUSHALL",
        "FLUSHDB",
        "SWAPDB 0 1",
        "NOSUCH jobs:a:1",
        "EVAL 'return 1' 0",
        "FUNCTION FLUSH",
    ] {
        let told = a.say(line).await;
        assert!(told.starts_with("-NOPERM"), "{line}: {told}");
    }
    assert_eq!(front.server.ask("MGET jobs:a:1 jobs:b:1").await, "[1, y]");
    // Declared keys are.
    let script = "EVAL 'return redis.call(\"INCR\", KEYS[1])' 1 ";
    assert_eq!(a.say(&format!("{script}jobs:a:1")).await, ":2");
    has(&a.say(&format!("{script}other")).await, "NOPERM", &[]);
    // Channels count as keys.
    assert_eq!(a.say("PUBLISH jobs:a:done 1").await, ":0");
    has(&a.say("PUBLISH done 1").await, "NOPERM", &[]);
    let mut reader = front.session("reader").await;
    assert_eq!(reader.say("SUBSCRIBE jobs:a:done").await, "[subscribe, jobs:a:done, :1]");
    assert_eq!(a.say("PUBLISH jobs:a:done 1").await, ":1");
    assert_eq!(reader.hear().await, "[message, jobs:a:done, 1]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_of_one_queue_leaves_the_sessions_of_the_others() {
    let front = by(Layout::QueuesAndRest).await;
    let mut a = front.leader("leader-a", 33).await;
    let mut b = front.leader("leader-a", 33).await;
    assert_eq!(a.say("SET jobs:a:1 1").await, "OK");
    assert_eq!(b.pipe(&["SET jobs:b:1 1", "SET else 1"]).await, ["OK", "OK"]);
    // The key says which resource is sealed at once.
    let mut next = front.leader("leader-b", "34,key=jobs:a:x").await;
    let told = a.farewell().await;
    has(&told, "FENCED", &["jobs/a", "33", "34", "leader-b"]);
    assert_eq!(b.pipe(&["INCR jobs:b:1", "INCR else"]).await, [":2", ":2"]);
    assert_eq!(next.say("GET jobs:a:1").await, "1");
    // By a command, for several keys.
    let mut third = front.session("leader-a").await;
    let told = third.say("PALISADE TOKEN 35 jobs:a:x jobs:b:x").await;
    assert_eq!(told, "OK");
    has(&next.farewell().await, "FENCED", &["jobs/a", "34", "35"]);
    has(&b.farewell().await, "FENCED", &["jobs/b", "33", "35"]);
    let told = third.say("PALISADE STATUS jobs:b:x").await;
    for part in ["jobs/b", "35", "leader-a"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let stale = front.try_leader("leader-b", "34,key=jobs:b:x").await.err().expect("it is stale");
    has(&stale, "FENCED", &["jobs/b", "34", "35"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_command_aborts_the_transaction() {
    let front = by(Layout::QueuesAndRest).await;
    let mut other = front.leader("leader-b", 40).await;
    assert_eq!(other.say("SET jobs:b:1 y").await, "OK");
    let mut a = front.leader("leader-a", 33).await;
    let refused: &[(&str, &str)] = &[
        ("FLUSHALL", "NOPERM"),
        ("CONFIG SET maxmemory 1", "NOPERM"),
        ("SELECT 1", ""),
        ("CLIENT REPLY OFF", ""),
        ("SUBSCRIBE c", ""),
        ("SYNC", ""),
        ("PALISADE TOKEN 33", ""),
    ];
    for (line, word) in refused {
        let told = a
            .pipe(&["MULTI", "SET jobs:a:1 x", line, "SET jobs:a:2 x", "EXEC", "GET jobs:a:1"])
            .await;
        assert_eq!((told[0].as_str(), told[1].as_str()), ("OK", "QUEUED"), "{line}: {told:?}");
        has(&told[2], word, &[]);
        has(&told[4], "EXECABORT", &[]);
        assert_eq!(told[5], "nil", "{line}: {told:?}");
        assert_eq!(front.server.ask("EXISTS jobs:a:1 jobs:a:2").await, ":0", "{line}");
    }
    // Stale for one of its resources.
    let told = a.pipe(&["MULTI", "SET jobs:a:1 x", "SET jobs:b:1 x", "EXEC"]).await;
    assert_eq!(told[..2], ["OK", "QUEUED"]);
    has(&told[2], "FENCED", &["jobs/b", "33", "40", "leader-b"]);
    has(&told[3], "EXECABORT", &[]);
    assert_eq!(front.server.ask("MGET jobs:a:1 jobs:b:1").await, "[nil, y]");
    // And the next one is a new one.
    let told = a.pipe(&["MULTI", "SET jobs:a:1 x", "SET else 1", "EXEC"]).await;
    assert_eq!(told[3], "[OK, OK]", "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_admitted_where_it_can_be_counted() {
    let front = by(Layout::Prefixes).await;
    let mut a = front.leader("leader-a", 33).await;
    let lines = ["SET alpha:1 1", "SET else 1", "EVAL 'return redis.call(\"SET\", \"x\", 1)' 0"];
    assert_eq!(a.pipe(&lines).await, ["OK", "OK", "OK"]);
    assert_eq!(a.say("FLUSHALL").await, "OK");
    assert_eq!(a.say("MSET alpha:1 1 else 1").await, "OK");
    let mut alpha = front.leader("leader-b", "34,key=alpha:1").await;
    has(&a.farewell().await, "FENCED", &["alpha"]);
    let mut a = front.leader("leader-a", 33).await;
    assert_eq!(a.say("INCR else").await, ":2");
    has(&a.say("FLUSHALL").await, "FENCED", &["alpha", "33", "34"]);
    assert_eq!(front.server.ask("MGET alpha:1 else").await, "[1, 2]");
    // To clear all, it has to be the leader of all.
    assert_eq!(alpha.say("FLUSHALL").await, "OK");
    assert_eq!(front.server.ask("DBSIZE").await, ":0");
    assert!(front.leader("leader-a", 33).await.say("SET else 1").await.starts_with("-FENCED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_database_is_a_resource() {
    let front = by(Layout::Databases).await;
    let mut a = front.leader("leader-a", 33).await;
    let mut b = front.leader("leader-b", 40).await;
    assert_eq!(a.pipe(&["SET k 0", "GET k"]).await, ["OK", "0"]);
    assert_eq!(b.pipe(&["SELECT 1", "SET k 1"]).await, ["OK", "OK"]);
    // Both need the other database, too.
    for line in ["MOVE k 1", "COPY k l DB 1", "SWAPDB 0 1"] {
        let mut a = front.leader("leader-a", 33).await;
        has(&a.say(line).await, "FENCED", &["db/1", "33", "40", "leader-b"]);
    }
    assert_eq!(a.pipe(&["COPY k l", "FLUSHDB", "SET k 0"]).await, [":1", "OK", "OK"]);
    // There is no rule for this one, nor for all.
    let mut c = front.leader("leader-a", 33).await;
    assert_eq!(c.say("SELECT 5").await, "OK");
    for line in ["SET k 5", "GET k", "FLUSHDB", "FLUSHALL"] {
        has(&c.say(line).await, "NOPERM", &[]);
    }
    let mut direct = front.server.session().await;
    assert_eq!(
        direct.pipe(&["GET k", "SELECT 1", "GET k", "SELECT 5", "DBSIZE"]).await,
        ["0", "OK", "1", "OK", ":0"]
    );
    // The mark of one is not the other's.
    let _next = front.leader("leader-b", 41).await.say("SET k 1").await;
    has(&a.farewell().await, "FENCED", &["db/0", "33", "41"]);
    assert_eq!(b.say("INCR k").await, ":2");
}

/// More than a connection remembers at once.
#[tokio::test(flavor = "multi_thread")]
async fn one_leader_may_lead_very_many_queues() {
    let front = by(Layout::Queues).await;
    let mut a = front.leader("leader-a", 33).await;
    let lines: Vec<_> = (0..1_500).map(|n| format!("SET jobs:{n}:1 x")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let answers = a.pipe(&lines).await;
    assert!(answers.iter().all(|told| told == "OK"), "{:?}", answers.iter().find(|a| *a != "OK"));
    // The first is fenced as the last is.
    for queue in ["0", "1499"] {
        let mut next = front.leader("leader-b", format!("34,key=jobs:{queue}:1")).await;
        assert_eq!(next.say(&format!("SET jobs:{queue}:1 y")).await, "OK");
        let told = a.say(&format!("SET jobs:{queue}:1 z")).await;
        has(&told, "FENCED", &["33", "34"]);
        assert_eq!(front.server.ask(&format!("GET jobs:{queue}:1")).await, "y");
        a = front.leader("leader-a", 33).await;
        assert_eq!(a.say("SET jobs:7:1 z").await, "OK");
    }
    // More than that in one command is no command for one connection.
    let keys: Vec<_> = (0..1_500).map(|n| format!("jobs:{n}:1")).collect();
    let told = a.say(&format!("DEL {}", keys.join(" "))).await;
    has(&told, "", &[]);
    assert_eq!(front.server.ask("DBSIZE").await, ":1500");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_need_a_token_where_the_rule_says_so() {
    let edits = vec![("resource = \"redis\"", "resource = \"redis\"\nreads = \"token\"".into())];
    let front = Front::with(Choice { edits, ..Choice::default() }).await;
    let mut none = front.session("leader-a").await;
    for line in ["GET a", "KEYS *", "SUBSCRIBE c", "WATCH a", "EVAL_RO 'return 1' 1 a"] {
        has(&none.say(line).await, "NOTOKEN", &["redis"]);
    }
    assert_eq!(none.say("PING").await, "PONG");
    assert_eq!(front.leader("leader-a", 33).await.say("GET a").await, "nil");
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_are_refused_where_the_rule_says_so() {
    let edits = vec![("resource = \"redis\"", "resource = \"redis\"\nscripts = \"refuse\"".into())];
    let front = Front::with(Choice { edits, ..Choice::default() }).await;
    let mut a = front.leader("leader-a", 33).await;
    for line in ["EVAL 'return 1' 1 a", "EVAL 'return 1' 0", "FCALL f 1 a"] {
        has(&a.say(line).await, "NOPERM", &["script"]);
    }
    // Such as cannot write are not meant.
    assert_eq!(a.say("EVAL_RO 'return 1' 1 a").await, ":1");
    assert_eq!(a.say("SET a 1").await, "OK");
}
