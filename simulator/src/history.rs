//! Every object, and every change that led there: what etcd is to the real server.
//!
//! # Invariants
//!
//! 1. Each change has a version of its own, and a later one a higher.
//! 2. `objects` is what all changes together lead to.

use std::collections::{BTreeMap, VecDeque};
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
    changes: VecDeque<Change>,
}

/// Before the first change: no object can have the version 1, as in a new etcd.
const FIRST: u64 = 1;

impl Default for History {
    fn default() -> Self {
        Self { version: FIRST, compacted: 0, objects: BTreeMap::new(), changes: VecDeque::new() }
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
        let present = self.objects.iter().filter(|(place, _)| is_wanted(place));
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
        self.changes.push_back(Change { version: self.version, place, old, new, is_deletion });
    }
}
