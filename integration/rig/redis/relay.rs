//! A network between Palisade and the server: it can keep bytes back, and it does not tell the
//! server that Palisade's machine is gone.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Everything that goes to it goes on to the server.
#[derive(Debug)]
pub struct Relay {
    pub address: SocketAddr,
    /// Connections with a smaller number keep back what they are sent.
    held_below: watch::Sender<usize>,
    opened: watch::Receiver<usize>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// A way to that server.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (held_below, held) = watch::channel(0);
        let (opening, opened) = watch::channel(0);
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            for number in 0.. {
                let Ok((client, _)) = listener.accept().await else { return };
                let Ok(upstream) = TcpStream::connect(server).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = upstream.into_split();
                connections.spawn(forth(from_client, to_server, number, held.clone()));
                connections.spawn(back(from_server, to_client));
                opening.send_replace(number + 1);
            }
        });
        Self { address, held_below, opened, accepting }
    }

    /// From now on nothing that is sent on the connections of today arrives.
    pub fn hold(&self) {
        self.held_below.send_replace(*self.opened.borrow());
    }

    /// What was kept back arrives now.
    pub fn release(&self) {
        self.held_below.send_replace(0);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forth(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    number: usize,
    mut held_below: watch::Receiver<usize>,
) {
    let mut part = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut part).await.unwrap_or(0);
        if held_below.wait_for(|below| number >= *below).await.is_err() {
            return;
        }
        if read == 0 {
            // The sender's machine is gone: nobody says so.
            std::future::pending::<()>().await;
        }
        if to.write_all(&part[..read]).await.is_err() {
            return;
        }
    }
}

async fn back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut part = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut part).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        // What nobody takes any more is lost on its way.
        let _ = to.write_all(&part[..read]).await;
    }
}
