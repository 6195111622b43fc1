//! Traces, told to a collector (OTLP over HTTP, protobuf): spans that have ended enter, batches leave.
//!
//! Each reconcile is a trace, and each of its requests a span in it, with the ids that stand in the log and in the header
//! `traceparent`; spans that a reconciler makes with `tracing` at level `INFO` or above stand in between. Nothing ever
//! waits for the collector: what has ended waits in a buffer of a fixed size, and what finds that full is dropped and counted.
//!
//! The environment decides, by OpenTelemetry's own names:
//!
//! | variable | |
//! |---|---|
//! | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_ENDPOINT` | where the collector is; without either, nothing is exported |
//! | `OTEL_EXPORTER_OTLP_TRACES_HEADERS`, `OTEL_EXPORTER_OTLP_HEADERS` | what each export carries, as `name=value,…` |
//! | `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT`, `OTEL_EXPORTER_OTLP_TIMEOUT` | how many milliseconds an export may take; 10,000 by default |
//! | `OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE`, `OTEL_EXPORTER_OTLP_CERTIFICATE` | file with the authorities that the collector's certificate may descend from; the system's by default |
//! | `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`, `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf`, which is all that is spoken |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | which traces are recorded; all by default |
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | who tells; the program's name by default |
//! | `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, `OTEL_BSP_SCHEDULE_DELAY` | spans that may wait (2,048), spans of one export (512), and milliseconds between exports (5,000) |
//! | `OTEL_TRACES_EXPORTER=none`, `OTEL_SDK_DISABLED=true` | nothing is exported |
//!
//! A proxy is found as for the API server: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`.

mod buffer;
mod collector;
mod settings;

use std::sync::Arc;

use http::Uri;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use self::buffer::Counts;
pub use self::buffer::Export;
use self::collector::Collector;
use self::settings::Settings;
use crate::metrics::Metrics;
use crate::trace::Ids;
use crate::{config, transport};

/// Why traces can't be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A variable says what can't be done.
    #[error("the variable {variable}: {problem}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What is wrong with its value, which is not quoted.
        problem: String,
    },
    /// The proxy to the collector can't be used.
    #[error("no usable way to the collector")]
    Config(#[source] config::Error),
    /// The certificates can't be used.
    #[error("no usable connection to the collector")]
    Transport(#[source] transport::Error),
    /// What OpenTelemetry's own library says.
    #[error("the exporter can't be made")]
    Exporter(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where spans go. Clones are the same.
#[derive(Debug, Clone)]
pub struct Traces {
    provider: SdkTracerProvider,
    counts: Arc<Counts>,
}

/// Traces of the program called `service`, as the environment wants them, and what sends them; `None` if it wants none.
///
/// Until [`Export::run`] runs, spans wait.
///
/// # Errors
///
/// If the environment asks for what can't be done. That the collector can't be reached is no error.
///
/// ```no_run
/// use engine::shutdown;
/// use tracing_subscriber::layer::SubscriberExt as _;
/// use tracing_subscriber::util::SubscriberInitExt as _;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let (end, ended) = shutdown::channel();
/// if let Some((traces, export)) = engine::otlp::from_environment("my-operator", env!("CARGO_PKG_VERSION"))? {
///     tracing_subscriber::registry().with(traces.layer()).init();
///     tokio::spawn(export.run(ended));
/// }
/// // … and when all is done, so that the last spans are sent:
/// end.give();
/// # Ok(())
/// # }
/// ```
pub fn from_environment(service: &'static str, version: &'static str) -> Result<Option<(Traces, Export)>, Error> {
    let settings = Settings::read(|name| std::env::var_os(name))?;
    settings.map(|settings| channel(&settings, service, version)).transpose()
}

/// [`from_environment`], where the program knows itself where its collector is: `endpoint` is taken as it is. Of the variables,
/// those that say whether and where something is exported count for nothing.
///
/// # Errors
///
/// As [`from_environment`], and if `endpoint` is no URL of a collector.
pub fn to(endpoint: &Uri, service: &'static str, version: &'static str) -> Result<(Traces, Export), Error> {
    let settings = Settings::read_for(endpoint, |name| std::env::var_os(name))?;
    channel(&settings, service, version)
}

fn channel(settings: &Settings, service: &'static str, version: &'static str) -> Result<(Traces, Export), Error> {
    let config = config::of_server(settings.server()?, settings.tls()).map_err(Error::Config)?;
    let collector = Collector::new(transport::connect_untraced(&config).map_err(Error::Transport)?);
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_endpoint(settings.endpoint.to_string())
        .with_timeout(settings.timeout)
        .build()
        .map_err(|error| Error::Exporter(error.into()))?;
    let resource = resource(service, version);
    let (buffer, export) = buffer::channel(exporter, &resource, settings);
    let counts = export.counts();
    let provider = SdkTracerProvider::builder().with_span_processor(buffer).with_id_generator(Ids);
    Ok((Traces { provider: provider.with_resource(resource).build(), counts }, export))
}

/// Who tells: what the environment says, and the program's own name where that names none.
fn resource(service: &'static str, version: &'static str) -> Resource {
    const NAME: Key = Key::from_static_str("service.name");
    let resource = Resource::builder().with_attribute(KeyValue::new("service.version", version));
    let name = Resource::builder().build().get(&NAME).map(|name| name.as_str().into_owned());
    // What the library puts there where nothing is set.
    let is_named = name.is_some_and(|name| !name.is_empty() && !name.starts_with("unknown_service"));
    if is_named { resource.build() } else { resource.with_service_name(service).build() }
}

impl Traces {
    /// What turns the spans of `tracing` into those of traces; to be added to a subscriber.
    ///
    /// Spans and events of level `INFO` and above take part, and the requests of a reconcile.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let wanted = dynamic_filter_fn(|metadata, context: &Context<'_, S>| {
            // A request that belongs to no reconcile (a watch, the renewal of a lease) would be a trace of one span.
            *metadata.level() <= Level::INFO || (is_request(metadata) && context.lookup_current().is_some())
        });
        let wanted = wanted
            .with_callsite_filter(|metadata| match *metadata.level() {
                Level::ERROR | Level::WARN | Level::INFO => Interest::always(),
                _ if is_request(metadata) => Interest::sometimes(),
                _ => Interest::never(),
            })
            .with_max_level_hint(LevelFilter::DEBUG);
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("engine"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(wanted)
    }

    /// Shows in `metrics` from now on how many spans were exported, and how many were not.
    pub fn observed_by(&self, metrics: &Metrics) {
        let counts = self.counts.clone();
        metrics.observe(move |samples| counts.tell(samples));
    }
}

fn is_request(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.name() == "request" && metadata.target() == transport::TRACED
}

#[cfg(test)]
mod tests;
