//! What this process itself wrote and deleted, until the stream brings it back.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::api::Entry;
use crate::object::{Key, Object, ResourceVersion, Uid};

/// Own writes and deletes, by key.
///
/// # Invariants
///
/// 1. `awaited` has the key of each entry that has an order, under that order, and nothing else.
#[derive(Debug)]
pub(super) struct Overlay<T> {
    own: HashMap<Key, Own<T>>,
    /// So that a stream that advances finds those that it has passed without a search.
    awaited: BTreeSet<(Order, Key)>,
}

/// The last own write of a key.
#[derive(Debug)]
struct Own<T> {
    what: What<T>,
    /// Where in the stream it is over; `None` if only an event of this very object can tell.
    order: Option<Order>,
    age: Age,
}

/// What readers are to see of a key.
#[derive(Debug)]
pub(super) enum What<T> {
    /// This.
    Written(Entry<T>),
    /// Anything but this life.
    Hidden(Uid),
}

/// How long it has waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    New,
    /// It was there when the overdue ones were last asked for.
    Waiting,
    /// The server itself has said that it is so; there is nothing more to ask.
    Settled,
}

/// A comparable version as a sort key: numbers without leading zeros compare by length, then digit by digit.
type Order = (usize, Arc<str>);

impl<T: Object> Overlay<T> {
    pub(super) fn none() -> Self {
        Self { own: HashMap::new(), awaited: BTreeSet::new() }
    }

    pub(super) fn get(&self, key: &Key) -> Option<&What<T>> {
        self.own.get(key).map(|own| &own.what)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.own.keys()
    }

    pub(super) fn len(&self) -> usize {
        self.own.len()
    }

    /// Keeps `what` of `key` until the stream has passed `version`; until it is told otherwise, if there is none, or if it
    /// has no order. Returns false if something later is kept already.
    pub(super) fn keep(&mut self, key: &Key, what: What<T>, version: Option<&ResourceVersion>) -> bool {
        let order = version.filter(|version| version.is_comparable()).map(order);
        if let Some(kept) = self.own.get(key) {
            // A life that was ended here has no later state, whenever the answer to an earlier write comes in.
            let is_over = matches!((&kept.what, &what), (What::Hidden(gone), What::Written(late))
                if kept.order.is_none() && *gone == late.metadata().uid);
            let is_late = kept.order.as_ref().zip(order.as_ref()).is_some_and(|(kept, new)| kept >= new);
            if is_over || is_late {
                return false;
            }
        }
        self.remove(key);
        if let Some(order) = &order {
            self.awaited.insert((order.clone(), key.clone()));
        }
        self.own.insert(key.clone(), Own { what, order, age: Age::New });
        true
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<What<T>> {
        let own = self.own.remove(key)?;
        if let Some(order) = own.order {
            self.awaited.remove(&(order, key.clone()));
        }
        Some(own.what)
    }

    /// Removes everything that a stream which has reached `version` has passed.
    pub(super) fn pass(&mut self, version: &ResourceVersion) -> Vec<(Key, What<T>)> {
        if !version.is_comparable() {
            return Vec::new();
        }
        let (reached, mut passed) = (order(version), Vec::new());
        while self.awaited.first().is_some_and(|(order, _)| *order <= reached) {
            let Some((_, key)) = self.awaited.pop_first() else { break };
            if let Some(own) = self.own.remove(&key) {
                passed.push((key, own.what));
            }
        }
        passed
    }

    /// Removes what the stream has confirmed by `now`, the state of `key` that it brings: a life that is over here is over
    /// there as well, or a write without an order has come back.
    pub(super) fn confirm(&mut self, key: &Key, now: Option<&Entry<T>>) -> Option<What<T>> {
        let own = self.own.get(key).filter(|own| own.order.is_none())?;
        let confirmed = match &own.what {
            What::Hidden(uid) => now.is_none_or(|now| now.metadata().uid != *uid),
            What::Written(entry) => now.is_some_and(|now| is_same(entry, now)),
        };
        if confirmed { self.remove(key) } else { None }
    }

    /// Removes an own write of a life that the stream has seen end.
    pub(super) fn end(&mut self, key: &Key, uid: &Uid) -> Option<What<T>> {
        let of_that_life = match &self.own.get(key)?.what {
            What::Written(entry) => entry.metadata().uid == *uid,
            What::Hidden(hidden) => hidden == uid,
        };
        if of_that_life { self.remove(key) } else { None }
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) -> Vec<(Key, What<T>)> {
        self.awaited.clear();
        self.own.drain().map(|(key, own)| (key, own.what)).collect()
    }

    /// The keys that have waited for the stream since before the last time that this was asked.
    pub(super) fn overdue(&mut self) -> Vec<Key> {
        let mut overdue = Vec::new();
        for (key, own) in &mut self.own {
            match own.age {
                Age::New => own.age = Age::Waiting,
                Age::Waiting => overdue.push(key.clone()),
                Age::Settled => {}
            }
        }
        overdue
    }

    /// The server says that it is as it is kept here: asks no more of a life that is over, and later of one that goes on.
    pub(super) fn settle(&mut self, key: &Key) {
        if let Some(own) = self.own.get_mut(key) {
            own.age = if matches!(own.what, What::Hidden(_)) { Age::Settled } else { Age::New };
        }
    }
}

fn is_same<T: Object>(one: &Entry<T>, other: &Entry<T>) -> bool {
    let (one, other) = (one.metadata(), other.metadata());
    one.uid == other.uid && one.resource_version == other.resource_version
}

fn order(version: &ResourceVersion) -> Order {
    (version.0.len(), version.0.clone())
}
