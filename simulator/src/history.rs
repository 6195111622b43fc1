//! Every object, and every change that led there: what etcd is to the real server.
//!
//! # Invariants
//!
//! 1. Each change has a version of its own, and a later one a higher.
//! 2. `objects` is what all changes together lead to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::object;

/// Where an object is. The order is that of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The resource, as `plural.group`.
    pub resource: String,
    /// Empty for what lives in none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// One change.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which one it is.
    pub version: u64,
    /// Of what.
    pub place: Place,
    /// What was there.
    pub old: Option<Arc<Value>>,
    /// What is there; for a deletion the last state under the deletion's version.
    pub new: Arc<Value>,
    /// Whether it is gone.
    pub is_deletion: bool,
}

/// Objects and changes.
#[derive(Debug, Clone)]
pub struct History {
    version: u64,
    /// The version up to which changes are forgotten.
    compacted: u64,
    objects: BTreeMap<Place, Arc<Value>>,
    /// The places of what names a uid among its owners, and under the name of its resource of what has none. Holds what
    /// `objects` holds.
    dependents: BTreeMap<String, BTreeSet<Place>>,
    changes: VecDeque<Change>,
}

/// Before the first change: no object can have the version 1, as in a new etcd.
const FIRST: u64 = 1;

impl Default for History {
    fn default() -> Self {
        Self {
            version: FIRST,
            compacted: 0,
            objects: BTreeMap::new(),
            dependents: BTreeMap::new(),
            changes: VecDeque::new(),
        }
    }
}

impl History {
    /// The version of the last change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The version up to which nothing is known.
    pub fn compacted(&self) -> u64 {
        self.compacted
    }

    /// What is at a place.
    pub fn get(&self, place: &Place) -> Option<&Arc<Value>> {
        self.objects.get(place)
    }

    /// Puts an object there, under a new version.
    pub fn put(&mut self, place: Place, object: Value) -> Arc<Value> {
        let new = self.versioned(object);
        let old = self.objects.insert(place.clone(), new.clone());
        self.record(place, old, new.clone(), false);
        new
    }

    /// Takes an object away. Its last state gets the version of the deletion.
    pub fn remove(&mut self, place: &Place, last: Value) -> Arc<Value> {
        let new = self.versioned(last);
        let old = self.objects.remove(place);
        self.record(place.clone(), old, new.clone(), true);
        new
    }

    /// The objects of a resource, of one namespace or of all, as they were at `version`.
    pub fn list(&self, resource: &str, namespace: &str, version: u64) -> Vec<Arc<Value>> {
        let is_wanted =
            |place: &Place| place.resource == resource && (namespace.is_empty() || place.namespace == namespace);
        let start = Place { resource: resource.to_owned(), namespace: namespace.to_owned(), name: String::new() };
        let present = self.objects.range(start..).take_while(|(place, _)| is_wanted(place));
        if version >= self.version {
            return present.map(|(_, object)| object.clone()).collect();
        }
        let mut objects: BTreeMap<&Place, &Arc<Value>> = present.collect();
        for change in self.changes.iter().rev().take_while(|change| change.version > version) {
            if is_wanted(&change.place) {
                match &change.old {
                    Some(old) => drop(objects.insert(&change.place, old)),
                    None => drop(objects.remove(&change.place)),
                }
            }
        }
        objects.into_values().cloned().collect()
    }

    /// The present objects of a resource, of one namespace or of all.
    pub fn present(&self, resource: &str, namespace: &str) -> Vec<Arc<Value>> {
        self.list(resource, namespace, self.version)
    }

    /// Everything that is there.
    pub fn all(&self) -> impl Iterator<Item = (&Place, &Arc<Value>)> {
        self.objects.iter()
    }

    /// What names `uid` among its owners.
    pub fn dependents(&self, uid: &str) -> impl Iterator<Item = (&Place, &Arc<Value>)> {
        let places = self.dependents.get(uid).into_iter().flatten();
        places.filter_map(|place| self.objects.get(place).map(|object| (place, object)))
    }

    /// What of a resource and a namespace has no owner at all.
    pub fn unowned(&self, resource: &str, namespace: &str) -> impl Iterator<Item = &Arc<Value>> {
        let is_there = move |place: &&Place| place.namespace == namespace;
        let places = self.dependents.get(resource).into_iter().flatten().filter(is_there);
        places.filter_map(|place| self.objects.get(place))
    }

    /// The changes after `version`, in order.
    pub fn since(&self, version: u64) -> impl Iterator<Item = &Change> {
        let start = self.changes.partition_point(|change| change.version <= version);
        self.changes.range(start..)
    }

    /// Forgets the changes up to `version`.
    pub fn compact(&mut self, version: u64) {
        self.compacted = self.compacted.max(version.min(self.version));
        while self.changes.front().is_some_and(|change| change.version <= self.compacted) {
            self.changes.pop_front();
        }
    }

    fn versioned(&self, mut object: Value) -> Arc<Value> {
        object::set(&mut object, "resourceVersion", Some((self.version + 1).to_string().into()));
        Arc::new(object)
    }

    fn record(&mut self, place: Place, old: Option<Arc<Value>>, new: Arc<Value>, is_deletion: bool) {
        self.version += 1;
        for key in old.iter().flat_map(|old| owners(&place, old)) {
            if let Some(places) = self.dependents.get_mut(&key) {
                places.remove(&place);
                if places.is_empty() {
                    self.dependents.remove(&key);
                }
            }
        }
        for key in owners(&place, &new).into_iter().filter(|_| !is_deletion) {
            self.dependents.entry(key).or_default().insert(place.clone());
        }
        self.changes.push_back(Change { version: self.version, place, old, new, is_deletion });
    }
}

/// The uids of an object's owners; its resource, if it has none.
fn owners(place: &Place, object: &Value) -> Vec<String> {
    match object::owners(object) {
        [] => vec![place.resource.clone()],
        owners => owners.iter().filter_map(|owner| owner["uid"].as_str()).map(str::to_owned).collect(),
    }
}
