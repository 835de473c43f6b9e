//! What a process tells of itself: log lines on stderr, traces to an OpenTelemetry collector, measures for Prometheus.
//!
//! A shard is one trace, whichever processes it goes through: where a message leaves a process its sender asks
//! [`traceparent`], and the receiver has its span [follow] it.
//!
//! [follow]: follow

mod measures;
mod traces;

pub use measures::{install_measures, render_measures};
pub use traces::{Telemetry, TelemetryOptions, follow, traceparent};

/// Why a process cannot tell of itself.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter of log lines cannot be read.
    #[error("the setting log.filter is wrong: {0}")]
    Filter(String),
    /// Traces cannot be sent there.
    #[error("the setting telemetry.otlp_endpoint is wrong: {0}")]
    Endpoint(String),
    /// Measuring cannot begin.
    #[error("cannot measure: {0}")]
    Measures(String),
}
