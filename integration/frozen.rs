//! A writer that is frozen by SIGSTOP in the middle of an upload, and thawed too late.

use std::process::Command;
use std::time::Duration;

use crate::rig::{Process, Rig};

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_writer_that_thaws_is_refused() {
    let rig = Rig::start().await;
    let path = "/fenced/frozen/state";
    let body = rig.dir().join("body");
    std::fs::write(&body, vec![b'a'; 8 << 20]).unwrap();
    let (cert, key) = rig.certs.of("leader-a");
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--limit-rate", "1M", "-H", "Fencing-Token: 33", "-H", "Expect:"])
        .args(["-w", "\nstatus %{http_code}\n"])
        .arg("--cacert")
        .arg(&rig.certs.ca)
        .arg("--cert")
        .arg(cert)
        .arg("--key")
        .arg(key)
        .arg("-T")
        .arg(&body)
        .arg(format!("https://localhost:{}{path}", rig.address.port()));
    let mut writer = Process::start(&mut curl, "curl", rig.dir());
    rig.one_is("streaming", path).await;
    // In the middle of its eight seconds.
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert!(writer.is_running(), "it ended early: {}", writer.everything());
    writer.freeze();

    let b = rig.client("leader-b").token(34);
    assert_eq!(b.get(path).await.status, 404, "sealed, and nothing of the upload is there");
    assert_eq!(b.put(path, "b").await.status, 200);

    writer.thaw();
    writer.wait(Duration::from_secs(30));
    let said = writer.everything();
    assert!(said.contains("status 412"), "{said}");
    assert!(said.contains("<Mark>34</Mark>"), "it is told the mark: {said}");
    assert_eq!(b.get(path).await.text(), "b");
}
