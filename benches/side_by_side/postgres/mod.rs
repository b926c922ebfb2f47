//! Palisade before a PostgreSQL, beside PgBouncer and beside nothing.
//!
//! pgbench is the client: its own mTLS (libpq) to either proxy, none to the server itself. The
//! proxies speak plain TCP to the server, and log in as the same role with SCRAM. PgBouncer is in
//! session mode and verifies the client's certificate (`auth_type = cert`). It has one thread, so
//! Palisade is given one worker; it has everything on, and each session has a token. What the connections themselves cost is measured
//! apart, by runs of one transaction for each, and taken off.

mod client;
mod pgbench;
mod proxies;
mod server;

use std::path::Path;
use std::time::{Duration, Instant};

use super::table::{Figure, Table};
use super::usage;
use pgbench::{Load, run};
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
}

const IDLE: Figure = Figure { order: 10, label: "idle session, KiB", bar: Some(200) };
const TAKEOVER: Figure = Figure { order: 11, label: "takeover with idle sessions, ms", bar: None };

/// Prints the table, or why there is none. `certs` has `ca.pem`, `leader.pem` and so on.
pub fn compare(options: &Options, dir: &Path, certs: &Path) {
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(Kind::is_there).collect();
    if server::binary("postgres").is_none() {
        println!("PostgreSQL is not installed, so it is left out");
        return;
    }
    let server = Server::start(dir, certs);
    run(&server.way(), &["-i", "-s", "10", "-q"]);
    let names: Vec<&str> = kinds.iter().map(Kind::name).collect();
    let base = kinds.iter().position(|kind| *kind == Kind::PgBouncer);
    println!("PostgreSQL: {} rounds, {:?} for each load", options.rounds, options.time);
    let mut table = Table::default();
    memory_and_takeover(options, &kinds, &server, &mut table);
    let proxies: Vec<Option<Proxy>> = kinds.iter().map(|kind| kind.start(&server)).collect();
    for round in 0..options.rounds {
        for (order, load) in pgbench::LOADS.iter().enumerate() {
            for (index, (kind, proxy)) in kinds.iter().zip(&proxies).enumerate() {
                let way = proxy.as_ref().map_or_else(|| server.way(), |proxy| proxy.way.clone());
                let pids = proxy.as_ref().map_or(&[][..], |proxy| &proxy.pids);
                match load.measure(&way, pids, options) {
                    Ok(shown) => note(&mut table, load, order, (index, round), &shown),
                    Err(error) => println!("{}, {}: {error}", kind.name(), load.cpu),
                }
            }
        }
    }
    table.print("PostgreSQL", &names, base);
    println!(
        "\nIn parentheses: against PgBouncer, the median of the rounds' ratios. {} idle sessions \
         were taken over.",
        options.overtaken
    );
}

fn note(
    table: &mut Table,
    load: &Load,
    order: usize,
    (peer, round): (usize, usize),
    shown: &pgbench::Shown,
) {
    if let Some(cpu_us) = shown.cpu_us {
        let figure = Figure { order, label: load.cpu, bar: Some(load.bar) };
        table.note(figure, peer, round, cpu_us);
    }
    let figure = Figure { order: 20 + order, label: load.rate, bar: None };
    table.note(figure, peer, round, shown.rate);
}

/// Each proxy for itself, before it has done anything else.
fn memory_and_takeover(options: &Options, kinds: &[Kind], server: &Server, table: &mut Table) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    for (index, kind) in kinds.iter().enumerate() {
        let Some(proxy) = kind.start(server) else { continue };
        let measured = runtime.block_on(async {
            let mut sessions = Vec::new();
            let mut before = 0;
            // What is made once is made by the first of them.
            for number in 0..options.idle + 64 {
                if number == 64 {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    before = usage::resident_bytes(&proxy.pids);
                }
                sessions.push(client::connect(&proxy, 7).await?);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            let bytes = usage::resident_bytes(&proxy.pids).saturating_sub(before);
            let kib = bytes as f64 / 1024.0 / options.idle as f64;
            if *kind != Kind::Palisade {
                return Ok((kib, None));
            }
            while sessions.len() < options.overtaken {
                sessions.push(client::connect(&proxy, 7).await?);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            let begun = Instant::now();
            client::connect(&proxy, 8).await?;
            Ok::<_, std::io::Error>((kib, Some(begun.elapsed())))
        });
        match measured {
            Ok((kib, takeover)) => {
                table.note(IDLE, index, 0, kib);
                if let Some(takeover) = takeover {
                    table.note(TAKEOVER, index, 0, takeover.as_secs_f64() * 1e3);
                }
            }
            Err(error) => println!("{}, idle sessions: {error}", kind.name()),
        }
    }
}
