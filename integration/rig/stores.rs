//! Real stores, and the compare-and-forward proxy that the history checker has to catch.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::net::Node;
use super::process::{Process, palisade, python};

/// The buckets that the tests use.
pub const BUCKETS: [&str; 4] = ["bound", "fenced", "open", "shared"];
/// The access key id of the stores.
pub const ACCESS_KEY: &str = "rig";
/// Their secret key.
pub const SECRET_KEY: &str = "rig-secret-key";

/// Both, for clients whose signatures are passed through.
pub const CREDENTIALS: &str = "rig:rig-secret-key";

/// Which store.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Kind {
    /// moto: another house's S3, in Python; it checks no signatures.
    Moto,
    /// s3s-fs without a journal: bodies of any size.
    S3s,
    /// s3s-fs with a journal of what it applied.
    #[default]
    S3sJournaled,
}

/// A running store.
#[derive(Debug)]
pub struct Store {
    pub address: SocketAddr,
    pub process: Process,
    /// What it applied, in its order.
    pub journal: PathBuf,
}

impl Kind {
    /// Starts it, with the buckets in it.
    pub fn start(self, dir: &Path) -> Store {
        let journal = dir.join("journal");
        let (process, address) = match self {
            Self::Moto => moto(dir),
            Self::S3s => s3s(dir, true, None, None),
            Self::S3sJournaled => s3s(dir, true, Some(&journal), None),
        };
        Store { address, process, journal }
    }
}

/// A store with a journal that checks no signatures, for writers without Palisade.
pub fn open_store(dir: &Path) -> Store {
    let journal = dir.join("journal");
    let (process, address) = s3s(dir, false, Some(&journal), None);
    Store { address, process, journal }
}

/// A store with a journal, on a machine of its own.
pub fn store_on(node: &Node, dir: &Path) -> Store {
    let journal = dir.join("journal");
    let (process, address) = s3s(dir, true, Some(&journal), Some(node));
    Store { address, process, journal }
}

fn s3s(
    dir: &Path,
    is_signed: bool,
    journal: Option<&Path>,
    node: Option<&Node>,
) -> (Process, SocketAddr) {
    let mut command = palisade();
    command.arg("store").arg("--dir").arg(dir.join("store"));
    if is_signed {
        let secret = dir.join("store-secret-key");
        std::fs::write(&secret, SECRET_KEY).unwrap();
        command.args(["--access-key", ACCESS_KEY]).arg("--secret-key-file").arg(secret);
    }
    command.args(["--domain", "localhost"]);
    command.args(BUCKETS.map(|bucket| format!("--bucket={bucket}")));
    if let Some(journal) = journal {
        std::fs::write(journal, "").unwrap();
        command.arg("--journal").arg(journal);
    }
    if let Some(node) = node {
        command.arg("--listen").arg(format!("{}:0", node.ip));
        command = node.command(&command);
    }
    let mut process = Process::start(&mut command, "store", dir);
    let address = process.first_line().parse().unwrap();
    (process, address)
}

fn moto(dir: &Path) -> (Process, SocketAddr) {
    let address = super::free_address();
    let mut command = python("moto_server");
    command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
    let mut process = Process::start(&mut command, "moto", dir);
    let deadline = Instant::now() + Duration::from_secs(30);
    for bucket in BUCKETS {
        // No signature is checked, so a bucket is made with a plain request.
        while !is_made(address, bucket) {
            assert!(process.is_running(), "moto has ended: {}", process.everything());
            assert!(Instant::now() < deadline, "moto is not ready: {}", process.everything());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    (process, address)
}

fn is_made(address: SocketAddr, bucket: &str) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    let head = "HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\
                Authorization: AWS4-HMAC-SHA256 Credential=rig/20260101/us-east-1/s3/aws4_request\r\n";
    let mut answer = String::new();
    write!(stream, "PUT /{bucket} {head}\r\n").is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.contains(" 200 ")
}

/// A compare-and-forward proxy before a store.
pub fn naive(store: SocketAddr, dir: &Path) -> (Process, SocketAddr) {
    let mut command = palisade();
    command.args(["demo", "--compare-and-forward", &store.to_string()]);
    let mut process = Process::start(&mut command, "naive", dir);
    let address = process.first_line().parse().unwrap();
    (process, address)
}
