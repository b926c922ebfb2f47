//! The network between Palisade and the server: a connection that names itself `slow-N` gets
//! everything of its own there N milliseconds late, also what was on its way when Palisade died.
//!
//! On one machine what was sent first is there first, and the order comes out right by itself. Over
//! a network two connections know nothing of each other.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How such a name begins.
pub const SLOW: &str = "slow-";
const CHUNK_BYTES: usize = 64 << 10;

/// Listens until it is dropped.
pub async fn listen(server: PathBuf) -> (JoinSet<()>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut listening = JoinSet::new();
    listening.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = UnixStream::connect(&server).await else { continue };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            connections.spawn(async move { drop(carry(from_client, to_server, true).await) });
            connections.spawn(async move { drop(carry(from_server, to_client, false).await) });
        }
    });
    (listening, address)
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    may_be_slow: bool,
) -> std::io::Result<()> {
    let mut late = Duration::ZERO;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut chunk).await?;
        sleep(late).await;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..count]).await?;
        if let Some(ms) = slowness(&chunk[..count]).filter(|_| may_be_slow) {
            late = Duration::from_millis(ms);
        }
    }
}

/// What the connection calls itself.
fn slowness(chunk: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(chunk);
    let (_, rest) = text.split_once(SLOW)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}
