//! Between spans that end and the collector: a buffer of a fixed size, and the task that empties it in batches.
//!
//! OpenTelemetry's own has a thread for that, tells nobody how many spans it dropped, and can't be told to wait no longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use super::settings::Settings;
use crate::metrics::Samples;
use crate::object::chain;
use crate::shutdown::Shutdown;

/// A buffer, and what empties it.
pub(super) fn channel(mut exporter: SpanExporter, resource: &Resource, settings: &Settings) -> (Buffer, Export) {
    exporter.set_resource(resource);
    let (sender, receiver) = mpsc::channel(settings.buffer);
    let counts = Arc::new(Counts::default());
    let Settings { batch, delay, timeout, .. } = *settings;
    (Buffer { sender, counts: counts.clone() }, Export { receiver, exporter, batch, delay, timeout, counts })
}

/// What has become of spans.
#[derive(Debug, Default)]
pub(super) struct Counts {
    exported: AtomicU64,
    /// Dropped since the buffer was full, or nobody empties it any more.
    unbuffered: AtomicU64,
    /// Dropped since the collector did not take them.
    refused: AtomicU64,
    /// Whether the last export failed: an outage is said once.
    is_failing: AtomicBool,
}

impl Counts {
    #[expect(clippy::cast_precision_loss, reason = "a count beyond 2^53 is out of reach")]
    pub(super) fn tell(&self, samples: &mut Samples) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        samples.counter("engine_trace_spans_exported", "Spans that the collector took", &[], load(&self.exported));
        for (reason, counter) in [("buffer_full", &self.unbuffered), ("export_failed", &self.refused)] {
            let help = "Spans that were dropped, by why";
            samples.counter("engine_trace_spans_dropped", help, &[("reason", reason)], load(counter));
        }
    }
}

/// Takes spans that have ended, as long as there is room.
#[derive(Debug)]
pub(super) struct Buffer {
    sender: mpsc::Sender<SpanData>,
    counts: Arc<Counts>,
}

impl SpanProcessor for Buffer {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.sender.try_send(span).is_err() {
            self.counts.unbuffered.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sends spans to the collector, batch by batch.
#[derive(Debug)]
pub struct Export {
    receiver: mpsc::Receiver<SpanData>,
    exporter: SpanExporter,
    batch: usize,
    delay: Duration,
    timeout: Duration,
    counts: Arc<Counts>,
}

impl Export {
    /// Runs until `shutdown` is given; then sends what waits, and returns. What ends later is dropped.
    ///
    /// Each export takes at most its timeout, so that a collector which takes nothing holds the end up by two of them: the one
    /// under way, and one for what waits.
    pub async fn run(mut self, shutdown: Shutdown) {
        while let Some(batch) = self.gather(&shutdown).await {
            self.send(batch).await;
        }
        self.receiver.close();
        let mut rest = Vec::new();
        while self.receiver.recv_many(&mut rest, self.batch).await > 0 {
            if !self.send(std::mem::take(&mut rest)).await {
                // Nor would it take the others.
                self.counts.refused.fetch_add(self.receiver.len() as u64, Ordering::Relaxed);
                break;
            }
        }
    }

    pub(super) fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// The next batch: a full one, or what has come until its first span has waited for long enough; `None` at the end. What is
    /// gathered by then goes out first.
    async fn gather(&mut self, shutdown: &Shutdown) -> Option<Vec<SpanData>> {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            () = shutdown.given() => return None,
            taken = self.receiver.recv_many(&mut batch, self.batch) => if taken == 0 { return None },
        }
        let end = Instant::now() + self.delay;
        while batch.len() < self.batch {
            let room = self.batch - batch.len();
            tokio::select! {
                biased;
                () = shutdown.given() => break,
                () = sleep_until(end) => break,
                taken = self.receiver.recv_many(&mut batch, room) => if taken == 0 { break },
            }
        }
        Some(batch)
    }

    /// Sends a batch, and returns whether the collector took it.
    async fn send(&self, batch: Vec<SpanData>) -> bool {
        let spans = batch.len() as u64;
        let problem = match timeout(self.timeout, self.exporter.export(batch)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(chain(&error)),
            Err(_elapsed) => Some(format!("no answer within {:?}", self.timeout)),
        };
        let counter = if problem.is_none() { &self.counts.exported } else { &self.counts.refused };
        counter.fetch_add(spans, Ordering::Relaxed);
        let was_failing = self.counts.is_failing.swap(problem.is_some(), Ordering::Relaxed);
        match (&problem, was_failing) {
            (Some(problem), false) => warn!(problem, "traces can't be exported, and are dropped"),
            (None, true) => info!("traces are exported again"),
            _ => {}
        }
        problem.is_none()
    }
}
