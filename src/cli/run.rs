//! `palisade run`: serves until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{SignalKind, signal};

use crate::{app, config, telemetry};

/// Arguments of `palisade run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "SIGHUP reads certificates, keys, authorities and revocation lists again.\n\
    SIGTERM (or Ctrl-C) drains: /readyz says no; after drain_delay new connections are refused \
    and requests finish, at most for drain_timeout; the next start need not wait. A second one \
    ends at once, which is safe."
)]
pub struct Args {
    /// The configuration; `palisade check FILE` says what is wrong with it.
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "PALISADE_CONFIG",
        default_value = "palisade.toml"
    )]
    config: PathBuf,
}

/// Exit code of a shutdown that could not wait for everything in flight.
const UNSETTLED: u8 = 3;
/// Exit code after a second signal.
const AT_ONCE: u8 = 130;

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = match config::Config::load(&args.config) {
        Ok((config, warnings)) => {
            warnings.iter().for_each(|warning| eprintln!("{warning}\n"));
            config
        }
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}\n"));
            anyhow::bail!("{} cannot be served as it is", args.config.display());
        }
    };
    telemetry::init_log(&config.log).context("the log cannot be started")?;
    let metrics = telemetry::install_metrics().context("the metrics cannot be started")?;
    telemetry::describe();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("palisade")
        .enable_all()
        .build()
        .context("the operating system refuses threads")?;
    let code = runtime.block_on(serve(config, metrics));
    // Whatever still runs ends with the process; nothing is waited for a second time.
    runtime.shutdown_background();
    code
}

async fn serve(config: config::Config, metrics: PrometheusHandle) -> anyhow::Result<ExitCode> {
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = app::start(config, metrics).await?;
    tracing::info!(admin = %running.admin_address(), "ready");
    loop {
        tokio::select! {
            _ = hang_up.recv() => running.reload().await,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tracing::info!("draining; a second signal ends at once");
    let ended = tokio::select! {
        ended = running.shutdown() => ended,
        _ = terminate.recv() => return Ok(ExitCode::from(AT_ONCE)),
        _ = interrupt.recv() => return Ok(ExitCode::from(AT_ONCE)),
    };
    tracing::info!(cut = ended.cut, unsettled = ended.unsettled, "ended");
    Ok(if ended.unsettled == 0 { ExitCode::SUCCESS } else { ExitCode::from(UNSETTLED) })
}
