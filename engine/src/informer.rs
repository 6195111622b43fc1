//! One list and watch for each kind and scope, however many want it. Client in; readers and subscriptions out.
//!
//! An [`Informer`] drives the reflectors of one cache and tells every subscriber of each change, in order. There is no
//! channel between them that could fill up or be left unread: a subscriber is a function that must not wait, such as one
//! that adds keys to a queue, which holds each key once. So one who is slow holds up nobody, and memory is bounded by the
//! number of objects, not by that of changes.
//!
//! A [controller](crate::controller) has its own. Whoever needs no more than a cache:
//!
//! ```no_run
//! # use engine::api::Client;
//! # use engine::object::{Metadata, Object, Resource};
//! # #[derive(serde::Deserialize)]
//! # struct Pod { metadata: Metadata }
//! # impl Object for Pod {
//! #     const RESOURCE: Resource = Resource { group: "", version: "v1", kind: "Pod", plural: "pods" };
//! #     fn metadata(&self) -> &Metadata { &self.metadata }
//! # }
//! use engine::informer::Informers;
//! use engine::store::ByNamespace;
//!
//! # async fn example(client: Client) {
//! let pods = Informers::new(client).of::<Pod>();
//! let mut changed = pods.keys();
//! pods.start();
//! pods.reader().synced().await;
//! let of_system = pods.reader().by_index::<ByNamespace>(&"kube-system".into());
//! println!("{} of {} pods are the system's", of_system.len(), pods.reader().len());
//! loop {
//!     let key = changed.next().await;
//!     println!("{key} {}", if pods.reader().get(&key).is_some() { "is there" } else { "is gone" });
//! }
//! # }
//! ```

mod keys;

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::keys::Keys;
use crate::api::{Client, Scope};
use crate::object::Object;
use crate::reflector::Reflector;
use crate::store::{self, Change, Origin, Reader};

/// The informers of one process. Clones share them.
#[derive(Clone)]
pub struct Informers {
    client: Client,
    scope: Arc<Scope>,
    /// Few, so that they are searched through.
    all: Arc<Mutex<Vec<Known>>>,
}

/// What is watched, and an `Arc<Shared<T>>` for the kind's type.
type Known = (Scope, Arc<dyn Any + Send + Sync>);

/// Keeps one cache up to date, and tells of its changes. Clones are the same informer.
pub struct Informer<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    reader: Reader<T>,
    fanout: Arc<Fanout<T>>,
    /// What waits for [`Informer::start`].
    idle: Mutex<Vec<Reflector<T>>>,
    /// The reflectors that run. They end with the last clone, of which [`Informers`] keep one.
    running: Mutex<JoinSet<()>>,
    /// Becomes true when a reflector ends, which only a subscriber that panics can cause.
    broken: Arc<watch::Sender<bool>>,
}

/// Those who want to know.
struct Fanout<T> {
    /// Held while a change is told, so that each subscriber hears all changes in one order.
    subscribers: Mutex<Vec<Weak<Subscriber<T>>>>,
}

type Subscriber<T> = dyn Fn(&Change<T>) + Send + Sync;

/// A place among an informer's subscribers, until it is dropped.
#[must_use = "without it nothing is told"]
pub struct Subscription {
    /// An `Arc<Subscriber<T>>` of whatever type.
    _subscriber: Box<dyn Any + Send + Sync>,
}

impl Informers {
    /// No informers yet. They will read through `client`, and watch everything.
    pub fn new(client: Client) -> Self {
        Self { client, scope: Arc::default(), all: Arc::default() }
    }

    /// The same, where those of which nothing else is said watch no more than `scope`.
    pub fn within(self, scope: Scope) -> Self {
        Self { scope: scope.into(), ..self }
    }

    /// The client that they read through.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The informer of `T`.
    pub fn of<T: Object>(&self) -> Informer<T> {
        self.of_scope(&self.scope)
    }

    /// The informer of the `T` in `scope`; the same for the same scope, for as long as these informers live. A kind that lives
    /// in no namespace is watched whatever namespaces that has.
    pub fn of_scope<T: Object>(&self, scope: &Scope) -> Informer<T> {
        let mut scope = scope.clone();
        if !T::NAMESPACED {
            scope.namespaces.clear();
        }
        scope.namespaces.sort_unstable();
        scope.namespaces.dedup();
        let mut all = lock(&self.all);
        let mut known = all.iter().filter(|(known, _)| *known == scope);
        if let Some(shared) = known.find_map(|(_, shared)| shared.clone().downcast::<Shared<T>>().ok()) {
            return Informer { shared };
        }
        let shared = Arc::new(Shared::new(&self.client, &scope));
        all.push((scope, shared.clone()));
        Informer { shared }
    }
}

impl<T> Clone for Informer<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T: Object> Informer<T> {
    /// The cache.
    pub fn reader(&self) -> &Reader<T> {
        &self.shared.reader
    }

    /// Calls `subscriber` for each change from now on, and first for each object that is there already, as one that has just
    /// come into being. It must neither wait nor subscribe to anything: others hear of the change after it.
    pub fn subscribe(&self, subscriber: impl Fn(&Change<T>) + Send + Sync + 'static) -> Subscription {
        let subscriber: Arc<Subscriber<T>> = Arc::new(subscriber);
        let mut subscribers = lock(&self.shared.fanout.subscribers);
        // A change that is committed and not yet told is told twice, which keys don't mind.
        for key in self.reader().keys() {
            if let Some(entry) = self.reader().get(&key) {
                subscriber(&Change { old: None, new: Some(entry), origin: Origin::InitialList });
            }
        }
        subscribers.push(Arc::downgrade(&subscriber));
        drop(subscribers);
        Subscription { _subscriber: Box::new(subscriber) }
    }

    /// The keys of all objects, and of those that change from now on, for one reader who may be as slow as it likes.
    pub fn keys(&self) -> Keys {
        Keys::of(self)
    }

    /// Begins to list and watch; nothing, if that has begun already.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn start(&self) {
        let mut running = lock(&self.shared.running);
        for reflector in lock(&self.shared.idle).drain(..) {
            let (fanout, broken) = (self.shared.fanout.clone(), Broken(self.shared.broken.clone()));
            running.spawn(async move {
                let _broken = broken;
                reflector.run(|change| fanout.tell(change)).await;
            });
        }
    }

    /// Resolves if the cache is no longer kept up to date, which only a subscriber that panics can cause.
    pub async fn broken(&self) {
        // The sender lives in what is borrowed here, so that waiting can't fail.
        let _ = self.shared.broken.subscribe().wait_for(|broken| *broken).await;
    }
}

impl<T: Object> Shared<T> {
    fn new(client: &Client, scope: &Scope) -> Self {
        let (writers, reader) = store::scoped::<T>(scope);
        let idle = writers.into_iter().map(|writer| Reflector::new(client.clone(), writer)).collect();
        Self {
            reader,
            fanout: Arc::new(Fanout { subscribers: Mutex::default() }),
            idle: Mutex::new(idle),
            running: Mutex::default(),
            broken: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl<T> Fanout<T> {
    fn tell(&self, change: &Change<T>) {
        lock(&self.subscribers).retain(|subscriber| {
            let Some(subscriber) = subscriber.upgrade() else { return false };
            subscriber(change);
            true
        });
    }
}

/// Says so when the reflector that holds it ends.
struct Broken(Arc<watch::Sender<bool>>);

impl Drop for Broken {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

impl fmt::Debug for Informers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Informers").field("informers", &lock(&self.all).len()).finish_non_exhaustive()
    }
}

// A subscriber that panics ends its reflector and is said; what it left is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests;
