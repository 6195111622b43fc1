//! From the first list to the last reconcile: what a controller waits for, and how it ends.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{info, warn};

use super::cx::Tools;
use super::source::Readiness;
use super::work::{Worker, work};
use super::{Controller, Error, Reconcile};
use crate::lease::Leading;
use crate::object::{Key, Object};
use crate::queue::Queue;
use crate::shutdown::Shutdown;

/// How long workers may go on with what they hold once the process is to end. Below the 30 s after which Kubernetes kills
/// the container.
const DRAIN_DEADLINE: Duration = Duration::from_secs(20);

/// A source that is not synced is named in the log this often.
const SYNC_REPORT: Duration = Duration::from_secs(10);

impl<T: Object> Controller<T> {
    /// Runs until `shutdown` is given; then hands out no more keys, lets workers finish those that they hold, and returns.
    ///
    /// # Errors
    ///
    /// [`Error::NotSynced`] after a [`sync_deadline`](Self::sync_deadline), and [`Error::TaskEnded`], which only a bug in
    /// this crate can cause.
    pub async fn run(self, reconciler: impl Reconcile<T>, shutdown: Shutdown) -> Result<(), Error> {
        let readiness = self.readiness();
        let sources = self.sources.iter().map(|source| source.name.clone()).collect();
        // Before the first list, so that the first who runs is told by it; whoever comes later, by what there is.
        let subscribe = self.sources.into_iter().map(|source| (source.subscribe)(&self.queue, &self.metrics));
        let _subscriptions: Vec<_> = subscribe.collect();
        readiness.start();
        let mut background = JoinSet::new();
        let queue = self.queue.clone();
        background.spawn(async move { queue.drive().await });
        background.spawn(self.liveness.beat());
        self.metrics.started(self.name, self.workers);

        tokio::select! {
            () = readiness.complete() => info!(controller = self.name, "caches filled"),
            () = report_missing(self.name, &readiness) => {}
            () = passed(self.sync_deadline) => {
                let missing = readiness.missing().into_iter().map(str::to_owned).collect();
                return Err(Error::NotSynced { controller: self.name, missing });
            }
            Some(_) = background.join_next() => return Err(Error::TaskEnded(self.name)),
            () = readiness.broken() => return Err(Error::TaskEnded(self.name)),
            () = shutdown.given() => return Ok(()),
        }

        let tools = Tools {
            objects: self.objects.reader().clone(),
            client: self.informers.client().clone(),
            readers: self.readers,
            recorder: self.recorder,
            metrics: self.metrics.clone(),
            sources,
        };
        let (reconciler, tools) = (Arc::new(reconciler), Arc::new(tools));
        loop {
            let leading = tokio::select! {
                leading = self.leadership.acquired() => leading,
                Some(_) = background.join_next() => return Err(Error::TaskEnded(self.name)),
                () = readiness.broken() => return Err(Error::TaskEnded(self.name)),
                () = shutdown.given() => return Ok(()),
            };
            info!(controller = self.name, workers = self.workers, "starting workers");
            let worker = Worker {
                controller: self.name,
                queue: self.queue.clone(),
                reconciler: reconciler.clone(),
                tools: tools.clone(),
                metrics: self.metrics.clone(),
                deadline: self.deadline,
                held: self.held.clone(),
                outage: Arc::new(AtomicBool::new(false)),
            };
            let mut running = JoinSet::new();
            for _ in 0..self.workers {
                running.spawn(work(worker.clone()));
            }
            let ended = tokio::select! {
                // Before all others: what is lost is not to be worked on.
                biased;
                () = leading.lost() => None,
                () = shutdown.given() => Some(Ok(())),
                Some(_) = background.join_next() => Some(Err(Error::TaskEnded(self.name))),
                () = readiness.broken() => Some(Err(Error::TaskEnded(self.name))),
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

/// Never resolves; says now and then what the start is waiting for.
async fn report_missing(controller: &'static str, readiness: &Readiness) {
    loop {
        sleep(SYNC_REPORT).await;
        warn!(controller, missing = ?readiness.missing(), "still waiting for a first list");
    }
}

/// Resolves after the deadline; never, if there is none.
async fn passed(deadline: Option<Duration>) {
    match deadline {
        Some(deadline) => sleep(deadline).await,
        None => std::future::pending().await,
    }
}
