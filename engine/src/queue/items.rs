//! Keys in slots, each kept once, and found by their hash. Pure.
//!
//! A key that is handed out goes with its worker: its slot stays, and is known by the key's hash alone. So no key is ever
//! copied. That a key which is added meanwhile is the same one can't be told before the worker brings his back; until then
//! it stands *behind* that slot, with whatever else has the same 64-bit hash, and no key is lost or handed out twice if two
//! should collide.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use super::{Nanos, Tenanted};
use crate::trigger::{Cause, Lane};

/// The number of a slot.
pub(super) type Slot = u32;

/// No slot.
pub(super) const NONE: Slot = Slot::MAX;

/// What is known of one key.
#[derive(Debug)]
pub(super) struct Item<K> {
    /// Absent exactly while the key is in flight.
    pub(super) key: Option<K>,
    hash: u64,
    /// Whose it is, as a number of [`Turns`](super::turns::Turns).
    pub(super) tenant: u32,
    pub(super) place: Place,
    /// Neighbours in the list that `place` names. Of a slot behind another: that one, and the next one behind it. Of a free
    /// slot: the next free one.
    pub(super) links: Links,
    /// The first of the keys that stand behind this one.
    pub(super) behind: Slot,
    /// Failures in a row.
    pub(super) failures: u32,
    /// The highest of those who asked for it.
    pub(super) lane: Lane,
    /// True if one of those who stand behind asked for it at once, whatever its failures.
    pub(super) urgent: bool,
    /// What asked for it since it was last handed out.
    pub(super) cause: Cause,
    /// The end of the backoff; no trigger but an urgent one brings the key before that.
    pub(super) floor: Nanos,
    /// Since when it is ready, or in flight.
    pub(super) since: Nanos,
    /// When it is due, while it waits or stands behind another.
    pub(super) due: Nanos,
}

/// Where a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the list of its tenant and lane.
    Ready,
    /// Among the timers, under this ticket.
    Waiting(u32),
    /// With a worker, and in the list of those.
    InFlight,
    /// Behind a key in flight that may be the same.
    Behind,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Links {
    pub(super) previous: Slot,
    pub(super) next: Slot,
}

/// What is there of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The key itself.
    Here(Slot),
    /// A key in flight of the same hash.
    Held(Slot),
    Nothing,
}

#[derive(Debug)]
pub(super) struct Items<K, S> {
    /// The slot of each key, those in flight included; each exactly once.
    index: HashTable<Slot>,
    slots: Vec<Item<K>>,
    /// The first free slot; the others follow by their links.
    free: Slot,
    hasher: S,
}

impl Links {
    const NOWHERE: Self = Self { previous: NONE, next: NONE };
}

impl<K: Tenanted, S: BuildHasher> Items<K, S> {
    pub(super) fn new(hasher: S) -> Self {
        Self { index: HashTable::new(), slots: Vec::new(), free: NONE, hasher }
    }

    /// The hash of a key.
    pub(super) fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The hash of a key's tenant.
    pub(super) fn tenant_hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key.tenant())
    }

    /// How many keys are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn find(&self, hash: u64, key: &K) -> Found {
        let mut held = Found::Nothing;
        let here = self.index.find(hash, |&slot| {
            let item = &self[slot];
            if item.hash != hash {
                return false;
            }
            if item.key.is_none() {
                held = Found::Held(slot);
            }
            item.key.as_ref() == Some(key)
        });
        here.map_or(held, |&slot| Found::Here(slot))
    }

    /// Keeps a key that is not there, and of a tenant that is.
    ///
    /// # Panics
    ///
    /// On the 4,294,967,295th key, for which no machine has room.
    pub(super) fn insert(&mut self, hash: u64, key: K, tenant: u32, lane: Lane, cause: Cause) -> Slot {
        let item = Item {
            key: Some(key),
            hash,
            tenant,
            place: Place::Ready,
            links: Links::NOWHERE,
            behind: NONE,
            failures: 0,
            lane,
            urgent: false,
            cause,
            floor: 0,
            since: 0,
            due: 0,
        };
        let slot = if self.free == NONE {
            self.slots.push(item);
            u32::try_from(self.slots.len() - 1).ok().filter(|slot| *slot != NONE).expect("fewer than 2^32 keys")
        } else {
            let slot = self.free;
            self.free = self[slot].links.next;
            self[slot] = item;
            slot
        };
        let slots = &self.slots;
        self.index.insert_unique(hash, slot, |&slot| slots[slot as usize].hash);
        slot
    }

    /// Forgets a slot, and returns its key if that is not in flight.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<K> {
        if let Ok(entry) = self.index.find_entry(self.slots[slot as usize].hash, |&other| other == slot) {
            entry.remove();
        }
        let free = self.free;
        let item = &mut self[slot];
        item.links.next = free;
        let key = item.key.take();
        self.free = slot;
        key
    }

    /// How many slots there are, in use or free.
    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// All slots that are in use.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Item<K>)> {
        self.index.iter().map(|&slot| (slot, &self[slot]))
    }
}

impl<K, S> std::ops::Index<Slot> for Items<K, S> {
    type Output = Item<K>;

    fn index(&self, slot: Slot) -> &Item<K> {
        &self.slots[slot as usize]
    }
}

impl<K, S> std::ops::IndexMut<Slot> for Items<K, S> {
    fn index_mut(&mut self, slot: Slot) -> &mut Item<K> {
        &mut self.slots[slot as usize]
    }
}

/// Slots in a row, linked through their items.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    head: Slot,
    tail: Slot,
}

impl List {
    pub(super) const EMPTY: Self = Self { head: NONE, tail: NONE };

    pub(super) fn first(self) -> Option<Slot> {
        (self.head != NONE).then_some(self.head)
    }

    pub(super) fn push<K, S>(&mut self, items: &mut Items<K, S>, slot: Slot) {
        items[slot].links = Links { previous: self.tail, next: NONE };
        if self.tail == NONE {
            self.head = slot;
        } else {
            items[self.tail].links.next = slot;
        }
        self.tail = slot;
    }

    /// Takes out `slot`, which is in this list.
    pub(super) fn remove<K, S>(&mut self, items: &mut Items<K, S>, slot: Slot) {
        let Links { previous, next } = items[slot].links;
        if previous == NONE {
            self.head = next;
        } else {
            items[previous].links.next = next;
        }
        if next == NONE {
            self.tail = previous;
        } else {
            items[next].links.previous = previous;
        }
    }
}
