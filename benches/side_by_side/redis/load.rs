//! redis-benchmark, and what it cost the proxy.

use std::process::Command;
use std::time::Duration;

use super::Options;
use super::proxies::Proxy;
use super::server::PASSWORD;
use crate::peers::find;
use crate::usage;

/// Commands a second that are planned for, without and with pipelining: redis-benchmark is told how
/// many, not how long.
const RATES: [f64; 2] = [30_000.0, 300_000.0];
const PIPELINE: usize = 16;
/// Commands on each connection, at least: so few that its first one, which waits for TLS, is not
/// among the slowest percent.
const COMMANDS_MIN: usize = 200;
/// The token of the sessions.
pub const TOKEN: u64 = 7;

/// One load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// `set` or `get`.
    pub command: &'static str,
    pub is_pipelined: bool,
    pub connections: usize,
}

/// What a load has shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// CPU of the proxy for each command, in microseconds.
    pub cpu_us: Option<f64>,
    /// Commands a second.
    pub rate: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// What the connections of a load and one command on each cost.
#[derive(Clone, Copy, Debug)]
pub struct Connecting {
    cpu: Duration,
    seconds: f64,
}

impl Load {
    /// In the order of the table.
    pub fn all() -> Vec<Self> {
        let mut loads = Vec::new();
        for is_pipelined in [false, true] {
            for connections in [50, 500] {
                for command in ["set", "get"] {
                    loads.push(Self { command, is_pipelined, connections });
                }
            }
        }
        loads
    }

    /// As `--load` calls it: `set-50`, `get-500-P16`, ...
    pub fn name(&self) -> String {
        let pipeline = if self.is_pipelined { format!("-P{PIPELINE}") } else { String::new() };
        format!("{}-{}{pipeline}", self.command, self.connections)
    }

    /// In the table.
    pub fn title(&self) -> String {
        let pipeline = if self.is_pipelined { format!(" -P {PIPELINE}") } else { String::new() };
        format!("{} -c {}{pipeline}", self.command.to_uppercase(), self.connections)
    }

    /// Runs it once; what its connections cost is taken off.
    ///
    /// # Errors
    /// redis-benchmark says what is wrong.
    pub fn measure(
        &self,
        proxy: &Proxy,
        connecting: &Connecting,
        options: &Options,
    ) -> Result<Shown, String> {
        let planned = RATES[usize::from(self.is_pipelined)] * options.time.as_secs_f64();
        let all = (planned as usize).max(COMMANDS_MIN * self.connections);
        let (cpu, told) = self.run(proxy, all)?;
        let Told { rate, p50_ms, p99_ms } = told;
        let cpu = cpu.saturating_sub(connecting.cpu).as_secs_f64();
        let count = (all - self.connections) as f64;
        let cpu_us = (!proxy.pids.is_empty()).then(|| cpu * 1e6 / count);
        let seconds = all as f64 / rate;
        // On a busy machine connecting may have taken longer than it did this time.
        let rate = count / (seconds - connecting.seconds).max(seconds / 2.0);
        Ok(Shown { cpu_us, rate, p50_us: p50_ms * 1e3, p99_us: p99_ms * 1e3 })
    }

    /// Connects, and sends one command on each connection.
    ///
    /// # Errors
    /// The same.
    pub fn connect(proxy: &Proxy, connections: usize) -> Result<Connecting, String> {
        let one = Self { command: "set", is_pipelined: false, connections };
        let (cpu, told) = one.run(proxy, connections)?;
        Ok(Connecting { cpu, seconds: connections as f64 / told.rate })
    }

    /// The CPU of the proxy, and what redis-benchmark prints.
    fn run(&self, proxy: &Proxy, count: usize) -> Result<(Duration, Told), String> {
        let mut command = Command::new(find("redis-benchmark").expect("redis-benchmark is there"));
        let port = proxy.address.port().to_string();
        command.args(["-h", "127.0.0.1", "-p", &port, "--csv", "--precision", "3"]);
        command.args(["-t", self.command, "-n", &count.to_string()]);
        command.args(["-c", &self.connections.to_string()]);
        if self.is_pipelined {
            command.args(["-P", &PIPELINE.to_string()]);
        }
        if proxy.has_tls {
            let at = |name: &str| proxy.certs.join(name);
            command.args(["--tls", "--sni", "localhost", "--cacert"]).arg(at("ca.pem"));
            command.arg("--cert").arg(at("leader.pem")).arg("--key").arg(at("leader.key"));
        }
        match proxy.is_fence {
            true => command.args(["--user", &format!("token={TOKEN}"), "-a", "x"]),
            false => command.args(["-a", PASSWORD]),
        };
        let before = usage::cpu(&proxy.pids);
        let output = command.output().map_err(|error| error.to_string())?;
        // What ends a connection is part of its cost.
        std::thread::sleep(Duration::from_millis(50));
        let cpu = usage::cpu(&proxy.pids).saturating_sub(before);
        let told = String::from_utf8_lossy(&output.stdout);
        let wrong = || format!("{told}{}", String::from_utf8_lossy(&output.stderr));
        let wanted = format!("\"{}\",", self.command.to_uppercase());
        let line = told.lines().find_map(|line| line.strip_prefix(&wanted)).ok_or_else(wrong)?;
        let numbers = line.split(',').map(|text| text.trim_matches('"').parse::<f64>());
        let numbers: Vec<_> = numbers.map_while(Result::ok).collect();
        match numbers[..] {
            [rate, _, _, p50_ms, _, p99_ms, _] if output.status.success() => {
                Ok((cpu, Told { rate, p50_ms, p99_ms }))
            }
            _ => Err(wrong()),
        }
    }
}

/// What redis-benchmark prints.
struct Told {
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
}
