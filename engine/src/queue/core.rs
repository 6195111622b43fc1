//! The queue as a state machine: keys and verdicts in, keys out. Pure: time is an argument.
//!
//! # Invariants
//!
//! 1. A key is in `ready` if and only if its place is [`Place::Ready`], and then once.
//! 2. A key is in `waiting` if and only if its place is [`Place::Waiting`], under exactly that ticket.
//! 3. A key is in flight from [`take`](Core::take) to [`done`](Core::done), and is handed out to nobody else meanwhile.
//! 4. A key added while in flight is handed out again.
//! 5. A key that failed is not handed out before its backoff is over, unless it is added as urgent.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use super::Now;
use super::limit::Bucket;
use crate::backoff::Schedule;
use crate::trigger::{Cause, Reason, Trigger, Urgency};

/// How the work on a key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All is well; earlier failures are forgotten.
    Done,
    /// All is well, and the key is to be looked at again after this time.
    After(Duration),
    /// It failed, and is tried again after a backoff.
    Failed,
    /// It could not be tried, through no fault of the key's: again after this time, and not counted as a failure.
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
    /// Keys that became ready.
    pub adds: u64,
    /// Keys handed out.
    pub taken: u64,
    /// Verdicts of failure.
    pub retries: u64,
}

/// A key that is handed out, and what its worker may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handout<K> {
    /// The key.
    pub key: K,
    /// 1 for the first try since the last success, and one more for each failure since.
    pub attempt: u32,
    /// What asked for it since it was last handed out.
    pub cause: Cause,
    /// How long it was ready before a worker took it.
    pub queued_for: Duration,
}

/// The queue's state.
#[derive(Debug)]
pub struct Core<K> {
    /// Where each known key is. A key that is idle and has not failed is not known.
    items: HashMap<K, Item>,
    /// First in, first out.
    ready: VecDeque<K>,
    /// Keys whose time has not come, soonest first.
    waiting: BTreeMap<Ticket, K>,
    /// Makes tickets of the same moment distinct, in the order in which they were issued.
    issued: u64,
    /// How many keys are in flight.
    in_flight: usize,
    limits: Limits,
    counts: Counts,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    place: Place,
    /// Failures in a row.
    failures: u32,
    /// The end of the backoff, after a failure.
    backoff_until: Now,
    /// What asked for it since it was last handed out.
    cause: Cause,
    /// Since when it is ready.
    ready_since: Now,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Ready,
    Waiting(Ticket),
    /// With a worker; what was added meanwhile.
    InFlight {
        again: Option<Urgency>,
        not_before: Option<Now>,
    },
}

/// A moment and a number that makes it unique.
type Ticket = (Now, u64);

impl<K: Hash + Eq + Clone> Core<K> {
    /// An empty queue.
    pub fn new(limits: Limits) -> Self {
        Self {
            items: HashMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeMap::new(),
            issued: 0,
            in_flight: 0,
            limits,
            counts: Counts::default(),
        }
    }

    /// Asks for `key` to be handed out. Asking again before it is handed out changes nothing.
    pub fn add(&mut self, now: Now, key: K, trigger: impl Into<Trigger>) {
        let Trigger { cause, urgency, .. } = trigger.into();
        let item = match self.items.entry(key.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(Item {
                    place: Place::Ready,
                    failures: 0,
                    backoff_until: Now::ZERO,
                    cause,
                    ready_since: now,
                });
                self.counts.adds += 1;
                self.ready.push_back(key);
                return;
            }
            Entry::Occupied(occupied) => occupied.into_mut(),
        };
        item.cause = item.cause.union(cause);
        match &mut item.place {
            Place::Ready => {}
            Place::InFlight { again, .. } => *again = (*again).max(Some(urgency)),
            Place::Waiting(ticket) => {
                let ticket = *ticket;
                if urgency == Urgency::Urgent || item.backoff_until <= now {
                    self.waiting.remove(&ticket);
                    item.place = Place::Ready;
                    item.ready_since = now;
                    self.counts.adds += 1;
                    self.ready.push_back(key);
                } else if ticket.0 > item.backoff_until {
                    let at = item.backoff_until;
                    self.wait(key, at);
                }
            }
        }
    }

    /// Asks for `key` to be handed out at `at` or, if that was asked for already, sooner.
    pub fn add_at(&mut self, now: Now, key: K, at: Now) {
        if at <= now {
            return self.add(now, key, Reason::Timer);
        }
        if let Some(item) = self.items.get_mut(&key) {
            item.cause = item.cause.union(Cause::new(Reason::Timer));
        }
        match self.items.get_mut(&key).map(|item| &mut item.place) {
            None => self.wait(key, at),
            Some(Place::Ready) => {}
            Some(Place::Waiting(ticket)) if ticket.0 <= at => {}
            Some(Place::Waiting(_)) => {
                let floor = self.items[&key].backoff_until;
                self.wait(key, at.max(floor));
            }
            Some(Place::InFlight { not_before, .. }) => {
                *not_before = Some(not_before.map_or(at, |earlier| earlier.min(at)));
            }
        }
    }

    /// Hands out the next key that is ready, which stays in flight until [`done`](Self::done).
    pub fn take(&mut self, now: Now) -> Option<Handout<K>> {
        let key = self.ready.pop_front()?;
        let item = self.items.get_mut(&key)?;
        item.place = Place::InFlight { again: None, not_before: None };
        let cause = std::mem::take(&mut item.cause);
        let (attempt, queued_for) = (item.failures.saturating_add(1), now.saturating_sub(item.ready_since));
        self.in_flight += 1;
        self.counts.taken += 1;
        Some(Handout { key, attempt, cause, queued_for })
    }

    /// Takes back a key that was handed out.
    ///
    /// # Panics
    ///
    /// If `key` is not in flight.
    pub fn done(&mut self, now: Now, key: K, verdict: Verdict) {
        let item = self.items.get_mut(&key);
        let Some(Item { place: Place::InFlight { again, not_before }, .. }) = item.as_deref() else {
            panic!("a key is given back by the one who holds it");
        };
        let (again, not_before) = (*again, *not_before);
        self.in_flight -= 1;
        let earlier = |at: Now| not_before.map_or(at, |other| other.min(at));
        let at = match verdict {
            Verdict::Done | Verdict::After(_) | Verdict::Await(_) if again.is_some() => Some(now),
            Verdict::Done => not_before,
            Verdict::After(delay) | Verdict::Await(delay) => Some(earlier(now.saturating_add(delay))),
            Verdict::Failed | Verdict::Postponed(_) if again == Some(Urgency::Urgent) => Some(now),
            Verdict::Failed => Some(self.back_off(now, &key)),
            Verdict::Postponed(delay) => Some(now.saturating_add(delay)),
        };
        let Some(at) = at else {
            self.items.remove(&key);
            return;
        };
        if let Some(item) = self.items.get_mut(&key) {
            if matches!(verdict, Verdict::Done | Verdict::After(_)) {
                item.failures = 0;
                item.backoff_until = Now::ZERO;
            }
            let reason = match verdict {
                Verdict::Done => None,
                Verdict::After(_) | Verdict::Await(_) => Some(Reason::Timer),
                Verdict::Failed | Verdict::Postponed(_) => Some(Reason::Retry),
            };
            if let Some(reason) = reason {
                item.cause = item.cause.union(Cause::new(reason));
            }
            if at <= now {
                item.place = Place::Ready;
                item.ready_since = now;
                self.counts.adds += 1;
                self.ready.push_back(key);
            } else {
                self.wait(key, at);
            }
        }
    }

    /// Makes the keys ready whose time has come, and returns whether there were any.
    pub fn release(&mut self, now: Now) -> bool {
        let mut released = false;
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 <= now) {
            let key = first.remove();
            if let Some(item) = self.items.get_mut(&key) {
                item.place = Place::Ready;
                item.ready_since = now;
            }
            self.counts.adds += 1;
            self.ready.push_back(key);
            released = true;
        }
        released
    }

    /// When the next key becomes ready by itself.
    pub fn wake_at(&self) -> Option<Now> {
        self.waiting.first_key_value().map(|(ticket, _)| ticket.0)
    }

    /// How many keys could be handed out now.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// How many keys wait for their time.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many keys are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Counts a failure, and returns when the next attempt is to be made. The limit of all keys together delays that attempt
    /// alone: it is no floor for triggers, or a fleet that failed once would keep each of its keys from being healed.
    fn back_off(&mut self, now: Now, key: &K) -> Now {
        self.counts.retries += 1;
        let granted = self.limits.overall.reserve(now);
        let Some(item) = self.items.get_mut(key) else { return granted };
        item.failures = item.failures.saturating_add(1);
        item.backoff_until = now.saturating_add(self.limits.per_key.delay(item.failures));
        granted.max(item.backoff_until)
    }

    /// Puts `key`, which is not ready, under a new ticket for `at`.
    fn wait(&mut self, key: K, at: Now) {
        self.issued += 1;
        let ticket = (at, self.issued);
        let cause = Cause::new(Reason::Timer);
        let fresh = Item {
            place: Place::Waiting(ticket),
            failures: 0,
            backoff_until: Now::ZERO,
            cause,
            ready_since: Now::ZERO,
        };
        let item = self.items.entry(key.clone()).or_insert(fresh);
        if let Place::Waiting(former) = item.place {
            self.waiting.remove(&former);
        }
        item.place = Place::Waiting(ticket);
        self.waiting.insert(ticket, key);
    }
}

#[cfg(test)]
mod tests;
