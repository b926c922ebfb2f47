//! The fence that does not hold, for PostgreSQL: it compares the token of each message on arrival.
//!
//! For the demo only. It does what most hand-made fences do, and does that right: the highest
//! token seen is remembered, and no statement of a session with one below it is passed on. What
//! it lacks is everything between the check and the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::client::TOKEN;
use crate::protocol::postgres::codec::frame::{self, HEADER_BYTES, Side};
use crate::protocol::postgres::codec::message::write::{self, Report, Severity};
use crate::protocol::postgres::codec::startup::{self, First};
use crate::protocol::postgres::upstream::Connector;

/// Sessions at once; more have to wait.
const SESSIONS_MAX: usize = 64;

/// A compare-and-forward proxy that runs until this is dropped.
pub(super) struct Naive {
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Naive {
    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Naive {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Starts one in front of a server.
///
/// # Errors
/// When the address cannot be taken.
pub(super) async fn serve(server: Arc<Connector>, listen: SocketAddr) -> anyhow::Result<Naive> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listening on {listen} to compare and forward"))?;
    let address = listener.local_addr()?;
    let accepting = tokio::spawn(accept(listener, server)).abort_handle();
    Ok(Naive { address, accepting })
}

async fn accept(listener: TcpListener, server: Arc<Connector>) {
    let highest = Arc::new(AtomicU64::new(0));
    let mut sessions = JoinSet::new();
    loop {
        while sessions.len() >= SESSIONS_MAX {
            sessions.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                let (highest, server) = (Arc::clone(&highest), Arc::clone(&server));
                sessions.spawn(session(client, highest, server));
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}

async fn session(
    mut client: TcpStream,
    highest: Arc<AtomicU64>,
    server: Arc<Connector>,
) -> anyhow::Result<()> {
    client.set_nodelay(true)?;
    let mut length = [0; 4];
    client.read_exact(&mut length).await?;
    let mut packet = vec![0; startup::len(&length)?.context("a length in part")?];
    client.read_exact(&mut packet).await?;
    let First::Startup(mut asked) = startup::first(&packet)? else {
        bail!("this is no session");
    };
    let token = asked.take(TOKEN)?.context("there is no token")?.parse()?;
    if !check(&highest, token) {
        return refuse(&mut client).await;
    }
    let (mut server, _) = server.connect().await?;
    let mut packet = Vec::new();
    write::startup(&mut packet, &asked.parameters);
    server.write_all(&packet).await?;
    server.flush().await?;
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_client, mut to_client) = client.split();
    let is_stale = tokio::select! {
        passed = pass_on(&mut from_client, &mut to_server, || check(&highest, token)) => passed?,
        copied = tokio::io::copy(&mut from_server, &mut to_client) => { copied?; false }
    };
    if is_stale { refuse(&mut client).await } else { Ok(()) }
}

/// The whole fence: a token below the highest one seen is stale, any other becomes the highest.
fn check(highest: &AtomicU64, token: u64) -> bool {
    token >= highest.fetch_max(token, Ordering::SeqCst)
}

/// Passes messages on as they come, until the first one that does not pass the check: true.
async fn pass_on(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    check: impl Fn() -> bool,
) -> anyhow::Result<bool> {
    loop {
        let mut bytes = [0; HEADER_BYTES];
        from.read_exact(&mut bytes).await?;
        if !check() {
            return Ok(true);
        }
        let header = frame::header(Side::Client, &bytes)?.context("a header in part")?;
        to.write_all(&bytes).await?;
        tokio::io::copy(&mut from.take(header.len as u64), to).await?;
        to.flush().await?;
    }
}

async fn refuse(client: &mut TcpStream) -> anyhow::Result<()> {
    let mut error = Vec::new();
    let (message, severity) = ("the token is stale", Severity::Fatal);
    let report = Report { severity, sqlstate: "PF001", message, detail: None, hint: None };
    write::error(&mut error, &report);
    client.write_all(&error).await?;
    Ok(client.shutdown().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Vec<u8> {
        let mut message = Vec::new();
        write::query(&mut message, text);
        message
    }

    #[test]
    fn it_compares_on_arrival() {
        let highest = AtomicU64::new(0);
        let arrivals = [(33, true), (34, true), (33, false), (34, true)];
        for (token, is_let_through) in arrivals {
            assert_eq!(check(&highest, token), is_let_through, "{token}");
        }
    }

    #[tokio::test]
    async fn what_arrives_late_is_seen_and_what_is_on_its_way_is_not() {
        let highest = AtomicU64::new(33);
        let (mut client, mut from) = tokio::io::duplex(1 << 10);
        let (mut to, mut server) = tokio::io::duplex(1 << 10);
        let (first, second) = (query("UPDATE 1"), query("UPDATE 2"));
        let (half, rest) = first.split_at(first.len() / 2);
        let leader = async {
            client.write_all(half).await.unwrap();
            let mut arrived = vec![0; half.len()];
            server.read_exact(&mut arrived).await.unwrap();
            assert!(check(&highest, 34), "another leader is elected");
            client.write_all(rest).await.unwrap();
            let mut arrived = vec![0; rest.len()];
            server.read_exact(&mut arrived).await.unwrap();
            client.write_all(&second).await.unwrap();
        };
        let passing = pass_on(&mut from, &mut to, || check(&highest, 33));
        let ((), is_stale) = tokio::join!(leader, passing);
        assert!(is_stale.unwrap());
    }
}
