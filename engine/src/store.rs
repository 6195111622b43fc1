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
//! delete by somebody else in between leaves no ghost.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use crate::api::Entry;
use crate::object::{Key, Object, ResourceVersion};
use crate::watch::Transaction;

/// What a transaction did to one key. One of the two sides is always there.
#[derive(Debug, Clone)]
pub struct Change<T> {
    /// The state before; `None` if the object is new.
    pub old: Option<Entry<T>>,
    /// The state after; `None` if the object is gone.
    pub new: Option<Entry<T>>,
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
    /// The namespace it covers; `None` for all.
    namespace: Option<Arc<str>>,
    state: RwLock<State<T>>,
    /// Becomes true with the first snapshot, and stays true.
    synced: watch::Sender<bool>,
}

#[derive(Debug)]
struct State<T> {
    /// What the stream says.
    objects: HashMap<Key, Entry<T>>,
    /// How far the stream is.
    version: Option<ResourceVersion>,
    /// Answers of own writes that are newer than `version`, by key.
    written: HashMap<Key, (Order, Entry<T>)>,
    /// The keys of `written` by version, so that a stream that advances finds those it has passed without a search.
    awaited: BTreeMap<Order, Key>,
}

/// A comparable version as a sort key: numbers without leading zeros compare by length, then digit by digit.
type Order = (usize, Arc<str>);

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
    let covered: Vec<Option<Arc<str>>> =
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect() };
    let parts: Arc<[Arc<Part<T>>]> = covered.into_iter().map(|namespace| Arc::new(Part::new(namespace))).collect();
    (parts.iter().map(|part| Writer { part: part.clone() }).collect(), Reader { parts })
}

impl<T: Object> Writer<T> {
    /// The namespace that this writer covers; `None` for all.
    pub fn namespace(&self) -> Option<&str> {
        self.part.namespace.as_deref()
    }

    /// Makes a change of the cache visible to all readers at once, and returns what it changed. An object that is older than
    /// the one it would replace changes nothing.
    pub fn commit(&mut self, transaction: Transaction<T>) -> Vec<Change<T>> {
        let mut state = self.part.write();
        let mut changes = Vec::new();
        let passed = match transaction {
            Transaction::Replace { version, entries } => {
                let mut gone = std::mem::take(&mut state.objects);
                state.objects.reserve(entries.len());
                for entry in entries {
                    let key = entry.key();
                    let old = gone.remove(&key);
                    if old.as_ref().is_none_or(|old| differs(old, &entry)) {
                        changed(old, Some(entry.clone()), &mut changes);
                    }
                    state.objects.insert(key, entry);
                }
                for old in gone.into_values() {
                    changed(Some(old), None, &mut changes);
                }
                let goes_on = state.version.as_ref().is_none_or(|former| version.reaches(former));
                let passed = if goes_on { state.advance(&version) } else { state.return_to(version) };
                self.part.synced.send_replace(true);
                passed
            }
            Transaction::Upsert(entry) => {
                let key = entry.key();
                let version = entry.metadata().resource_version.clone();
                let is_news = match state.objects.get(&key) {
                    Some(old) => differs(old, &entry) && !is_older(&entry, old),
                    // Known to be gone since.
                    None => !state.version.as_ref().is_some_and(|reached| is_before(&version, reached)),
                };
                if is_news {
                    let old = state.objects.insert(key, entry.clone());
                    changed(old, Some(entry), &mut changes);
                }
                state.advance(&version)
            }
            Transaction::Delete(entry) => {
                let key = entry.key();
                if state.objects.get(&key).is_some_and(|old| !is_older(&entry, old)) {
                    state.objects.remove(&key);
                    changed(Some(entry.clone()), None, &mut changes);
                }
                state.advance(&entry.metadata().resource_version)
            }
            Transaction::Progress(version) => state.advance(&version),
            Transaction::Clear => {
                for old in std::mem::take(&mut state.objects).into_values() {
                    changed(Some(old), None, &mut changes);
                }
                state.forget()
            }
        };
        unseen(passed, &state.objects, &mut changes);
        changes
    }
}

impl<T: Object> Reader<T> {
    /// The object as it is known to be: as this process last wrote it or as the stream has it, whichever is later.
    pub fn get(&self, key: &Key) -> Option<Entry<T>> {
        let state = self.part(key)?.read();
        let written = state.written.get(key).map(|(_, entry)| entry);
        written.or_else(|| state.objects.get(key)).cloned()
    }

    /// Keeps `object`, the answer to a write or a fresh read, until the stream has reached its version.
    ///
    /// Versions that can't be compared are not kept, since nothing would tell when to drop them.
    pub fn remember(&self, object: T) -> Arc<T> {
        let object = Arc::new(object);
        let (key, version) = (object.metadata().key(), &object.metadata().resource_version);
        let Some(part) = self.part(&key) else { return object };
        let mut state = part.write();
        let passed = state.version.as_ref().is_some_and(|reached| reached.reaches(version));
        let order = order(version);
        let newer = state.written.get(&key).is_none_or(|(kept, _)| *kept < order);
        if version.is_comparable() && !passed && newer {
            if let Some((replaced, _)) = state.written.remove(&key) {
                state.awaited.remove(&replaced);
            }
            state.awaited.insert(order.clone(), key.clone());
            state.written.insert(key, (order, Entry::Valid(object.clone())));
        }
        object
    }

    /// Every key that the stream has brought, in no order.
    pub fn keys(&self) -> Vec<Key> {
        self.parts.iter().flat_map(|part| part.read().objects.keys().cloned().collect::<Vec<_>>()).collect()
    }

    /// How many objects the stream has brought.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.read().objects.len()).sum()
    }

    /// Returns true if there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

    fn part(&self, key: &Key) -> Option<&Part<T>> {
        self.parts
            .iter()
            .find(|part| part.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace))
            .map(|part| &**part)
    }
}

impl<T> Part<T> {
    fn new(namespace: Option<Arc<str>>) -> Self {
        let state = State { objects: HashMap::new(), version: None, written: HashMap::new(), awaited: BTreeMap::new() };
        Self { namespace, state: RwLock::new(state), synced: watch::Sender::new(false) }
    }

    // No code that can panic runs under the lock, so that a poisoned one is as good as any.
    fn read(&self) -> RwLockReadGuard<'_, State<T>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<T>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Moves the stream forward, and returns the own writes that it has passed.
    fn advance(&mut self, version: &ResourceVersion) -> Vec<(Key, Entry<T>)> {
        if self.version.as_ref().is_none_or(|reached| version.reaches(reached) || !version.is_comparable()) {
            self.version = Some(version.clone());
        }
        let reached = order(version);
        let mut passed = Vec::new();
        while let Some(first) = self.awaited.first_entry().filter(|first| *first.key() <= reached) {
            let key = first.remove();
            if let Some((_, entry)) = self.written.remove(&key) {
                passed.push((key, entry));
            }
        }
        passed
    }

    /// Moves the stream to where it was before: what was written since has not happened.
    fn return_to(&mut self, version: ResourceVersion) -> Vec<(Key, Entry<T>)> {
        let undone = self.forget();
        self.version = Some(version);
        undone
    }

    /// Drops all own writes, and returns them.
    fn forget(&mut self) -> Vec<(Key, Entry<T>)> {
        self.awaited.clear();
        self.written.drain().map(|(key, (_, entry))| (key, entry)).collect()
    }
}

/// Files what readers saw only as own writes and see no longer: an object that was written here and deleted by somebody else
/// before the stream brought it leaves no other trace.
fn unseen<T: Object>(passed: Vec<(Key, Entry<T>)>, objects: &HashMap<Key, Entry<T>>, changes: &mut Vec<Change<T>>) {
    if passed.is_empty() {
        return;
    }
    let told: HashSet<Key> = changes.iter().map(Change::key).collect();
    for (key, written) in passed {
        let now = objects.get(&key);
        if now.is_none_or(|now| differs(&written, now)) && !told.contains(&key) {
            changed(Some(written), now.cloned(), changes);
        }
    }
}

fn order(version: &ResourceVersion) -> Order {
    (version.0.len(), version.0.clone())
}

fn differs<T: Object>(old: &Entry<T>, new: &Entry<T>) -> bool {
    let (old, new) = (old.metadata(), new.metadata());
    old.uid != new.uid || old.resource_version != new.resource_version
}

fn is_older<T: Object>(entry: &Entry<T>, than: &Entry<T>) -> bool {
    is_before(&entry.metadata().resource_version, &than.metadata().resource_version)
}

fn is_before(version: &ResourceVersion, other: &ResourceVersion) -> bool {
    version.compare(other).is_some_and(std::cmp::Ordering::is_lt)
}

/// Files a change; a new life under an old name is a delete and an add.
fn changed<T: Object>(old: Option<Entry<T>>, new: Option<Entry<T>>, changes: &mut Vec<Change<T>>) {
    match (old, new) {
        (Some(old), Some(new)) if old.metadata().uid != new.metadata().uid => {
            changes.push(Change { old: Some(old), new: None });
            changes.push(Change { old: None, new: Some(new) });
        }
        (old, new) => changes.push(Change { old, new }),
    }
}

#[cfg(test)]
mod tests;
