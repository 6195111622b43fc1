//! The cache: one writer, many readers, and beside them what this process itself has just written. Pure but for its lock.
//!
//! Transactions go in, [`Change`]s come out; readers see whole transactions only. A [`Writer`] covers one namespace, or all
//! of them; a [`Reader`] looks up a key in whichever part covers it.
//!
//! # Own writes
//!
//! The watch brings a write back some milliseconds after its answer. A reconcile in between would see the state from before
//! its own write, and write again. So the answer of a write is kept beside the cache ([`Reader::remember`]) while the stream
//! is behind its version, and is dropped once the stream has passed it: from then on the stream is the truth, so that a
//! delete by somebody else in between leaves no ghost. A delete ([`Reader::remember_deleted`]) hides that life of the object
//! until the stream has confirmed it. What the stream does not bring in time is read from the server, key by key
//! ([`Writer::overdue`]).
//!
//! Everything that a reader is told takes this into account: single objects, lists, keys, counts and indexes.

mod difference;
mod index;
mod overlay;
mod state;
mod stats;

use std::sync::{Arc, PoisonError};

use self::difference::{Difference, difference, differs};
use self::index::Keys;
pub use self::index::{ByNamespace, ByOwner, Index};
pub use self::overlay::Overdue;
use self::overlay::{Life, What};
use self::state::State;
pub use self::stats::Stats;
use crate::api::{Collection, Entry, Scope};
use crate::object::{Key, Metadata, Object, ResourceVersion};
use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, watch};
use crate::watch::{Audit, Reason, Transaction};

/// Objects that an index which is being built takes in at once: 2 to 4 ms' worth of a million, for which readers and the stream
/// can wait, and so many that the lock itself costs nothing beside them. Loom has few objects, and is to see it released.
const FILED_AT_ONCE: usize = if cfg!(engine_loom) { 1 } else { 1_000 };

/// What a transaction did to one key. One of the two sides is always there.
#[derive(Debug, Clone)]
pub struct Change<T> {
    /// The state before; `None` if the object is new.
    pub old: Option<Entry<T>>,
    /// The state after; `None` if the object is gone.
    pub new: Option<Entry<T>>,
    /// How it became known.
    pub origin: Origin,
}

/// How a change became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// By the first list: it may be as old as the cluster, and there may be many like it.
    InitialList,
    /// By a later list: it happened while no watch was there to see it.
    Relist,
    /// By a watch, as it happened; or by a look at this very object.
    Event,
}

impl<T: Object> Change<T> {
    /// The key that changed.
    pub fn key(&self) -> Key {
        let either = self.new.as_ref().or(self.old.as_ref());
        either.map_or_else(|| Key::new("", ""), Entry::key)
    }
}

/// One namespace's objects, or all namespaces'.
#[derive(Debug)]
struct Part<T> {
    /// What it covers.
    collection: Collection,
    state: RwLock<State<T>>,
    /// Becomes true with the first snapshot, and stays true.
    synced: watch::Sender<bool>,
    stats: Arc<Stats>,
}

/// The one who changes a part of the cache.
#[derive(Debug)]
pub struct Writer<T> {
    part: Arc<Part<T>>,
}

/// Looks up objects in all parts.
#[derive(Debug)]
pub struct Reader<T> {
    parts: Arc<[Arc<Part<T>>]>,
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self { parts: self.parts.clone() }
    }
}

/// An empty cache of `namespaces`, with a writer for each; of all namespaces, with one writer, if there are none.
pub fn new<T: Object>(namespaces: &[Arc<str>]) -> (Vec<Writer<T>>, Reader<T>) {
    scoped(&Scope::namespaces(namespaces.iter().cloned()))
}

/// An empty cache of what is in `scope`, with a writer for each of its collections.
pub fn scoped<T: Object>(scope: &Scope) -> (Vec<Writer<T>>, Reader<T>) {
    let parts: Arc<[Arc<Part<T>>]> =
        scope.collections().into_iter().map(|collection| Arc::new(Part::new(collection))).collect();
    (parts.iter().map(|part| Writer { part: part.clone() }).collect(), Reader { parts })
}

impl<T: Object> Writer<T> {
    /// What this writer covers.
    pub fn collection(&self) -> &Collection {
        &self.part.collection
    }

    /// What this part of the cache has lived through.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.part.stats
    }

    /// Makes a change of the cache visible to all readers at once, and returns what it changed. An object that is older than
    /// the one it would replace changes nothing.
    pub fn commit(&mut self, transaction: Transaction<T>) -> Vec<Change<T>> {
        let stats = &self.part.stats;
        let mut changes = Vec::new();
        match transaction {
            Transaction::Replace { version, entries, reason, restored } => {
                stats.count_list(reason);
                return self.replace(version, entries, reason, restored);
            }
            Transaction::Upsert(entry) => {
                let is_news = self.part.write().upsert(&entry, &mut changes);
                stats.count_event(is_news);
            }
            Transaction::Delete(entry) => {
                let is_news = self.part.write().delete(entry, &mut changes);
                stats.count_event(is_news);
            }
            Transaction::Progress(version) => self.part.write().advance(&version, &mut changes),
            Transaction::Clear => {
                let cleared = self.part.write().clear();
                // As long as the lock is not held.
                changes = cleared.changes();
            }
        }
        self.part.publish_stats();
        changes
    }

    /// Replaces everything. The lock is held for as long as it takes to exchange the old for the new, however many objects
    /// there are: nobody but this writer changes them, so that all else happens beside it.
    fn replace(
        &mut self,
        version: ResourceVersion,
        entries: Vec<Entry<T>>,
        reason: Reason,
        restored: bool,
    ) -> Vec<Change<T>> {
        let (former, shells) = {
            let state = self.part.read();
            (state.objects(), state.indexes.fresh())
        };
        let origin = if reason == Reason::Initial { Origin::InitialList } else { Origin::Relist };
        let Difference { objects, quarantined, mut changes } = difference(&former, entries, restored, origin);
        drop(former);
        let mut indexes = shells.filled(objects.iter());
        let mut objects = Some(objects);
        let former = loop {
            let mut state = self.part.write();
            if let Some(objects) = objects.take_if(|_| indexes.are_those_of(&state.indexes)) {
                break state.exchange((objects, quarantined), indexes, version, restored, &mut changes);
            }
            // A reader has asked for another index meanwhile.
            let shells = state.indexes.fresh();
            drop(state);
            indexes = shells.filled(objects.iter().flatten());
        };
        // As long as the lock is not held.
        drop(former);
        self.part.publish_stats();
        self.part.synced.send_replace(true);
        changes
    }

    /// Puts the objects that are in the cache in place of those among `entries` that are the same in content, so that a list
    /// takes no more memory than what is new in it.
    pub fn reuse<'e>(&self, entries: impl IntoIterator<Item = &'e mut Entry<T>>) {
        let state = self.part.read();
        for entry in entries {
            if let Some(known) = state.object(&entry.key()).filter(|known| !differs(known, entry)) {
                *entry = known.clone();
            }
        }
    }

    /// Holds the cache against an audit's list, and returns the keys that differ.
    pub fn audit(&self, audit: Audit) -> Vec<Key> {
        let objects = self.part.read().objects();
        let differing = audit.differing(objects.values().map(Entry::metadata));
        self.part.stats.count_audit(differing.len());
        differing
    }

    /// The keys of own writes and deletes that the stream has not brought since before this was last called. To be called
    /// now and then; each of them is to be read from the server and told to [`found`](Self::found).
    pub fn overdue(&mut self) -> Vec<Overdue> {
        // Nearly always there is nothing, and readers need not wait for that.
        if self.part.read().own_writes() == 0 {
            return Vec::new();
        }
        self.part.write().overdue()
    }

    /// Takes in what the server itself has of a key that was overdue; `None` if it has nothing. It says nothing any more where
    /// this process has written the object since.
    pub fn found(&mut self, asked: &Overdue, object: Option<T>) -> Vec<Change<T>> {
        let mut changes = Vec::new();
        let fits = object.as_ref().is_none_or(|object| self.part.collection.selector.fits(object.metadata()));
        let entry = object.map(|object| Entry::Valid(Arc::new(object)));
        self.part.write().found(asked, entry, fits, &mut changes);
        self.part.stats.count_confirmation();
        self.part.publish_stats();
        changes
    }
}

impl<T: Object> Reader<T> {
    /// The object as it is known to be: as this process last wrote it or as the stream has it, whichever is later.
    pub fn get(&self, key: &Key) -> Option<Entry<T>> {
        self.part(key)?.read().seen(key).cloned()
    }

    /// Keeps `object`, the answer to a write or a fresh read, until the stream has reached its version. Where versions have no
    /// order: until the stream brings exactly this one.
    ///
    /// An object that has left what the cache covers is hidden for that time.
    pub fn remember(&self, object: T) -> Arc<T> {
        let object = Arc::new(object);
        let metadata = object.metadata();
        if let Some(part) = self.part(&metadata.key()) {
            let fits = part.collection.selector.fits(metadata);
            let what = if fits { What::Written(Entry::Valid(object.clone())) } else { What::Left(Life::of(metadata)) };
            part.write().remember(&metadata.key(), what);
            part.publish_stats();
        }
        object
    }

    /// Hides the life of an object that `deleted` is the last known state of, until the stream has seen its end: to be told
    /// once the server has said that it is deleted, and no earlier. (While finalizers hold it, the server answers with the
    /// object; that is to be [remembered](Self::remember) instead.)
    pub fn remember_deleted(&self, deleted: &Metadata) {
        let key = deleted.key();
        if let Some(part) = self.part(&key) {
            part.write().remember_deleted(&key, Life::of(deleted));
            part.publish_stats();
        }
    }

    /// Every object, in no order.
    pub fn list(&self) -> Vec<Entry<T>> {
        self.collect(|state, all| all.extend(state.all().map(|(_, entry)| entry.clone())))
    }

    /// The objects under `value` in the index `I`, in no order. The index is built when it is first asked for; building it
    /// [ahead](Self::index) spares that first one the wait.
    pub fn by_index<I: Index<T>>(&self, value: &I::Value) -> Vec<Entry<T>> {
        self.index::<I>();
        self.collect(|state, found| {
            let keys = state.indexes.find::<I>(value).into_iter().flat_map(Keys::iter);
            found.extend(keys.filter_map(|key| state.seen(key)).cloned());
        })
    }

    /// Builds the index `I`, if there is none yet. From then on it is kept up to date with each change and each own write.
    pub fn index<I: Index<T>>(&self) {
        for part in self.parts.iter() {
            let is_there = part.read().indexes.has::<I>();
            if !is_there {
                part.build::<I>();
            }
        }
    }

    /// The key of every object, in no order.
    pub fn keys(&self) -> Vec<Key> {
        self.collect(|state, keys| keys.extend(state.all().map(|(key, _)| key.clone())))
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.read().len()).sum()
    }

    /// Returns true if there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What each part of the cache has lived through.
    pub fn stats(&self) -> Vec<Arc<Stats>> {
        self.parts.iter().map(|part| part.stats.clone()).collect()
    }

    /// Resolves once every part has had its first snapshot.
    pub async fn synced(&self) {
        for part in self.parts.iter() {
            // The sender lives in the part that is borrowed here, so that waiting can't fail.
            let _ = part.synced.subscribe().wait_for(|synced| *synced).await;
        }
    }

    /// Returns true once every part has had its first snapshot.
    pub fn is_synced(&self) -> bool {
        self.parts.iter().all(|part| *part.synced.borrow())
    }

    fn collect<C>(&self, from: impl Fn(&State<T>, &mut Vec<C>)) -> Vec<C> {
        let mut all = Vec::new();
        for part in self.parts.iter() {
            from(&part.read(), &mut all);
        }
        all
    }

    fn part(&self, key: &Key) -> Option<&Part<T>> {
        let covers = |part: &&Arc<Part<T>>| {
            part.collection.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
        };
        self.parts.iter().find(covers).map(|part| &**part)
    }
}

impl<T: Object> Part<T> {
    fn new(collection: Collection) -> Self {
        let stats = Arc::new(Stats::new(T::RESOURCE, collection.namespace.clone()));
        Self { collection, state: RwLock::new(State::empty()), synced: watch::Sender::new(false), stats }
    }

    /// Builds the index `I`, a few objects each time that the lock is taken, so that nobody waits for the whole. What changes
    /// meanwhile is filed in it like in any other, and filing an object twice is as good as once.
    fn build<I: Index<T>>(&self) {
        self.write().indexes.begin::<I>();
        let keys: Vec<Key> = self.read().all().map(|(key, _)| key.clone()).collect();
        let mut rest = &keys[..];
        loop {
            let (some, later) = rest.split_at(rest.len().min(FILED_AT_ONCE));
            self.write().file::<I>(some, later.is_empty());
            if later.is_empty() {
                return;
            }
            rest = later;
        }
    }

    fn publish_stats(&self) {
        let state = self.read();
        self.stats.set_quarantined(state.quarantined());
        self.stats.set_unconfirmed(state.own_writes());
        if let Some(version) = state.version() {
            self.stats.reach(version);
        }
    }
}

impl<T> Part<T> {
    // Nothing panics under the lock: where an index's own code does, that is caught.
    fn read(&self) -> RwLockReadGuard<'_, State<T>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<T>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
