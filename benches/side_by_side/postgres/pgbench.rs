//! pgbench, and what it cost the proxy.

use std::process::Command;
use std::time::Duration;

use super::Options;
use super::server::binary;
use crate::usage;

/// Connections of pgbench.
const CLIENTS: usize = 8;

/// libpq's variables of the environment.
#[derive(Clone, Debug)]
pub struct Way(Vec<(String, String)>);

impl Way {
    pub fn new(variables: &[(&str, &str)]) -> Self {
        let owned = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Self(owned.collect())
    }
}

/// One load.
pub struct Load {
    /// What the row of its CPU says.
    pub cpu: &'static str,
    /// What the row of its rate says.
    pub rate: &'static str,
    /// The most that the ratio to PgBouncer may be, in hundredths.
    pub bar: u32,
    arguments: &'static [&'static str],
    /// Whether each transaction has a connection of its own.
    is_connecting: bool,
}

/// What a load has shown.
pub struct Shown {
    /// CPU of the proxy for each transaction, in microseconds.
    pub cpu_us: Option<f64>,
    /// Transactions a second.
    pub rate: f64,
}

const fn load(
    cpu: &'static str,
    rate: &'static str,
    bar: u32,
    arguments: &'static [&'static str],
) -> Load {
    Load { cpu, rate, bar, arguments, is_connecting: false }
}

/// In the order of the table.
pub const LOADS: [Load; 7] = [
    load("select, simple, CPU us", "select, simple, tps", 100, &["-S", "-M", "simple"]),
    load("select, extended, CPU us", "select, extended, tps", 100, &["-S", "-M", "extended"]),
    load("select, prepared, CPU us", "select, prepared, tps", 105, &["-S", "-M", "prepared"]),
    load("TPC-B, simple, CPU us", "TPC-B, simple, tps", 100, &["-b", "tpcb-like", "-M", "simple"]),
    load(
        "TPC-B, extended, CPU us",
        "TPC-B, extended, tps",
        100,
        &["-b", "tpcb-like", "-M", "extended"],
    ),
    load(
        "TPC-B, prepared, CPU us",
        "TPC-B, prepared, tps",
        100,
        &["-b", "tpcb-like", "-M", "prepared"],
    ),
    Load {
        cpu: "new connection, CPU us",
        rate: "new connections/s",
        bar: 60,
        arguments: &["-S", "-C"],
        is_connecting: true,
    },
];

impl Load {
    /// Runs it once.
    ///
    /// # Errors
    /// pgbench says what is wrong.
    pub fn measure(&self, way: &Way, pids: &[u32], options: &Options) -> Result<Shown, String> {
        if self.is_connecting {
            let each = options.connections / 4;
            let (cpu, count, rate) = self.run(way, pids, 4, &["-t", &each.to_string()])?;
            return Ok(shown(pids, cpu, count, rate));
        }
        let (connecting, _, _) = self.run(way, pids, CLIENTS, &["-t", "1"])?;
        // It takes whole seconds.
        let seconds = options.time.as_secs_f64().ceil().to_string();
        let (cpu, count, rate) = self.run(way, pids, CLIENTS, &["-T", &seconds])?;
        Ok(shown(pids, cpu.saturating_sub(connecting), count - CLIENTS as f64, rate))
    }

    /// The CPU of the proxy, the transactions, and their rate.
    fn run(
        &self,
        way: &Way,
        pids: &[u32],
        clients: usize,
        length: &[&str],
    ) -> Result<(Duration, f64, f64), String> {
        let clients = clients.to_string();
        let arguments = [self.arguments, &["-n", "-j", "2", "-c", &clients], length].concat();
        let before = usage::cpu(pids);
        let told = try_run(way, &arguments)?;
        // What ends a connection is part of its cost.
        std::thread::sleep(Duration::from_millis(50));
        let cpu = usage::cpu(pids).saturating_sub(before);
        let number = |mark: &str| {
            let rest = told.lines().find_map(|line| line.strip_prefix(mark));
            let digits = rest.and_then(|rest| rest.split(['/', ' ']).next());
            digits.and_then(|digits| digits.parse::<f64>().ok()).ok_or_else(|| told.clone())
        };
        let count = number("number of transactions actually processed: ")?;
        Ok((cpu, count, number("tps = ")?))
    }
}

fn shown(pids: &[u32], cpu: Duration, count: f64, rate: f64) -> Shown {
    let cpu_us = (!pids.is_empty()).then(|| cpu.as_secs_f64() * 1e6 / count);
    Shown { cpu_us, rate }
}

/// Runs pgbench and fails if it does.
pub fn run(way: &Way, arguments: &[&str]) {
    if let Err(told) = try_run(way, arguments) {
        panic!("pgbench {arguments:?}: {told}");
    }
}

fn try_run(way: &Way, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(binary("pgbench").expect("pgbench is there"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG")) {
        command.env_remove(name);
    }
    command.envs(way.0.iter().map(|(name, value)| (name, value))).args(arguments);
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
