//! Certificates while Palisade runs: revoked, replaced, broken.

use std::time::Duration;

use crate::rig::{Rig, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_leader_loses_its_open_connections() {
    let mut rig = Rig::start().await;
    let path = "/fenced/revoked/state";
    let a = rig.client("leader-a").token(33);
    assert_eq!(a.put(path, "a").await.status, 200);
    let mut upload = a.begin(http::Method::PUT, path, 1 << 20);
    upload.send(vec![b'a'; 1 << 19]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.certs.revoke("leader-a");
    rig.palisade().reload();
    eventually("its upload is cut", async || upload.is_answered()).await;
    assert!(upload.finish().await.is_err());
    assert!(a.try_send(http::Method::GET, path, "").await.is_err(), "it is not let in again");
    // Another certificate of the same name is another certificate.
    let renewed = rig.client("leader-a2").token(33).get(path).await;
    assert_eq!((renewed.status.as_u16(), renewed.text()), (200, "a".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_load_is_told_and_the_old_stays() {
    let mut rig = Rig::start().await;
    let (certificate, _) = rig.certs.server.clone();
    let good = std::fs::read(&certificate).unwrap();
    std::fs::write(&certificate, "garbage").unwrap();
    rig.palisade().reload();
    eventually("it complains", async || rig.palisade().everything().contains("ERROR")).await;
    let reply = rig.client("leader-a").token(33).put("/fenced/reload/x", "a").await;
    assert_eq!(reply.status, 200);
    std::fs::write(&certificate, good).unwrap();
    rig.palisade().reload();
    assert_eq!(rig.client("leader-a").token(33).put("/fenced/reload/x", "a").await.status, 200);
}
