//! Who gets in, and bytes that are no commands.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::redis::{CUT, Choice, Front, Layout, Wire, command, words};
use crate::rig::{Certs, Duplex};

/// Whether a connection ends without having answered anything.
async fn ends_without_an_answer(stream: Result<Box<dyn Duplex>, String>) -> bool {
    // In TLS 1.3 the client's own handshake is done before the server's refusal comes.
    let Ok(mut stream) = stream else { return true };
    let _ = stream.write_all(&words("GET a")).await;
    let mut rest = Vec::new();
    let reading = stream.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(15), reading).await.is_ok() && rest.is_empty()
}

fn is_protocol_error(told: &str) -> bool {
    told.starts_with("-ERR ") && told.to_lowercase().contains("protocol error: ")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_certificate_does_not_get_in() {
    let mut front = Front::start().await;
    assert!(ends_without_an_answer(front.door("leader-a").anonymous(front.address).await).await);
    // Of another authority.
    let elsewhere = tempfile::tempdir().unwrap();
    let others = Certs::issue(elsewhere.path());
    let mut door = front.door("leader-a");
    (door.chain, door.key) = others.of("leader-a");
    assert!(ends_without_an_answer(door.tls(front.address).await).await);
    // In the clear.
    let plain = TcpStream::connect(front.address).await.unwrap();
    let mut plain = Box::new(plain);
    plain.write_all(&words("SET a 1")).await.unwrap();
    let mut rest = Vec::new();
    let reading = plain.read_to_end(&mut rest);
    let _ = tokio::time::timeout(Duration::from_secs(15), reading).await.expect("it ends");
    assert!(!rest.starts_with(b"+"), "{rest:?}");
    assert_eq!(front.server.sessions().await.len(), 0);
    // One that is revoked loses what it has.
    let mut a = front.leader("leader-a", 33).await;
    assert_eq!(a.pipe(&["SET a 1", "MULTI", "SET a 2"]).await, ["OK", "OK", "QUEUED"]);
    front.certs.revoke("leader-a");
    front.palisade().reload();
    a.farewell().await;
    assert!(ends_without_an_answer(front.door("leader-a").tls(front.address).await).await);
    assert_eq!(front.server.ask("GET a").await, "1");
    assert_eq!(front.leader("leader-b", 34).await.say("GET a").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_command_ends_the_session_with_a_word() {
    let front = Front::start().await;
    assert_eq!(front.server.ask("SET a old").await, "OK");
    let long = format!("SET a {}", "x".repeat(70_000));
    // What is sent, and what the word has to say.
    let cases: &[(&[u8], &[&str])] = &[
        (b"*x\r\n", &["x"]),
        (b"*-2\r\n", &[]),
        (b"*+1\r\n$4\r\nPING\r\n", &[]),
        (b"*01\r\n$4\r\nPING\r\n", &[]),
        (b"*1048577\r\n", &["1048576"]),
        (b"*99999999999999999999999\r\n", &[]),
        (b"*2147483647\r\n$3\r\nDEL\r\n", &["1048576"]),
        (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$x\r\n", &[]),
        (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$-1\r\n", &[]),
        (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n:5\r\n", &["$"]),
        (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870913\r\n", &["536870912"]),
        (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3\r\nnewxx", &[]),
        (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$03\r\nnew\r\n", &[]),
        (b"*3\n$3\nSET\n$1\na\n$3\nnew\n", &[]),
        (b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", &["$"]),
        (b"SET a \"new\r\n", &["quote"]),
        (b"SET a 'new' 'x\r\n", &["quote"]),
        (b"SET a \"new\"x\r\n", &["quote"]),
        (long.as_bytes(), &["65536"]),
        (b"*1\r\n$4\r\nPING*1\r\n", &[]),
    ];
    for (bytes, parts) in cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let mut wire = front.leader("leader-a", 33).await;
        // What stands before it is answered.
        wire.send(&[&words("INCR n"), *bytes, &words("SET a behind")].concat()).await;
        assert!(wire.hear().await.starts_with(':'), "{shown:?}");
        let told = wire.hear().await;
        assert!(is_protocol_error(&told), "{shown:?}: {told:?}");
        for part in *parts {
            assert!(told.contains(part), "{part} is not in {told:?}, of {shown:?}");
        }
        assert_eq!(wire.hear().await, CUT, "{shown:?}");
        assert_eq!(front.server.ask("GET a").await, "old", "{shown:?}");
    }
    assert_eq!(front.server.ask("GET n").await, cases.len().to_string());
    // A value whose end is not where it was said to be: its first bytes are at the server.
    let mut wire = front.leader("leader-a", 33).await;
    let mut whole = command(&["SET".as_bytes(), b"a", &vec![b'x'; 3_000_000]]);
    let end = whole.len() - 2;
    whole[end..].copy_from_slice(b"xx");
    wire.send(&whole).await;
    assert!(is_protocol_error(&wire.farewell().await));
    // As a browser could be made to send it.
    let mut wire = front.leader("leader-a", 33).await;
    wire.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a new\r\n").await;
    wire.farewell().await;
    assert_eq!(front.server.ask("GET a").await, "old");
    // Nobody else minds.
    assert_eq!(front.leader("leader-b", 34).await.say("SET a 2").await, "OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_empty_is_answered_with_nothing() {
    let front = Front::start().await;
    let mut wire = front.leader("leader-a", 33).await;
    wire.send(b"*0\r\n\r\n*-1\r\n\r\n*0\r\nPING\r\n").await;
    assert_eq!(wire.hear().await, "PONG");
    wire.send(b"*1\r\n$0\r\n\r\n").await;
    let told = wire.hear().await;
    assert!(told.starts_with("-ERR unknown command"), "{told}");
    assert_eq!(wire.say("PING").await, "PONG");
    // Byte by byte, over lines and quotes.
    for byte in b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n\r\n\r\nGET \"a\"\r\n" {
        wire.send(&[*byte]).await;
    }
    assert_eq!([wire.hear().await, wire.hear().await], ["OK", "\r\n"]);
    // Half of one, for a while.
    wire.send(b"*2\r\n$3\r\nGET").await;
    assert!(wire.is_silent(Duration::from_millis(300)).await);
    wire.send(b"\r\n$1\r\nb\r\n").await;
    assert_eq!(wire.hear().await, "nil");
}

/// The name of the command, and a moment later the rest.
async fn in_two(wire: &mut Wire, line: &str) {
    let whole = words(line);
    let name = line.split(' ').next().unwrap();
    let end = memchr::memmem::find(&whole, name.as_bytes()).unwrap() + name.len() + 2;
    wire.send(&whole[..end]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    wire.send(&whole[end..]).await;
}

/// What decides about a command comes later than its name.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_not_judged_by_its_first_word_where_the_second_tells() {
    let front = Front::start().await;
    let mut wire = front.leader("leader-a", 33).await;
    let refused = [
        "CLIENT REPLY OFF",
        "CLIENT KILL TYPE normal",
        "CLIENT PAUSE 100",
        "CONFIG SET maxmemory 1",
        "SCRIPT DEBUG sync",
        "ACL SETUSER x on",
        "SLOWLOG RESET",
        "CLIENT LIST",
    ];
    for line in refused {
        in_two(&mut wire, line).await;
        let told = wire.hear().await;
        assert!(told.starts_with('-'), "{line}: {told}");
        assert_eq!(wire.say("PING").await, "PONG", "{line}");
    }
    // Nor is what Palisade has to do with it.
    in_two(&mut wire, "CLIENT SETNAME mine").await;
    assert_eq!(wire.hear().await, "OK");
    let sessions = front.server.sessions().await;
    assert!(sessions.iter().all(|line| line.contains("name=mine|palisade:rig")), "{sessions:?}");
    assert_eq!(sessions.len(), 1);
}

/// Depth is bounded in answers; a session that meets more is ended, and says which bound it was.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_nested_too_deeply_ends_the_session_and_no_other() {
    let front = Front::start().await;
    let nested = |depth: usize| {
        let text = format!("local t = {{}} for i = 2, {depth} do t = {{t}} end return t");
        command(&["EVAL", &text, "1", "a"])
    };
    let mut other = front.leader("leader-a", 33).await;
    let mut wire = front.leader("leader-a", 33).await;
    wire.send(&nested(100)).await;
    assert_eq!(wire.hear().await, format!("{}{}", "[".repeat(100), "]".repeat(100)));
    wire.send(&[nested(1_500), words("PING")].concat()).await;
    // What came of the answer is no whole one.
    let mut rest = Vec::new();
    while let Some(bytes) = wire.reading.bytes().await {
        rest.extend(bytes);
    }
    assert!(!rest.ends_with(b"+PONG\r\n"), "it went on");
    assert_eq!(other.say("SET a 1").await, "OK");
    // The client that reads a request of that kind stops at the first of them.
    let mut bomb = front.leader("leader-a", 33).await;
    bomb.send(&b"*1\r\n".repeat(1_000_000)).await;
    assert!(is_protocol_error(&bomb.farewell().await));
    assert_eq!(front.leader("leader-b", 34).await.say("SET a 2").await, "OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_have_to_come_soon_where_they_have_to_be_seen() {
    let front = Front::with(Choice { layout: Layout::Queues, ..Choice::default() }).await;
    let mut wire = front.leader("leader-a", 33).await;
    let long = "x".repeat(2 << 20);
    // The only key is in front: of any length.
    assert_eq!(wire.call(&["SET", "jobs:a:1", &long]).await.to_string(), "OK");
    assert_eq!(wire.call(&["SETEX", "jobs:a:1", "100", &long]).await.to_string(), "OK");
    // Behind too much, the session goes on with what is behind it.
    let script = format!("return 1 --{long}");
    let refused: &[&[&str]] = &[
        &["EVAL", &script, "1", "jobs:a:1"],
        &["MSET", "jobs:a:1", &long, "jobs:a:2", "y"],
        &[&long, "jobs:a:1"],
    ];
    for arguments in refused {
        let shown = &arguments[0][..arguments[0].len().min(10)];
        wire.send(&[command(arguments), words("GET jobs:a:2")].concat()).await;
        let told = wire.hear().await;
        let is_why = told.contains("command_bytes_max") || told.contains("1048576 bytes");
        assert!(told.starts_with('-') && is_why, "{shown}: {told}");
        // Either way, it is no half of one that the next is taken for.
        let next = wire.hear().await;
        assert!(next == "nil" || next == CUT, "{shown}: {next}");
        if next == CUT {
            wire = front.leader("leader-a", 33).await;
        }
    }
    assert_eq!(front.server.ask("STRLEN jobs:a:1").await, format!(":{}", long.len()));
    // Where all is one resource, no key has to be seen.
    let front = Front::start().await;
    let mut wire = front.leader("leader-a", 33).await;
    assert_eq!(wire.call(refused[0]).await.to_string(), ":1");
    assert_eq!(wire.call(refused[1]).await.to_string(), "OK");
}
