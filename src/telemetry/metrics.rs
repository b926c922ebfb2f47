//! The recorder, and the metrics that no single part owns.

use std::time::Duration;

use metrics::{Unit, describe_gauge, describe_histogram, gauge};
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
/// Gauge: when a certificate in use ends, in Unix seconds. Labels `listener` and `kind`.
pub const CERTIFICATE_NOT_AFTER: &str = "palisade_tls_certificate_not_after_seconds";
/// Histogram: what Palisade itself added to a request. Label `listener`.
pub const ADDED_SECONDS: &str = "palisade_http_added_seconds";
/// Histogram: what the store took of a request. Label `listener`.
pub const UPSTREAM_SECONDS: &str = "palisade_http_upstream_seconds";

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
        .build_recorder())
}

/// Tells the recorder what the shared metrics mean.
pub fn describe() {
    describe_gauge!(BUILD_INFO, "Always 1; the label is the version");
    describe_gauge!(READY, "1 while /readyz says yes");
    describe_gauge!(LEDGER_FAILING, "1 once the ledger can take no more raises");
    describe_gauge!(
        CERTIFICATE_NOT_AFTER,
        Unit::Seconds,
        "When a certificate in use ends, in Unix time"
    );
    describe_histogram!(ADDED_SECONDS, Unit::Seconds, "What Palisade itself added to a request");
    describe_histogram!(UPSTREAM_SECONDS, Unit::Seconds, "What the store took of a request");
    gate::describe();
}
