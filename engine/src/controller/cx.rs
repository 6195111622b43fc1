//! What a reconciler is given: the object, why and for the how many-th time it is called, and what to work with.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{Client, Entry, Invalid};
use crate::events::{Kind, Recorder};
use crate::metrics::Metrics;
use crate::object::{Key, Object, Resource};
use crate::queue::Taken;
use crate::store::Reader;
use crate::trigger::Cause;

/// An object as the cache has it when a reconcile begins.
#[derive(Debug)]
pub enum Seen<T> {
    /// It is there.
    Live(Arc<T>),
    /// It is not there: deleted, or never in this controller's namespaces.
    Gone,
    /// It is there, and no `T`: written before the present schema, say.
    Invalid(Arc<Invalid>),
}

/// One call of a reconciler.
pub struct Cx<T> {
    key: Key,
    object: Seen<T>,
    attempt: u32,
    cause: Cause,
    queued_for: Duration,
    tools: Arc<Tools<T>>,
}

/// What all calls share.
pub(super) struct Tools<T> {
    pub(super) objects: Reader<T>,
    pub(super) client: Client,
    pub(super) readers: Readers,
    pub(super) recorder: Option<Recorder>,
    pub(super) metrics: Arc<Metrics>,
    /// The names of the sources, by number.
    pub(super) sources: Vec<String>,
}

/// A `Reader<C>` for each type `C`.
pub(super) type Readers = HashMap<TypeId, Box<dyn Any + Send + Sync>>;

impl<T: Object> Cx<T> {
    pub(super) fn new(taken: &Taken<'_, Key>, tools: Arc<Tools<T>>) -> Self {
        let key = taken.key().clone();
        let object = match tools.objects.get(&key) {
            None => Seen::Gone,
            Some(Entry::Valid(object)) => Seen::Live(object),
            Some(Entry::Invalid(invalid)) => Seen::Invalid(invalid),
        };
        let (attempt, cause, queued_for) = (taken.attempt(), taken.cause(), taken.queued_for());
        Self { key, object, attempt, cause, queued_for, tools }
    }

    /// Which object it is about.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The object as the cache had it when the call began, with this process's own last write.
    pub fn object(&self) -> &Seen<T> {
        &self.object
    }

    /// The object, if it is there and can be decoded.
    pub fn live(&self) -> Option<&Arc<T>> {
        if let Seen::Live(object) = &self.object { Some(object) } else { None }
    }

    /// 1 for the first try since the last success, and one more for each failure since.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What woke it. A hint: what is not named may have happened as well.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The kinds whose changes woke it, as in `deployments.apps`.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.cause.sources().filter_map(|number| self.tools.sources.get(number).map(String::as_str))
    }

    /// How long it waited for a worker.
    pub fn queued_for(&self) -> Duration {
        self.queued_for
    }

    /// The cache of type `C`.
    ///
    /// # Panics
    ///
    /// If the controller does not watch that type.
    pub fn reader<C: Object>(&self) -> &Reader<C> {
        reader(&self.tools.readers)
    }

    /// The client that the caches are read through.
    pub fn client(&self) -> &Client {
        &self.tools.client
    }

    /// Counts a write of an object of `resource` that is not sent, since the server has what it would write already.
    pub fn suppressed(&self, resource: &Resource) {
        self.tools.metrics.suppressed(resource);
    }

    /// Files an event about the object, if it is there and the controller has a
    /// [`recorder`](super::Controller::recorder).
    pub fn record(&self, kind: Kind, reason: &'static str, action: &'static str, note: String) {
        if let (Seen::Live(object), Some(recorder)) = (&self.object, &self.tools.recorder) {
            recorder.record(&**object, kind, reason, action, note);
        }
    }
}

pub(super) fn reader<C: Object>(readers: &Readers) -> &Reader<C> {
    let reader = readers.get(&TypeId::of::<C>()).and_then(|reader| reader.downcast_ref());
    reader.unwrap_or_else(|| panic!("the controller does not watch {}", C::RESOURCE))
}
