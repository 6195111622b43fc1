//! What this process itself wrote and deleted, until the stream brings it back.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::api::Entry;
use crate::object::{Key, Metadata, Object, ResourceVersion, Uid};

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
    /// How many have ever been kept.
    count: u64,
}

/// The last own write of a key.
#[derive(Debug)]
struct Own<T> {
    what: What<T>,
    /// Where in the stream it is over; `None` if only an event of this very object can tell.
    order: Option<Order>,
    age: Age,
    /// Whether the server itself has said since that it is so.
    is_found: bool,
    /// Which of all that were ever kept it is.
    number: u64,
}

/// What readers are to see of a key.
#[derive(Debug)]
pub(super) enum What<T> {
    /// This.
    Written(Entry<T>),
    /// Not this life, nor any before it: it was deleted here.
    Deleted(Life),
    /// Not this life, nor any before it: it was changed here so that it is no longer covered.
    Left(Life),
}

/// An own write or delete that the stream should have brought by now.
#[derive(Debug, Clone)]
pub struct Overdue {
    pub(super) key: Key,
    /// Which one: what is found on the server is news only as long as nothing has been written since. (Its version alone would
    /// not tell: a delete has that of what it deleted.)
    number: u64,
}

impl Overdue {
    /// Which object is to be read.
    pub fn key(&self) -> &Key {
        &self.key
    }
}

/// A life of an object, and the last version that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) uid: Uid,
    pub(super) version: ResourceVersion,
}

impl Life {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { uid: metadata.uid.clone(), version: metadata.resource_version.clone() }
    }

    /// Returns true if `entry` is this life, or one before it.
    pub(super) fn covers<T: Object>(&self, entry: &Entry<T>) -> bool {
        let metadata = entry.metadata();
        metadata.uid == self.uid || metadata.resource_version.compare(&self.version).is_some_and(Ordering::is_lt)
    }
}

impl<T: Object> What<T> {
    /// What is to be seen of a key of which the stream has `streamed`.
    pub(super) fn over<'e>(&'e self, streamed: Option<&'e Entry<T>>) -> Option<&'e Entry<T>> {
        match self {
            Self::Written(entry) => Some(entry),
            Self::Deleted(life) | Self::Left(life) => streamed.filter(|entry| !life.covers(entry)),
        }
    }

    pub(super) fn life(&self) -> Life {
        match self {
            Self::Written(entry) => Life::of(entry.metadata()),
            Self::Deleted(life) | Self::Left(life) => life.clone(),
        }
    }
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
        Self { own: HashMap::new(), awaited: BTreeSet::new(), count: 0 }
    }

    pub(super) fn get(&self, key: &Key) -> Option<&What<T>> {
        self.own.get(key).map(|own| &own.what)
    }

    /// The life that is overdue, if nothing has been written since that was found.
    pub(super) fn overdue_life(&self, overdue: &Overdue) -> Option<Life> {
        self.own.get(&overdue.key).filter(|own| own.number == overdue.number).map(|own| own.what.life())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.own.keys()
    }

    pub(super) fn len(&self) -> usize {
        self.own.len()
    }

    /// Keeps `what` of `key` until the stream has passed its version; until it is told otherwise, if that has no order or is
    /// `passed`. Does nothing if something later is kept already.
    pub(super) fn keep(&mut self, key: &Key, what: What<T>, passed: bool) {
        let life = what.life();
        let order = (life.version.is_comparable() && !passed).then(|| order(&life.version));
        if let Some(kept) = self.own.get(key) {
            let is_late = match (&kept.what, &what) {
                // A life that was ended here has no later state, whenever the answer to an earlier write comes in.
                (What::Deleted(gone), What::Written(_) | What::Left(_)) if gone.uid == life.uid => true,
                (What::Written(entry), What::Deleted(gone)) if entry.metadata().uid == gone.uid => false,
                _ => kept.what.life().version.reaches(&life.version),
            };
            if is_late {
                return;
            }
        }
        self.remove(key);
        if let Some(order) = &order {
            self.awaited.insert((order.clone(), key.clone()));
        }
        self.count += 1;
        self.own.insert(key.clone(), Own { what, order, age: Age::New, is_found: false, number: self.count });
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<What<T>> {
        let own = self.own.remove(key)?;
        if let Some(order) = own.order {
            self.awaited.remove(&(order, key.clone()));
        }
        Some(own.what)
    }

    /// Removes everything that a stream which has reached `version` has passed. Of a life that was deleted here, this is the
    /// last state that is known, and its end is still to come if the stream has it now.
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

    /// Removes what has no order and is confirmed by `now`, the state of `key` that the stream brings after it brought `before`:
    /// a life that is over here is over there as well, or a write has come back. (Where the stream has never had that life,
    /// its absence from a list may mean that the list is from before its beginning.)
    pub(super) fn confirm(&mut self, key: &Key, before: Option<&Entry<T>>, now: Option<&Entry<T>>) -> Option<What<T>> {
        let own = self.own.get(key).filter(|own| own.order.is_none())?;
        let confirmed = match (&own.what, now) {
            (What::Deleted(life) | What::Left(life), Some(now)) => !life.covers(now),
            (What::Deleted(life) | What::Left(life), None) => {
                own.is_found || before.is_some_and(|before| life.covers(before))
            }
            (What::Written(entry), now) => now.is_some_and(|now| is_same(entry, now)),
        };
        if confirmed { self.remove(key) } else { None }
    }

    /// Removes an own write of a life that the stream has seen end. A later write stays: what ended may have been no more
    /// than that the object was selected.
    pub(super) fn end(&mut self, key: &Key, ended: &Life) -> Option<What<T>> {
        let life = self.own.get(key)?.what.life();
        let is_later = ended.version.compare(&life.version).is_some_and(Ordering::is_lt);
        if life.uid == ended.uid && !is_later { self.remove(key) } else { None }
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) -> Vec<(Key, What<T>)> {
        self.awaited.clear();
        self.own.drain().map(|(key, own)| (key, own.what)).collect()
    }

    /// The keys that have waited for the stream since before the last time that this was asked.
    pub(super) fn overdue(&mut self) -> Vec<Overdue> {
        let mut overdue = Vec::new();
        for (key, own) in &mut self.own {
            match own.age {
                Age::New => own.age = Age::Waiting,
                Age::Waiting => overdue.push(Overdue { key: key.clone(), number: own.number }),
                Age::Settled => {}
            }
        }
        overdue
    }

    /// The server says that it is as it is kept here: asks no more of a life that is over, and later of one that goes on.
    pub(super) fn settle(&mut self, key: &Key) {
        if let Some(own) = self.own.get_mut(key) {
            own.is_found = true;
            own.age = if matches!(own.what, What::Deleted(..)) { Age::Settled } else { Age::New };
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
