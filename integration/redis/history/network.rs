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
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// How such a name begins.
pub const SLOW: &str = "slow-";
const CHUNK_BYTES: usize = 64 << 10;
/// Of one connection on their way.
const CHUNKS_MAX: usize = 10_000;

/// It carries until it is dropped.
pub struct Network {
    pub address: SocketAddr,
    cut: watch::Sender<()>,
    _listening: JoinSet<()>,
}

impl Network {
    pub async fn start(server: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = watch::Sender::new(());
        let (cutting, mut listening) = (cut.clone(), JoinSet::new());
        listening.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = UnixStream::connect(&server).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                connections.spawn(async move { drop(carry(from_client, to_server, true).await) });
                let mut cut = cutting.subscribe();
                connections.spawn(async move {
                    tokio::select! {
                        _ = carry(from_server, to_client, false) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { address, cut, _listening: listening }
    }

    /// To Palisade every connection that there is now seems to have ended. What is on its way to
    /// the server goes on.
    pub fn cut(&self) {
        self.cut.send_replace(());
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    may_be_slow: bool,
) -> std::io::Result<()> {
    let (sending, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let reading = async move {
        let mut late = Duration::ZERO;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let count = from.read_buf(&mut chunk).await.unwrap_or(0);
            let slowness = slowness(&chunk).filter(|_| may_be_slow);
            // Its end comes in its turn.
            if sending.send((Instant::now() + late, chunk)).await.is_err() || count == 0 {
                return;
            }
            late = slowness.map_or(late, Duration::from_millis);
        }
    };
    let writing = async move {
        while let Some((at, chunk)) = arriving.recv().await {
            sleep_until(at).await;
            match chunk.is_empty() {
                true => to.shutdown().await?,
                false => to.write_all(&chunk).await?,
            }
        }
        Ok(())
    };
    tokio::join!(reading, writing).1
}

/// What the connection calls itself.
fn slowness(chunk: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(chunk);
    let (_, rest) = text.split_once(SLOW)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}
