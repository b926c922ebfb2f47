//! What becomes of sessions with older tokens when a new leader comes.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::rig::eventually;
use crate::rig::postgres::{Choice, Front, Told, Wire, copy_data, extended, query, tagged};

/// The rule's `drain`, in seconds, and some time for a slow machine.
const DRAIN: Duration = Duration::from_secs(1);
const SLACK: Duration = Duration::from_secs(3);

/// A leader with token 33 and a table with one row.
async fn old(front: &Front) -> Wire {
    let mut session = front.leader("leader-a", 33).await;
    session.simple("CREATE TABLE t (n int); INSERT INTO t VALUES (1)").await.good();
    session
}

/// The next leader, and how long it took to be let in. No older session is left by then, but for
/// idle ones, which are on their way out: they have settled, and nothing more is sent to them.
async fn next(front: &Front) -> (Wire, Duration) {
    let begun = Instant::now();
    let mut session = front.leader("leader-b", 34).await;
    let took = begun.elapsed();
    let backend = session.backend().await;
    let others = format!(
        "SELECT pid, state, query FROM pg_stat_activity WHERE usename = 'app' AND pid <> {backend}"
    );
    let busy = format!("{others} AND state <> 'idle'");
    assert_eq!(front.server.ask(&busy).await, Vec::<String>::new(), "older sessions are left");
    let gone = async || front.server.ask(&others).await.is_empty();
    eventually("the idle ones are gone", gone).await;
    (session, took)
}

fn is_stale(told: &Told) {
    assert_eq!((told.code(), told.severity()), ("PF001", "FATAL"), "{told:?}");
    for part in ["pg/app", "33", "34", "leader-b"] {
        assert!(told.detail().contains(part), "{part} is not in {told:?}");
    }
    assert!(!told.hint().is_empty(), "{told:?}");
}

async fn runs(front: &Front, what: &str) {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'active' AND \
         query LIKE '%{what}%'"
    );
    eventually(&format!("{what} runs"), async || front.server.ask(&sql).await == ["1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_sessions_end_at_once() {
    let front = Front::start().await;
    let mut idle = old(&front).await;
    let mut second = front.leader("leader-a", 33).await;
    let (_next, took) = next(&front).await;
    assert!(took < DRAIN, "it waited {took:?}");
    is_stale(&idle.farewell().await);
    is_stale(&second.farewell().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_waits_for_its_client_is_rolled_back_at_once() {
    let front = Front::start().await;
    let mut old = old(&front).await;
    old.simple("BEGIN; UPDATE t SET n = 2; SELECT pg_advisory_lock(1)").await.good();
    let (mut next, took) = next(&front).await;
    assert!(took < DRAIN, "it waited {took:?}");
    // Its locks are gone.
    let begun = Instant::now();
    next.simple("UPDATE t SET n = n + 10").await.good();
    assert_eq!(next.value("SELECT pg_try_advisory_lock(1)").await, "t");
    assert!(begun.elapsed() < DRAIN, "it waited {:?}", begun.elapsed());
    assert_eq!(next.value("SELECT n FROM t").await, "11");
    is_stale(&old.farewell().await);
    // What it says now is heard by nobody.
    old.send(&query("COMMIT")).await;
    assert!(old.next().await.is_none());
    assert_eq!(front.server.ask("SELECT n FROM t").await, ["11"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_transaction_and_an_open_batch_are_no_reason_to_wait() {
    let front = Front::start().await;
    let mut failed = old(&front).await;
    failed.simple("BEGIN").await.good();
    assert_eq!(failed.simple("SELECT 1/0").await.status, Some('E'));
    // An INSERT without its Sync: not committed.
    let mut open = front.leader("leader-a", 33).await;
    open.send(&[extended("INSERT INTO t VALUES (5)", &[]), tagged(b'H', &[])].concat()).await;
    while open.next().await.unwrap().0 != b'C' {}
    let (_next, took) = next(&front).await;
    assert!(took < DRAIN + SLACK, "it waited {took:?}");
    is_stale(&failed.farewell().await);
    is_stale(&open.farewell().await);
    assert_eq!(front.server.ask("SELECT sum(n) FROM t").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_waited_for() {
    let front = Front::start().await;
    let mut old = old(&front).await;
    let slow = "INSERT INTO t SELECT 5 FROM pg_sleep(0.6) AS drained";
    old.send(&query(slow)).await;
    runs(&front, "drained").await;
    let (mut next, _) = next(&front).await;
    assert_eq!(next.value("SELECT sum(n) FROM t").await, "6");
    // It was admitted before the takeover, and is told yes; then it is over.
    let answer = old.answer().await;
    assert_eq!(answer.tags, ["INSERT 0 1"], "{answer:?}");
    let told = if answer.status.is_some() { old.farewell().await } else { answer.error().clone() };
    is_stale(&told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_longer_is_cancelled() {
    let front = Front::start().await;
    let mut old = old(&front).await;
    old.send(&query("INSERT INTO t SELECT 5 FROM pg_sleep(60) AS cancelled")).await;
    runs(&front, "cancelled").await;
    let (mut next, took) = next(&front).await;
    assert!((DRAIN..DRAIN + SLACK).contains(&took), "it waited {took:?}");
    assert_eq!(next.value("SELECT sum(n) FROM t").await, "1");
    let answer = old.answer().await;
    assert_eq!(answer.tags, Vec::<String>::new(), "{answer:?}");
    // The last word is that it is stale, and nothing of it is there.
    assert_eq!(answer.status, None, "{answer:?}");
    is_stale(answer.errors.last().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_minds_no_cancel_is_terminated() {
    let front = Front::start().await;
    let mut old = old(&front).await;
    let stubborn = "DO $$ BEGIN INSERT INTO t VALUES (5); LOOP BEGIN PERFORM pg_sleep(60); \
                    EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$ -- stubborn";
    old.send(&query(stubborn)).await;
    runs(&front, "stubborn").await;
    let (mut next, took) = next(&front).await;
    assert!(took < DRAIN + 2 * SLACK, "it waited {took:?}");
    assert_eq!(next.value("SELECT sum(n) FROM t").await, "1");
    let answer = old.answer().await;
    assert_eq!((answer.tags.len(), answer.status), (0, None), "{answer:?}");
    is_stale(answer.errors.last().unwrap());
}

/// The server does not say that it is gone, so nobody may begin.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_does_not_end_keeps_the_next_leader_out() {
    let rule = "resource = \"pg/{database}\"\nread = [\"leader-*\", \"follower\", \"reader\"]\n\
                write = [\"leader-*\", \"follower\"]\nraise = [\"leader-*\"]\n\
                drain = \"1s\"\ntakeover_timeout = ";
    let edits = vec![(&*format!("{rule}\"10s\"").leak(), format!("{rule}\"3s\""))];
    let front = Front::with(Choice { edits, ..Choice::default() }).await;
    let mut old = old(&front).await;
    let pid = Pid::from_raw(old.backend().await.parse().unwrap()).unwrap();
    old.send(&query("INSERT INTO t SELECT 5 FROM pg_sleep(0.5) AS frozen")).await;
    runs(&front, "frozen").await;
    kill_process(pid, Signal::STOP).unwrap();
    for _ in 0..2 {
        let told = front.try_leader("leader-b", 34).await.err().expect("it is not let in");
        assert_eq!((told.code(), told.severity()), ("57P03", "FATAL"), "{told:?}");
        assert!(!told.hint().is_empty(), "{told:?}");
    }
    // Nor does the old one get anything more in.
    let refused = front.leader("leader-a", 33).await.simple("INSERT INTO t VALUES (6)").await;
    assert!(["PF001", "PF009"].contains(&refused.code()), "{refused:?}");
    kill_process(pid, Signal::CONT).unwrap();
    let (mut next, _) = next(&front).await;
    let there = next.value("SELECT count(*) - 1 FROM t").await;
    let answer = old.answer().await;
    match answer.errors.last().map(Told::code) {
        _ if answer.tags == ["INSERT 0 1"] => assert_eq!(there, "1", "{answer:?}"),
        Some("PF001") => assert_eq!(there, "0", "{answer:?}"),
        code => assert_eq!(code, Some("PF008"), "{answer:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_waits_for_a_lock_is_cancelled() {
    let front = Front::start().await;
    let mut old = old(&front).await;
    // Somebody around Palisade holds it; the new leader reads only.
    let mut holder = front.server.session("postgres").await;
    holder.simple("BEGIN; UPDATE t SET n = 100").await.good();
    old.send(&query("UPDATE t SET n = 5 /* blocked */")).await;
    runs(&front, "blocked").await;
    let (mut next, took) = next(&front).await;
    assert!(took < DRAIN + SLACK, "it waited {took:?}");
    holder.simple("ROLLBACK").await.good();
    assert_eq!(next.value("SELECT n FROM t").await, "1");
    is_stale(old.answer().await.errors.last().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_ends_before_its_last_byte() {
    let front = Front::start().await;
    let mut simple = old(&front).await;
    simple.send(&query("COPY t FROM STDIN")).await;
    assert!(simple.answer().await.is_copying);
    simple.send(&copy_data("5\n")).await;
    let mut extend = front.leader("leader-a", 33).await;
    extend.send(&[extended("COPY t FROM STDIN", &[]), tagged(b'H', &[])].concat()).await;
    assert!(extend.answer().await.is_copying);
    extend.send(&copy_data("5\n")).await;
    let (mut next, took) = next(&front).await;
    assert!(took < DRAIN, "it waited {took:?}");
    is_stale(&simple.farewell().await);
    is_stale(&extend.farewell().await);
    simple.send(&tagged(b'c', &[])).await;
    assert_eq!(next.value("SELECT sum(n) FROM t").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_ends_in_the_middle() {
    let front = Front::start().await;
    let mut old = old(&front).await;
    let mut batches = Vec::new();
    for n in 0..20 {
        let sql = format!("INSERT INTO t SELECT {n} FROM pg_sleep(0.3) AS piped");
        batches.extend(extended(&sql, &[]));
        batches.extend(tagged(b'S', &[]));
    }
    old.send(&batches).await;
    runs(&front, "piped").await;
    let (mut next, took) = next(&front).await;
    assert!(took < DRAIN + SLACK, "it waited {took:?}");
    let there: usize = next.value("SELECT count(*) - 1 FROM t").await.parse().unwrap();
    let (mut told, mut last) = (0, old.answer().await);
    while last.status.is_some() {
        told += last.tags.len();
        last = old.answer().await;
    }
    told += last.tags.len();
    is_stale(last.errors.last().unwrap());
    assert_eq!(told, there, "so many were told, and so many are there");
    assert!((1..19).contains(&there), "{there} were committed");
}

/// What is behind the cancelled statement has been sent, and the server goes on with it.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_pipeline_with_a_cancelled_statement_the_rest_is_told_truthfully() {
    for seconds in [60.0, 1.2] {
        let front = Front::start().await;
        let mut old = old(&front).await;
        let mut batches = Vec::new();
        for slow in [0.0, seconds, 0.0, 0.0] {
            let sql = format!("INSERT INTO t SELECT 5 FROM pg_sleep({slow}) AS piped");
            batches.extend(extended(&sql, &[]));
            batches.extend(tagged(b'S', &[]));
        }
        old.send(&batches).await;
        runs(&front, "piped").await;
        let (mut next, took) = next(&front).await;
        assert!(took < DRAIN + SLACK, "it waited {took:?}");
        let there = next.value("SELECT count(*) - 1 FROM t").await.parse::<usize>().unwrap();
        // By the extended protocol only ReadyForQuery says that a batch is committed.
        let (mut told, mut last) = (0, old.answer().await);
        while last.status.is_some() {
            told += usize::from(last.errors.is_empty());
            last = old.answer().await;
        }
        let end = last.errors.last().unwrap();
        match end.code() {
            // Nothing of what had no answer is there.
            "PF001" => assert_eq!(there, told, "so many are there: {end:?}"),
            code => assert_eq!(code, "PF008", "{end:?}"),
        }
        assert!(there >= told, "{there} are there, and {told} were told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_belongs_to_the_current_leader() {
    let front = Front::start().await;
    let mut old = old(&front).await;
    for gid in ["one", "two"] {
        let sql = format!("BEGIN; INSERT INTO t VALUES (5); PREPARE TRANSACTION '{gid}'");
        old.simple(&sql).await.good();
    }
    let (mut next, _) = next(&front).await;
    assert_eq!(next.value("SELECT count(*) FROM pg_prepared_xacts").await, "2");
    old.send(&query("COMMIT PREPARED 'one'")).await;
    is_stale(&old.farewell().await);
    let again = front.leader("leader-a", 33).await.simple("COMMIT PREPARED 'one'").await;
    assert!(["PF001", "PF009"].contains(&again.code()), "{again:?}");
    assert_eq!(next.value("SELECT sum(n) FROM t").await, "1");
    next.simple("COMMIT PREPARED 'one'").await.good();
    next.simple("ROLLBACK PREPARED 'two'").await.good();
    assert_eq!(next.value("SELECT sum(n) FROM t").await, "6");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_set_later_takes_over_too() {
    let front = Front::start().await;
    let mut one = old(&front).await;
    let mut other = front.leader("leader-a", 33).await;
    other.simple("BEGIN; UPDATE t SET n = 5").await.good();
    // Of the same identity: what has the older token is of an older term.
    one.simple("SET palisade.token = '34'").await.good();
    let told = other.farewell().await;
    assert_eq!(told.code(), "PF001", "{told:?}");
    one.simple("UPDATE t SET n = n + 1").await.good();
    assert_eq!(one.value("SELECT n FROM t").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_only_read_stay() {
    let front = Front::start().await;
    let _old = old(&front).await;
    let mut reader = front.session("reader", "app", &[]).await.unwrap();
    assert_eq!(reader.value("SELECT n FROM t").await, "1");
    let _next = front.leader("leader-b", 34).await;
    assert_eq!(reader.value("SELECT n FROM t").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_leaves_nothing_behind() {
    let front = Front::start().await;
    let mut old = old(&front).await;
    old.simple("BEGIN; UPDATE t SET n = 5").await.good();
    drop(old);
    let mut running = front.leader("leader-a", 33).await;
    running.send(&query("INSERT INTO t SELECT 7 FROM pg_sleep(60) AS left_alone")).await;
    runs(&front, "left_alone").await;
    drop(running);
    let (mut next, took) = next(&front).await;
    assert!(took < DRAIN + SLACK, "it waited {took:?}");
    assert_eq!(next.value("SELECT sum(n) FROM t").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_idle_sessions_end_together() {
    let front = Front::start().await;
    let mut many = vec![old(&front).await];
    for _ in 0..150 {
        many.push(front.leader("leader-a", 33).await);
    }
    let (_next, took) = next(&front).await;
    assert!(took < SLACK, "it waited {took:?}");
    for session in &mut many {
        is_stale(&session.farewell().await);
    }
}
