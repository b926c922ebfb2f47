//! Under a service manager: it is told when Palisade serves, and how long its end may take.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::rig::{Process, Rig, palisade};

/// What systemd would hear, a line each.
struct Manager(UnixDatagram);

impl Manager {
    fn hear(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).expect("a message in time");
        String::from_utf8_lossy(&bytes[..length]).lines().map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_hears_of_start_and_end() {
    let mut rig = Rig::start().await;
    assert!(rig.palisade().end().success());

    let socket = rig.dir().join("notify");
    let manager = Manager(UnixDatagram::bind(&socket).unwrap());
    manager.0.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = palisade();
    command.arg("run").arg("--config").arg(rig.config()).env("NOTIFY_SOCKET", &socket);
    let mut palisade = Process::start(&mut command, "supervised", rig.dir());

    assert_eq!(manager.hear(), ["READY=1", "STATUS=serving"]);
    // Told only when it is true.
    assert_eq!(rig.client("leader-a").token(7).put("/fenced/one/x", "a").await.status, 200);

    assert!(palisade.end().success());
    let said = manager.hear();
    assert_eq!(said.first().map(String::as_str), Some("STOPPING=1"), "{said:?}");
    let longest = said.iter().find_map(|line| line.strip_prefix("EXTEND_TIMEOUT_USEC="));
    let longest = Duration::from_micros(longest.expect("how long").parse().unwrap());
    // The default `drain_timeout`, and what ends after it. packaging/kubernetes.yaml grants as much.
    assert_eq!(longest, Duration::from_secs(40));
}
