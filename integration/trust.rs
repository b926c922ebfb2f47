//! Certificates while Palisade runs: revoked, replaced, broken.

use std::time::{Duration, SystemTime};

use crate::rig::{Rig, eventually};
use crate::wire::Wire;

/// The value of the one line of a metric that begins so.
async fn metric(rig: &Rig, start: &str) -> f64 {
    let text = rig.metrics().await;
    let line = text.lines().find(|line| line.starts_with(start));
    let line = line.unwrap_or_else(|| panic!("{start} is not in {text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

/// When a certificate ends, in seconds since 1970.
fn ends(pem: &[u8]) -> f64 {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem).unwrap();
    let certificate = pem.parse_x509().unwrap();
    certificate.validity().not_after.timestamp() as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_leader_loses_its_open_connections() {
    let mut rig = Rig::start().await;
    let path = "/fenced/revoked/state";
    let a = rig.client("leader-a").token(33);
    assert_eq!(a.put(path, "a").await.status, 200);
    let mut upload = a.begin(http::Method::PUT, path, 1 << 20);
    upload.send(vec![b'a'; 1 << 19]).await;
    rig.one_is("streaming", path).await;
    rig.certs.revoke("leader-a");
    rig.palisade().reload();
    eventually("its upload is cut", async || upload.is_answered()).await;
    assert!(upload.finish().await.is_err());
    assert!(a.try_send(http::Method::GET, path, "").await.is_err(), "it is not let in again");
    // Another certificate of the same name is another certificate.
    let renewed = rig.client("leader-a2").token(33).get(path).await;
    assert_eq!((renewed.status.as_u16(), renewed.text()), (200, "a".to_owned()));
}

/// Nobody tells Palisade: it sees that the list has changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_changes_ends_idle_connections_of_the_revoked_and_of_nobody_else() {
    let rig = Rig::start().await;
    let mut a = Wire::open(&rig.client("leader-a")).await;
    let mut b = Wire::open(&rig.client("leader-b")).await;
    assert_eq!(a.ask("PUT /fenced/idle-a/x", "33").await.status, 200);
    assert_eq!(b.ask("PUT /fenced/idle-b/x", "33").await.status, 200);
    rig.certs.revoke("leader-a");
    // Kept open by both sides until now: only the end of the connection ends this.
    assert_eq!(a.rest().await, b"");
    let again = rig.client("leader-a").try_send(http::Method::GET, "/fenced/idle-a/x", "").await;
    assert!(again.is_err(), "{again:?}");
    assert_eq!(b.ask("PUT /fenced/idle-b/x", "33").await.status, 200);
    assert!(
        metric(&rig, "palisade_tls_reloads_total{listener=\"main\",result=\"ok\"}").await >= 1.0
    );
    let cut = "palisade_connections_cut_total{listener=\"main\",reason=\"untrusted\"}";
    assert_eq!(metric(&rig, cut).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_load_is_told_and_the_old_stays() {
    let mut rig = Rig::start().await;
    let certificate = rig.certs.server.0.clone();
    let expiry = "palisade_tls_certificate_expiry_timestamp_seconds{listener=\"main\"}";
    let failing = "palisade_tls_reload_failing{listener=\"main\"}";
    let good = std::fs::read(&certificate).unwrap();
    assert_eq!(metric(&rig, expiry).await, ends(&good));
    assert_eq!(metric(&rig, failing).await, 0.0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!(metric(&rig, "palisade_tls_crl_expiry_timestamp_seconds{").await > now);

    std::fs::write(&certificate, "garbage").unwrap();
    rig.palisade().reload();
    eventually("it complains", async || metric(&rig, failing).await == 1.0).await;
    let said = rig.palisade().everything();
    let line = said.lines().find(|line| line.contains("ERROR")).expect("a loud line");
    assert!(line.contains("server.pem") && line.contains("stay in force"), "{line}");
    let a = rig.client("leader-a").token(33);
    assert_eq!(a.put("/fenced/reload/x", "a").await.status, 200);
    assert_eq!(metric(&rig, expiry).await, ends(&good));

    // One second later, so that its end is another.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    rig.certs.renew_server();
    let new = std::fs::read(&certificate).unwrap();
    assert_ne!(ends(&new), ends(&good));
    rig.palisade().reload();
    eventually("the new one is in force", async || metric(&rig, expiry).await == ends(&new)).await;
    assert_eq!(metric(&rig, failing).await, 0.0);
    assert_eq!(a.put("/fenced/reload/x", "a").await.status, 200);
}
