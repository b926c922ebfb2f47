//! `kill -9`, SIGSTOP and SIGTERM of Palisade, of clients and of the server; starts on the same
//! ledger.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::rig::redis::{Choice, Front, Relay, words};
use crate::rig::{Process, eventually};

/// Palisade before a server, with a network between them that fails.
async fn far() -> (Front, Relay) {
    let mut front = Front::prepare(&Choice::default()).await;
    let relay = Relay::start(([127, 0, 0, 1], front.server.port).into()).await;
    front.edit(&format!("127.0.0.1:{}", front.server.port), &relay.address.to_string());
    front.run().await;
    (front, relay)
}

/// Its machine is gone, and nobody tells the server; what it had sent arrives much later.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_palisade_left_is_ended_before_the_first_raise() {
    let (mut front, relay) = far().await;
    let mut late = front.leader("leader-a", 33).await;
    assert_eq!(late.say("SET a old").await, "OK");
    let mut waits = front.leader("leader-a", 33).await;
    waits.tell("BLPOP q 0").await;
    front.server.has_client("cmd=blpop").await;
    let mut queued = front.leader("leader-a", 33).await;
    assert_eq!(queued.pipe(&["MULTI", "SET a queued"]).await, ["OK", "QUEUED"]);
    relay.hold();
    late.tell("SET a late").await;
    queued.tell("EXEC").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    front.palisade().kill();
    assert_eq!(late.hear().await, "CUT");
    // The server knows nothing of all that.
    let left = front.server.sessions().await;
    assert_eq!(left.len(), 3, "{left:?}");
    front.run().await;
    let left = front.server.sessions().await;
    assert_eq!(left.len(), 0, "they are still there: {left:?}");

    let mut next = front.leader("leader-b", 34).await;
    assert_eq!(next.pipe(&["GET a", "SET a new", "RPUSH q 1"]).await, ["old", "OK", ":1"]);
    relay.release();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(next.pipe(&["GET a", "LLEN q"]).await, ["new", ":1"]);
    // The mark is what it was.
    assert!(front.try_leader("leader-a", 33).await.err().unwrap().starts_with("-FENCED"));
}

/// The server still has bytes to read of a Palisade that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_has_not_read_yet_does_not_land_after_the_next_leader() {
    let mut front = Front::start().await;
    let mut old = front.leader("leader-a", 33).await;
    assert_eq!(old.say("RPUSH l first").await, ":1");
    front.server.process.freeze();
    old.send(&words("RPUSH l old").repeat(50)).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    front.palisade().kill();
    front.launch();
    // It may not be ready before the server answers.
    tokio::time::sleep(Duration::from_millis(500)).await;
    front.server.process.thaw();
    front.ready().await;
    let mut next = None;
    eventually("the next leader gets in", async || {
        next = front.try_leader("leader-b", 34).await.ok();
        next.is_some()
    })
    .await;
    let mut next = next.unwrap();
    next.say("RPUSH l new").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(next.say("LINDEX l -1").await, "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_ends_what_bears_its_name_and_nothing_else() {
    let mut front = Front::start().await;
    front.palisade().kill();
    let mut own = front.server.session().await;
    let mut another = front.server.session().await;
    let mut sounds = front.server.session().await;
    let names = [
        (&mut own, "x|palisade:rig"),
        (&mut another, "x|palisade:other"),
        (&mut sounds, "x|palisade:rig2"),
    ];
    for (session, name) in names {
        assert_eq!(session.say(&format!("CLIENT SETNAME {name}")).await, "OK");
    }
    front.run().await;
    assert_eq!(own.hear().await, "CUT");
    assert_eq!([another.say("PING").await, sounds.say("PING").await], ["PONG", "PONG"]);
    assert_eq!(front.leader("leader-a", 33).await.say("SET a 1").await, "OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_end_tells_the_sessions_and_leaves_nothing() {
    let mut front = Front::start().await;
    let mut idle = front.leader("leader-a", 33).await;
    let mut open = front.leader("leader-a", 33).await;
    assert_eq!(open.pipe(&["SET a 1", "MULTI", "SET a 5"]).await[2], "QUEUED");
    let mut waits = front.leader("leader-a", 33).await;
    waits.tell("BLPOP q 0").await;
    front.server.has_client("cmd=blpop").await;
    let begun = Instant::now();
    front.palisade().terminate();
    for session in [&mut idle, &mut open, &mut waits] {
        let told = session.farewell().await;
        // Who waits for nothing need not hear of it: it would be taken for the next answer.
        assert!(told.starts_with("-TRYAGAIN") || told == "CUT", "{told}");
    }
    front.palisade().wait(Duration::from_secs(40));
    println!("it took {:?} to end", begun.elapsed());
    let gone = async || !front.server.ask("CLIENT LIST").await.contains("palisade");
    eventually("no session is left", gone).await;
    assert_eq!(front.server.ask("RPUSH q 1").await, ":1");
    assert_eq!(front.server.ask("LLEN q").await, ":1");
    assert_eq!(front.server.ask("GET a").await, "1");
    front.run().await;
    let begun = Instant::now();
    let mut next = front.leader("leader-b", 34).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "it waited {:?}", begun.elapsed());
    assert_eq!(next.say("GET a").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_palisade_goes_on_where_it_was() {
    let mut front = Front::start().await;
    let mut old = front.leader("leader-a", 33).await;
    assert_eq!(old.pipe(&["SET a 1", "MULTI", "SET a 5"]).await, ["OK", "OK", "QUEUED"]);
    front.palisade().freeze();
    old.tell("EXEC").await;
    let (door, address) = (front.door("leader-b"), front.address);
    let leader = tokio::spawn(async move {
        let mut wire = crate::rig::redis::Wire::raw(door.tls(address).await.unwrap());
        assert_eq!(wire.say("AUTH token=34 x").await, "OK");
        wire
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!leader.is_finished(), "nobody can have let it in");
    front.palisade().thaw();
    let mut next = leader.await.unwrap();
    // Whichever came first: what the old leader was told is what the new one finds.
    let found = next.say("GET a").await;
    let told = old.hear().await;
    match told.split(' ').next().unwrap() {
        "-FENCED" => assert_eq!(found, "1"),
        _ => assert_eq!((told.as_str(), found.as_str()), ("[OK]", "5")),
    }
    assert!(old.farewell().await.len() >= 3);
    assert!(next.say("INCR a").await.starts_with(':'));
}

/// A leader whose process is stopped, for long enough to lose its lease, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_leader_that_wakes_up_writes_nothing() {
    let front = Front::start().await;
    let mut command = Command::new("redis-cli");
    let door = front.door("leader-a");
    command.args(["-h", "localhost", "-p", &front.address.port().to_string(), "--tls"]);
    command.arg("--cacert").arg(door.ca).arg("--cert").arg(door.chain).arg("--key").arg(door.key);
    command.args(["--user", "token=33", "--pass", "x", "--no-auth-warning"]);
    command.args(["-r", "100000", "-i", "0.01", "INCR", "n"]);
    let mut old = Process::start(&mut command, "leader", front.dir());
    let counts = async || front.server.ask("GET n").await.parse::<u32>().is_ok_and(|n| n > 5);
    eventually("it counts", counts).await;
    old.freeze();
    let mut next = front.leader("leader-b", 34).await;
    let found = next.say("GET n").await;
    assert_eq!(next.say("SET m 1").await, "OK");
    old.thaw();
    let told = async || old.everything().contains("FENCED");
    eventually("it is told", told).await;
    assert_eq!(next.say("GET n").await, found);
    old.terminate();
    old.wait(Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_waited_for_without_a_raise() {
    let mut front = Front::start().await;
    let mut old = front.leader("leader-a", 33).await;
    assert_eq!(old.pipe(&["SET a 1", "MULTI"]).await, ["OK", "OK"]);
    front.server.kill();
    let told = old.farewell().await;
    assert!(told.starts_with("-TRYAGAIN"), "{told}");
    // While it is away: what may be tried again.
    let told = front.try_leader("leader-a", 33).await.err();
    assert!(told.as_ref().is_none_or(|told| told.starts_with("-TRYAGAIN")), "{told:?}");
    let mut reader = front.session("reader").await;
    let told = reader.say("GET a").await;
    assert!(told.starts_with("-TRYAGAIN"), "{told}");
    front.palisade().kill();
    front.launch();
    let mut told = None;
    eventually("it listens", async || {
        told = front.try_leader("leader-b", 34).await.err();
        told.as_ref().is_some_and(|told| told != "CUT")
    })
    .await;
    assert!(told.as_ref().unwrap().starts_with("-TRYAGAIN"), "{told:?}");
    front.server.start_again();
    let let_in = async || match front.try_leader("leader-b", 34).await {
        Ok(mut wire) => wire.say("SET a 2").await == "OK",
        Err(_) => false,
    };
    eventually("a leader gets in", let_in).await;
}

/// Its connection is lost while what it has sent is on its way, and it comes back with the same
/// token: what it reads then is what stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_comes_back_does_not_meet_what_it_has_sent_before() {
    let (front, relay) = far().await;
    let mut old = front.leader("leader-a", 33).await;
    assert_eq!(old.say("SET n 1").await, "OK");
    relay.hold();
    old.send(&words("INCR n").repeat(3)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(old);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let released = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        relay.release();
        relay
    });
    let mut again = front.leader("leader-a", 33).await;
    let found = again.say("GET n").await;
    let _relay = released.await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(again.say("GET n").await, found, "something came after it had looked");
}
