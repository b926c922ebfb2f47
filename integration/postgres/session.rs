//! One client session is one backend session: all that belongs to a session behaves as on a
//! direct connection.

use crate::rig::eventually;
use crate::rig::postgres::{
    Front, Wire, bind, close, copy_data, describe, execute, extended, parse, query, tagged,
};

/// Two sessions of one leader.
async fn two(front: &Front) -> (Wire, Wire) {
    (front.leader("leader-a", 33).await, front.leader("leader-a", 33).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_a_session_stays_in_it() {
    let front = Front::start().await;
    let (mut one, mut other) = two(&front).await;
    let backend = one.backend().await;
    assert_ne!(backend, other.backend().await);

    one.simple("CREATE TEMP TABLE mine (n int); INSERT INTO mine VALUES (7)").await.good();
    one.simple("SET work_mem = '7MB'; SET search_path = pg_temp").await.good();
    one.simple("PREPARE p AS SELECT n FROM mine").await.good();
    assert_eq!(one.value("EXECUTE p").await, "7");
    assert_eq!(one.value("SHOW work_mem").await, "7MB");
    assert_eq!(other.simple("SELECT * FROM mine").await.code(), "42P01");
    assert_eq!(other.simple("EXECUTE p").await.code(), "26000");
    assert_ne!(other.value("SHOW work_mem").await, "7MB");

    assert_eq!(one.value("SELECT pg_try_advisory_lock(5)").await, "t");
    assert_eq!(other.value("SELECT pg_try_advisory_lock(5)").await, "f");
    // It is gone with the session.
    one.send(&tagged(b'X', &[])).await;
    assert!(one.next().await.is_none());
    other.simple("SELECT pg_advisory_lock(5)").await.good();
    let left = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {backend}");
    eventually("its backend is gone", async || front.server.ask(&left).await == ["0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_savepoints_and_cursors() {
    let front = Front::start().await;
    let (mut one, mut other) = two(&front).await;
    one.simple("CREATE TABLE t (n int)").await.good();
    assert_eq!(one.simple("BEGIN").await.status, Some('T'));
    one.simple("INSERT INTO t VALUES (1); SAVEPOINT s; INSERT INTO t VALUES (2)").await.good();
    assert_eq!(other.value("SELECT count(*) FROM t").await, "0");
    assert_eq!(one.simple("SELECT 1/0").await.status, Some('E'));
    assert_eq!(one.simple("ROLLBACK TO s").await.status, Some('T'));
    one.simple("DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 5)").await.good();
    assert_eq!(one.simple("COMMIT").await.status, Some('I'));
    assert_eq!(other.value("SELECT sum(n) FROM t").await, "1");
    assert_eq!(one.simple("FETCH 2 FROM c").await.rows().len(), 2);
    assert_eq!(one.simple("FETCH ALL FROM c").await.rows().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_pipelines_and_several_syncs() {
    let front = Front::start().await;
    let mut one = front.leader("leader-a", 33).await;
    one.simple("CREATE TABLE t (n int)").await.good();

    // A portal is fetched in parts; Flush brings what is there without ending the batch.
    let begin = [extended("BEGIN", &[]), tagged(b'S', &[])].concat();
    one.send(&begin).await;
    assert_eq!(one.answer().await.status, Some('T'));
    let part = [
        parse("series", "SELECT generate_series(1, $1::int)"),
        bind("portal", "series", &["5"]),
        describe(b'P', "portal"),
        execute("portal", 2),
        tagged(b'H', &[]),
    ];
    one.send(&part.concat()).await;
    let mut tags = Vec::new();
    while tags.last() != Some(&b's') {
        tags.push(one.next().await.unwrap().0);
    }
    assert_eq!(tags, *b"12TDDs");
    one.send(&[execute("portal", 0), close(b'P', "portal"), tagged(b'S', &[])].concat()).await;
    let rest = one.answer().await;
    assert_eq!((rest.rows().len(), rest.tags.as_slice()), (3, &["SELECT 3".to_owned()][..]));
    one.simple("COMMIT").await.good();

    // Ten batches at once; the fifth fails, and only it.
    let mut batches = Vec::new();
    for n in 0..10 {
        let value = if n == 4 { "no number".to_owned() } else { n.to_string() };
        batches.extend(extended("INSERT INTO t VALUES ($1::int) RETURNING n", &[&value]));
        batches.extend(tagged(b'S', &[]));
    }
    batches.extend(query("SELECT count(*) FROM t"));
    one.send(&batches).await;
    for n in 0..10 {
        let answer = one.answer().await;
        assert_eq!(answer.code(), if n == 4 { "22P02" } else { "" }, "{answer:?}");
    }
    assert_eq!(one.answer().await.value(), "9");

    // One batch of several statements is one transaction, without BEGIN.
    let several = [
        extended("INSERT INTO t VALUES (100)", &[]),
        extended("SELECT 1/0", &[]),
        extended("INSERT INTO t VALUES (101)", &[]),
        tagged(b'S', &[]),
    ];
    one.send(&several.concat()).await;
    assert_eq!(one.answer().await.code(), "22012");
    assert_eq!(one.value("SELECT count(*) FROM t WHERE n >= 100").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_in_every_way() {
    let front = Front::start().await;
    let mut one = front.leader("leader-a", 33).await;
    one.simple("CREATE TABLE t (n int)").await.good();
    assert_eq!(one.copy_in("COPY t FROM STDIN", "1\n2\n").await.tags, ["COPY 2"]);
    // Several in one message, with something else between them.
    one.send(&query("COPY t FROM STDIN; SELECT 5; COPY t FROM STDIN")).await;
    for n in ["3\n", "4\n"] {
        assert!(one.answer().await.is_copying);
        one.send(&[copy_data(n), tagged(b'c', &[])].concat()).await;
    }
    assert_eq!(one.answer().await.tags, ["COPY 1"]);
    // By the extended protocol; the Sync comes behind the data.
    one.send(&[extended("COPY t FROM STDIN", &[]), tagged(b'H', &[])].concat()).await;
    assert!(one.answer().await.is_copying);
    one.send(&[copy_data("5\n"), tagged(b'c', &[]), tagged(b'S', &[])].concat()).await;
    assert_eq!(one.answer().await.tags, ["COPY 1"]);
    // Its Sync comes before the data, where the server does not count it.
    one.send(&[extended("COPY t FROM STDIN", &[]), tagged(b'S', &[])].concat()).await;
    assert!(one.answer().await.is_copying);
    one.send(&[copy_data("6\n"), tagged(b'c', &[]), tagged(b'S', &[])].concat()).await;
    assert_eq!(one.answer().await.tags, ["COPY 1"]);
    // A COPY that fails takes no more data, and the session goes on.
    one.send(&query("COPY t FROM STDIN")).await;
    assert!(one.answer().await.is_copying);
    one.send(&[copy_data("x\n"), copy_data("7\n"), tagged(b'c', &[])].concat()).await;
    assert_eq!(one.answer().await.code(), "22P02");
    assert_eq!(one.value("SELECT string_agg(n::text, ',' ORDER BY n) FROM t").await, "1,2,3,4,5,6");
    assert_eq!(one.simple("COPY t TO STDOUT").await.copied, b"1\n2\n3\n4\n5\n6\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_session_notifies_another_hears() {
    let front = Front::start().await;
    let (mut one, mut other) = two(&front).await;
    one.simple("LISTEN news").await.good();
    other.simple("NOTIFY news, 'paper'").await.good();
    // It comes by itself, while the listener does nothing.
    assert_eq!(one.next().await.unwrap().0, b'A');
    assert_eq!(one.notifications, [("news".to_owned(), "paper".to_owned())]);
    assert!(one.key.0 != other.key.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_reports_comes_through() {
    let front = Front::start().await;
    let more = [("palisade.token", "33"), ("application_name", "mine"), ("TimeZone", "Asia/Tokyo")];
    let mut one = front.session("leader-a", "app", &more).await.unwrap();
    let mut direct = front.server.session("app").await;
    for name in ["server_version", "server_encoding", "integer_datetimes", "DateStyle"] {
        assert_eq!(one.parameters[name], direct.parameters[name], "{name}");
    }
    assert_eq!(one.parameters["TimeZone"], "Asia/Tokyo");
    one.simple("SET TimeZone = 'UTC'").await.good();
    assert_eq!(one.parameters["TimeZone"], "UTC");
    let long = one.simple("SELECT repeat('x', 3000000)").await.value();
    assert_eq!(long.len(), 3_000_000);
    // The name of the replica is behind the client's own.
    let name = one.value("SHOW application_name").await;
    assert!(name.starts_with("mine") && name.ends_with(" [palisade:rig]"), "{name}");
    one.simple("SET application_name = 'another'").await.good();
    let name = one.value("SHOW application_name").await;
    assert_eq!(name, "another [palisade:rig]");
    // The server never has it without that: somebody may have to find the session by it.
    let both = "SET application_name = 'third'; SELECT current_setting('application_name')";
    assert_eq!(one.value(both).await, "third [palisade:rig]");
    assert_eq!(one.parameters["application_name"], "third");
    let both = ["SET application_name TO fourth", "SELECT current_setting('application_name')"];
    let batch = both.map(|sql| extended(sql, &[]));
    one.send(&[extended("SELECT 4", &[]), batch.concat(), tagged(b'S', &[])].concat()).await;
    assert_eq!(one.answer().await.rows(), [["4"], ["fourth [palisade:rig]"]]);
    one.simple("RESET ALL").await.good();
    let name = one.value("SHOW application_name").await;
    assert!(name.ends_with(" [palisade:rig]"), "{name}");
    assert_eq!(direct.value("SELECT 1").await, "1");
}
