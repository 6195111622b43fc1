//! Whose turn it is: keys that are ready, by lane and tenant. Pure.
//!
//! First in, first out in a lane of a tenant; tenants of a lane take turns, a key each; the first lane goes first, but for
//! every [`PATIENCE`]th key, and once the others wait for too long ([`AGED`]), every second one.
//!
//! So a wait is bounded: a key with `k` keys of its tenant before it, in a lane of `t` tenants, is handed out after at most
//! `8 · t · (k + 1)` others, whatever the other lane gets meanwhile.

use std::collections::VecDeque;

use hashbrown::HashTable;

use super::Nanos;
use super::items::{Items, List, NONE, Slot};
use crate::trigger::Lane;

/// How many keys of the first lane are handed out for one of the second, while both have some. A resync then gets an eighth
/// of the workers: it ends, and a change is kept waiting by an eighth at most.
const PATIENCE: u32 = 7;

/// From when on the lanes take turns. Longer than a resync takes where there is room for it; and short enough that a backlog
/// after a start is half done before anybody wonders.
const AGED: Nanos = 10_000_000_000;

/// How many lanes there are.
const LANES: usize = Lane::ALL.len();

#[derive(Debug)]
pub(super) struct Turns {
    /// Tenants by their hash alone: two that collide share their turns, and nothing else.
    index: HashTable<u32>,
    tenants: Vec<Tenant>,
    /// Those that had no key at some time since they were last taken from here, each once. They stay in `index` until their
    /// place is needed: a namespace whose keys come one by one would else be forgotten and met anew with each of them.
    unused: Vec<u32>,
    lanes: [Order; LANES],
    /// Keys of the first lane that were handed out since the second was last served, or had none.
    passed_over: u32,
}

/// The order within one lane.
#[derive(Debug, Default)]
struct Order {
    /// Tenants in the order of their turns, each once. One whose last key went to another lane stays until its turn comes.
    tenants: VecDeque<u32>,
    /// How many keys there are.
    keys: usize,
}

#[derive(Debug)]
struct Tenant {
    hash: u64,
    /// How many keys of it are known, ready or not, and in how many lanes it has a turn. At zero it may be forgotten.
    uses: u32,
    /// Whether it is in `unused`.
    is_listed: bool,
    lists: [List; LANES],
    has_turn: [bool; LANES],
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            index: HashTable::new(),
            tenants: Vec::new(),
            unused: Vec::new(),
            lanes: Default::default(),
            passed_over: 0,
        }
    }

    /// The number of the tenant with this hash, for one more of its keys.
    pub(super) fn enter(&mut self, hash: u64) -> u32 {
        let tenants = &mut self.tenants;
        if let Some(&number) = self.index.find(hash, |&number| tenants[number as usize].hash == hash) {
            tenants[number as usize].uses += 1;
            return number;
        }
        let tenant = Tenant { hash, uses: 1, is_listed: false, lists: [List::EMPTY; LANES], has_turn: [false; LANES] };
        let number = if let Some(number) = self.forget_one() {
            self.tenants[number as usize] = tenant;
            number
        } else {
            self.tenants.push(tenant);
            // There are no more tenants than keys, which are counted by a number of the same width.
            u32::try_from(self.tenants.len() - 1).unwrap_or(NONE)
        };
        let tenants = &self.tenants;
        self.index.insert_unique(hash, number, |&number| tenants[number as usize].hash);
        number
    }

    /// Forgets a tenant without keys, and returns its number.
    fn forget_one(&mut self) -> Option<u32> {
        while let Some(number) = self.unused.pop() {
            let tenant = &mut self.tenants[number as usize];
            tenant.is_listed = false;
            if tenant.uses > 0 {
                continue;
            }
            if let Ok(entry) = self.index.find_entry(tenant.hash, |&other| other == number) {
                entry.remove();
            }
            return Some(number);
        }
        None
    }

    /// Says that a key of the tenant is no longer known.
    pub(super) fn leave(&mut self, number: u32) {
        let tenant = &mut self.tenants[number as usize];
        tenant.uses -= 1;
        if tenant.uses == 0 && !tenant.is_listed {
            tenant.is_listed = true;
            self.unused.push(number);
        }
    }

    /// How many keys are ready.
    pub(super) fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.keys).sum()
    }

    /// How many are, by [`Lane::index`].
    pub(super) fn by_lane(&self) -> [usize; LANES] {
        [self.lanes[0].keys, self.lanes[1].keys]
    }

    /// How many tenants have keys.
    #[cfg(test)]
    pub(super) fn tenants(&self) -> usize {
        self.tenants.iter().filter(|tenant| tenant.uses > 0).count()
    }

    /// Since when the key is ready that has been so for longest. Costs as much as there are tenants with a key that is ready.
    pub(super) fn oldest<K, S>(&self, items: &Items<K, S>) -> Option<Nanos> {
        let firsts = self.lanes.iter().enumerate().flat_map(|(lane, order)| {
            order.tenants.iter().filter_map(move |&tenant| self.tenants[tenant as usize].lists[lane].first())
        });
        firsts.map(|slot| items[slot].since).min()
    }

    /// Puts a key at the end of its lane and tenant.
    pub(super) fn push<K, S>(&mut self, items: &mut Items<K, S>, slot: Slot) {
        let (lane, number) = (items[slot].lane.index(), items[slot].tenant);
        let tenant = &mut self.tenants[number as usize];
        tenant.lists[lane].push(items, slot);
        self.lanes[lane].keys += 1;
        if !tenant.has_turn[lane] {
            tenant.has_turn[lane] = true;
            tenant.uses += 1;
            self.lanes[lane].tenants.push_back(number);
        }
    }

    /// Takes out a key that is ready, from wherever it stands.
    pub(super) fn remove<K, S>(&mut self, items: &mut Items<K, S>, slot: Slot) {
        let (lane, number) = (items[slot].lane.index(), items[slot].tenant);
        self.tenants[number as usize].lists[lane].remove(items, slot);
        self.lanes[lane].keys -= 1;
        if self.lanes[lane].keys == 0 {
            // Of those that have a turn and no key, none is left behind.
            self.front(lane);
        }
    }

    /// Takes out the key whose turn it is.
    pub(super) fn pop<K, S>(&mut self, items: &mut Items<K, S>, now: Nanos) -> Option<Slot> {
        let lane = self.next_lane(items, now)?;
        let slot = self.front(lane)?;
        let number = items[slot].tenant;
        let list = &mut self.tenants[number as usize].lists[lane];
        list.remove(items, slot);
        if list.first().is_some() {
            self.lanes[lane].tenants.rotate_left(1);
        } else {
            self.end_turn(lane);
        }
        self.lanes[lane].keys -= 1;
        if self.lanes[lane].keys == 0 {
            self.front(lane);
        }
        Some(slot)
    }

    fn next_lane<K, S>(&mut self, items: &Items<K, S>, now: Nanos) -> Option<usize> {
        let (first, second) = (Lane::ALL[0].index(), Lane::ALL[1].index());
        if self.lanes[second].keys == 0 || self.lanes[first].keys == 0 {
            self.passed_over = 0;
            return self.lanes.iter().position(|lane| lane.keys > 0);
        }
        let waited = self.front(second).map_or(0, |slot| now.saturating_sub(items[slot].since));
        let patience = if waited >= AGED { 1 } else { PATIENCE };
        if self.passed_over >= patience {
            self.passed_over = 0;
            return Some(second);
        }
        self.passed_over += 1;
        Some(first)
    }

    /// The first key of the tenant whose turn it is in `lane`.
    fn front(&mut self, lane: usize) -> Option<Slot> {
        while let Some(&number) = self.lanes[lane].tenants.front() {
            if let Some(slot) = self.tenants[number as usize].lists[lane].first() {
                return Some(slot);
            }
            self.end_turn(lane);
        }
        None
    }

    /// Lets the first tenant of `lane` go, which has no key there any more.
    fn end_turn(&mut self, lane: usize) {
        if let Some(number) = self.lanes[lane].tenants.pop_front() {
            self.tenants[number as usize].has_turn[lane] = false;
            self.leave(number);
        }
    }
}
