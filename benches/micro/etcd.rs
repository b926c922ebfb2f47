//! An etcd of the benchmark's own: one member, which syncs to disk as it always does.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to answer its first request.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Ends with this value.
pub struct Server {
    child: Child,
    pub port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    /// `None` when there is no etcd on this machine.
    pub fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, peers) = (free_port(), free_port());
        let client_url = format!("http://127.0.0.1:{port}");
        let peer_url = format!("http://127.0.0.1:{peers}");
        let child = Command::new("etcd")
            .args(["--data-dir", folder.path().to_str().expect("UTF-8")])
            .args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("default={peer_url}"), "--log-level", "error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let server = Self { child, port, _folder: folder };
        let begin = Instant::now();
        while server.scrape("/health").is_none_or(|text| !text.contains("true")) {
            assert!(begin.elapsed() < START_TIMEOUT, "etcd does not become healthy");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }

    /// Bytes that clients have sent to it and got from it so far.
    pub fn client_bytes(&self) -> u64 {
        let text = self.scrape("/metrics").expect("etcd tells its metrics");
        let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        let lines = text.lines().filter(|line| line.starts_with("etcd_network_client_grpc_"));
        lines.filter_map(value).sum::<f64>() as u64
    }

    fn scrape(&self, path: &str) -> Option<String> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: etcd\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
