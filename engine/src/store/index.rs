//! Secondary indexes: from a value that objects have to the objects that have it.

use std::any::{Any, TypeId};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use crate::api::Entry;
use crate::object::{Key, Object, Uid};

/// What objects are filed under, beside their keys. The type that implements it names the index.
///
/// An object that can't be decoded is in no index, since nothing is known of it.
pub trait Index<T>: 'static {
    /// What is looked up.
    type Value: Eq + Hash + Send + Sync + 'static;

    /// Everything that `object` is to be found under; the same for the same object, whenever it is asked.
    fn values(object: &T) -> impl IntoIterator<Item = Self::Value>;
}

/// Objects by namespace.
#[derive(Debug)]
pub struct ByNamespace;

impl<T: Object> Index<T> for ByNamespace {
    type Value = Arc<str>;

    fn values(object: &T) -> impl IntoIterator<Item = Arc<str>> {
        [object.metadata().namespace.clone()]
    }
}

/// Objects by the uid of each of their owners.
#[derive(Debug)]
pub struct ByOwner;

impl<T: Object> Index<T> for ByOwner {
    type Value = Uid;

    fn values(object: &T) -> impl IntoIterator<Item = Uid> {
        object.metadata().owner_references.iter().map(|owner| owner.uid.clone()).collect::<Vec<_>>()
    }
}

/// The indexes of one part of a cache.
pub(super) struct Indexes<T>(HashMap<TypeId, Box<dyn Filing<T>>>);

/// One index, whatever its values are.
trait Filing<T>: Send + Sync {
    fn refile(&mut self, key: &Key, before: Option<&T>, after: Option<&T>);
    /// An empty one of the same kind.
    fn fresh(&self) -> Box<dyn Filing<T>>;
    fn as_any(&self) -> &dyn Any;
}

struct Filed<I: Index<T>, T>(HashMap<I::Value, HashSet<Key>>);

impl<I: Index<T>, T: Object> Filing<T> for Filed<I, T> {
    fn refile(&mut self, key: &Key, before: Option<&T>, after: Option<&T>) {
        // Both are asked for before anything is changed: they are the code of somebody else, and may panic.
        let before: Vec<I::Value> = before.into_iter().flat_map(I::values).collect();
        let after: Vec<I::Value> = after.into_iter().flat_map(I::values).collect();
        for value in &before {
            if let Some(keys) = self.0.get_mut(value) {
                keys.remove(key);
                if keys.is_empty() {
                    self.0.remove(value);
                }
            }
        }
        for value in after {
            self.0.entry(value).or_default().insert(key.clone());
        }
    }

    fn fresh(&self) -> Box<dyn Filing<T>> {
        Box::new(Self(HashMap::new()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<T: Object> Indexes<T> {
    pub(super) fn none() -> Self {
        Self(HashMap::new())
    }

    /// All these indexes, with nothing in them.
    pub(super) fn fresh(&self) -> Self {
        Self(self.0.iter().map(|(id, index)| (*id, index.fresh())).collect())
    }

    /// The same, with `objects` in them.
    pub(super) fn filled<'a>(&self, objects: impl Iterator<Item = (&'a Key, &'a Entry<T>)>) -> Self {
        let mut filled = self.fresh();
        if !filled.0.is_empty() {
            for (key, entry) in objects {
                filled.refile(key, None, Some(entry));
            }
        }
        filled
    }

    /// Returns true if these are the same indexes, whatever is in them.
    pub(super) fn are_those_of(&self, others: &Self) -> bool {
        self.0.len() == others.0.len()
    }

    /// The index `I`, empty.
    pub(super) fn only<I: Index<T>>() -> Self {
        let index: Box<dyn Filing<T>> = Box::new(Filed::<I, T>(HashMap::new()));
        Self(HashMap::from([(TypeId::of::<I>(), index)]))
    }

    pub(super) fn add(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(super) fn has<I: Index<T>>(&self) -> bool {
        self.0.contains_key(&TypeId::of::<I>())
    }

    /// The keys under `value`; `None` if there is none, or no such index.
    pub(super) fn find<I: Index<T>>(&self, value: &I::Value) -> Option<&HashSet<Key>> {
        self.0.get(&TypeId::of::<I>())?.as_any().downcast_ref::<Filed<I, T>>()?.0.get(value)
    }

    /// Files `key` under what it has `after`, and no longer under what it had `before`.
    pub(super) fn refile(&mut self, key: &Key, before: Option<&Entry<T>>, after: Option<&Entry<T>>) {
        let (before, after) = (before.and_then(Entry::valid), after.and_then(Entry::valid));
        if before.map(Arc::as_ptr) == after.map(Arc::as_ptr) {
            return;
        }
        for index in self.0.values_mut() {
            index.refile(key, before.map(|object| &**object), after.map(|object| &**object));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> std::fmt::Debug for Indexes<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Indexes({})", self.0.len())
    }
}
