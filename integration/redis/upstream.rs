//! How Palisade gets to the server, and what it says where it does not.

use std::time::Duration;

use crate::rig::eventually;
use crate::rig::redis::{By, Choice, Front, PASSWORD};

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_reached_by_tls_and_by_its_socket() {
    for by in [By::Tls, By::Socket] {
        let front = Front::with(Choice { by, ..Choice::default() }).await;
        let mut old = front.leader("leader-a", 33).await;
        assert_eq!(old.pipe(&["SET a 1", "MULTI", "SET a 2"]).await, ["OK", "OK", "QUEUED"]);
        let sessions = front.server.sessions().await;
        let line = sessions.iter().find(|line| line.contains("cmd=set")).unwrap();
        match by {
            By::Socket => assert!(line.contains("redis.sock"), "{line}"),
            _ => assert!(
                line.contains(&format!("laddr=127.0.0.1:{}", front.server.tls_port)),
                "{line}"
            ),
        }
        let mut next = front.leader("leader-b", 34).await;
        assert!(old.farewell().await.starts_with("-FENCED"));
        assert_eq!(next.pipe(&["GET a", "SET a 3"]).await, ["1", "OK"]);
    }
}

/// A certificate for somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_prove_who_it_is_gets_no_password() {
    let mut front = Front::prepare(&Choice { by: By::Tls, ..Choice::default() }).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let others = crate::rig::Certs::issue(elsewhere.path());
    let upstream = format!("[upstreams.store.tls]\nca = {:?}", front.certs.ca);
    front.edit(&upstream, &format!("[upstreams.store.tls]\nca = {:?}", others.ca));
    front.launch();
    let mut told = String::new();
    eventually("it listens", async || {
        told = front.try_leader("leader-a", 33).await.err().unwrap_or_default();
        told != "CUT"
    })
    .await;
    assert!(told.starts_with("-TRYAGAIN"), "{told}");
    assert_eq!(front.server.ask("ACL LOG").await, "[]");
    let log = front.palisade().everything();
    assert!(log.contains("certificate"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_to_the_operator_and_to_nobody_else() {
    let mut front = Front::prepare(&Choice::default()).await;
    std::fs::write(front.dir().join("redis-password"), "not-this-one\n").unwrap();
    front.launch();
    let mut told = String::new();
    eventually("it listens", async || {
        told = front.try_leader("leader-a", 33).await.err().unwrap_or_default();
        told != "CUT"
    })
    .await;
    assert!(told.starts_with("-NOPERM"), "{told}");
    let everything = front.palisade().everything();
    assert!(everything.contains("password"), "{everything}");
    assert!(
        everything.contains("WRONGPASS") || everything.contains("password_file"),
        "{everything}"
    );
    for text in [&told, &everything] {
        assert!(!text.contains("not-this-one") && !text.contains(PASSWORD), "{text}");
    }
    // The file is mended, and it goes on after a start; the line's end does not belong to it.
    std::fs::write(front.dir().join("redis-password"), format!("{PASSWORD}\n")).unwrap();
    front.palisade().kill();
    front.run().await;
    assert_eq!(front.leader("leader-a", 33).await.say("SET a 1").await, "OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acl_user_is_enough() {
    // What docs/redis.md says that it needs is all that it has; the default user is off.
    let server = "user palisade on >acl-secret ~* &* +@all\n";
    let edits = vec![("password_file", "user = \"palisade\"\npassword_file".into())];
    let mut front = Front::prepare(&Choice { server, edits, ..Choice::default() }).await;
    std::fs::write(front.dir().join("redis-password"), "acl-secret").unwrap();
    front.run().await;
    let mut old = front.leader("leader-a", 33).await;
    assert_eq!(old.say("SET a 1").await, "OK");
    let sessions = front.server.sessions().await;
    assert!(
        !sessions.is_empty() && sessions.iter().all(|line| line.contains("user=palisade")),
        "{sessions:?}"
    );
    // Out of RESET it is the same user.
    assert_eq!(old.pipe(&["RESET", "AUTH token=33 x", "INCR a"]).await, ["RESET", "OK", ":2"]);
    old.tell("BLPOP q 0").await;
    front.server.has_client("cmd=blpop").await;
    let _next = front.leader("leader-b", 34).await;
    assert!(old.farewell().await.starts_with("-FENCED"));
}

/// Without CLIENT KILL nobody can be made sure to have ended; so nobody begins.
#[tokio::test(flavor = "multi_thread")]
async fn an_acl_user_that_may_not_kill_lets_no_leader_follow() {
    let server = "user palisade on >acl-secret ~* &* +@all -client|kill -client|unblock\n";
    let edits = vec![
        ("password_file", "user = \"palisade\"\npassword_file".into()),
        ("takeover_timeout = \"10s\"", "takeover_timeout = \"2s\"".into()),
    ];
    let mut front = Front::prepare(&Choice { server, edits, ..Choice::default() }).await;
    std::fs::write(front.dir().join("redis-password"), "acl-secret").unwrap();
    front.run().await;
    let mut old = front.leader("leader-a", 33).await;
    old.tell("BLPOP q 0").await;
    front.server.has_client("cmd=blpop").await;
    let told = front.try_leader("leader-b", 34).await.err().expect("it is not let in");
    assert!(told.starts_with("-TRYAGAIN"), "{told}");
    let log = front.palisade().everything();
    assert!(log.contains("NOPERM") || log.contains("permission"), "{log}");
    // Mended while it runs.
    assert_eq!(front.server.ask("ACL SETUSER palisade +client|kill +client|unblock").await, "OK");
    let let_in = async || front.try_leader("leader-b", 34).await.is_ok();
    eventually("it is let in", let_in).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_full_says_so_and_the_takeover_goes_on() {
    let choice = Choice { server: "maxclients 12\n", ..Choice::default() };
    let front = Front::with(choice).await;
    let mut next = front.session("leader-b").await;
    assert_eq!(next.say("PING").await, "PONG");
    let mut all = Vec::new();
    let told = loop {
        match front.try_leader("leader-a", 33).await {
            Ok(wire) => all.push(wire),
            Err(told) => break told,
        }
        assert!(all.len() < 12, "it is not full");
    };
    assert!(told.starts_with("-TRYAGAIN"), "{told}");
    all[0].tell("BLPOP q 0").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(next.pipe(&["AUTH token=34 x", "RPUSH q 1", "LLEN q"]).await, ["OK", ":1", ":1"]);
    for old in &mut all {
        assert!(old.farewell().await.starts_with("-FENCED"));
    }
}

/// The server has bounds of its own, and says so before the end of a command.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_takes_no_more_of_is_told_in_its_words() {
    let choice = Choice { server: "proto-max-bulk-len 1mb\ntimeout 1\n", ..Choice::default() };
    let mut front = Front::with(choice).await;
    let mut one = front.leader("leader-a", 33).await;
    assert_eq!(one.pipe(&["SET a 1", "INCR a"]).await, ["OK", ":2"]);
    let large = "x".repeat(3 << 20);
    one.send(&crate::rig::redis::command(&["SET", "a", &large])).await;
    let told = one.hear().await;
    assert!(told.starts_with("-ERR Protocol error"), "{told}");
    let told = one.farewell().await;
    assert!(told == "CUT" || told.starts_with("-TRYAGAIN"), "{told}");
    // Nobody is there for too long; Palisade's own connection is.
    let mut idle = front.leader("leader-a", 33).await;
    assert_eq!(idle.say("GET a").await, "2");
    let told = idle.farewell().await;
    assert!(told == "CUT" || told.starts_with("-TRYAGAIN"), "{told}");
    let mut next = front.leader("leader-b", 34).await;
    assert_eq!(next.say("INCR a").await, ":3");
    let everything = front.palisade().everything();
    assert!(!everything.contains("panicked"), "{everything}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_refused_with_a_word() {
    let choice = Choice { server: "cluster-enabled yes\n", ..Choice::default() };
    let mut front = Front::prepare(&choice).await;
    front.launch();
    let mut told = String::new();
    eventually("it says so", async || {
        told = front.try_leader("leader-a", 33).await.err().unwrap_or_default();
        let log = front.palisade().everything().to_lowercase();
        told != "CUT" && log.contains("cluster")
    })
    .await;
    assert!(told.starts_with('-'), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_no_place_for_a_leader() {
    let mut front = Front::prepare(&Choice::default()).await;
    let replica = front.server.replica().await;
    front.edit(&format!("127.0.0.1:{}", front.server.port), &format!("127.0.0.1:{}", replica.port));
    front.launch();
    let mut told = String::new();
    eventually("it says so", async || {
        told = front.try_leader("leader-a", 33).await.err().unwrap_or_default();
        told != "CUT" && told.starts_with("-TRYAGAIN")
    })
    .await;
    // It becomes one.
    assert_eq!(replica.ask("REPLICAOF NO ONE").await, "OK");
    let let_in = async || match front.try_leader("leader-a", 33).await {
        Ok(mut wire) => wire.say("SET a 1").await == "OK",
        Err(_) => false,
    };
    eventually("a leader gets in", let_in).await;
}
