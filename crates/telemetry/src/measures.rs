//! What a process measures of itself, for Prometheus.

use std::sync::OnceLock;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::TelemetryError;

/// From a millisecond to half a minute.
const BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Begins to measure; without it nothing is kept.
///
/// # Errors
/// Where something else measures this process already.
pub fn install_measures() -> Result<(), TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|e| TelemetryError::Measures(e.to_string()))?;
    // Nobody else sets it: a process installs once.
    drop(HANDLE.set(handle));
    describe_counter!("ensemble_rows_total", "Rows of settled shards by verdict");
    describe_counter!("ensemble_shard_failures_total", "Shards that could not be finished here, by class");
    describe_histogram!("ensemble_shard_stage_seconds", Unit::Seconds, "How long each stage of a shard took");
    describe_gauge!("ensemble_held_shards", "Shards that the workers of this process hold");
    describe_gauge!("ensemble_workers", "Workers that are linked to this supervisor");
    describe_gauge!("ensemble_worker_credit_bytes", Unit::Bytes, "Bytes of shards that they can hold");
    describe_counter!("ensemble_leases_total", "Leases given");
    describe_counter!("ensemble_leases_lapsed_total", "Leases that were not heard of in time");
    describe_histogram!("ensemble_gold_lag_seconds", Unit::Seconds, "From a settled shard to gold that is written");
    Ok(())
}

/// What has been measured, in the text format of Prometheus.
pub fn render_measures() -> String {
    HANDLE.get().map_or_else(String::new, |handle| {
        handle.run_upkeep();
        handle.render()
    })
}
