//! Workers: a key from the queue, one call of the reconciler, a verdict back to the queue.
//!
//! A [`Controller`] also keeps the caches that its reconciler reads: no worker starts before each of them has had its first
//! snapshot. A panic, a timeout, an error and an object that is gone are ordinary outcomes here.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::api::Client;
use crate::backoff::{Schedule, jittered};
use crate::lease::{Leadership, Leading};
use crate::metrics::Metrics;
use crate::object::{Key, Object, chain};
use crate::queue::{Bucket, Limits, Queue, Verdict};
use crate::reflector::Reflector;
use crate::shutdown::Shutdown;
use crate::store::{self, Change, Reader};
use crate::trace::Context;
use crate::transport;
use crate::trigger::{Reason, Trigger, Urgency};

/// Brings the present state of the world closer to the wish of one object.
pub trait Reconcile: Send + Sync + 'static {
    /// Looks at the present state of `key` and does what is missing. It is called for objects that are gone, too.
    ///
    /// It is never called for one key twice at the same time. What it is not told is why it is called: any earlier call may
    /// have been cut off anywhere.
    fn reconcile(&self, key: &Key) -> impl Future<Output = Result<Outcome, Failure>> + Send;
}

/// How a reconcile ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing more to do until something changes.
    Done,
    /// To be looked at again after this time, even if nothing changes.
    After(Duration),
}

/// How a reconcile ended badly.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// To be tried again, after a backoff that grows with each failure in a row.
    #[error("reconcile failed")]
    Retry(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The API server can't be reached or is overloaded: no fault of this object's, so that its backoff does not grow.
    #[error("the API server is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a controller ended without being told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A worker, or a task that keeps a cache up to date or drives the queue, has ended: without it the controller would be
    /// blind or idle.
    #[error("a task of controller {0} has ended unexpectedly")]
    TaskEnded(&'static str),
}

/// Wait after [`Failure::Unavailable`], of the object and of the worker. A server that is back is used within this time; and
/// while it is away, each worker asks it once a second.
const UNAVAILABLE_DELAY: Duration = Duration::from_secs(1);

/// First and longest backoff of one key. The first is client-go's. The longest is shorter than client-go's 1,000 s, after
/// which nobody still watches whether a fix has helped.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_mins(1));

/// Retries a second of all keys together, and how many of them may come at once. They bound what a fleet of failing objects
/// costs, not what a fleet of changing ones may do: client-go's 10 and 100 would leave the last of 10,000 objects waiting for
/// 17 minutes after the fault is mended, and 50 writes a second are no load for an API server.
const RETRIES: (u32, u32) = (50, 500);

/// The longest that one reconcile may take: far longer than any good one, short enough that a worker which hangs on a
/// request is back before anybody has to restart the process.
const RECONCILE_DEADLINE: Duration = Duration::from_mins(1);

/// How long workers may go on with what they hold once the process is to end. Below the 30 s after which Kubernetes kills
/// the container.
const DRAIN_DEADLINE: Duration = Duration::from_secs(20);

/// A source that is not synced is named in the log this often.
const SYNC_REPORT: Duration = Duration::from_secs(10);

/// A queue, its workers, and the caches that feed it.
pub struct Controller {
    name: &'static str,
    queue: Queue<Key>,
    sources: Vec<Source>,
    metrics: Arc<Metrics>,
    leadership: Leadership,
}

/// One kind that is watched.
struct Source {
    /// As in `deployments.apps`.
    name: String,
    run: Vec<Task>,
    synced: Task,
    is_synced: SyncCheck,
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
type SyncCheck = Arc<dyn Fn() -> bool + Send + Sync>;

/// Tells whether a controller's caches are filled.
#[derive(Clone)]
pub struct Readiness {
    sources: Arc<[(String, SyncCheck)]>,
}

impl Readiness {
    /// The kinds whose first snapshot is still missing.
    pub fn missing(&self) -> Vec<&str> {
        self.sources.iter().filter(|(_, is_synced)| !is_synced()).map(|(name, _)| name.as_str()).collect()
    }
}

impl Controller {
    /// A controller without sources, called `name` in logs and metrics.
    pub fn new(name: &'static str, metrics: Arc<Metrics>) -> Self {
        let limits =
            Limits { per_key: Schedule::new(BACKOFF.0, BACKOFF.1), overall: Bucket::new(RETRIES.0, RETRIES.1) };
        let queue = Queue::new(limits);
        metrics.observe_queue(name, &queue);
        Self { name, queue, sources: Vec::new(), metrics, leadership: Leadership::always() }
    }

    /// Watches objects of type `T` in `namespaces` (in all of them, if there are none), adds the keys that `mapper` makes of
    /// each change to the queue, and returns the cache.
    pub fn watch<T: Object>(
        &mut self,
        client: &Client,
        namespaces: &[Arc<str>],
        mapper: impl Fn(&Change<T>) -> Vec<(Key, Urgency)> + Clone + Send + Sync + 'static,
    ) -> Reader<T> {
        let (writers, reader) = store::new::<T>(namespaces);
        let run = writers
            .into_iter()
            .map(|writer| {
                let (queue, mapper) = (self.queue.clone(), mapper.clone());
                let reflector = Reflector::new(client.clone(), writer);
                let task = reflector.run(move |change| {
                    let reason = match (&change.old, &change.new) {
                        (None, _) => Reason::Created,
                        (_, None) => Reason::Deleted,
                        _ => Reason::Updated,
                    };
                    let trigger = Trigger::new(reason);
                    queue
                        .add_all(mapper(change).into_iter().map(|(key, urgency)| (key, trigger.with_urgency(urgency))));
                });
                Box::pin(task) as Task
            })
            .collect();
        let (waiting, checked) = (reader.clone(), reader.clone());
        self.sources.push(Source {
            name: T::RESOURCE.to_string(),
            run,
            synced: Box::pin(async move { waiting.synced().await }),
            is_synced: Arc::new(move || checked.is_synced()),
        });
        reader
    }

    /// Lets workers run only while `leadership` leads. Caches and queue are filled before and in between, so that they begin
    /// with what has changed since the last leader did its part, and with everything if they are the first.
    pub fn elected_by(&mut self, leadership: Leadership) {
        self.leadership = leadership;
    }

    /// Tells whether the caches are filled.
    pub fn readiness(&self) -> Readiness {
        let sources = self.sources.iter().map(|source| (source.name.clone(), source.is_synced.clone()));
        Readiness { sources: sources.collect() }
    }

    /// Runs until `shutdown` is given; then hands out no more keys, lets `workers` finish those that they hold, and returns.
    ///
    /// # Errors
    ///
    /// [`Error::TaskEnded`], which only a bug in this crate or in a mapper can cause.
    pub async fn run(self, reconciler: impl Reconcile, workers: usize, shutdown: Shutdown) -> Result<(), Error> {
        let readiness = self.readiness();
        let mut background = JoinSet::new();
        let mut unsynced = Vec::new();
        for source in self.sources {
            for task in source.run {
                background.spawn(task);
            }
            unsynced.push(source.synced);
        }
        let queue = self.queue.clone();
        background.spawn(async move { queue.drive().await });

        tokio::select! {
            () = all(unsynced) => info!(controller = self.name, workers, "caches filled"),
            () = report_missing(&readiness) => {}
            Some(_) = background.join_next() => return Err(Error::TaskEnded(self.name)),
            () = shutdown.given() => return Ok(()),
        }

        let reconciler = Arc::new(reconciler);
        loop {
            let leading = tokio::select! {
                leading = self.leadership.acquired() => leading,
                Some(_) = background.join_next() => return Err(Error::TaskEnded(self.name)),
                () = shutdown.given() => return Ok(()),
            };
            info!(controller = self.name, workers, "starting workers");
            let outage = Arc::new(AtomicBool::new(false));
            let mut running = JoinSet::new();
            for _ in 0..workers {
                let queue = self.queue.clone();
                running.spawn(work(self.name, queue, reconciler.clone(), self.metrics.clone(), outage.clone()));
            }
            let ended = tokio::select! {
                // Before all others: what is lost is not to be worked on.
                biased;
                () = leading.lost() => None,
                () = shutdown.given() => Some(Ok(())),
                Some(_) = background.join_next() => Some(Err(Error::TaskEnded(self.name))),
                Some(_) = running.join_next() => Some(Err(Error::TaskEnded(self.name))),
            };
            if let Some(ended) = ended {
                self.queue.close();
                drain(self.name, &self.queue, &mut running, &leading).await;
                return ended;
            }
            warn!(controller = self.name, "not leading any more, stopping workers");
            // Where they are: the next write would be refused. The keys that they hold return to the queue.
            running.shutdown().await;
        }
    }
}

/// Lets workers finish what they hold, and returns once none is left: the Lease may then be given back.
async fn drain(name: &'static str, queue: &Queue<Key>, running: &mut JoinSet<()>, leading: &Leading) {
    tokio::select! {
        () = async { while running.join_next().await.is_some() {} } => return,
        () = leading.lost() => {}
        () = sleep(DRAIN_DEADLINE) => {}
    }
    warn!(controller = name, in_flight = queue.depth().in_flight, "workers did not finish in time");
    running.shutdown().await;
}

async fn all(tasks: Vec<Task>) {
    for task in tasks {
        task.await;
    }
}

/// Never resolves; says now and then what the start is waiting for.
async fn report_missing(readiness: &Readiness) {
    loop {
        sleep(SYNC_REPORT).await;
        warn!(missing = ?readiness.missing(), "still waiting for a first list");
    }
}

/// `outage` is true while the last reconcile of any worker found no API server: an outage is said once, not once an object.
async fn work(
    name: &'static str,
    queue: Queue<Key>,
    reconciler: Arc<impl Reconcile>,
    metrics: Arc<Metrics>,
    outage: Arc<AtomicBool>,
) {
    while let Some(taken) = queue.take().await {
        let key = taken.key().clone();
        // Not `name`: a log in JSON gives that to the span itself, and the one hides the other.
        let context = Context::root();
        let span = info_span!(
            "reconcile",
            controller = name,
            namespace = &*key.namespace,
            object = &*key.name,
            attempt = taken.attempt(),
            cause = %taken.cause(),
            trace_id = %context.trace_id(),
            span_id = %context.span_id(),
        );
        let started = Instant::now();
        // Inside of a block of its own, so that a panic before the first await is caught as well.
        let reconcile = AssertUnwindSafe(context.scope(async { reconciler.reconcile(&key).await })).catch_unwind();
        let ended = timeout(RECONCILE_DEADLINE, reconcile.instrument(span.clone())).await;
        let (verdict, result) = span.in_scope(|| match ended {
            Ok(Ok(Ok(Outcome::Done))) => (Verdict::Done, "success"),
            Ok(Ok(Ok(Outcome::After(delay)))) => (Verdict::After(delay), "requeue_after"),
            Ok(Ok(Err(failure))) => {
                let cause = chain(&failure);
                match failure {
                    // Nothing is wrong with the object, and these workers are about to be stopped.
                    _ if is_fenced(&failure) => {
                        debug!("{cause}");
                        (Verdict::Postponed(Duration::ZERO), "error")
                    }
                    Failure::Retry(_) => {
                        warn!("{cause}");
                        (Verdict::Failed, "error")
                    }
                    Failure::Unavailable(_) => {
                        if !outage.swap(true, Ordering::Relaxed) {
                            warn!("{cause}");
                        }
                        (Verdict::Postponed(jittered(UNAVAILABLE_DELAY, fastrand::f64())), "error")
                    }
                }
            }
            Ok(Err(panic)) => {
                error!(panic = panic_message(&*panic), "the reconciler panicked");
                metrics.panicked(name);
                (Verdict::Failed, "error")
            }
            Err(_elapsed) => {
                error!(deadline = ?RECONCILE_DEADLINE, "the reconciler did not finish in time");
                (Verdict::Failed, "error")
            }
        });
        metrics.reconciled(name, result, started.elapsed());
        taken.done(verdict);
        if let Verdict::Postponed(delay) = verdict {
            // The worker waits as well, so that an overloaded server is asked by each worker once a second, and not by each
            // object.
            sleep(delay).await;
        } else {
            outage.store(false, Ordering::Relaxed);
        }
    }
}

/// Whether a write was refused since this process does not lead.
fn is_fenced(failure: &Failure) -> bool {
    let causes = std::iter::successors(Some(failure as &dyn std::error::Error), |error| error.source());
    causes.filter_map(|cause| cause.downcast_ref::<transport::Error>()).any(transport::Error::is_fenced)
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("")
}

#[cfg(test)]
mod tests;
