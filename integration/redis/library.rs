//! The crate `redis`, unchanged: what it is answered through Palisade is what the server answers.

use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{
    AsyncCommands, AsyncConnectionConfig, Client, ClientTlsConfig, Script, TlsCertificates,
};
use futures_util::StreamExt;

use crate::rig::redis::{Choice, Front, PASSWORD};

const DEADLINE: Option<Duration> = Some(Duration::from_secs(20));

/// The way around Palisade.
fn direct(front: &Front, protocol: u8) -> Client {
    let port = front.server.port;
    Client::open(format!("redis://:{PASSWORD}@127.0.0.1:{port}/?protocol=resp{protocol}")).unwrap()
}

/// The way through it.
fn through(front: &Front, who: &str, token: u64, protocol: u8) -> Client {
    let door = front.door(who);
    let read = |path| Some(std::fs::read(path).unwrap());
    let tls = ClientTlsConfig {
        client_cert: read(door.chain).unwrap(),
        client_key: read(door.key).unwrap(),
    };
    let certs = TlsCertificates { client_tls: Some(tls), root_cert: read(door.ca) };
    // The crate says nothing of a user that has no password.
    let at = format!("token={token}:x@localhost:{}", front.address.port());
    Client::build_with_tls(format!("rediss://{at}/?protocol=resp{protocol}"), certs).unwrap()
}

async fn told(client: &Client, protocol: u8) -> ::redis::RedisResult<Vec<String>> {
    let mut told = Vec::new();
    let mut say = |what: &dyn std::fmt::Debug| told.push(format!("{what:?}"));
    let config = AsyncConnectionConfig::new().set_response_timeout(DEADLINE);
    let mut one = client.get_multiplexed_async_connection_with_config(&config).await?;
    say(&one.set::<_, _, String>("a", 1).await?);
    say(&one.get::<_, Option<String>>("none").await?);
    say(&one.hset_multiple::<_, _, _, String>("h", &[("f", "1"), ("g", "2")]).await?);
    say(&one.hgetall::<_, ::redis::Value>("h").await?);
    say(&one.lpop::<_, String>("a", None).await.map_err(|error| error.to_string()));
    let made: Vec<i64> =
        ::redis::pipe().atomic().incr("a", 1).cmd("INCR").arg("a").query_async(&mut one).await?;
    say(&made);
    let mut many = ::redis::pipe();
    for _ in 0..1_000 {
        many.incr("n", 1).ignore();
    }
    say(&many.get("n").query_async::<(i64,)>(&mut one).await?);
    let sums = (0..200).map(|_| {
        let mut one = one.clone();
        async move { one.incr::<_, _, i64>("m", 1).await }
    });
    let mut sums: Vec<_> = futures_util::future::try_join_all(sums).await?;
    sums.sort_unstable();
    say(&(sums.len(), sums[0], sums[199]));
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    for _ in 0..2 {
        say(&script.key("a").arg(10).invoke_async::<i64>(&mut one).await?);
    }
    let large = "x".repeat(8 << 20);
    one.set::<_, _, ()>("big", &large).await?;
    say(&(one.get::<_, String>("big").await? == large));
    one.del::<_, ()>("big").await?;
    let mut found: Vec<String> = Vec::new();
    let mut scan = one.scan_match::<_, String>("*").await?;
    while let Some(key) = scan.next().await {
        found.push(key?);
    }
    drop(scan);
    found.sort();
    say(&found);

    let mut other = client.get_multiplexed_async_connection_with_config(&config).await?;
    let popping = tokio::spawn(async move { other.blpop::<_, ::redis::Value>("q", 10.0).await });
    tokio::time::sleep(Duration::from_millis(150)).await;
    one.rpush::<_, _, ()>("q", "x").await?;
    say(&popping.await.unwrap()?);

    let mut heard = client.get_async_pubsub().await?;
    heard.subscribe("news").await?;
    heard.psubscribe("n*").await?;
    say(&one.publish::<_, _, i64>("news", "paper").await?);
    let mut messages = heard.into_on_message();
    for _ in 0..2 {
        let message = messages.next().await.unwrap();
        say(&(message.get_channel_name().to_owned(), message.get_payload::<String>()?));
    }
    if protocol == 3 {
        let (sender, mut pushes) = tokio::sync::mpsc::unbounded_channel();
        let config = config.set_push_sender(sender);
        let mut three = client.get_multiplexed_async_connection_with_config(&config).await?;
        say(&::redis::cmd("CLIENT")
            .arg("TRACKING")
            .arg("ON")
            .query_async::<String>(&mut three)
            .await?);
        say(&three.get::<_, String>("a").await?);
        one.set::<_, _, ()>("a", 7).await?;
        let push = tokio::time::timeout(Duration::from_secs(10), pushes.recv()).await;
        let push = push.expect("an invalidation").unwrap();
        say(&(push.kind, push.data));
    }
    let config = ConnectionManagerConfig::new().set_response_timeout(DEADLINE);
    let mut managed = ConnectionManager::new_with_config(client.clone(), config).await?;
    say(&managed.get::<_, String>("a").await?);
    say(&::redis::cmd("FLUSHALL").query_async::<String>(&mut managed).await?);
    Ok(told)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_answered_the_same_by_both_protocols() {
    // The crate takes what the process has.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let front = Front::with(Choice::default()).await;
    for protocol in [2, 3] {
        let expected = told(&direct(&front, protocol), protocol).await.unwrap();
        let got = told(&through(&front, "leader-a", 33, protocol), protocol).await.unwrap();
        assert_eq!(expected, got, "by RESP{protocol}");
    }
    // Its errors have the word as their code; and its manager gets nothing more in.
    let old = through(&front, "leader-a", 33, 3);
    let mut old = ConnectionManager::new(old).await.unwrap();
    old.set::<_, _, ()>("a", 1).await.unwrap();
    let next = through(&front, "leader-b", 34, 3);
    let mut next = next.get_multiplexed_async_connection().await.unwrap();
    for _ in 0..5 {
        assert!(old.set::<_, _, ()>("a", 2).await.is_err(), "it was let in");
    }
    assert_eq!(next.get::<_, i64>("a").await.unwrap(), 1);
    let again = through(&front, "leader-a", 33, 3).get_multiplexed_async_connection().await;
    let error = again.expect_err("it is stale");
    let said = error.to_string();
    assert!(said.contains("FENCED") || error.code() == Some("FENCED"), "{error:?}");
}
