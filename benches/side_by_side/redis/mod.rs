//! Palisade before a Redis, beside HAProxy in TCP mode, nutcracker and nothing.
//!
//! redis-benchmark is the client, with its own mTLS (OpenSSL), but for nutcracker and the server
//! without it. The proxies speak plain TCP to the server. HAProxy has one thread and nutcracker
//! knows no more, so Palisade is given one worker; it has everything on, and each session has a
//! token. HAProxy does not look at what it passes on. nutcracker does, and all of its clients share
//! one connection to the server. What the connections themselves cost is measured apart, by runs of
//! one command for each, and taken off.

mod client;
mod load;
mod proxies;
mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::peers::find;
use super::table::{Figure, Table};
use super::usage;
use load::{Load, Shown, TOKEN};
use proxies::{Kind, Proxy};
use server::Server;

/// What is wanted.
pub struct Options {
    pub rounds: usize,
    /// Of each load.
    pub time: Duration,
    /// New connections of a round.
    pub connections: usize,
    /// Idle sessions whose memory is measured.
    pub idle: usize,
    /// Idle sessions that are taken over.
    pub overtaken: usize,
    /// What the names of loads begin with; all if there are none.
    pub loads: Option<Vec<String>>,
    /// What the names of proxies begin with; all if there are none.
    pub proxies: Option<Vec<String>>,
    /// Another build of Palisade.
    pub other: Option<PathBuf>,
}

const NEW: Figure = Figure { order: 10, label: "new connection, CPU us", bar: None };
const NEW_RATE: Figure = Figure { order: 11, label: "new connections/s", bar: None };
const IDLE: Figure = Figure { order: 12, label: "idle session, KiB", bar: None };
const TAKEOVER: Figure = Figure { order: 13, label: "takeover with idle sessions, ms", bar: None };
/// The most that CPU for each command may be beside HAProxy's, in hundredths.
const BAR: u32 = 95;
/// Sessions after which a proxy has made what it makes once.
const WARM: usize = 64;

/// Prints the table, or why there is none. `certs` has `ca.pem`, `leader.pem` and so on.
pub fn compare(options: &Options, dir: &Path, certs: &Path) {
    if ["redis-server", "redis-benchmark"].iter().any(|program| find(program).is_none()) {
        println!("Redis or redis-benchmark is not installed, so Redis is left out");
        return;
    }
    let mut kinds = Kind::ALL.to_vec();
    kinds.retain(|kind| begins(&options.proxies, kind.name()) && kind.is_there());
    kinds.extend(options.other.clone().map(Kind::Other));
    let server = Server::start(dir, certs);
    let names: Vec<&str> = kinds.iter().map(Kind::name).collect();
    let base = kinds.iter().position(|kind| *kind == Kind::HaProxy);
    println!("Redis: {} rounds, about {:?} for each load", options.rounds, options.time);
    let mut table = Table::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    if options.wants("idle") {
        for (index, kind) in kinds.iter().enumerate() {
            let idle = runtime.block_on(idle(&kind.start(&server), options));
            match idle {
                Ok((kib, takeover)) => {
                    note(&mut table, IDLE, (index, 0), kib);
                    note(&mut table, TAKEOVER, (index, 0), takeover);
                }
                Err(error) => println!("{}, idle sessions: {error}", kind.name()),
            }
        }
    }
    let proxies: Vec<Proxy> = kinds.iter().map(|kind| kind.start(&server)).collect();
    let loads: Vec<(Load, [Figure; 4])> = Load::all()
        .into_iter()
        .enumerate()
        .filter(|(_, load)| options.wants(&load.name()))
        .map(|(order, load)| (load, figures(order, &load)))
        .collect();
    for round in 0..options.rounds {
        let mut connecting = BTreeMap::new();
        for (load, figures) in &loads {
            for (index, (kind, proxy)) in kinds.iter().zip(&proxies).enumerate() {
                let connecting = connecting
                    .entry((index, load.connections))
                    .or_insert_with(|| Load::connect(proxy, load.connections));
                let shown = connecting.as_ref().map_err(Clone::clone);
                match shown.and_then(|cost| load.measure(proxy, cost, options)) {
                    Ok(shown) => {
                        let Shown { cpu_us, rate, p50_us, p99_us } = shown;
                        let values = [cpu_us, Some(rate), Some(p50_us), Some(p99_us)];
                        for (figure, value) in figures.iter().zip(values) {
                            note(&mut table, *figure, (index, round), value);
                        }
                    }
                    Err(error) => println!("{}, {}: {error}", kind.name(), load.title()),
                }
            }
        }
        for (index, (kind, proxy)) in kinds.iter().zip(&proxies).enumerate() {
            if !options.wants("new") {
                continue;
            }
            match runtime.block_on(connections(proxy, options.connections)) {
                Ok((cpu_us, rate)) => {
                    note(&mut table, NEW, (index, round), cpu_us);
                    note(&mut table, NEW_RATE, (index, round), Some(rate));
                }
                Err(error) => println!("{}, new connections: {error}", kind.name()),
            }
        }
    }
    table.print("Redis", &names, base);
    println!(
        "\nIn parentheses: against HAProxy, the median of the rounds' ratios. {} idle sessions \
         were taken over.",
        options.overtaken
    );
}

impl Options {
    fn wants(&self, load: &str) -> bool {
        begins(&self.loads, load)
    }
}

fn begins(wanted: &Option<Vec<String>>, name: &str) -> bool {
    wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|one| name.starts_with(one.as_str())))
}

/// CPU, rate, p50 and p99.
fn figures(order: usize, load: &Load) -> [Figure; 4] {
    // Once in a run: the table keeps labels that live as long as it does.
    let label = |unit: &str| -> &'static str { format!("{}, {unit}", load.title()).leak() };
    [
        Figure { order, label: label("CPU us"), bar: Some(BAR) },
        Figure { order: 20 + order, label: label("commands/s"), bar: None },
        Figure { order: 30 + 2 * order, label: label("p50 us"), bar: None },
        Figure { order: 31 + 2 * order, label: label("p99 us"), bar: None },
    ]
}

fn note(table: &mut Table, figure: Figure, (peer, round): (usize, usize), value: Option<f64>) {
    if let Some(value) = value {
        table.note(figure, peer, round, value);
    }
}

/// KiB of each idle session, and how long it takes to take them over, in milliseconds. It has done
/// nothing else before.
async fn idle(proxy: &Proxy, options: &Options) -> std::io::Result<(Option<f64>, Option<f64>)> {
    if proxy.pids.is_empty() {
        return Ok((None, None));
    }
    let mut sessions = Vec::new();
    let mut before = 0;
    for number in 0..options.idle + WARM {
        if number == WARM {
            tokio::time::sleep(Duration::from_millis(200)).await;
            before = usage::resident_bytes(&proxy.pids);
        }
        sessions.push(client::connect(proxy, TOKEN).await?);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let bytes = usage::resident_bytes(&proxy.pids).saturating_sub(before);
    let kib = bytes as f64 / 1024.0 / options.idle as f64;
    if !proxy.is_fence {
        return Ok((Some(kib), None));
    }
    while sessions.len() < options.overtaken {
        sessions.push(client::connect(proxy, TOKEN).await?);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    client::connect(proxy, TOKEN + 1).await?;
    Ok((Some(kib), Some(begun.elapsed().as_secs_f64() * 1e3)))
}

/// CPU of each new connection with its first command, and how many a second.
async fn connections(proxy: &Proxy, count: usize) -> std::io::Result<(Option<f64>, f64)> {
    let before = usage::cpu(&proxy.pids);
    let begun = Instant::now();
    for _ in 0..count {
        drop(client::connect(proxy, TOKEN).await?);
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    // What ends a connection is part of its cost.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let cpu = usage::cpu(&proxy.pids).saturating_sub(before);
    let cpu_us = (!proxy.pids.is_empty()).then(|| cpu.as_secs_f64() * 1e6 / count as f64);
    Ok((cpu_us, rate))
}
