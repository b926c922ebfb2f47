//! A way between two machines, carried by the test: bytes can be late, in each direction, so that
//! what is sent on one connection overtakes what was sent on another; and they can be lost, until
//! they are sent again.
//!
//! To TCP a network that loses everything and comes back is one that was slow: so what is lost here
//! is kept until the loss is over. That includes what a sender has sent that is dead by then.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::Node;
use crate::trial::Chance;

const CHUNK_BYTES: usize = 16 << 10;
/// Of one connection on their way.
const CHUNKS_MAX: usize = 4_096;
/// How long the way to the other machine may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often that is tried while nobody answers.
const CONNECTS_MAX: usize = 60;

/// How bytes get there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Weather {
    pub delay_ms: u64,
    /// Up to so much more, by chance: each connection for itself, so that they overtake each other.
    pub jitter_ms: u64,
    /// They do not, for now.
    pub is_lost: bool,
}

/// Both directions.
#[derive(Clone, Copy, Debug, Default)]
struct Both {
    forth: Weather,
    back: Weather,
}

/// It carries until it is dropped.
#[derive(Debug)]
pub struct Relay {
    pub address: SocketAddr,
    weather: watch::Sender<Both>,
    reset: watch::Sender<()>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// A way from that machine to an address.
    pub fn start(from: &Node, to: SocketAddr, seed: u64) -> Self {
        let (weather, reset) = (watch::Sender::new(Both::default()), watch::Sender::new(()));
        let (stop, stopped) = oneshot::channel();
        let (telling, told) = std::sync::mpsc::channel();
        let (from, shared) = (from.clone(), (weather.clone(), reset.clone()));
        let thread = std::thread::spawn(move || {
            // A thread of its own, because a thread is on one machine.
            from.enter();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = TcpListener::bind((from.inner_ip(), 0)).await.unwrap();
                let _ = telling.send(listener.local_addr().unwrap());
                tokio::select! {
                    () = accept(listener, to, seed, shared.0, shared.1) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = told.recv().expect("the relay listens");
        Self { address, weather, reset, stop: Some(stop), thread: Some(thread) }
    }

    /// Changes how it is on the way there.
    pub fn forth(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(|both| change(&mut both.forth));
    }

    /// Changes how it is on the way back.
    pub fn back(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(|both| change(&mut both.back));
    }

    /// To whoever connected every connection that there is now seems to have ended. What is on
    /// its way goes on.
    pub fn reset(&self) {
        self.reset.send_replace(());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(
    listener: TcpListener,
    to: SocketAddr,
    seed: u64,
    weather: watch::Sender<Both>,
    reset: watch::Sender<()>,
) {
    let mut connections = JoinSet::new();
    for number in 0.. {
        let Ok((client, _)) = listener.accept().await else { return };
        while connections.try_join_next().is_some() {}
        let chance = |direction| Chance::of(seed, &[number, direction]);
        let (forth, back) = (weather.subscribe(), weather.subscribe());
        let (chances, mut reset) = ((chance(0), chance(1)), reset.subscribe());
        connections.spawn(async move {
            let Some(server) = reach(to, forth.clone()).await else { return };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let forth = carry(from_client, to_server, forth, |both| both.forth, chances.0);
            let back = async {
                tokio::select! {
                    () = carry(from_server, to_client, back, |both| both.back, chances.1) => {}
                    _ = reset.changed() => {}
                }
            };
            tokio::join!(forth, back);
        });
    }
}

/// Whoever connected has sent something already, maybe, which arrives when that is possible again.
async fn reach(to: SocketAddr, mut weather: watch::Receiver<Both>) -> Option<TcpStream> {
    for _ in 0..CONNECTS_MAX {
        let is_clear = |both: &Both| !both.forth.is_lost && !both.back.is_lost;
        weather.wait_for(is_clear).await.ok()?;
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(to)).await {
            Ok(Ok(server)) => return Some(server),
            // Nobody listens there.
            Ok(Err(_)) => return None,
            Err(_) => {}
        }
    }
    None
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut weather: watch::Receiver<Both>,
    side: fn(&Both) -> Weather,
    mut chance: Chance,
) {
    let (sending, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let now = weather.clone();
    let reading = async move {
        let mut last = Instant::now();
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let count = from.read_buf(&mut chunk).await.unwrap_or(0);
            let Weather { delay_ms, jitter_ms, .. } = side(&now.borrow());
            let late = Duration::from_millis(delay_ms + chance.within(0..=jitter_ms));
            // One connection keeps its order.
            last = last.max(Instant::now() + late);
            // Its end comes in its turn.
            if sending.send((last, chunk)).await.is_err() || count == 0 {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((at, chunk)) = arriving.recv().await {
            sleep_until(at).await;
            if weather.wait_for(|both| !side(both).is_lost).await.is_err() {
                return;
            }
            let done = match chunk.is_empty() {
                true => to.shutdown().await,
                false => to.write_all(&chunk).await,
            };
            if done.is_err() {
                return;
            }
        }
    };
    // Whoever has nobody to write to does not read on.
    tokio::select! {
        () = writing => {}
        () = async { reading.await; std::future::pending::<()>().await } => {}
    }
}
