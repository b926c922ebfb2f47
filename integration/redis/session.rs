//! One client connection is one connection to the server.

use std::time::Duration;

use crate::rig::redis::{CUT, Front, words};

const A_WHILE: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_named_and_clients_see_their_own_name() {
    let front = Front::start().await;
    let mut one = front.leader("leader-a", 33).await;
    assert_eq!(
        one.say("CLIENT GETNAME").await,
        front.server.session().await.say("CLIENT GETNAME").await
    );
    let id = one.say("CLIENT ID").await;
    let line = async |what: &str| {
        let sessions = front.server.sessions().await;
        let ours = sessions.iter().find(|line| line.contains(&format!("id={} ", &id[1..])));
        let ours = ours.unwrap_or_else(|| panic!("no {id} in {sessions:?}")).clone();
        assert!(ours.contains(&format!(" name={what}|palisade:rig ")), "{what} is not in {ours}");
    };
    line("").await;
    assert_eq!(one.say("CLIENT SETNAME mine").await, "OK");
    line("mine").await;
    assert_eq!(one.say("CLIENT GETNAME").await, "mine");
    let hello = one.call(&["HELLO", "3", "SETNAME", "another"]).await;
    assert_eq!(hello.under("proto").unwrap().to_string(), ":3");
    line("another").await;
    assert_eq!(one.say("CLIENT GETNAME").await, "another");
    // What could not be found any more, or be taken for another's, is refused.
    for name in ["a b", &"x".repeat(129), "line\nbreak"] {
        let told = one.call(&["CLIENT", "SETNAME", name]).await.to_string();
        assert!(told.starts_with('-'), "{name:?}: {told}");
        assert_eq!(one.say("CLIENT GETNAME").await, "another");
    }
    line("another").await;
    assert_eq!(one.say(&format!("CLIENT SETNAME {}", "x".repeat(128))).await, "OK");
    line(&"x".repeat(128)).await;
    // As somebody who means to be left by another replica.
    one.say("CLIENT SETNAME x|palisade:other").await;
    let sessions = front.server.sessions().await;
    assert!(sessions.iter().all(|line| line.contains("|palisade:rig ")), "{sessions:?}");
    // Without a name again.
    assert_eq!(one.say("CLIENT SETNAME ''").await, "OK");
    line("").await;
    assert_eq!(one.say("RESET").await, "RESET");
    line("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_in_order_with_refusals_between_them() {
    let front = Front::start().await;
    let mut one = front.leader("leader-a", 33).await;
    let refused =
        ["CLIENT REPLY OFF", "CLIENT REPLY SKIP", "SYNC", "PSYNC ? -1", "ASKING", "CONFIG GET *"];
    let mut lines = Vec::new();
    for line in refused {
        lines.extend(["INCR n", line, "GET n"]);
    }
    lines.extend([
        "MONITOR",
        "SHUTDOWN NOSAVE",
        "REPLICAOF NO ONE",
        "DEBUG SLEEP 0",
        "PALISADE NOSUCH",
    ]);
    let answers = one.pipe(&lines).await;
    for (index, three) in answers[..refused.len() * 3].chunks(3).enumerate() {
        assert_eq!((&three[0], &three[2]), (&format!(":{}", index + 1), &format!("{}", index + 1)));
        assert!(three[1].starts_with('-'), "{}: {three:?}", refused[index]);
    }
    for (line, told) in lines[refused.len() * 3..].iter().zip(&answers[refused.len() * 3..]) {
        assert!(told.starts_with('-'), "{line}: {told}");
    }
    assert!(one.is_silent(A_WHILE).await, "something more came");
    assert_eq!(one.say("GET n").await, "6");
    assert_eq!(front.server.ask("CONFIG GET maxmemory").await, "[maxmemory, 0]");
    // What turns nothing off goes on.
    assert_eq!(one.say("CLIENT REPLY ON").await, "OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn quit_ends_it_and_what_is_behind_is_not_done() {
    let front = Front::start().await;
    let mut one = front.leader("leader-a", 33).await;
    let lines = ["SET a 1", "QUIT", "SET a 2"];
    one.send(&lines.map(words).concat()).await;
    assert_eq!([one.hear().await, one.hear().await, one.hear().await], ["OK", "OK", CUT]);
    // What was queued is forgotten with it.
    let mut queued = front.leader("leader-a", 33).await;
    assert_eq!(queued.pipe(&["MULTI", "SET a 3", "QUIT"]).await, ["OK", "QUEUED", "OK"]);
    assert_eq!(queued.hear().await, CUT);
    assert_eq!(front.server.ask("GET a").await, "1");
    // A client that has said all and closes its side is answered.
    let mut two = front.leader("leader-a", 33).await;
    two.send(&words("INCR a")).await;
    two.half_close().await;
    assert_eq!([two.hear().await, two.hear().await], [":2", CUT]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_forgets_all_that_the_session_was() {
    let front = Front::start().await;
    let mut one = front.leader("leader-a", 33).await;
    one.call(&["HELLO", "3", "SETNAME", "mine"]).await;
    assert_eq!(one.pipe(&["SELECT 1", "CLIENT TRACKING on", "WATCH a", "MULTI"]).await, ["OK"; 4]);
    one.tell("SET a 1").await;
    assert_eq!(one.hear().await, "QUEUED");
    assert_eq!(one.say("RESET").await, "RESET");
    assert_eq!(one.say("GET a").await, "nil");
    assert_eq!(
        one.say("CLIENT GETNAME").await,
        front.server.session().await.say("CLIENT GETNAME").await
    );
    assert!(one.call(&["HELLO"]).await.to_string().contains("proto, :2"), "it speaks RESP3");
    // As after AUTH at the server itself, the token is to be brought again.
    let told = one.say("SET a 1").await;
    assert!(told.starts_with("-NOTOKEN"), "{told}");
    assert_eq!(one.pipe(&["AUTH token=33 x", "SET a 1", "GET a"]).await, ["OK", "OK", "1"]);
    assert_eq!(front.server.ask("GET a").await, "1");
    // Out of subscriptions, too.
    assert_eq!(one.say("SUBSCRIBE c").await, "[subscribe, c, :1]");
    assert_eq!(one.pipe(&["RESET", "GET a"]).await, ["RESET", "1"]);
    assert_eq!(front.server.ask("PUBSUB NUMSUB c").await, "[c, :0]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_sees_what_others_do() {
    let front = Front::start().await;
    let mut one = front.leader("leader-a", 33).await;
    assert_eq!(one.pipe(&["WATCH a", "MULTI", "SET a 1"]).await, ["OK", "OK", "QUEUED"]);
    assert_eq!(front.server.ask("SET a 2").await, "OK");
    assert_eq!(one.say("EXEC").await, "nil");
    assert_eq!(one.say("GET a").await, "2");
    // Of the same leader, by another connection.
    let mut two = front.leader("leader-a", 33).await;
    assert_eq!(one.pipe(&["WATCH a", "GET a"]).await, ["OK", "2"]);
    assert_eq!(two.say("INCR a").await, ":3");
    assert_eq!(one.pipe(&["MULTI", "SET a 9", "EXEC", "GET a"]).await[2..], ["nil", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_come_while_the_client_does_nothing() {
    let front = Front::start().await;
    let mut two = front.leader("leader-a", 33).await;
    for protocol in ["2", "3"] {
        let mut one = front.session("reader").await;
        one.call(&["HELLO", protocol]).await;
        one.tell("SUBSCRIBE news").await;
        let subscribed = one.next().await.unwrap().to_string();
        assert!(subscribed.ends_with("[subscribe, news, :1]"), "{subscribed}");
        for n in 0..3 {
            assert_eq!(two.say(&format!("PUBLISH news {n}")).await, ":1");
            let came = one.next().await.unwrap().to_string();
            assert!(came.ends_with(&format!("[message, news, {n}]")), "{came}");
        }
        // Leaves, and is an ordinary session again.
        one.tell("UNSUBSCRIBE news").await;
        let left = one.next().await.unwrap().to_string();
        assert!(left.ends_with("[unsubscribe, news, :0]"), "{left}");
        assert_eq!(two.say("PUBLISH news none").await, ":0");
        assert_eq!(one.pipe(&["GET a", "PING"]).await, ["nil", "PONG"]);
        assert!(one.is_silent(A_WHILE).await);
    }
    // Invalidations.
    let mut one = front.session("reader").await;
    one.call(&["HELLO", "3"]).await;
    assert_eq!(one.pipe(&["CLIENT TRACKING on", "GET a"]).await, ["OK", "nil"]);
    assert_eq!(two.say("SET a 1").await, "OK");
    assert_eq!(one.next().await.unwrap().to_string(), ">[invalidate, [a]]");
    // By RESP2 to another connection, which has to be the same client's.
    let mut heard = front.session("reader").await;
    let id = heard.say("CLIENT ID").await;
    heard.tell("SUBSCRIBE __redis__:invalidate").await;
    assert!(heard.hear().await.contains("subscribe"));
    let mut tracking = front.session("reader").await;
    let redirect = format!("CLIENT TRACKING on REDIRECT {}", &id[1..]);
    assert_eq!(tracking.pipe(&[&redirect, "GET a"]).await, ["OK", "1"]);
    assert_eq!(two.say("SET a 2").await, "OK");
    assert_eq!(heard.hear().await, "[message, __redis__:invalidate, [a]]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_a_client_is_one_at_the_server_and_ends_with_it() {
    let front = Front::start().await;
    assert_eq!(front.server.sessions().await.len(), 0);
    let mut sessions = Vec::new();
    for _ in 0..5 {
        let mut session = front.leader("leader-a", 33).await;
        assert_eq!(session.say("PING").await, "PONG");
        sessions.push(session);
    }
    assert_eq!(front.server.sessions().await.len(), 5);
    // One waits, one is in a transaction, one has subscribed.
    sessions[0].tell("BLPOP q 0").await;
    front.server.has_client("cmd=blpop").await;
    assert_eq!(sessions[1].pipe(&["MULTI", "SET a 1"]).await, ["OK", "QUEUED"]);
    assert_eq!(sessions[2].say("SUBSCRIBE c").await, "[subscribe, c, :1]");
    drop(sessions);
    let gone = async || front.server.sessions().await.is_empty();
    crate::rig::eventually("they are gone", gone).await;
    assert_eq!(front.server.ask("RPUSH q 1").await, ":1");
    assert_eq!(front.server.ask("LLEN q").await, ":1");
    assert_eq!(front.server.ask("GET a").await, "nil");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_told_before_the_end() {
    let front = Front::start().await;
    // No token: each is refused by Palisade itself, and then the client says no more.
    let mut one = front.session("leader-a").await;
    one.send(&words("SET a 1").repeat(3)).await;
    one.half_close().await;
    for _ in 0..3 {
        let told = one.hear().await;
        assert!(told.starts_with("-NOTOKEN"), "{told}");
    }
    assert_eq!(one.hear().await, CUT);
    // What is no protocol ends it behind what was said before.
    let mut two = front.leader("leader-a", 33).await;
    let lines = [words("SET a 1"), words("SYNC"), b"*1\r\n!bad\r\n".to_vec()].concat();
    two.send(&lines).await;
    assert_eq!(two.hear().await, "OK");
    assert!(two.hear().await.starts_with("-NOPERM"));
    assert!(two.hear().await.starts_with("-ERR"));
}
