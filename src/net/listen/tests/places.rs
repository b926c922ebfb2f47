//! How many connections there are, and who gets a place when there are too many.

use super::*;

#[tokio::test]
async fn connections_are_limited_in_all_and_of_each_identity() {
    let limits = Limits { connections_max: 3, connections_per_identity_max: 2, ..LIMITS };
    let rig = Rig::with(limits, Echo::default());
    let a = rig.site.config(Some(&rig.site.client("a")));
    let b = rig.site.config(Some(&rig.site.client("b")));
    let first = a.enter(rig.address).await.unwrap();
    let _second = a.enter(rig.address).await.unwrap();
    rig.refused(&a).await;
    rig.open_is(2).await;
    let _third = b.enter(rig.address).await.unwrap();
    rig.refused(&b).await;
    assert_eq!(rig.server.open(), 3);
    drop(first);
    rig.open_is(2).await;
    a.enter(rig.address).await.unwrap();
}

#[tokio::test]
async fn those_without_a_certificate_keep_nobody_out() {
    let limits =
        Limits { connections_max: 3, handshake_timeout: Duration::from_secs(60), ..LIMITS };
    let rig = Rig::with(limits, Echo::default());
    let a = rig.site.config(Some(&rig.site.client("a")));
    let mut known = vec![a.enter(rig.address).await.unwrap()];
    let mut silent = Vec::new();
    for expected in 2..=3 {
        silent.push(TcpStream::connect(rig.address).await.unwrap());
        rig.open_is(expected).await;
    }
    for _ in 0..2 {
        known.push(a.enter(rig.address).await.expect("the silent ones make room"));
    }
    for silent in &mut silent {
        let ended = tokio::time::timeout(Duration::from_secs(5), silent.read(&mut [0])).await;
        assert!(!matches!(ended.expect("it was sent away"), Ok(1..)));
    }
    rig.open_is(3).await;
    // Nobody is sent away who has one.
    rig.refused(&a).await;
    for client in &mut known {
        client.stream.write_all(b"x").await.unwrap();
        client.stream.read_exact(&mut [0]).await.unwrap();
    }
}
