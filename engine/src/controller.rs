//! Workers: a key from the queue, one call of the reconciler, a verdict back to the queue.
//!
//! A [`Controller`] says which kinds wake which objects, and how its workers behave; [`run`](Controller::run) waits until
//! each of its caches has had its first snapshot, and then works until it is told to end. A panic, a timeout, an error, an
//! object that is gone and one that can't be decoded are ordinary outcomes here.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use engine::api::Client;
//! # use engine::controller::{Controller, Cx, Failure, Outcome, Reconcile, Seen};
//! # use engine::object::{Metadata, Object, Resource};
//! # #[derive(serde::Deserialize)]
//! # struct Database { metadata: Metadata }
//! # impl Object for Database {
//! #     const RESOURCE: Resource = Resource { group: "example.dev", version: "v1", kind: "Database", plural: "databases" };
//! #     fn metadata(&self) -> &Metadata { &self.metadata }
//! # }
//! # #[derive(serde::Deserialize)]
//! # struct StatefulSet { metadata: Metadata }
//! # impl Object for StatefulSet {
//! #     const RESOURCE: Resource = Resource { group: "apps", version: "v1", kind: "StatefulSet", plural: "statefulsets" };
//! #     fn metadata(&self) -> &Metadata { &self.metadata }
//! # }
//! struct Databases;
//!
//! impl Reconcile<Database> for Databases {
//!     async fn reconcile(&self, cx: &Cx<Database>) -> Result<Outcome, Failure> {
//!         let Seen::Live(database) = cx.object() else { return Ok(Outcome::Done) };
//!         let sets = cx.reader::<StatefulSet>();
//!         // … compare what there is with what `database` asks for, and write what is missing through `cx.client()`.
//!         Ok(Outcome::Done)
//!     }
//! }
//!
//! # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
//! let informers = engine::informer::Informers::new(client);
//! let (_trigger, shutdown) = engine::shutdown::channel();
//! Controller::<Database>::new("database", &informers, Arc::default())
//!     .owns::<StatefulSet>()
//!     .workers(16)
//!     .run(Databases, shutdown)
//!     .await?;
//! # Ok(())
//! # }
//! ```

mod cx;
mod inspect;
mod liveness;
mod run;
mod source;
mod work;

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use self::cx::{Cx, Seen};
use self::inspect::Held;
pub use self::inspect::Inspector;
pub use self::liveness::Liveness;
pub use self::source::Readiness;
use self::source::Source;
use crate::api::Scope;
use crate::backoff::Schedule;
use crate::events::Recorder;
use crate::informer::{Informer, Informers};
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::object::{Key, Object};
use crate::queue::{Bucket, Limits, Queue};
use crate::settle::Unsettled;
use crate::store::{Change, Reader};
use crate::trigger::{self, Urgency};

/// Brings the present state of the world closer to the wish of one object.
pub trait Reconcile<T: Object>: Send + Sync + 'static {
    /// Looks at the present state and does what is missing. It is called for objects that are gone or can't be decoded, too.
    ///
    /// It is never called for one key twice at the same time. What woke it is a hint for logs: any earlier call may have
    /// been cut off anywhere, so that what there is to do follows from the present state alone.
    fn reconcile(&self, cx: &Cx<T>) -> impl Future<Output = Result<Outcome, Failure>> + Send;
}

/// How a reconcile ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing more to do until something changes.
    Done,
    /// To be looked at again after this time, even if nothing changes.
    After(Duration),
}

/// How a reconcile ended badly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// To be tried again, after a backoff that grows with each failure in a row.
    #[error("reconcile failed")]
    Retry(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No retry would help: not to be tried again until something changes.
    #[error("reconcile failed, and will until something changes")]
    Terminal(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A write met a newer state than the cache had. No error, but a matter of time: to be tried again as soon as the cache
    /// has that state, which adds the key, and after a second at the latest. Neither logged as an error nor backed off.
    #[error("the cache is behind the API server")]
    Conflict(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The API server can't be reached or is overloaded: no fault of this object's, so that its backoff does not grow.
    #[error("the API server is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<Unsettled> for Failure {
    /// The same of a write that was looked after: one that fails while the server answers otherwise is this object's own
    /// trouble.
    fn from(unsettled: Unsettled) -> Self {
        if unsettled.is_no_outage() { Self::Retry(unsettled.into()) } else { unsettled.error.into() }
    }
}

impl From<crate::api::Error> for Failure {
    /// What an error of the API server means for the object that was worked on: a conflict is waited out, an outage is no
    /// fault of the object's, and all else is tried again. Nothing is terminal by itself: what is refused today may be
    /// allowed tomorrow, without any change that this controller would see.
    fn from(error: crate::api::Error) -> Self {
        if error.is_conflict() {
            Self::Conflict(error.into())
        } else if error.is_unavailable() {
            Self::Unavailable(error.into())
        } else {
            Self::Retry(error.into())
        }
    }
}

/// Why a controller ended without being told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A worker, or a task that keeps a cache up to date or drives the queue, has ended: without it the controller would be
    /// blind or idle.
    #[error("a task of controller {0} has ended unexpectedly")]
    TaskEnded(&'static str),
    /// Not all caches were filled in time.
    #[error("controller {controller} is still waiting for a first list of {}", missing.join(", "))]
    NotSynced {
        /// The controller.
        controller: &'static str,
        /// The kinds whose first list is missing.
        missing: Vec<String>,
    },
}

/// Workers where nothing else is said: enough that one slow object holds up nobody, few enough for the smallest cluster.
const WORKERS: usize = 10;

/// First and longest backoff of one key. The first is client-go's. The longest is shorter than client-go's 1,000 s, after
/// which nobody still watches whether a fix has helped.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_mins(1));

/// Retries a second of all keys together, and how many of them may come at once. They bound what a fleet of failing objects
/// costs, not what a fleet of changing ones may do: client-go's 10 and 100 would leave the last of 10,000 objects waiting for
/// 17 minutes after the fault is mended, and 50 writes a second are no load for an API server.
const RETRIES: (u32, u32) = (50, 500);

/// The longest that one reconcile may take, where nothing else is said: far longer than any good one, short enough that a
/// worker which hangs on a request is back before anybody has to restart the process.
const RECONCILE_DEADLINE: Duration = Duration::from_mins(1);

/// Decides which objects of `T` are looked at when, and by how many workers.
///
/// What the methods add is in force once [`run`](Self::run) is called.
pub struct Controller<T: Object> {
    name: &'static str,
    queue: Queue<Key>,
    informers: Informers,
    sources: Vec<Source>,
    /// The first reader of each type.
    readers: cx::Readers,
    objects: Informer<T>,
    metrics: Arc<Metrics>,
    recorder: Option<Recorder>,
    workers: usize,
    deadline: Duration,
    sync_deadline: Option<Duration>,
    leadership: Leadership,
    liveness: Liveness,
    held: Held,
}

impl<T: Object> Controller<T> {
    /// A controller of the objects of type `T`, called `name` in logs and metrics. Each change of an object has it
    /// reconciled; at once, where its wish has changed.
    pub fn new(name: &'static str, informers: &Informers, metrics: Arc<Metrics>) -> Self {
        Self::filtered(name, informers, metrics, |_, _| true)
    }

    /// [`new`](Self::new), where an update of an object counts only if `is_news` says so of its state before and after, as
    /// [`trigger::generation_changed`] does. What comes and goes always counts; see [`trigger::filtered`].
    pub fn filtered(
        name: &'static str,
        informers: &Informers,
        metrics: Arc<Metrics>,
        is_news: impl Fn(&T, &T) -> bool + Send + Sync + 'static,
    ) -> Self {
        let limits =
            Limits { per_key: Schedule::new(BACKOFF.0, BACKOFF.1), overall: Bucket::new(RETRIES.0, RETRIES.1) };
        let queue = Queue::new(limits);
        metrics.observe_queue(name, &queue);
        let controller = Self {
            name,
            liveness: Liveness::new(queue.clone()),
            queue,
            informers: informers.clone(),
            sources: Vec::new(),
            readers: HashMap::new(),
            objects: informers.of(),
            metrics,
            recorder: None,
            workers: WORKERS,
            deadline: RECONCILE_DEADLINE,
            sync_deadline: None,
            leadership: Leadership::always(),
            held: Held::default(),
        };
        let objects = controller.objects.clone();
        controller.source(&objects, trigger::filtered(is_news, trigger::itself::<T>))
    }

    /// Reconciles an object whenever an object of type `C` changes whose controller it is, or was before the change.
    pub fn owns<C: Object>(self) -> Self {
        self.watches(trigger::controllers::<T, C>)
    }

    /// Reconciles an object whenever an object of type `C` changes that names it among its owners, or did before the change.
    pub fn owns_any<C: Object>(self) -> Self {
        self.watches(trigger::owners::<T, C>)
    }

    /// Reconciles the objects that `mapper` names, whenever an object of type `C` changes. `mapper` sees the state before
    /// and after, so that it can name those whom the change takes something away from.
    pub fn watches<C: Object>(
        self,
        mapper: impl Fn(&Change<C>) -> Vec<(Key, Urgency)> + Send + Sync + 'static,
    ) -> Self {
        let informer = self.informers.of();
        self.source(&informer, mapper)
    }

    /// [`watches`](Self::watches) the objects in `scope`, rather than in that of the controller's [`Informers`].
    pub fn watches_in<C: Object>(
        self,
        scope: &Scope,
        mapper: impl Fn(&Change<C>) -> Vec<(Key, Urgency)> + Send + Sync + 'static,
    ) -> Self {
        let informer = self.informers.of_scope(scope);
        self.source(&informer, mapper)
    }

    /// Neither begins to watch the kind `C` nor waits for its first list: the server may not know it, or there may never be
    /// a reason to look. Whoever learns otherwise calls [`Informer::start`] of the same informer, at any time. Until then its
    /// cache is empty, and [says](Reader::is_synced) that it is not synced.
    pub fn optional<C: Object>(mut self) -> Self {
        let kind = TypeId::of::<C>();
        self.sources.iter_mut().filter(|source| source.kind == kind).for_each(|source| source.is_optional = true);
        self
    }

    /// How many objects may be reconciled at the same time; 10 by default.
    ///
    /// # Panics
    ///
    /// If there are to be none.
    pub fn workers(self, workers: usize) -> Self {
        assert!(workers > 0, "a controller without workers does nothing");
        Self { workers, ..self }
    }

    /// The longest that one reconcile may take, after which it is dropped where it is and counts as failed; a minute by
    /// default.
    pub fn timeout(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The longest that [`run`](Self::run) waits for the first lists, after which it fails and names those that are missing.
    /// By default it waits for ever, and says now and then for what.
    pub fn sync_deadline(self, deadline: Duration) -> Self {
        Self { sync_deadline: Some(deadline), ..self }
    }

    /// Lets workers run only while `leadership` leads. Caches and queue are filled before and in between, so that they begin
    /// with what has changed since the last leader did its part, and with everything if they are the first.
    pub fn elected_by(self, leadership: Leadership) -> Self {
        Self { leadership, ..self }
    }

    /// Where the reconciler's events go.
    pub fn recorder(self, recorder: Recorder) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// The cache of type `C`.
    ///
    /// # Panics
    ///
    /// If this controller does not watch that type.
    pub fn reader<C: Object>(&self) -> Reader<C> {
        cx::reader::<C>(&self.readers).clone()
    }

    /// Tells whether workers and runtime go on.
    pub fn liveness(&self) -> Liveness {
        self.liveness.clone().with_deadline(self.deadline)
    }

    /// Tells what the controller does just now, to people. To be called once its sources and settings are as they are to be.
    pub fn inspector(&self) -> Inspector {
        Inspector {
            controller: self.name,
            workers: self.workers,
            deadline: self.deadline,
            queue: self.queue.clone(),
            held: self.held.clone(),
            readiness: self.readiness(),
            leadership: self.leadership.clone(),
        }
    }

    /// Tells whether the caches are filled.
    pub fn readiness(&self) -> Readiness {
        Readiness::of(&self.sources)
    }

    fn source<C: Object>(
        mut self,
        informer: &Informer<C>,
        mapper: impl Fn(&Change<C>) -> Vec<(Key, Urgency)> + Send + Sync + 'static,
    ) -> Self {
        let number = self.sources.len();
        self.metrics.observe_cache(informer.reader());
        self.sources.push(Source::new(self.name, number, informer.clone(), mapper));
        self.readers.entry(TypeId::of::<C>()).or_insert_with(|| Box::new(informer.reader().clone()));
        self
    }
}

#[cfg(test)]
mod tests;
