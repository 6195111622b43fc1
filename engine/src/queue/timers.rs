//! Keys whose time has not come, soonest first. Pure.
//!
//! A heap whose entries are not taken out when they are cancelled, but when they come up, or once most are of that kind: so
//! that each costs the logarithm of how many there are, and nothing is allocated for each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Nanos;
use super::items::{Item, Items, Place, Slot};

/// Cancelled entries that are not worth a sweep.
const FEW: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<Entry>>,
    /// How many entries of `heap` are not cancelled. The first one never is.
    live: usize,
    /// Gives those of the same moment the order in which they came; that it starts anew after 2^32 is no harm.
    issued: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    due: Nanos,
    ticket: u32,
    slot: Slot,
}

impl Entry {
    /// Returns true unless it was cancelled.
    fn is_live<K>(self, item: &Item<K>) -> bool {
        item.place == Place::Waiting(self.ticket) && item.due == self.due
    }
}

impl Timers {
    /// How many keys wait.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// How many entries there are, the cancelled ones included.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.heap.len()
    }

    /// When the first of them is due.
    pub(super) fn next(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse(entry)| entry.due)
    }

    /// Lets `slot`, which is nowhere else, wait until `due`.
    pub(super) fn push<K, S>(&mut self, items: &mut Items<K, S>, slot: Slot, due: Nanos) {
        self.issued = self.issued.wrapping_add(1);
        let item = &mut items[slot];
        (item.place, item.due) = (Place::Waiting(self.issued), due);
        self.heap.push(Reverse(Entry { due, ticket: self.issued, slot }));
        self.live += 1;
    }

    /// Forgets the entry of a key that waited until now, and has another place already.
    pub(super) fn cancel<K, S>(&mut self, items: &Items<K, S>) {
        self.live -= 1;
        if self.heap.len() > 2 * self.live + FEW {
            self.heap.retain(|Reverse(entry)| entry.is_live(&items[entry.slot]));
        }
        self.skip(items);
    }

    /// Takes out the first key, if it is due.
    pub(super) fn pop<K, S>(&mut self, items: &Items<K, S>, now: Nanos) -> Option<Slot> {
        let Reverse(entry) = self.heap.peek().filter(|Reverse(entry)| entry.due <= now).copied()?;
        self.heap.pop();
        self.live -= 1;
        self.skip(items);
        Some(entry.slot)
    }

    /// Those that are due first, at most `most` of them. It costs as much as they are, and the cancelled ones between them.
    pub(super) fn first<K, S>(&self, items: &Items<K, S>, most: usize) -> Vec<Slot> {
        let heap = self.heap.as_slice();
        // In a heap each entry comes after its parent, so that the next one is a child of those that have been.
        let mut next: BinaryHeap<_> = heap.first().map(|entry| (*entry, 0_usize)).into_iter().collect();
        let mut found = Vec::new();
        while found.len() < most
            && let Some((Reverse(entry), place)) = next.pop()
        {
            if entry.is_live(&items[entry.slot]) {
                found.push(entry.slot);
            }
            next.extend((2 * place + 1..=2 * place + 2).filter_map(|child| Some((*heap.get(child)?, child))));
        }
        found
    }

    /// Keeps the promise that the first entry is not cancelled.
    fn skip<K, S>(&mut self, items: &Items<K, S>) {
        while let Some(Reverse(entry)) = self.heap.peek().copied()
            && !entry.is_live(&items[entry.slot])
        {
            self.heap.pop();
        }
    }
}
