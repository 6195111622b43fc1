//! What happened, as Prometheus text. Names and labels are those of controller-runtime and client-go, so that their
//! dashboards fit.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::object::Key;
use crate::queue::Queue;

/// The metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    reconciles: Family<[Label; 2], Counter>,
    errors: Family<[Label; 1], Counter>,
    panics: Family<[Label; 1], Counter>,
    terminal: Family<[Label; 1], Counter>,
    durations: Family<[Label; 1], Histogram, fn() -> Histogram>,
    requests: Family<[(&'static str, String); 2], Counter>,
}

/// Name and value.
type Label = (&'static str, &'static str);

/// The content type of [`Metrics::render`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::default()),
            reconciles: Family::default(),
            errors: Family::default(),
            panics: Family::default(),
            terminal: Family::default(),
            durations: Family::new_with_constructor(durations),
            requests: Family::default(),
        };
        let mut registry = metrics.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let name = |name: &str| format!("controller_runtime_{name}");
        registry.register(name("reconcile"), "Reconciles by result", metrics.reconciles.clone());
        registry.register(name("reconcile_errors"), "Reconciles that failed", metrics.errors.clone());
        registry.register(name("reconcile_panics"), "Reconciles that panicked", metrics.panics.clone());
        registry.register(
            name("terminal_reconcile_errors"),
            "Reconciles that failed and are not retried",
            metrics.terminal.clone(),
        );
        registry.register(name("reconcile_time_seconds"), "How long a reconcile took", metrics.durations.clone());
        registry.register("rest_client_requests", "Requests to the API server by answer", metrics.requests.clone());
        drop(registry);
        metrics
    }
}

impl Metrics {
    /// Counts a reconcile that ended with `result` (`success`, `requeue_after` or `error`).
    pub fn reconciled(&self, controller: &'static str, result: &'static str, took: Duration) {
        self.reconciles.get_or_create(&[("controller", controller), ("result", result)]).inc();
        self.durations.get_or_create(&[("controller", controller)]).observe(took.as_secs_f64());
        if result == "error" {
            self.errors.get_or_create(&[("controller", controller)]).inc();
        }
    }

    /// Counts a reconcile that panicked.
    pub fn panicked(&self, controller: &'static str) {
        self.panics.get_or_create(&[("controller", controller)]).inc();
    }

    /// Counts a reconcile that failed and is not retried.
    pub fn terminal(&self, controller: &'static str) {
        self.terminal.get_or_create(&[("controller", controller)]).inc();
    }

    /// Counts a request to the API server; `code` is the HTTP status, or `<error>` where none came.
    pub fn requested(&self, method: &str, code: Option<u16>) {
        let code = code.map_or_else(|| "<error>".to_owned(), |code| code.to_string());
        self.requests.get_or_create(&[("method", method.to_owned()), ("code", code)]).inc();
    }

    /// Shows the depth and the counts of `queue` from now on.
    pub fn observe_queue(&self, name: &'static str, queue: &Queue<Key>) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let labelled = registry.sub_registry_with_label(("name".into(), name.into()));
        labelled.register_collector(Box::new(QueueMetrics(queue.clone())));
    }

    /// All metrics in the text format of OpenMetrics, which Prometheus reads.
    ///
    /// # Errors
    ///
    /// None that is known: writing to a string does not fail.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(text)
    }
}

/// Reads a queue when it is asked to, so that the queue itself pays nothing.
#[derive(Debug)]
struct QueueMetrics(Queue<Key>);

impl Collector for QueueMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (depth, counts) = (self.0.depth(), self.0.counts());
        let mut show =
            |name: &str, help: &str, metric: &dyn Fn(&mut DescriptorEncoder<'_>, &str, &str) -> fmt::Result| {
                metric(&mut encoder, name, help)
            };
        let gauge = |value: usize| {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            move |encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str| {
                gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
            }
        };
        let counter = |value: u64| {
            let counter = ConstCounter::new(value);
            move |encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str| {
                counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
            }
        };
        show("workqueue_depth", "Keys that wait for a worker.", &gauge(depth.ready.iter().sum()))?;
        show("workqueue_delayed", "Keys whose time has not come.", &gauge(depth.waiting))?;
        show("workqueue_unfinished", "Keys that a worker holds.", &gauge(depth.in_flight))?;
        show("workqueue_adds", "Keys that became ready.", &counter(counts.adds))?;
        show("workqueue_retries", "Keys that failed and came back.", &counter(counts.retries))
    }
}

fn durations() -> Histogram {
    // From a reconcile that finds nothing to do to one that reaches its deadline.
    Histogram::new([0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::Schedule;
    use crate::queue::{Bucket, Limits};
    use crate::trigger::Reason;

    #[test]
    fn metrics_bear_the_names_that_dashboards_know() {
        let metrics = Metrics::default();
        let per_key = Schedule::new(Duration::from_secs(1), Duration::from_secs(1));
        let queue = Queue::new(Limits { per_key, overall: Bucket::new(1, 1) });
        metrics.observe_queue("application", &queue);
        queue.add(Key::new("n", "a"), Reason::Updated);
        metrics.reconciled("application", "error", Duration::from_millis(3));
        metrics.requested("PATCH", Some(409));
        metrics.requested("GET", None);

        let text = metrics.render().expect("text");
        for line in [
            r#"controller_runtime_reconcile_total{controller="application",result="error"} 1"#,
            r#"controller_runtime_reconcile_errors_total{controller="application"} 1"#,
            r#"controller_runtime_reconcile_time_seconds_count{controller="application"} 1"#,
            r#"rest_client_requests_total{method="PATCH",code="409"} 1"#,
            r#"rest_client_requests_total{method="GET",code="<error>"} 1"#,
            r#"workqueue_depth{name="application"} 1"#,
            r#"workqueue_adds_total{name="application"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
