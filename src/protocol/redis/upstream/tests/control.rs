//! Killing clients, and knowing that they are gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis::Value;

use super::super::settings::Upstream;
use super::super::wire::WireError;
use super::super::{KEYS_BYTES_MAX, KeysError, session_suffix};
use super::rig::{Client, connector, control, is_waiting, password, soon, until, upstream};
use crate::protocol::redis::testing::Server;

/// Its connection has ended.
fn is_ended(answer: Result<Value, WireError>) -> bool {
    matches!(answer, Err(WireError::Io(_)))
}

#[tokio::test]
async fn what_waits_in_a_blocking_command_is_killed() {
    let server = Server::shared();
    let connector = connector(upstream(server, "blocking"));
    let control = control(&connector);
    let client = Client::open(&connector).await;
    let (process, id) = (client.server.clone(), client.id);
    let waiting = client.begin(&["BLPOP", "blocking-queue", "0"]);
    until("it waits", async || server.clients().await.contains("cmd=blpop")).await;
    soon("killed", control.kill(&process, id)).await;
    assert!(!server.has_client(id).await);
    server.ask(&["RPUSH", "blocking-queue", "x"]).await;
    assert_eq!(server.ask(&["LLEN", "blocking-queue"]).await, Value::Int(1), "it has popped");
    assert!(is_ended(soon("its end", waiting).await.expect("it ends")));
}

#[tokio::test]
async fn many_are_killed_and_those_that_are_gone_are_gone() {
    let server = Server::shared();
    let connector = connector(upstream(server, "many"));
    let control = control(&connector);
    let clients = join_all((0..50).map(|_| Client::open(&connector))).await;
    let kills = clients.iter().map(|client| control.kill(&client.server, client.id));
    soon("killed", join_all(kills)).await;
    for client in &clients {
        assert!(!server.has_client(client.id).await);
    }
    soon("gone", control.kill(&clients[0].server, clients[0].id)).await;
}

/// The order of what the server does proves it: nothing of the client comes after the kill.
#[tokio::test]
async fn a_script_is_waited_for() {
    let server = Server::start();
    let connector = connector(upstream(&server, "script"));
    let control = control(&connector);
    soon("swept", control.swept()).await;
    let client = Client::open(&connector).await;
    let (process, id) = (client.server.clone(), client.id);
    let began = Instant::now();
    let script = client.begin(&[
        "EVAL",
        "local now = function() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end \
         local till = now() + 1000000 \
         repeat until now() >= till \
         redis.call('SET', KEYS[1], 'done') return 1",
        "1",
        "script",
    ]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    soon("killed", control.kill(&process, id)).await;
    assert!(began.elapsed() >= Duration::from_millis(900), "the script was running still");
    assert_eq!(server.ask(&["GET", "script"]).await, Value::BulkString(b"done".to_vec()));
    assert!(!server.has_client(id).await);
    let _ = soon("its end", script).await.expect("it ends");
}

/// A busy server refuses CLIENT KILL for as long as the script runs.
#[tokio::test]
async fn a_refusal_is_no_confirmation() {
    let server = Server::start_with(&["--busy-reply-threshold", "50"]);
    let connector = connector(upstream(&server, "busy"));
    let control = control(&connector);
    soon("swept", control.swept()).await;
    let client = Client::open(&connector).await;
    let (process, id) = (client.server.clone(), client.id);
    let script = client.begin(&["EVAL", "while true do end", "0"]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut kill = Box::pin(control.kill(&process, id));
    assert!(is_waiting(&mut kill).await, "it runs still");
    server.ask(&["SCRIPT", "KILL"]).await;
    soon("killed", kill).await;
    assert!(!server.has_client(id).await);
    let _ = soon("its end", script).await.expect("it ends");
}

#[tokio::test]
async fn what_a_client_does_not_read_keeps_nobody() {
    let server = Server::shared();
    let connector = connector(upstream(server, "unread"));
    let control = control(&connector);
    let client = Client::open(&connector).await;
    let big = "x".repeat(1 << 20);
    server.ask(&["SET", "unread", &big]).await;
    let (mut stream, _) = client.wire.into_parts();
    use tokio::io::AsyncWriteExt as _;
    let command = b"*2\r\n$3\r\nGET\r\n$6\r\nunread\r\n".repeat(32);
    stream.write_all(&command).await.expect("it is sent");
    until("it has unread data", async || {
        let list = server.clients().await;
        let line = list.lines().find(|line| line.starts_with(&format!("id={} ", client.id)));
        line.is_some_and(|line| !line.contains(" omem=0 "))
    })
    .await;
    soon("killed", control.kill(&client.server, client.id)).await;
    assert!(!server.has_client(client.id).await);
}

#[tokio::test]
async fn a_frozen_server_is_waited_for() {
    let server = Server::start();
    let connector = connector(upstream(&server, "frozen"));
    let control = control(&connector);
    soon("swept", control.swept()).await;
    let client = Client::open(&connector).await;
    server.freeze();
    let mut kill = Box::pin(control.kill(&client.server, client.id));
    let early = is_waiting(&mut kill).await;
    server.thaw();
    assert!(early, "it said that a frozen server has done it");
    soon("killed", kill).await;
    assert!(!server.has_client(client.id).await);
}

#[tokio::test]
async fn a_restart_of_the_server_ends_all() {
    let mut server = Server::start();
    let connector = connector(upstream(&server, "restart"));
    let control = control(&connector);
    soon("swept", control.swept()).await;
    let old = Client::open(&connector).await;
    server.crash();
    let mut kill = Box::pin(control.kill(&old.server, old.id));
    assert!(is_waiting(&mut kill).await, "nobody has told that it is gone");
    server.restart();
    soon("gone", &mut kill).await;
    // Ids begin anew, and another client may have it.
    let new = Client::open(&connector).await;
    assert_ne!(new.server, old.server);
    soon("gone", control.kill(&old.server, new.id)).await;
    assert!(server.has_client(new.id).await);
    soon("killed", control.kill(&new.server, new.id)).await;
    assert!(!server.has_client(new.id).await);
}

#[tokio::test]
async fn the_loss_of_the_control_connection_loses_nothing() {
    let server = Server::start();
    let connector = connector(upstream(&server, "loss"));
    let control = control(&connector);
    soon("swept", control.swept()).await;
    for _ in 0..3 {
        let client = Client::open(&connector).await;
        let list = server.clients().await;
        let own = list.lines().find(|line| line.contains("name=palisade-control|loss "));
        if let Some(own) = own {
            let id = own.strip_prefix("id=").and_then(|it| it.split(' ').next()).expect("an id");
            server.ask(&["CLIENT", "KILL", "ID", id]).await;
        }
        soon("killed", control.kill(&client.server, client.id)).await;
        assert!(!server.has_client(client.id).await);
    }
}

#[tokio::test]
async fn the_order_stays_when_nobody_waits() {
    let server = Server::shared();
    let connector = connector(upstream(server, "nobody-waits"));
    let control = control(&connector);
    let client = Client::open(&connector).await;
    let kill = tokio::time::timeout(Duration::ZERO, control.kill(&client.server, client.id));
    let _ = kill.await;
    until("it is gone", async || !server.has_client(client.id).await).await;
}

#[tokio::test]
async fn a_blocking_command_is_ended_with_an_error() {
    let server = Server::shared();
    let connector = connector(upstream(server, "unblock"));
    let control = control(&connector);
    soon("swept", control.swept()).await;
    let mut client = Client::open(&connector).await;
    assert!(!soon("asked", control.unblock(&client.server, client.id)).await, "it waits not");
    client.ask(&["SELECT", "3"]).await.expect("it answers");
    let (process, id) = (client.server.clone(), client.id);
    let waiting = client.begin(&["BLPOP", "unblock-queue", "0"]);
    until("it waits", async || {
        let list = server.clients().await;
        list.lines().any(|line| line.starts_with(&format!("id={id} ")) && line.contains("blpop"))
    })
    .await;
    assert!(soon("asked", control.unblock(&process, id)).await);
    let answer = soon("its answer", waiting).await.expect("it ends").expect("an answer");
    assert!(format!("{answer:?}").contains("UNBLOCKED"), "{answer:?}");
}

#[tokio::test]
async fn what_an_earlier_process_has_left_is_swept() {
    let server = Server::start();
    let connector = connector(upstream(&server, "r1"));
    let ours = join_all((0..3).map(|_| Client::of_replica(&connector))).await;
    let named = async |name: String| Client::named(&connector, &name).await;
    let kept = [
        named(format!("app{}", session_suffix("r11"))).await,
        named(format!("app{}", session_suffix("1"))).await,
        named(format!("app{}x", session_suffix("r1"))).await,
        named("palisade-control|r1".to_owned()).await,
    ];
    let control = control(&connector);
    assert_eq!(soon("swept", control.swept()).await, 3);
    assert!(control.is_swept());
    for client in &ours {
        assert!(!server.has_client(client.id).await);
    }
    for client in &kept {
        assert!(server.has_client(client.id).await);
    }
    // Not once more.
    let late = Client::of_replica(&connector).await;
    soon("killed", control.kill(&kept[0].server, kept[0].id)).await;
    assert!(server.has_client(late.id).await);
}

#[tokio::test]
async fn nothing_is_swept_while_the_server_is_frozen() {
    let server = Server::start();
    let connector = connector(upstream(&server, "r1"));
    let left = Client::of_replica(&connector).await;
    server.freeze();
    let control = control(&connector);
    let mut swept = Box::pin(control.swept());
    let early = is_waiting(&mut swept).await && !control.is_swept();
    let is_known = control.primary().borrow().is_some();
    server.thaw();
    assert!(early && !is_known);
    assert_eq!(soon("swept", swept).await, 1);
    assert!(!server.has_client(left.id).await);
    let mut primary = control.primary();
    let known = soon("known", primary.wait_for(Option::is_some)).await.expect("it is published");
    assert_eq!(known.as_ref(), Some(&left.server));
}

#[tokio::test]
async fn a_user_without_rights_ends_nothing_until_it_has_them() {
    let server = Server::start();
    let rule = ["on", ">secret", "~*", "+@all", "-client|kill"];
    server.ask(&[&["ACL", "SETUSER", "weak"], &rule[..]].concat()).await;
    let user = Some("weak".to_owned());
    let weak = Upstream { user, password: password("secret"), ..upstream(&server, "weak") };
    let connector = connector(weak);
    let control = control(&connector);
    soon("swept", control.swept()).await;
    let client = Client::open(&connector).await;
    let mut kill = Box::pin(control.kill(&client.server, client.id));
    assert!(is_waiting(&mut kill).await);
    assert!(server.has_client(client.id).await);
    server.ask(&["ACL", "SETUSER", "weak", "+client|kill"]).await;
    soon("killed", kill).await;
    assert!(!server.has_client(client.id).await);
}

#[tokio::test]
async fn commands_and_their_keys() {
    let server = Server::shared();
    let control = control(&connector(upstream(server, "keys")));
    let mut table = control.command_table();
    let table = soon("read", table.wait_for(Option::is_some)).await.expect("it is published");
    let Some(Value::Array(commands)) = table.as_deref() else { panic!("not a table") };
    assert!(commands.len() > 200);

    let keys = async |command: &[&[u8]]| control.keys(command).await;
    let found = keys(&[b"EVAL", b"return 1", b"2", b"a\xff", b"b", b"c"]).await;
    assert_eq!(found, Ok(vec![b"a\xff".to_vec(), b"b".to_vec()]));
    assert_eq!(keys(&[b"PING"]).await, Ok(Vec::new()));
    assert_eq!(keys(&[b"PING", b"x"]).await, Ok(Vec::new()));
    let refused = keys(&[b"NONSENSE", b"a"]).await;
    assert!(matches!(refused, Err(KeysError::Refused(_))), "{refused:?}");
    assert_eq!(keys(&[b"SET", b"k", &vec![0; KEYS_BYTES_MAX]]).await, Err(KeysError::TooLong));
    let many = join_all((0..100).map(|_| keys(&[b"SET", b"k", b"v"]))).await;
    assert!(many.into_iter().all(|found| found == Ok(vec![b"k".to_vec()])));
}

#[tokio::test]
async fn asks_in_vain_are_bounded() {
    let server = Server::start();
    let control = control(&connector(upstream(&server, "vain")));
    soon("swept", control.swept()).await;
    server.freeze();
    let asked =
        soon("an end", join_all([control.keys(&[b"GET", b"k"]), control.keys(&[b"GET", b"l"])]));
    let answers = asked.await;
    server.thaw();
    assert!(answers.iter().all(|answer| *answer == Err(KeysError::Unavailable)), "{answers:?}");
    until("it answers again", async || control.keys(&[b"GET", b"k"]).await.is_ok()).await;
    let _: Arc<_> = control;
}
