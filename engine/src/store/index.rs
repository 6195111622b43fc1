//! Secondary indexes: from a value that objects have to the objects that have it.

use std::any::{Any, TypeId};
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::api::Entry;
use crate::object::{Key, Object, Uid};

/// What objects are filed under, beside their keys. The type that implements it names the index.
///
/// An object that can't be decoded is in no index, since nothing is known of it; nor is one on which [`values`](Self::values)
/// panics, which stops nothing else.
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
pub(super) struct Indexes<T>(HashMap<TypeId, Held<T>>);

struct Held<T> {
    index: Box<dyn Filing<T>>,
    /// Whether it has everything; it has not while it is being built.
    is_complete: bool,
}

/// One index, whatever its values are.
trait Filing<T>: Send + Sync {
    fn refile(&mut self, key: &Key, before: Option<&T>, after: Option<&T>);
    /// An empty one of the same kind.
    fn fresh(&self) -> Box<dyn Filing<T>>;
    fn as_any(&self) -> &dyn Any;
}

struct Filed<I: Index<T>, T>(HashMap<I::Value, Keys>);

/// The keys under a value. Most have one, and the smallest set takes as much as four.
#[derive(Debug)]
pub(super) enum Keys {
    One(Key),
    Several(HashSet<Key>),
}

impl Keys {
    fn insert(&mut self, key: Key) {
        match self {
            Self::One(only) if *only == key => {}
            Self::One(only) => *self = Self::Several([only.clone(), key].into()),
            Self::Several(keys) => drop(keys.insert(key)),
        }
    }

    /// Removes `key`, unless it is the only one: then it returns true.
    fn is_emptied_by(&mut self, key: &Key) -> bool {
        match self {
            Self::One(only) => only == key,
            Self::Several(keys) => {
                keys.remove(key);
                keys.is_empty()
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        let (one, several) = match self {
            Self::One(only) => (Some(only), None),
            Self::Several(keys) => (None, Some(keys)),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }
}

impl<I: Index<T>, T: Object> Filing<T> for Filed<I, T> {
    fn refile(&mut self, key: &Key, before: Option<&T>, after: Option<&T>) {
        // The code of somebody else. A panic would end the source, and each restart would meet that object again.
        let values = |object: Option<&T>| {
            let values = || object.into_iter().flat_map(I::values).collect::<Vec<_>>();
            catch_unwind(AssertUnwindSafe(values)).unwrap_or_default()
        };
        let (before, after) = (values(before), values(after));
        for value in &before {
            if self.0.get_mut(value).is_some_and(|keys| keys.is_emptied_by(key)) {
                self.0.remove(value);
            }
        }
        for value in after {
            match self.0.entry(value) {
                Vacant(place) => drop(place.insert(Keys::One(key.clone()))),
                Occupied(keys) => keys.into_mut().insert(key.clone()),
            }
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

    /// All these indexes of a cache that has nothing.
    pub(super) fn fresh(&self) -> Self {
        let fresh = |held: &Held<T>| Held { index: held.index.fresh(), is_complete: true };
        Self(self.0.iter().map(|(id, held)| (*id, fresh(held))).collect())
    }

    /// The same, with `objects` in them.
    pub(super) fn filled<'a>(&self, objects: impl Iterator<Item = (&'a Key, &'a Entry<T>)>) -> Self {
        let mut filled = self.fresh();
        if !filled.is_empty() {
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

    /// Begins the index `I`, if it has not begun: from now on it is told what changes.
    pub(super) fn begin<I: Index<T>>(&mut self) {
        let empty = || Held { index: Box::new(Filed::<I, T>(HashMap::new())), is_complete: false };
        self.0.entry(TypeId::of::<I>()).or_insert_with(empty);
    }

    /// Takes out the index `I`, to be put back.
    pub(super) fn take<I: Index<T>>(&mut self) -> Self {
        Self(self.0.remove_entry(&TypeId::of::<I>()).into_iter().collect())
    }

    /// Puts back what was taken out, and whether it has everything by now.
    pub(super) fn put(&mut self, taken: Self, is_complete: bool) {
        for (id, mut held) in taken.0 {
            held.is_complete |= is_complete;
            self.0.insert(id, held);
        }
    }

    /// Returns true if there is the index `I`, and it has everything.
    pub(super) fn has<I: Index<T>>(&self) -> bool {
        self.0.get(&TypeId::of::<I>()).is_some_and(|held| held.is_complete)
    }

    /// The keys under `value`; `None` if there is none, or no such index.
    pub(super) fn find<I: Index<T>>(&self, value: &I::Value) -> Option<&Keys> {
        self.0.get(&TypeId::of::<I>())?.index.as_any().downcast_ref::<Filed<I, T>>()?.0.get(value)
    }

    /// Files `key` under what it has `after`, and no longer under what it had `before`.
    pub(super) fn refile(&mut self, key: &Key, before: Option<&Entry<T>>, after: Option<&Entry<T>>) {
        let (before, after) = (before.and_then(Entry::valid), after.and_then(Entry::valid));
        if before.map(Arc::as_ptr) == after.map(Arc::as_ptr) {
            return;
        }
        for held in self.0.values_mut() {
            held.index.refile(key, before.map(|object| &**object), after.map(|object| &**object));
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
