//! One worker: takes a key, calls the reconciler, and turns what came of it into a verdict.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, error::Elapsed, sleep, timeout};
use tracing::field::Empty;
use tracing::{Instrument, debug, error, info_span, warn};

use super::cx::{Cx, Tools};
use super::inspect::Held;
use super::{Failure, Outcome, Reconcile};
use crate::backoff::jittered;
use crate::metrics::Metrics;
use crate::object::{Key, Object, chain};
use crate::queue::{Queue, Verdict};
use crate::trace::Context;
use crate::{api, transport};

/// Wait after [`Failure::Unavailable`], of the object, unless the server asks for more, and of the worker. A server that is back
/// is used within this time; and while it is away, each worker asks it once a second.
const UNAVAILABLE_DELAY: Duration = Duration::from_secs(1);

/// The longest that an object waits since the server asks to: priority and fairness asks for half a minute at most, and whatever
/// asks for more is no API server.
const LONGEST_ASKED: Duration = Duration::from_mins(1);

/// The longest wait after [`Failure::Conflict`] for the cache to have what the server has: many times what an event takes.
const CONFLICT_DELAY: Duration = Duration::from_secs(1);

/// What a worker works with.
pub(super) struct Worker<T, R> {
    pub(super) controller: &'static str,
    pub(super) queue: Queue<Key>,
    pub(super) reconciler: Arc<R>,
    pub(super) tools: Arc<Tools<T>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) deadline: Duration,
    /// Where it is shown what each worker does.
    pub(super) held: Held,
    /// True while the last reconcile of any worker found no API server: an outage is said once, not once an object.
    pub(super) outage: Arc<AtomicBool>,
}

impl<T, R> Clone for Worker<T, R> {
    fn clone(&self) -> Self {
        Self {
            controller: self.controller,
            queue: self.queue.clone(),
            reconciler: self.reconciler.clone(),
            tools: self.tools.clone(),
            metrics: self.metrics.clone(),
            deadline: self.deadline,
            held: self.held.clone(),
            outage: self.outage.clone(),
        }
    }
}

/// Works until the queue is closed.
pub(super) async fn work<T: Object, R: Reconcile<T>>(worker: Worker<T, R>) {
    while let Some(taken) = worker.queue.take().await {
        let key = taken.key();
        let active = worker.metrics.taken(worker.controller, taken.queued_for());
        let held = worker.held.hold(key, taken.attempt(), taken.cause());
        let context = Context::root();
        // Not `name`: a log in JSON gives that to the span itself, and the one hides the other.
        let span = info_span!(
            parent: None,
            "reconcile",
            controller = worker.controller,
            namespace = &*key.namespace,
            object = &*key.name,
            attempt = taken.attempt(),
            cause = %taken.cause(),
            trace_id = %context.trace_id(),
            span_id = %context.span_id(),
            result = Empty,
            otel.status_code = Empty,
        );
        let context = context.of_span(&span);
        let started = Instant::now();
        let cx = Cx::new(&taken, worker.tools.clone());
        // Inside of a block of its own, so that a panic before the first await is caught as well.
        let reconcile = async { worker.reconciler.reconcile(&cx).await };
        let reconcile = AssertUnwindSafe(context.scope(reconcile)).catch_unwind();
        let ended = timeout(worker.deadline, reconcile.instrument(span.clone())).await;
        let (verdict, result) = span.in_scope(|| worker.judge(ended));
        span.record("result", result);
        if result == "error" {
            span.record("otel.status_code", "error");
        }
        worker.metrics.reconciled(worker.controller, result, started.elapsed());
        drop((active, held));
        taken.done(verdict);
        if let Verdict::Postponed(delay) = verdict {
            // The worker waits as well, so that an overloaded server is asked by each worker once a second, and not by each
            // object.
            sleep(delay.min(UNAVAILABLE_DELAY)).await;
        } else {
            worker.outage.store(false, Ordering::Relaxed);
        }
    }
}

/// What a reconciler said, if it did not panic, and if it did so in time.
type Ended = Result<Result<Result<Outcome, Failure>, Box<dyn Any + Send>>, Elapsed>;

impl<T, R> Worker<T, R> {
    /// What the queue is told, and what the metrics are. Logs what went wrong.
    fn judge(&self, ended: Ended) -> (Verdict, &'static str) {
        let failure = match ended {
            Ok(Ok(Ok(Outcome::Done))) => return (Verdict::Done, "success"),
            Ok(Ok(Ok(Outcome::After(delay)))) => return (Verdict::After(delay), "requeue_after"),
            Ok(Ok(Err(failure))) => failure,
            Ok(Err(panic)) => {
                error!(panic = panic_message(&*panic), "the reconciler panicked");
                self.metrics.panicked(self.controller);
                return (Verdict::Failed, "error");
            }
            Err(_elapsed) => {
                error!(deadline = ?self.deadline, "the reconciler did not finish in time");
                self.metrics.timed_out(self.controller);
                return (Verdict::Failed, "error");
            }
        };
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
            Failure::Terminal(_) => {
                error!("{cause}");
                self.metrics.terminal(self.controller);
                (Verdict::Done, "error")
            }
            Failure::Conflict(_) => {
                debug!("{cause}");
                (Verdict::Await(jittered(CONFLICT_DELAY, fastrand::f64())), "requeue")
            }
            Failure::Unavailable(_) => {
                if !self.outage.swap(true, Ordering::Relaxed) {
                    warn!("{cause}");
                }
                let asked = asked_to_wait(&failure).unwrap_or_default().min(LONGEST_ASKED);
                (Verdict::Postponed(jittered(UNAVAILABLE_DELAY, fastrand::f64()).max(asked)), "error")
            }
        }
    }
}

/// Whether a write was refused since this process does not lead.
fn is_fenced(failure: &Failure) -> bool {
    causes(failure).any(transport::Error::is_fenced)
}

/// How long the server asks to wait with this one.
fn asked_to_wait(failure: &Failure) -> Option<Duration> {
    causes(failure).find_map(|error: &api::Error| error.status()?.retry_after())
}

/// What it comes from that is of this type.
fn causes<E: std::error::Error + 'static>(failure: &Failure) -> impl Iterator<Item = &E> {
    let causes = std::iter::successors(Some(failure as &dyn std::error::Error), |error| error.source());
    causes.filter_map(|cause| cause.downcast_ref())
}

/// What a panic said.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("")
}
