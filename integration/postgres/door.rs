//! The first bytes of a connection, versions, and messages that are none.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::postgres::{
    Choice, Front, Told, VERSION_3_0, Wire, connect_directly, connect_without_a_word, query,
    startup, tagged, untagged,
};

const PARAMETERS: [(&str, &str); 3] =
    [("user", "app"), ("database", "app"), ("palisade.token", "33")];
const GSS_REQUEST: u32 = 80_877_104;
const SSL_REQUEST: u32 = 80_877_103;

async fn raw(front: &Front) -> Wire {
    Wire::raw(front.door("leader-a").tls(front.address).await.unwrap())
}

/// What a connection says and then ends; `None` where it ends without a word.
async fn last_word(mut wire: Wire) -> Option<Told> {
    let answer = wire.answer().await;
    assert_eq!(answer.status, None, "it goes on: {answer:?}");
    answer.errors.last().cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_nobody_gets_in() {
    let front = Front::start().await;
    let mut plain = Wire::raw(Box::new(TcpStream::connect(front.address).await.unwrap()));
    plain.send(&startup(VERSION_3_0, &PARAMETERS)).await;
    let told = last_word(plain).await.unwrap();
    assert_eq!((told.code(), told.severity()), ("28000", "FATAL"), "{told:?}");
    assert!(!told.hint().is_empty(), "{told:?}");

    // GSS is declined, and TLS may be asked for after that.
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    for (request, expected) in [(GSS_REQUEST, b'N'), (SSL_REQUEST, b'S')] {
        stream.write_all(&untagged(&request.to_be_bytes())).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), expected);
    }
    // What is no start of anything ends, and takes nobody with it.
    for bytes in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0, 0, 0, 3], &[0xff; 64]] {
        let mut wire = Wire::raw(Box::new(TcpStream::connect(front.address).await.unwrap()));
        wire.send(bytes).await;
        last_word(wire).await;
    }
    assert_eq!(front.leader("leader-a", 33).await.value("SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_negotiated() {
    let front = Front::start().await;
    let mut newest = raw(&front).await;
    newest.send(&startup(VERSION_3_0 + 2, &PARAMETERS)).await;
    newest.answer().await.good();
    assert!(newest.key.1.len() > 4, "the key of 3.2 is longer: {} bytes", newest.key.1.len());
    newest.send(&query("SELECT pg_sleep(20)")).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    front.cancel("leader-a", &newest.key).await;
    assert_eq!(newest.answer().await.code(), "57014");

    for (version, more) in [(VERSION_3_0 + 99, None), (VERSION_3_0, Some(("_pq_.new", "1")))] {
        let mut wire = raw(&front).await;
        let parameters: Vec<_> = PARAMETERS.into_iter().chain(more).collect();
        wire.send(&startup(version, &parameters)).await;
        let (tag, body) = wire.next().await.unwrap();
        assert_eq!(tag, b'v', "{version} {more:?}");
        assert!(body.ends_with(b"_pq_.new\0") == more.is_some(), "{body:?}");
        wire.answer().await.good();
        assert_eq!(wire.value("SELECT 1").await, "1");
    }
    let mut old = raw(&front).await;
    old.send(&startup(2 << 16, &PARAMETERS)).await;
    assert_eq!(last_word(old).await.unwrap().severity(), "FATAL");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_ends_the_session_with_a_word() {
    let front = Front::start().await;
    let mut short = tagged(b'Q', b"");
    short[4] = 3;
    let mut long = tagged(b'Q', b"");
    long[1] = 0x7f;
    let cases: &[(&str, Vec<u8>)] = &[
        ("an unknown tag", tagged(b'z', b"")),
        ("a message of the server", tagged(b'Z', b"I")),
        ("a length below four", short),
        ("a length of two gigabytes", long),
        ("a long Sync", tagged(b'S', &[0; 100_000])),
    ];
    for (name, bytes) in cases {
        let mut session = front.leader("leader-a", 33).await;
        session.simple("CREATE TABLE IF NOT EXISTS t (n int)").await.good();
        session.simple("BEGIN; INSERT INTO t VALUES (1)").await.good();
        session.send(bytes).await;
        let told = session.farewell().await;
        assert_eq!((told.code(), told.severity()), ("08P01", "FATAL"), "{name}: {told:?}");
    }
    // Their transactions are gone with them.
    let mut next = front.leader("leader-b", 34).await;
    assert_eq!(next.value("SELECT count(*) FROM t").await, "0");
    // A start that is too long.
    let mut wire = raw(&front).await;
    let long = "x".repeat(20_000);
    wire.send(&startup(VERSION_3_0, &[("user", "app"), ("application_name", &long)])).await;
    last_word(wire).await;
    let mut wire = raw(&front).await;
    wire.send(&startup(VERSION_3_0, &[("database", "app")])).await;
    assert_eq!(last_word(wire).await.unwrap().severity(), "FATAL");
}

#[tokio::test(flavor = "multi_thread")]
async fn replication_is_let_in_only_where_the_rule_says_so() {
    let parameters = |token| [("replication", "database"), ("palisade.token", token)];
    let front = Front::start().await;
    let told = front.session("leader-a", "app", &parameters("33")).await.err().unwrap();
    assert_eq!(told.severity(), "FATAL", "{told:?}");

    let edits = vec![(
        "resource = \"pg/{database}\"\n",
        "resource = \"pg/{database}\"\nreplication = true\n".into(),
    )];
    let front = Front::with(Choice { edits, ..Choice::default() }).await;
    front.server.ask("ALTER ROLE app REPLICATION").await;
    let mut session = front.session("leader-a", "app", &parameters("33")).await.unwrap();
    assert_eq!(session.simple("IDENTIFY_SYSTEM").await.rows().len(), 1);
    let _next = front.leader("leader-b", 34).await;
    let told = session.farewell().await;
    assert_eq!(told.code(), "PF001", "{told:?}");
}

/// Who begins with TLS has to say what it speaks, or could have been led here by somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn tls_at_once_needs_a_word_on_what_is_spoken() {
    let front = Front::start().await;
    let door = front.door("leader-a");
    let silent = connect_without_a_word(&door, front.address).await;
    // In TLS 1.3 the client's own handshake is done before the server's refusal comes.
    if let Ok(stream) = silent {
        assert!(Wire::open(stream, &PARAMETERS).await.is_err(), "it was let in");
    }
    let stream = connect_directly(&door, front.address).await.unwrap();
    assert_eq!(Wire::open(stream, &PARAMETERS).await.unwrap().value("SELECT 1").await, "1");
}

/// A connection that is cut in the middle of a transaction leaves nothing at the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_leader_is_cut_and_its_transaction_undone() {
    let mut front = Front::start().await;
    let mut a = front.leader("leader-a", 33).await;
    a.simple("CREATE TABLE t (n int); INSERT INTO t VALUES (1)").await.good();
    a.simple("BEGIN; UPDATE t SET n = 2").await.good();
    front.certs.revoke("leader-a");
    front.palisade().reload();
    let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'";
    crate::rig::eventually("its backend is gone", async || front.server.ask(left).await == ["0"])
        .await;
    let mut b = front.leader("leader-b", 34).await;
    b.simple("UPDATE t SET n = n + 10").await.good();
    assert_eq!(b.value("SELECT n FROM t").await, "11");
}
