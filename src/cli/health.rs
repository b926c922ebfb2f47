//! `palisade health`: whether a running Palisade is ready, as an exit code.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use super::client::{Client, Connect};
use crate::admin::Check;

/// Health checks of containers give up soon; an answer later than that is none.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Arguments of `palisade health`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    connect: Connect,
    /// Ask only whether it is alive, for probes that restart what is not: one that cannot
    /// serve because of its ledger or a certificate is not mended by a restart
    #[arg(long)]
    live: bool,
}

#[derive(Deserialize)]
struct Ready {
    ready: bool,
    checks: Vec<Check>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ready = runtime.block_on(execute(&args, &mut io::stdout().lock()))?;
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn execute(args: &Args, output: &mut dyn Write) -> anyhow::Result<bool> {
    let client = Client::new(&args.connect, TIMEOUT)?;
    if args.live {
        let is_alive = client.look("/livez").await?.status.is_success();
        writeln!(output, "{}", if is_alive { "alive" } else { "not alive" })?;
        return Ok(is_alive);
    }
    // Not ready is an answer too, with its reasons.
    let answer = client.look("/readyz").await?;
    let Ok(Ready { ready, checks }) = serde_json::from_slice(&answer.body) else {
        client.read::<Ready>(&answer)?;
        return Ok(false);
    };
    writeln!(output, "{}", if ready { "ready" } else { "not ready" })?;
    for check in checks.iter().filter(|check| !check.ok) {
        writeln!(output, "{}: {}", check.name, check.detail).context("cannot print")?;
    }
    Ok(ready)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::admin::tests::rig::Rig;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    async fn health(arguments: &[&str]) -> (anyhow::Result<bool>, String) {
        let line = Line::parse_from([&["health", "--admin"], arguments].concat());
        let mut output = Vec::new();
        let ready = execute(&line.args, &mut output).await;
        (ready, String::from_utf8(output).unwrap())
    }

    #[tokio::test]
    async fn it_says_whether_and_why_not() {
        let rig = Rig::start().await;
        let admin = format!("http://{}", rig.address);
        let (ready, told) = health(&[&admin]).await;
        assert!(!ready.unwrap());
        assert_eq!(told, "not ready\nlistener s3: not bound yet\n");
        let (alive, told) = health(&[&admin, "--live"]).await;
        assert!(alive.unwrap());
        assert_eq!(told, "alive\n");
        rig.readiness.listener_up("s3", &[]);
        let (ready, told) = health(&[&admin]).await;
        assert!(ready.unwrap());
        assert_eq!(told, "ready\n");
    }

    #[tokio::test]
    async fn what_does_not_answer_is_not_healthy() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = format!("http://{}", silent.local_addr().unwrap());
        let began = std::time::Instant::now();
        let error = health(&[&admin]).await.0.unwrap_err().to_string();
        assert!(error.contains("did not answer within 2s"), "{error}");
        assert!(began.elapsed() < TIMEOUT * 2);
    }
}
