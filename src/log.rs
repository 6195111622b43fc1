//! Where it is told what the operator does: the log on stderr, and traces to a collector where the environment names one.

use std::io::IsTerminal;

use engine::metrics::Metrics;
use engine::shutdown;
use tokio::task::JoinHandle;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry};

use crate::args::{LogFormat, Run};

/// Why it can't be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The environment asks for traces in a way that can't be.
    #[cfg(feature = "otlp")]
    #[error("can't export traces")]
    Traces(#[source] engine::otlp::Error),
}

/// Traces on their way to a collector, if there is one.
#[derive(Default)]
pub struct Traces {
    sending: Option<Sending>,
}

struct Sending {
    #[cfg(feature = "otlp")]
    traces: engine::otlp::Traces,
    task: JoinHandle<()>,
    end: shutdown::Trigger,
}

impl Traces {
    /// Shows in `metrics` what becomes of them.
    pub fn observed_by(&self, metrics: &Metrics) {
        #[cfg(feature = "otlp")]
        if let Some(sending) = &self.sending {
            sending.traces.observed_by(metrics);
        }
        #[cfg(not(feature = "otlp"))]
        let _ = metrics;
    }

    /// Sends those that wait, as far as the collector takes them.
    pub async fn end(self) {
        if let Some(Sending { task, end, .. }) = self.sending {
            end.give();
            // A task that panicked has said so.
            let _ = task.await;
        }
    }
}

/// Begins to tell. To be called within the runtime, which sends the traces.
///
/// # Errors
///
/// If the environment asks for what can't be done.
pub fn start(args: &Run, service: &'static str) -> Result<Traces, Error> {
    #[cfg(feature = "otlp")]
    {
        let found = engine::otlp::from_environment(service, env!("CARGO_PKG_VERSION")).map_err(Error::Traces)?;
        if let Some((traces, export)) = found {
            let (end, ended) = shutdown::channel();
            // Each with a filter of its own: what is traced does not depend on what is logged. A second initialisation is a
            // test's, and keeps the first.
            let subscriber = tracing_subscriber::registry().with(traces.layer());
            let _ = subscriber.with(lines(args).with_filter(filter(args))).try_init();
            let task = tokio::spawn(export.run(ended));
            return Ok(Traces { sending: Some(Sending { traces, task, end }) });
        }
    }
    #[cfg(not(feature = "otlp"))]
    let _ = service;
    // What no line is made of need not be looked at.
    let _ = Registry::default().with(filter(args)).with(lines(args)).try_init();
    Ok(Traces::default())
}

/// Shows people what the API server warns of, such as a field that will go, and what goes wrong on the way to it.
pub fn warnings() {
    let log = fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN);
    // A second initialisation is a test's, and keeps the first.
    let _ = log.without_time().with_target(false).with_ansi(false).finish().try_init();
}

fn filter(args: &Run) -> EnvFilter {
    // The level was checked when the arguments were parsed.
    EnvFilter::new(&args.log_level)
}

fn lines<S>(args: &Run) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    let lines = fmt::layer().with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
    }
}
