//! What happened, as text for Prometheus. Names and labels are those of controller-runtime and client-go, so that their
//! dashboards fit.
//!
//! What happens seldom enough is counted when it happens; what others count already (a queue, a cache, the kernel) is read
//! when somebody asks, by a reader that was given to [`Metrics::observe`]. No label takes a value from a user's object, so
//! that the number of series does not grow with the cluster.

mod cache;
mod process;
mod queue;
mod samples;
mod text;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use self::samples::Readers;
pub use self::samples::Samples;
pub use self::text::Format;
use crate::lease::Leadership;
use crate::object::{Key, Object, Resource};
use crate::queue::Queue;
use crate::store::Reader;
use crate::transport::{Attempt, Connections, Observer};

/// The metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    readers: Readers,
    /// Where the counters of each cache are that is shown.
    caches: Mutex<HashSet<Vec<usize>>>,
    reconciles: Family<Labels<2>, Counter>,
    errors: Family<Labels<1>, Counter>,
    terminal: Family<Labels<1>, Counter>,
    panics: Family<Labels<1>, Counter>,
    timeouts: Family<Labels<1>, Counter>,
    durations: Histograms<Labels<1>>,
    workers: Family<Labels<1>, Gauge>,
    active: Family<Labels<1>, Gauge>,
    queued: Histograms<Labels<2>>,
    worked: Histograms<Labels<2>>,
    suppressed: Family<Labels<1, String>, Counter>,
    requests: Family<Labels<3, String>, Counter>,
    throttled: Family<Labels<3, String>, Counter>,
    /// The pairs of flow schema and priority level that have a series.
    throttled_by: Mutex<HashSet<(String, String)>>,
    latencies: Histograms<Labels<2, String>>,
}

/// Names and values.
type Labels<const N: usize, V = &'static str> = [(&'static str, V); N];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Pairs of flow schema and priority level that get a series: many times those of a cluster as it comes, and few enough for a
/// server that makes them up.
const THROTTLED: usize = 64;

/// The results of a reconcile, as controller-runtime names them.
const RESULTS: [&str; 4] = ["success", "error", "requeue", "requeue_after"];

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Mutex::default(),
            readers: Readers::default(),
            caches: Mutex::default(),
            reconciles: Family::default(),
            errors: Family::default(),
            terminal: Family::default(),
            panics: Family::default(),
            timeouts: Family::default(),
            durations: Family::new_with_constructor(reconcile_times),
            workers: Family::default(),
            active: Family::default(),
            queued: Family::new_with_constructor(queue_times),
            worked: Family::new_with_constructor(queue_times),
            suppressed: Family::default(),
            requests: Family::default(),
            throttled: Family::default(),
            throttled_by: Mutex::default(),
            latencies: Family::new_with_constructor(request_times),
        };
        metrics.register();
        metrics.observe(process::reader());
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let own = |name: &str| format!("controller_runtime_{name}");
        registry.register(own("reconcile"), "Reconciles by result", self.reconciles.clone());
        registry.register(own("reconcile_errors"), "Reconciles that failed", self.errors.clone());
        registry.register(
            own("terminal_reconcile_errors"),
            "Reconciles that failed in a way that no retry mends",
            self.terminal.clone(),
        );
        registry.register(own("reconcile_panics"), "Reconciles that panicked", self.panics.clone());
        registry.register(own("reconcile_timeouts"), "Reconciles that reached their deadline", self.timeouts.clone());
        registry.register(own("reconcile_time_seconds"), "How long a reconcile took", self.durations.clone());
        registry.register(own("max_concurrent_reconciles"), "Workers", self.workers.clone());
        registry.register(own("active_workers"), "Workers that hold a key", self.active.clone());
        registry.register("workqueue_queue_duration_seconds", "How long a key was ready", self.queued.clone());
        registry.register("workqueue_work_duration_seconds", "How long a worker held a key", self.worked.clone());
        registry.register(
            "engine_writes_suppressed",
            "Writes that were not sent, since the server has what they would write",
            self.suppressed.clone(),
        );
        registry.register(
            "engine_requests_throttled",
            "Requests that priority and fairness refused as too many, by the uids of what it filed them under",
            self.throttled.clone(),
        );
        registry.register("rest_client_requests", "Requests to the API server by answer", self.requests.clone());
        registry.register(
            "rest_client_request_duration_seconds",
            "How long an answer's head took",
            self.latencies.clone(),
        );
        registry.register_collector(Box::new(self.readers.clone()));
    }

    /// Shows a controller with `workers` from now on, and all that can happen to it as not having happened yet: a rate
    /// can't be computed from a series that begins with its first event.
    pub fn started(&self, controller: &'static str, workers: usize) {
        for result in RESULTS {
            drop(self.reconciles.get_or_create(&[("controller", controller), ("result", result)]));
        }
        for family in [&self.errors, &self.terminal, &self.panics, &self.timeouts] {
            drop(family.get_or_create(&[("controller", controller)]));
        }
        drop(self.active.get_or_create(&[("controller", controller)]));
        let workers = i64::try_from(workers).unwrap_or(i64::MAX);
        self.workers.get_or_create(&[("controller", controller)]).set(workers);
    }

    /// Counts a worker as active until the guard is dropped, with a key that was ready for `queued`.
    pub fn taken(&self, controller: &'static str, queued: Duration) -> impl Drop + Send + use<> {
        let labels = [("name", controller), ("controller", controller)];
        self.queued.get_or_create(&labels).observe(queued.as_secs_f64());
        Active::new(self.active.get_or_create_owned(&[("controller", controller)]))
    }

    /// Counts a reconcile that ended with `result`: `success`, `requeue`, `requeue_after` or `error`.
    pub fn reconciled(&self, controller: &'static str, result: &'static str, took: Duration) {
        self.reconciles.get_or_create(&[("controller", controller), ("result", result)]).inc();
        self.durations.get_or_create(&[("controller", controller)]).observe(took.as_secs_f64());
        self.worked.get_or_create(&[("name", controller), ("controller", controller)]).observe(took.as_secs_f64());
        if result == "error" {
            self.errors.get_or_create(&[("controller", controller)]).inc();
        }
    }

    /// Counts a reconcile that failed in a way that no retry mends; [`reconciled`](Self::reconciled) counts it as well.
    pub fn terminal(&self, controller: &'static str) {
        self.terminal.get_or_create(&[("controller", controller)]).inc();
    }

    /// Counts a reconcile that panicked; [`reconciled`](Self::reconciled) counts it as well.
    pub fn panicked(&self, controller: &'static str) {
        self.panics.get_or_create(&[("controller", controller)]).inc();
    }

    /// Counts a reconcile that reached its deadline; [`reconciled`](Self::reconciled) counts it as well.
    pub fn timed_out(&self, controller: &'static str) {
        self.timeouts.get_or_create(&[("controller", controller)]).inc();
    }

    /// Counts a request to the API server at `host`, and the time until its answer began; `code` is the HTTP status, or
    /// absent where no answer came, which client-go counts as `<error>`.
    pub fn requested(&self, host: &str, method: &str, code: Option<u16>, took: Duration) {
        let code = match code {
            // What HTTP has a meaning for: a server that makes up numbers does not get a series for each.
            Some(code @ 100..=599) => code.to_string(),
            Some(_) => "other".to_owned(),
            None => "<error>".to_owned(),
        };
        let (host, method) = (|| ("host", host.to_owned()), method.to_owned());
        self.latencies.get_or_create(&[("verb", method.clone()), host()]).observe(took.as_secs_f64());
        self.requests.get_or_create(&[("code", code), ("method", method), host()]).inc();
    }

    /// Counts an attempt at a request to the API server at `host`.
    pub fn attempted(&self, host: &str, attempt: &Attempt<'_>) {
        let code = attempt.result.ok().map(|status| status.as_u16());
        self.requested(host, attempt.method.as_str(), code, attempt.took);
        if code != Some(StatusCode::TOO_MANY_REQUESTS.as_u16()) {
            return;
        }
        let uid = |uid: Option<&str>| uid.unwrap_or_default().to_owned();
        let mut by = (uid(attempt.flow_schema), uid(attempt.priority_level));
        let mut known = self.throttled_by.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= THROTTLED && !known.contains(&by) {
            by = ("other".to_owned(), "other".to_owned());
        }
        known.insert(by.clone());
        drop(known);
        let labels = [("host", host.to_owned()), ("flow_schema", by.0), ("priority_level", by.1)];
        self.throttled.get_or_create(&labels).inc();
    }

    /// Counts each attempt at a request to the API server at `host`: for
    /// [`Options::observer`](crate::transport::Options::observer).
    pub fn observer(self: &Arc<Self>, host: String) -> Observer {
        let metrics = self.clone();
        Arc::new(move |attempt| metrics.attempted(&host, attempt))
    }

    /// Shows from now on how many connections to the API server at `host` are open.
    #[expect(clippy::cast_precision_loss, reason = "no process has that many connections")]
    pub fn observe_connections(&self, host: String, connections: &Connections) {
        let connections = connections.clone();
        self.observe(move |samples| {
            let help = "Connections to the API server";
            samples.gauge("engine_open_connections", help, &[("host", &host)], connections.open() as f64);
        });
    }

    /// Counts a write of an object of `resource` that was not sent, since the server has what it would write already.
    pub fn suppressed(&self, resource: &Resource) {
        self.suppressed.get_or_create(&[("resource", resource.to_string())]).inc();
    }

    /// Shows from now on whether this process holds the Lease called `name`.
    pub fn observe_leadership(&self, name: String, leadership: Leadership) {
        self.observe(move |samples| {
            let help = "1 if this process holds the lease, 0 if it stands by";
            let leads = u8::from(leadership.is_leader());
            samples.gauge("leader_election_master_status", help, &[("name", &name)], leads.into());
        });
    }

    /// Shows the depth, the counts and the ages of `queue` from now on.
    pub fn observe_queue(&self, name: &'static str, queue: &Queue<Key>) {
        self.observe(queue::reader(name, queue.clone()));
    }

    /// Shows what the cache of `reader` holds and has lived through from now on; of a cache that is shown already, nothing
    /// more.
    pub fn observe_cache<T: Object>(&self, reader: &Reader<T>) {
        // The counters live as long as the reader below, so that none has the address of another.
        let addresses = reader.stats().iter().map(|stats| Arc::as_ptr(stats) as usize).collect();
        if self.caches.lock().unwrap_or_else(PoisonError::into_inner).insert(addresses) {
            let reader = reader.clone();
            self.observe(move |samples| cache::tell(&reader, samples));
        }
    }

    /// Calls `reader` each time that somebody asks, for what it can tell at that moment. It must not wait for anything.
    pub fn observe(&self, reader: impl Fn(&mut Samples) + Send + Sync + 'static) {
        self.readers.add(reader);
    }

    /// All metrics in the text format of OpenMetrics.
    ///
    /// # Errors
    ///
    /// None that is known: writing to a string does not fail.
    pub fn render(&self) -> Result<String, fmt::Error> {
        self.render_as(Format::OpenMetrics)
    }

    /// All metrics in `format`.
    ///
    /// # Errors
    ///
    /// None that is known: writing to a string does not fail.
    pub fn render_as(&self, format: Format) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(match format {
            Format::OpenMetrics => text,
            Format::Prometheus => text::classic(&text),
        })
    }
}

/// Counts one while it lives.
struct Active(Gauge);

impl Active {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// From a reconcile that finds nothing to do to one that reaches its deadline: controller-runtime's bounds, thinned out, and
/// two below its first, under which all of ours would lie.
fn reconcile_times() -> Histogram {
    Histogram::new([0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0])
}

/// client-go's bounds: ten nanoseconds to a quarter of an hour.
fn queue_times() -> Histogram {
    Histogram::new(exponential_buckets(10e-9, 10.0, 12))
}

/// client-go's bounds.
fn request_times() -> Histogram {
    Histogram::new([0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0])
}

#[cfg(test)]
mod tests;
