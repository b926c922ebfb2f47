//! How a token comes, and how each refusal looks.

use crate::rig::redis::{Choice, Front, Wire};

fn has(told: &str, word: &str, parts: &[&str]) {
    assert!(told.starts_with(&format!("-{word}")), "{word} is not the word of {told:?}");
    for part in parts {
        assert!(told.contains(part), "{part} is not in {told:?}");
    }
}

async fn status(wire: &mut Wire) -> String {
    wire.say("PALISADE STATUS").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_in_each_way() {
    let edits = vec![("max_jump = 1000000", "max_jump = 1000000\nincarnation = 1".into())];
    let front = Front::with(Choice { edits, ..Choice::default() }).await;
    // Without one, it reads, and does not write.
    let mut none = front.session("leader-a").await;
    assert_eq!(none.say("GET a").await, "nil");
    has(&none.say("SET a 1").await, "NOTOKEN", &["redis"]);
    // By a command.
    assert_eq!(none.say("PALISADE TOKEN 33").await, "OK");
    assert_eq!(none.say("SET a 1").await, "OK");
    let told = status(&mut none).await;
    for part in ["redis", "33", "leader-a"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    // As the name of AUTH, and as its only argument, as redis-cli has it from a URL.
    for (token, line) in
        [(34, "AUTH token=34 anything"), (35, "AUTH token=35"), (36, "auth token=36 ''")]
    {
        let mut wire = front.session("leader-a").await;
        assert_eq!(wire.say(line).await, "OK");
        assert_eq!(wire.say(&format!("SET a {token}")).await, "OK");
    }
    // In HELLO.
    for (token, protocol) in [(37, "2"), (38, "3")] {
        let mut wire = front.session("leader-a").await;
        let user = format!("token={token}");
        let hello = wire.call(&["HELLO", protocol, "AUTH", &user, "x", "SETNAME", "n"]).await;
        assert_eq!(hello.under("proto").unwrap().to_string(), format!(":{protocol}"));
        assert_eq!(wire.say(&format!("SET a {token}")).await, "OK");
        assert_eq!(wire.say("CLIENT GETNAME").await, "n");
    }
    // A pair.
    let mut pair = front.leader("leader-a", "1.5").await;
    assert_eq!(pair.say("SET a pair").await, "OK");
    // All before are stale by now, and no password has gone to the server.
    let mut old = front.session("leader-a").await;
    has(&old.say("AUTH token=38 x").await, "FENCED", &["redis", "38", "1.5", "leader-a"]);
    assert_eq!(front.server.ask("GET a").await, "pair");
    // Who it is, the certificate says; any other user name is nobody's.
    let mut other = front.session("reader").await;
    assert_eq!(
        other.pipe(&["AUTH somebody secret", "AUTH secret", "GET a"]).await,
        ["OK", "OK", "pair"]
    );
    has(&other.say("SET a 1").await, "NO", &[]);
    let log = front.server.ask("ACL LOG").await;
    assert_eq!(log, "[]", "somebody tried to log in at the server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_transaction() {
    let front = Front::start().await;
    let mut one = front.session("leader-a").await;
    let lines = ["MULTI", "PALISADE TOKEN 33", "SET a 1", "INCR a", "EXEC"];
    assert_eq!(one.pipe(&lines).await, ["OK", "QUEUED", "QUEUED", "QUEUED", "[OK, OK, :2]"]);
    // It was of that one only.
    has(&one.say("SET a 5").await, "NOTOKEN", &["redis"]);
    let plain = one.pipe(&["MULTI", "SET a 5", "EXEC"]).await;
    has(&plain[1], "NOTOKEN", &[]);
    has(&plain[2], "EXECABORT", &[]);
    // Not the first of it.
    let late = one.pipe(&["MULTI", "GET a", "PALISADE TOKEN 33", "SET a 5", "EXEC"]).await;
    assert!(late[2].starts_with('-') && late[4].starts_with("-EXECABORT"), "{late:?}");
    // Stale, malformed.
    let _next = front.leader("leader-b", 40).await;
    let stale = one.pipe(&["MULTI", "PALISADE TOKEN 33", "SET a 5", "EXEC", "GET a"]).await;
    has(&stale[1], "FENCED", &["redis", "33", "40", "leader-b"]);
    has(&stale[3], "EXECABORT", &[]);
    assert_eq!(stale[4], "2");
    let wrong = one.pipe(&["MULTI", "PALISADE TOKEN x", "SET a 5", "EXEC", "GET a"]).await;
    has(&wrong[1], "BADTOKEN", &[]);
    has(&wrong[3], "EXECABORT", &[]);
    assert_eq!(wrong[4], "2");
    // Discarded, it has raised the mark all the same, and is gone.
    let gone = one.pipe(&["MULTI", "PALISADE TOKEN 41", "DISCARD", "SET a 5"]).await;
    assert_eq!(gone[..3], ["OK", "QUEUED", "OK"]);
    has(&gone[3], "NOTOKEN", &[]);
    assert_eq!(front.server.ask("GET a").await, "2");
    // While it waits for EXEC, another leader comes.
    let lines = ["MULTI", "PALISADE TOKEN 42", "SET a 5"];
    assert_eq!(one.pipe(&lines).await, ["OK", "QUEUED", "QUEUED"]);
    let _next = front.leader("leader-b", 43).await;
    one.tell("EXEC").await;
    has(&one.farewell().await, "FENCED", &["redis", "42", "43", "leader-b"]);
    assert_eq!(front.server.ask("GET a").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_word() {
    let front = Front::start().await;
    let mut leader = front.leader("leader-a", 33).await;
    assert_eq!(leader.say("SET a 1").await, "OK");
    let cases: &[(&str, &str, &str, &[&str])] = &[
        ("leader-b", "token=32", "FENCED", &["redis", "32", "33", "leader-a"]),
        ("leader-b", "token=33", "CONFLICT", &["redis", "33", "leader-a"]),
        ("leader-b", "token=9000000", "IMPLAUSIBLE", &["redis", "9000000"]),
        ("leader-b", "token=18446744073709551615", "IMPLAUSIBLE", &[]),
        ("leader-b", "token=x", "BADTOKEN", &["decimal"]),
        ("leader-b", "token=", "BADTOKEN", &[]),
        ("leader-b", "token=-1", "BADTOKEN", &[]),
        ("leader-b", "token=34,token=35", "BADTOKEN", &[]),
        ("follower", "token=34", "NOPERM", &["redis", "follower"]),
        ("reader", "token=34", "NOPERM", &["redis", "reader"]),
        ("stranger", "token=34", "NOPERM", &["redis"]),
    ];
    for (who, user, word, parts) in cases {
        let mut wire = front.session(who).await;
        let told = wire.call(&["AUTH", user, "x"]).await.to_string();
        has(&told, word, parts);
        let mut wire = front.session(who).await;
        let told = wire.call(&["HELLO", "3", "AUTH", user, "x"]).await.to_string();
        has(&told, word, parts);
        // Nothing was brought, so nothing is written.
        let told = wire.say("SET a 9").await;
        assert!(told.starts_with("-N") || told.starts_with(&format!("-{word} ")), "{told}");
    }
    // Who may not even read.
    has(&front.session("stranger").await.say("GET a").await, "NOPERM", &["redis", "read"]);
    // Who may write with the mark of another, but not raise it: reads.
    assert_eq!(front.session("follower").await.say("GET a").await, "1");
    assert_eq!(leader.say("GET a").await, "1");
    // A session whose token cannot be read keeps the one it had.
    has(&leader.say("PALISADE TOKEN x").await, "BADTOKEN", &[]);
    has(&leader.say("PALISADE TOKEN").await, "", &[]);
    assert_eq!(leader.say("SET a 2").await, "OK");
    // They are counted and audited.
    for reason in ["stale", "conflict", "implausible"] {
        let is_audited =
            async || front.audit().iter().any(|line| line.to_string().contains(reason));
        crate::rig::eventually(&format!("{reason} is audited"), is_audited).await;
        let counted = front.metric("palisade_redis_refused_total", reason).await;
        assert!(counted >= 1.0, "{reason} is not counted: {}", front.metrics().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_answers_with_the_evidence() {
    let front = Front::start().await;
    let mut one = front.leader("leader-a", 33).await;
    for line in ["PALISADE SEAL", "PALISADE STATUS"] {
        let told = one.say(line).await;
        for part in ["redis", "33", "leader-a"] {
            assert!(told.contains(part), "{part} is not in the answer to {line}: {told}");
        }
    }
    let _next = front.leader("leader-b", 34).await;
    assert!(one.farewell().await.starts_with("-FENCED"));
    let mut reader = front.session("reader").await;
    let told = status(&mut reader).await;
    for part in ["redis", "34", "leader-b"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    has(&reader.say("PALISADE SEAL").await, "NO", &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_leader_may_read_and_write_nothing() {
    let front = Front::start().await;
    let _next = front.leader("leader-b", 34).await;
    let mut stale = front.session("leader-a").await;
    has(&stale.say("AUTH token=33 x").await, "FENCED", &["redis", "33", "34", "leader-b"]);
    let writes = [
        "SET a 1",
        "DEL a",
        "EVAL 'return redis.call(\"SET\", KEYS[1], 1)' 1 a",
        "EVAL 'return redis.call(\"SET\", \"a\", 1)' 0",
        "PUBLISH c x",
        "FLUSHALL",
        "GETDEL a",
        "GETEX a EX 1",
        "PFCOUNT a",
        "SORT a STORE b",
        "FUNCTION FLUSH",
        "XGROUP CREATE x g $ MKSTREAM",
        "BLPOP a 0",
        "SWAPDB 0 1",
        "COPY a b",
        "MOVE a 1",
        "NOSUCH a",
    ];
    let mut fresh = front.session("leader-a").await;
    for line in writes {
        has(&fresh.say(line).await, "NOTOKEN", &[]);
    }
    let reads = [
        ("GET a", "nil"),
        ("EXISTS a", ":0"),
        ("EVAL_RO 'return redis.call(\"EXISTS\", KEYS[1])' 1 a", ":0"),
        ("KEYS *", "[]"),
        ("XLEN x", ":0"),
        ("SORT a", "[]"),
        ("TYPE a", "none"),
        ("DBSIZE", ":0"),
    ];
    for (line, expected) in reads {
        assert_eq!(fresh.say(line).await, expected, "{line}");
    }
    assert_eq!(fresh.pipe(&["MULTI", "GET a", "EXEC"]).await, ["OK", "QUEUED", "[nil]"]);
    assert_eq!(front.server.ask("DBSIZE").await, ":0");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_administer_needs_no_token_and_others_do_not() {
    let edits = vec![(
        "raise = [\"leader-*\"]",
        "raise = [\"leader-*\"]\nadminister = [\"reader\"]".into(),
    )];
    let front = Front::with(Choice { edits, ..Choice::default() }).await;
    let mut leader = front.leader("leader-a", 33).await;
    let mut operator = front.session("reader").await;
    for line in ["CONFIG SET maxmemory-samples 6", "CLIENT LIST", "SLOWLOG LEN", "SCRIPT FLUSH"] {
        has(&leader.say(line).await, "NOPERM", &["administer"]);
        let told = operator.say(line).await;
        assert!(!told.starts_with('-'), "{line}: {told}");
    }
    assert_eq!(front.server.ask("CONFIG GET maxmemory-samples").await, "[maxmemory-samples, 6]");
    // It does not write for all that.
    has(&operator.say("SET a 1").await, "NO", &[]);
    operator.tell("MONITOR").await;
    assert_eq!(operator.hear().await, "OK");
    assert_eq!(leader.say("SET a 1").await, "OK");
    assert!(operator.hear().await.contains("\"SET\" \"a\" \"1\""));
}
