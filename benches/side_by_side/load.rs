//! The loads, each with what it cost the proxy.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::Version;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::client::{Client, Dialer, Work};
use super::usage;

/// Requests at once.
const AT_ONCE: usize = 32;
/// Streams that share a connection, on HTTP/2.
const STREAMS: usize = 8;
/// Of the paced load.
pub const PACED_REQUESTS_S: u32 = 2_000;
const WARM_UP: Duration = Duration::from_millis(150);

/// What a load has shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// CPU of the proxy's processes for each request (or MiB, or connection), in microseconds.
    pub cpu_us: f64,
    /// Requests in a second.
    pub rate: f64,
    /// Latency, in microseconds.
    pub p50_us: f64,
    /// Latency, in microseconds.
    pub p99_us: f64,
}

/// Who is asked, and how.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub dialer: &'a Dialer,
    pub address: SocketAddr,
    pub version: Version,
    /// All processes of the proxy.
    pub pids: &'a [u32],
}

impl Target<'_> {
    async fn clients(&self) -> io::Result<Vec<Client>> {
        let mut clients = Vec::new();
        while clients.len() < AT_ONCE {
            let client = self.dialer.connect(self.address, self.version).await?;
            clients.extend((1..STREAMS).filter_map(|_| client.share()));
            clients.push(client);
        }
        Ok(clients)
    }

    /// As many requests as it takes, each client one after another.
    pub async fn closed_loop(&self, work: &Work, time: Duration) -> io::Result<Shown> {
        let clients = self.clients().await?;
        let (clients, _) = run(clients, work, WARM_UP, None).await?;
        self.measured(clients, work, time, None).await
    }

    /// So many requests a second as everyone can bear.
    pub async fn paced(&self, work: &Work, time: Duration) -> io::Result<Shown> {
        let clients = self.clients().await?;
        let pace = Duration::from_secs(1) * clients.len() as u32 / PACED_REQUESTS_S;
        let (clients, _) = run(clients, work, WARM_UP, Some(pace)).await?;
        self.measured(clients, work, time, Some(pace)).await
    }

    async fn measured(
        &self,
        clients: Vec<Client>,
        work: &Work,
        time: Duration,
        pace: Option<Duration>,
    ) -> io::Result<Shown> {
        let (before, begun) = (usage::cpu(self.pids), Instant::now());
        let (_clients, mut latencies) = run(clients, work, time, pace).await?;
        let (elapsed, cpu) = (begun.elapsed(), usage::cpu(self.pids).saturating_sub(before));
        latencies.sort_unstable();
        let at = |part: f64| {
            let index = (latencies.len() as f64 * part) as usize;
            latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
        };
        let count = latencies.len() as f64;
        Ok(Shown {
            cpu_us: cpu.as_secs_f64() * 1e6 / count,
            rate: count / elapsed.as_secs_f64(),
            p50_us: at(0.50),
            p99_us: at(0.99),
        })
    }

    /// Some large bodies, two at once; the CPU is that for each MiB.
    pub async fn bulk(&self, work: &Work, mib: u64) -> io::Result<Shown> {
        let mut clients = Vec::new();
        for _ in 0..2 {
            clients.push(self.dialer.connect(self.address, self.version).await?);
        }
        let (before, begun) = (usage::cpu(self.pids), Instant::now());
        let mut running = JoinSet::new();
        for mut client in clients {
            let work = work.clone();
            running.spawn(async move { client.send(&work).await.map(|()| client) });
        }
        let mut done = 0;
        let mut kept = Vec::new();
        while let Some(ended) = running.join_next().await {
            kept.push(ended.map_err(io::Error::other)??);
            done += 1;
        }
        let cpu = usage::cpu(self.pids).saturating_sub(before);
        Ok(Shown {
            cpu_us: cpu.as_secs_f64() * 1e6 / (mib * done) as f64,
            rate: done as f64 / begun.elapsed().as_secs_f64(),
            ..Shown::default()
        })
    }

    /// New connections, four at once, each with one small request, so that the proxy has
    /// certainly verified the client by then.
    pub async fn connections(&self, work: &Work, count: usize) -> io::Result<Shown> {
        let (before, begun) = (usage::cpu(self.pids), Instant::now());
        for _ in 0..count / 4 {
            futures_util::future::try_join_all((0..4).map(async |_| {
                let mut client = self.dialer.connect(self.address, self.version).await?;
                client.send(work).await
            }))
            .await?;
        }
        // What ends a connection is part of its cost.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let cpu = usage::cpu(self.pids).saturating_sub(before);
        Ok(Shown {
            cpu_us: cpu.as_secs_f64() * 1e6 / count as f64,
            rate: count as f64 / begun.elapsed().as_secs_f64(),
            ..Shown::default()
        })
    }

    /// KiB of memory for each of that many connections that have had one request and now do
    /// nothing. The proxy should not have done anything before.
    pub async fn idle_kib(&self, work: &Work, count: usize) -> io::Result<f64> {
        // What is made once, such as buffers for each worker, is made by the first of them.
        let mut connections = Vec::new();
        let mut before = 0;
        for index in 0..count + 2 * AT_ONCE {
            if index == 2 * AT_ONCE {
                tokio::time::sleep(Duration::from_millis(200)).await;
                before = usage::resident_bytes(self.pids);
            }
            let mut client = self.dialer.connect(self.address, self.version).await?;
            client.send(work).await?;
            client.rest();
            connections.push(client);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let bytes = usage::resident_bytes(self.pids).saturating_sub(before);
        Ok(bytes as f64 / 1024.0 / count as f64)
    }
}

async fn run(
    clients: Vec<Client>,
    work: &Work,
    time: Duration,
    pace: Option<Duration>,
) -> io::Result<(Vec<Client>, Vec<Duration>)> {
    let mut running = JoinSet::new();
    let (count, until) = (clients.len() as u32, Instant::now() + time);
    for (index, mut client) in clients.into_iter().enumerate() {
        let work = work.clone();
        running.spawn(async move {
            let mut latencies = Vec::with_capacity(4096);
            let mut ticks = pace.map(interval);
            if let Some(ticks) = &mut ticks {
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                tokio::time::sleep(ticks.period() * index as u32 / count).await;
            }
            while Instant::now() < until {
                if let Some(ticks) = &mut ticks {
                    ticks.tick().await;
                }
                let begun = Instant::now();
                client.send(&work).await?;
                latencies.push(begun.elapsed());
            }
            Ok::<_, io::Error>((client, latencies))
        });
    }
    let (mut clients, mut latencies) = (Vec::new(), Vec::new());
    while let Some(ended) = running.join_next().await {
        let (client, mut some) = ended.map_err(io::Error::other)??;
        clients.push(client);
        latencies.append(&mut some);
    }
    Ok((clients, latencies))
}
