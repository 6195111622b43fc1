//! The queue as a state machine: keys and verdicts in, keys out. Pure: time is an argument.
//!
//! # Invariants
//!
//! 1. A key that is known has one place ([`Place`]), and is in the list or the timers that belong to it, once.
//! 2. A key is in flight from [`take`](Core::take) to [`done`](Core::done), and is handed out to nobody else meanwhile.
//! 3. A key added while in flight is handed out again.
//! 4. A key that failed is not handed out before its own backoff is over, unless an urgent trigger asks for it.
//! 5. A key that is ready is handed out after a bounded number of others; [`turns`](super::turns) says which.
//! 6. A key that is idle and has not failed is not known: it takes no memory.

use std::hash::BuildHasher;
use std::mem;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::durations::Durations;
use super::items::{Found, Item, Items, Links, List, NONE, Place, Slot};
use super::limit::Bucket;
use super::timers::Timers;
use super::turns::Turns;
use super::{Nanos, Now, Tenanted, nanos};
use crate::backoff::Schedule;
use crate::trigger::{Cause, Lane, Reason, Trigger, Urgency};

/// How the work on a key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All is well; earlier failures are forgotten.
    Done,
    /// All is well, and the key is to be looked at again after this time.
    After(Duration),
    /// It failed, and is tried again after a backoff.
    Failed,
    /// It could not be tried, through no fault of the key's: again after this time and no sooner, and not counted as a failure.
    Postponed(Duration),
    /// It met a newer state than it had seen (a conflict): again as soon as that arrives, which adds the key, and after this
    /// time at the latest. Neither a failure nor a success.
    Await(Duration),
}

/// How retries are spaced.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Backoff of one key by its failures in a row.
    pub per_key: Schedule,
    /// Limit on the retries of all keys together.
    pub overall: Bucket,
}

/// What has happened so far, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Times that a key became ready.
    pub adds: u64,
    /// Keys handed out.
    pub taken: u64,
    /// Keys that were put back for later, by a failure or a wait: what client-go counts as a retry (`AddAfter`).
    pub retries: u64,
    /// How long keys were ready before they were handed out.
    pub queued: Durations,
    /// How long keys were in flight.
    pub worked: Durations,
}

/// How full the queue is, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Keys that could be handed out now, by [`Lane::index`].
    pub ready: [usize; Lane::ALL.len()],
    /// Keys that wait for their time.
    pub waiting: usize,
    /// Keys in flight.
    pub in_flight: usize,
    /// How long the key has been ready that has been ready for longest; zero if there is none.
    pub oldest_ready: Duration,
    /// How long the key has been in flight that has been so for longest; zero if there is none.
    pub longest_running: Duration,
    /// How long all keys in flight have been so, added up.
    pub unfinished: Duration,
}

/// A key that is handed out, and what its worker may want to know.
#[derive(Debug)]
pub(super) struct Handout<K> {
    /// The key.
    pub(super) key: K,
    /// 1 for the first try since the last success, and one more for each failure since.
    pub(super) attempt: u32,
    /// What asked for it since it was last handed out.
    pub(super) cause: Cause,
    /// How long it was ready before a worker took it.
    pub(super) queued_for: Duration,
    /// Where the key is known meanwhile.
    slot: Slot,
}

/// The queue's state.
#[derive(Debug)]
pub(super) struct Core<K, S = RandomState> {
    pub(super) items: Items<K, S>,
    ready: Turns,
    pub(super) waiting: Timers,
    /// Keys in flight, in the order in which they were handed out.
    running: List,
    in_flight: usize,
    /// When the keys in flight were handed out, added up.
    taken_at: u128,
    limits: Limits,
    counts: Counts,
}

/// What is asked of a key.
#[derive(Debug, Clone, Copy)]
struct Wish {
    lane: Lane,
    cause: Cause,
    urgent: bool,
    /// When it is to be handed out at the latest.
    due: Nanos,
}

impl<K: Tenanted> Core<K> {
    /// An empty queue. Its hashes are seeded, since names are the choice of whoever may create objects.
    pub(super) fn new(limits: Limits) -> Self {
        Self::with_hasher(limits, RandomState::default())
    }
}

impl<K: Tenanted, S: BuildHasher> Core<K, S> {
    fn with_hasher(limits: Limits, hasher: S) -> Self {
        Self {
            items: Items::new(hasher),
            ready: Turns::new(),
            waiting: Timers::default(),
            running: List::EMPTY,
            in_flight: 0,
            taken_at: 0,
            limits,
            counts: Counts::default(),
        }
    }

    /// Asks for `key` to be handed out. While it waits for that, asking again adds to its cause, and may raise its lane.
    pub(super) fn add(&mut self, now: Now, key: K, trigger: impl Into<Trigger>) {
        let Trigger { cause, lane, urgency } = trigger.into();
        self.ask(nanos(now), key, Wish { lane, cause, urgent: urgency == Urgency::Urgent, due: 0 });
    }

    /// Asks for `key` to be handed out at `at` or, if that was asked for already, sooner.
    pub(super) fn add_at(&mut self, now: Now, key: K, at: Now) {
        let Trigger { cause, lane, .. } = Reason::Timer.into();
        self.counts.retries += 1;
        self.ask(nanos(now), key, Wish { lane, cause, urgent: false, due: nanos(at) });
    }

    /// Hands out the next key that is ready, which stays in flight until [`done`](Self::done).
    pub(super) fn take(&mut self, now: Now) -> Option<Handout<K>> {
        let now = nanos(now);
        let slot = self.ready.pop(&mut self.items, now)?;
        self.running.push(&mut self.items, slot);
        self.in_flight += 1;
        self.taken_at += u128::from(now);
        let item = &mut self.items[slot];
        let queued_for = now.saturating_sub(mem::replace(&mut item.since, now));
        item.place = Place::InFlight;
        self.counts.taken += 1;
        self.counts.queued.record(queued_for);
        let key = item.key.take()?;
        let (attempt, cause) = (item.failures.saturating_add(1), mem::take(&mut item.cause));
        Some(Handout { key, attempt, cause, queued_for: Duration::from_nanos(queued_for), slot })
    }

    /// Takes back a key that was handed out. It returns the key if nothing more is to be done with it.
    ///
    /// # Panics
    ///
    /// If another queue has handed it out.
    pub(super) fn done(&mut self, now: Now, handout: Handout<K>, verdict: Verdict) -> Option<K> {
        let (now, Handout { key, slot, .. }) = (nanos(now), handout);
        assert!(self.items[slot].place == Place::InFlight, "a key is given back to the queue that it is from");
        self.running.remove(&mut self.items, slot);
        self.in_flight -= 1;
        let since = self.items[slot].since;
        self.taken_at -= u128::from(since);
        self.counts.worked.record(now.saturating_sub(since));
        self.items[slot].key = Some(key);
        let again = self.gather(now, slot);
        let Some(due) = self.judge(now, slot, again, verdict) else {
            return self.remove(slot);
        };
        self.place(now, slot, due);
        None
    }

    /// Forgets the failures of `key`, so that no backoff of its own holds it any longer.
    pub(super) fn forget(&mut self, now: Now, key: &K) {
        let mut slot = match self.items.find(self.items.hash(key), key) {
            Found::Here(slot) | Found::Held(slot) => slot,
            Found::Nothing => return,
        };
        if self.items[slot].place == Place::Behind {
            slot = self.items[slot].links.previous;
        }
        let item = &mut self.items[slot];
        (item.failures, item.floor) = (0, item.floor.min(nanos(now)));
    }

    /// Makes the keys ready whose time has come, and returns whether there were any.
    pub(super) fn release(&mut self, now: Now) -> bool {
        let now = nanos(now);
        let before = self.ready.len();
        while let Some(slot) = self.waiting.pop(&self.items, now) {
            self.make_ready(now, slot);
        }
        self.ready.len() > before
    }

    /// Forgets the keys that wait for their time: of a queue that is to end.
    pub(super) fn abandon_waiting(&mut self) {
        while let Some(slot) = self.waiting.pop(&self.items, Nanos::MAX) {
            self.remove(slot);
        }
    }

    /// When the next key becomes ready by itself.
    pub(super) fn wake_at(&self) -> Option<Now> {
        self.waiting.next().map(Duration::from_nanos)
    }

    /// How many keys could be handed out now.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// How many keys are in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How full the queue is. It costs as much as there are tenants with a key that is ready.
    pub(super) fn depth(&self, now: Now) -> Depth {
        let now = nanos(now);
        let age = |since: Nanos| Duration::from_nanos(now.saturating_sub(since));
        let unfinished = (u128::from(now) * self.in_flight as u128).saturating_sub(self.taken_at);
        Depth {
            ready: self.ready.by_lane(),
            waiting: self.waiting.len(),
            in_flight: self.in_flight,
            oldest_ready: self.ready.oldest(&self.items).map_or(Duration::ZERO, age),
            longest_running: self.running.first().map_or(Duration::ZERO, |slot| age(self.items[slot].since)),
            unfinished: Duration::from_nanos(u64::try_from(unfinished).unwrap_or(u64::MAX)),
        }
    }

    /// What has happened so far.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    fn ask(&mut self, now: Nanos, key: K, wish: Wish) {
        let hash = self.items.hash(&key);
        match self.items.find(hash, &key) {
            Found::Here(slot) => self.ask_again(now, slot, wish),
            Found::Nothing => {
                let slot = self.insert(hash, key, wish);
                self.place(now, slot, wish.due);
            }
            Found::Held(holder) => {
                let slot = self.insert(hash, key, wish);
                let next = mem::replace(&mut self.items[holder].behind, slot);
                let item = &mut self.items[slot];
                (item.place, item.urgent, item.due) = (Place::Behind, wish.urgent, wish.due);
                item.links = Links { previous: holder, next };
            }
        }
    }

    fn insert(&mut self, hash: u64, key: K, wish: Wish) -> Slot {
        let tenant = self.ready.enter(self.items.tenant_hash(&key));
        self.items.insert(hash, key, tenant, wish.lane, wish.cause)
    }

    /// Asks for a key that is known, and not in flight.
    fn ask_again(&mut self, now: Nanos, slot: Slot, wish: Wish) {
        let item = &mut self.items[slot];
        item.cause = item.cause.union(wish.cause);
        let lane = item.lane.max(wish.lane);
        if wish.urgent && item.place != Place::Behind {
            (item.failures, item.floor) = (0, 0);
        }
        match item.place {
            Place::Ready if lane > item.lane && wish.due <= now => {
                self.ready.remove(&mut self.items, slot);
                self.items[slot].lane = lane;
                self.ready.push(&mut self.items, slot);
            }
            Place::Ready | Place::InFlight => {}
            Place::Behind => {
                (item.lane, item.urgent, item.due) = (lane, item.urgent | wish.urgent, item.due.min(wish.due));
            }
            Place::Waiting(_) => {
                item.lane = lane;
                let due = wish.due.max(item.floor);
                if due < item.due {
                    self.place(now, slot, due);
                    self.waiting.cancel(&self.items);
                }
            }
        }
    }

    /// Makes one wish of what was asked for a key while it was in flight. Others of the same hash, which had to wait until they
    /// could be told from it, are let go.
    fn gather(&mut self, now: Nanos, slot: Slot) -> Option<Wish> {
        let mut again = None;
        let mut behind = mem::replace(&mut self.items[slot].behind, NONE);
        while behind != NONE {
            let Item { lane, cause, urgent, due, links, .. } = self.items[behind];
            let wish = Wish { lane, cause, urgent, due };
            let key = self.remove(behind);
            if key == self.items[slot].key {
                again = Some(wish);
            } else if let Some(stranger) = key {
                self.ask(now, stranger, wish);
            }
            behind = links.next;
        }
        again
    }

    /// Settles what a verdict means for a key, and returns when it is due again, if it is.
    fn judge(&mut self, now: Nanos, slot: Slot, again: Option<Wish>, verdict: Verdict) -> Option<Nanos> {
        let item = &mut self.items[slot];
        let after = |delay: Duration| now.saturating_add(nanos(delay));
        let asked = again.map(|wish| wish.due);
        let is_urgent = again.is_some_and(|wish| wish.urgent);
        if let Some(wish) = again {
            (item.lane, item.cause) = (item.lane.max(wish.lane), wish.cause);
        }
        match verdict {
            Verdict::Done | Verdict::After(_) => (item.failures, item.floor) = (0, 0),
            Verdict::Failed | Verdict::Postponed(_) => item.cause = item.cause.union(Cause::new(Reason::Retry)),
            Verdict::Await(_) => {}
        }
        self.counts.retries += u64::from(verdict != Verdict::Done);
        match verdict {
            Verdict::Done => asked,
            Verdict::After(delay) | Verdict::Await(delay) => {
                let own = after(delay);
                if asked.is_none_or(|asked| own < asked) {
                    item.cause = item.cause.union(Cause::new(Reason::Timer));
                }
                Some(asked.map_or(own, |asked| own.min(asked)))
            }
            Verdict::Failed => {
                if is_urgent {
                    (item.failures, item.floor) = (0, 0);
                    return asked;
                }
                item.failures = item.failures.saturating_add(1);
                item.floor = after(self.limits.per_key.delay(item.failures));
                // No floor for triggers: a fleet that failed once would keep each of its keys from being healed.
                let retry = nanos(self.limits.overall.reserve(Duration::from_nanos(now)));
                Some(item.floor.max(asked.map_or(retry, |asked| retry.min(asked))))
            }
            Verdict::Postponed(_) if is_urgent => asked,
            Verdict::Postponed(delay) => {
                item.floor = after(delay);
                Some(item.floor)
            }
        }
    }

    /// Forgets a key that is in no list.
    fn remove(&mut self, slot: Slot) -> Option<K> {
        self.ready.leave(self.items[slot].tenant);
        self.items.remove(slot)
    }

    /// Puts a key that has no place where it belongs.
    fn place(&mut self, now: Nanos, slot: Slot, due: Nanos) {
        if due <= now {
            self.make_ready(now, slot);
        } else {
            self.waiting.push(&mut self.items, slot, due);
        }
    }

    fn make_ready(&mut self, now: Nanos, slot: Slot) {
        let item = &mut self.items[slot];
        (item.place, item.since) = (Place::Ready, now);
        self.counts.adds += 1;
        self.ready.push(&mut self.items, slot);
    }
}

#[cfg(test)]
mod tests;
