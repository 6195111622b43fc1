//! One kind that wakes the objects of a controller: changes in, keys into its queue.

use std::any::{Any, TypeId};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use tracing::error;

use super::work::panic_message;
use crate::informer::{Informer, Subscription};
use crate::metrics::Metrics;
use crate::object::{Key, Object};
use crate::queue::Queue;
use crate::store::{Change, Origin, Stats};
use crate::trigger::{Reason, Trigger, Urgency};

/// A kind that is watched, of whatever type.
pub(super) struct Source {
    /// As in `deployments.apps`.
    pub(super) name: String,
    pub(super) informer: Arc<dyn Informed>,
    pub(super) subscribe: Subscribe,
    /// The type of its objects.
    pub(super) kind: TypeId,
    /// Whether somebody else begins it, if anybody does, so that it is not waited for.
    pub(super) is_optional: bool,
}

pub(super) type Subscribe = Box<dyn FnOnce(&Queue<Key>, &Arc<Metrics>) -> Subscription + Send>;
type Waiting<'i> = Pin<Box<dyn Future<Output = ()> + Send + 'i>>;

/// An [`Informer`] of whatever type.
pub(super) trait Informed: Any + Send + Sync {
    fn start(&self);
    fn is_synced(&self) -> bool;
    fn len(&self) -> usize;
    fn stats(&self) -> Vec<Arc<Stats>>;
    fn synced(&self) -> Waiting<'_>;
    fn broken(&self) -> Waiting<'_>;
}

impl<T: Object> Informed for Informer<T> {
    fn start(&self) {
        self.start();
    }

    fn is_synced(&self) -> bool {
        self.reader().is_synced()
    }

    fn len(&self) -> usize {
        self.reader().len()
    }

    fn stats(&self) -> Vec<Arc<Stats>> {
        self.reader().stats()
    }

    fn synced(&self) -> Waiting<'_> {
        Box::pin(self.reader().synced())
    }

    fn broken(&self) -> Waiting<'_> {
        Box::pin(self.broken())
    }
}

impl Source {
    /// The source of `controller` with this number.
    pub(super) fn new<T: Object>(
        controller: &'static str,
        number: usize,
        informer: Informer<T>,
        mapper: impl Fn(&Change<T>) -> Vec<(Key, Urgency)> + Send + Sync + 'static,
    ) -> Self {
        let subscribed = informer.clone();
        let subscribe = move |queue: &Queue<Key>, metrics: &Arc<Metrics>| {
            let (queue, metrics) = (queue.clone(), metrics.clone());
            subscribed.subscribe(move |change| {
                // A mapper that can't take an object must not end the source: every restart would meet that object again.
                match catch_unwind(AssertUnwindSafe(|| mapper(change))) {
                    Ok(keys) => {
                        let trigger = Trigger::new(reason(change)).from_source(number);
                        queue.add_all(keys.into_iter().map(|(key, urgency)| (key, trigger.with_urgency(urgency))));
                    }
                    Err(panic) => {
                        let panic = panic_message(&*panic);
                        error!(controller, resource = %T::RESOURCE, object = %change.key(), panic, "a mapper panicked");
                        metrics.panicked(controller);
                    }
                }
            })
        };
        Self {
            name: T::RESOURCE.to_string(),
            informer: Arc::new(informer),
            subscribe: Box::new(subscribe),
            kind: TypeId::of::<T>(),
            is_optional: false,
        }
    }
}

fn reason<T>(change: &Change<T>) -> Reason {
    match (&change.old, &change.new) {
        (None, _) if change.origin == Origin::InitialList => Reason::Listed,
        (None, _) => Reason::Created,
        (_, None) => Reason::Deleted,
        _ => Reason::Updated,
    }
}

/// A source as it is at one moment.
pub(super) struct Seen<'a> {
    pub(super) name: &'a str,
    pub(super) synced: bool,
    pub(super) objects: usize,
    /// What each part of its cache has lived through.
    pub(super) stats: Vec<Arc<Stats>>,
}

/// Tells whether a controller's caches are filled.
#[derive(Clone)]
pub struct Readiness {
    /// By their numbers.
    sources: Arc<[Known]>,
}

/// What of a source is needed when it runs.
struct Known {
    name: String,
    informer: Arc<dyn Informed>,
    is_optional: bool,
}

impl Readiness {
    pub(super) fn of(sources: &[Source]) -> Self {
        let known = |source: &Source| Known {
            name: source.name.clone(),
            informer: source.informer.clone(),
            is_optional: source.is_optional,
        };
        Self { sources: sources.iter().map(known).collect() }
    }

    /// Those that are waited for.
    fn needed(&self) -> impl Iterator<Item = &Known> {
        self.sources.iter().filter(|source| !source.is_optional)
    }

    /// The kinds whose first snapshot is still missing.
    pub fn missing(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for source in self.needed().filter(|source| !source.informer.is_synced()) {
            // A kind that wakes objects in two ways is still one.
            if !names.contains(&source.name.as_str()) {
                names.push(source.name.as_str());
            }
        }
        names
    }

    /// The kinds that are waited for, and whether each has had its first snapshot.
    pub fn sources(&self) -> impl Iterator<Item = (&str, bool)> {
        self.needed().map(|source| (source.name.as_str(), source.informer.is_synced()))
    }

    /// The name of the source with this number.
    pub(super) fn name(&self, number: usize) -> Option<&str> {
        self.sources.get(number).map(|source| source.name.as_str())
    }

    /// Each source that is waited for, as it is now.
    pub(super) fn inspect(&self) -> impl Iterator<Item = Seen<'_>> {
        self.needed().map(|source| Seen {
            name: &source.name,
            synced: source.informer.is_synced(),
            objects: source.informer.len(),
            stats: source.informer.stats(),
        })
    }

    pub(super) fn start(&self) {
        self.needed().for_each(|source| source.informer.start());
    }

    /// Resolves once nothing is missing.
    pub(super) async fn complete(&self) {
        for source in self.needed() {
            source.informer.synced().await;
        }
    }

    /// Resolves if a cache is no longer kept up to date.
    pub(super) async fn broken(&self) {
        let all: Vec<_> = self.sources.iter().map(|source| source.informer.broken()).collect();
        if all.is_empty() {
            return std::future::pending().await;
        }
        futures_util::future::select_all(all).await;
    }
}
