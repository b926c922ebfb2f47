//! The recorder, and the metrics that no single part owns.

use std::time::Duration;

use metrics::{describe_gauge, gauge};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::gate;

/// Gauge: always 1; its label is the version.
pub const BUILD_INFO: &str = "palisade_build_info";
/// Gauge: 1 while `/readyz` says yes.
pub const READY: &str = "palisade_ready";
/// Gauge: 1 once the ledger can take no more raises.
pub const LEDGER_FAILING: &str = "palisade_ledger_failing";

/// How often the recorder has to be tended: histograms grow without bound between two upkeeps.
pub const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Seconds: from what Palisade adds to a request (tens of microseconds) to how long a
/// large upload or a settling takes.
const BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Seconds: from a leader that flaps to one that stays for a quarter.
const TENURE_BUCKETS: &[f64] =
    &[1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0, 604_800.0, 7_776_000.0];

/// How many of something: changes that shared a commit.
const COUNT_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0];

/// Makes the recorder of this process, through which every metric goes from here on.
/// [`upkeep`] has to run beside it.
///
/// # Errors
/// When there is one already.
pub fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    describe();
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// Tends the recorder. Never ends; to be spawned and dropped with the process.
pub async fn upkeep(handle: PrometheusHandle) {
    let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        handle.run_upkeep();
    }
}

pub(super) fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let tenure = Matcher::Full(gate::TENURE_SECONDS.into());
    Ok(PrometheusBuilder::new()
        .set_buckets(BUCKETS)?
        .set_buckets_for_metric(tenure, TENURE_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_changes".into()), COUNT_BUCKETS)?
        .build_recorder())
}

/// Tells the recorder what the shared metrics mean.
pub fn describe() {
    describe_gauge!(BUILD_INFO, "Always 1; the label is the version");
    describe_gauge!(READY, "1 while /readyz says yes");
    describe_gauge!(LEDGER_FAILING, "1 once the ledger can take no more raises");
    gate::describe();
}
