//! Log lines and traces.

use std::{collections::HashMap, io::IsTerminal, time::Duration};

use opentelemetry::{KeyValue, propagation::TextMapPropagator, trace::TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::{Span, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{EnvFilter, Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::TelemetryError;

/// The header of W3C trace context.
const TRACEPARENT: &str = "traceparent";
/// How long sending a batch of spans may take. What cannot be sent is dropped: it is nobody's data.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// What is told, and where.
#[derive(Debug, Clone)]
pub struct TelemetryOptions<'a> {
    /// Which log lines appear on stderr: a level, or directives.
    pub filter: &'a str,
    /// Where a collector takes OTLP over gRPC, such as `http://127.0.0.1:4317`; empty: traces are not kept.
    pub otlp_endpoint: &'a str,
    /// What traces call the program, such as `ensemble-worker`.
    pub service: &'static str,
    /// Tells processes of one service apart.
    pub instance: &'a str,
}

/// A process that tells of itself.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Begins to tell. With an endpoint it has to be called inside a Tokio runtime, which sends the spans. Once a process:
    /// later calls change nothing.
    ///
    /// # Errors
    /// Where the filter or the endpoint is no such thing. A collector that is away is no error.
    pub fn start(options: &TelemetryOptions<'_>) -> Result<Self, TelemetryError> {
        let filter = EnvFilter::try_new(options.filter).map_err(|e| TelemetryError::Filter(e.to_string()))?;
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .with_filter(filter);
        let provider = match options.otlp_endpoint {
            "" => None,
            endpoint => Some(provider(endpoint, options)?),
        };
        let spans = provider.as_ref().map(|provider| {
            // Only this program's own spans: those of its libraries are by the thousand.
            let own = Targets::new().with_target("ensemble", LevelFilter::INFO);
            tracing_opentelemetry::layer().with_tracer(provider.tracer(options.service)).with_filter(own)
        });
        // A test may have begun already.
        let _ = tracing_subscriber::registry().with(lines).with(spans).try_init();
        Ok(Self { provider })
    }

    /// Sends what has not been sent. Blocks, for the time of a batch at the most.
    pub fn stop(self) {
        if let Some(provider) = self.provider
            && let Err(error) = provider.shutdown_with_timeout(EXPORT_TIMEOUT)
        {
            tracing::info!(%error, "the last spans could not be sent");
        }
    }
}

fn provider(endpoint: &str, options: &TelemetryOptions<'_>) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|e| TelemetryError::Endpoint(e.to_string()))?;
    let resource = Resource::builder()
        .with_service_name(options.service)
        .with_attribute(KeyValue::new("service.instance.id", options.instance.to_owned()))
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// The trace and the span that this code is in, as the header of W3C trace context; `None` where traces are not kept.
pub fn traceparent() -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Has a span that has not been entered yet follow the one that a [`traceparent`] names; an empty one names none.
pub fn follow(span: &Span, traceparent: &str) {
    if traceparent.is_empty() {
        return;
    }
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    // A span that is not kept has nobody to follow.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
}
