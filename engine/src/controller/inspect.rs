//! What a controller does just now, for people: workers and what they hold, what waits, what the caches have lived through.
//!
//! It names objects and never shows what is in them. What there may be many of is cut off, and how many there are is said.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::source::{Readiness, Seen};
use crate::lease::Leadership;
use crate::object::Key;
use crate::queue::{Delayed, Queue};
use crate::store::Stats;
use crate::trigger::{Cause, Lane};
use crate::watch;

/// Keys of one kind that are told: what somebody reads, and what fits into an answer whatever the cluster's size.
const KEYS: usize = 100;

/// What workers hold. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Held(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    /// In the order in which they were taken.
    works: BTreeMap<u64, Work>,
    next: u64,
}

/// One reconcile under way.
#[derive(Debug, Clone)]
struct Work {
    key: Key,
    since: Instant,
    attempt: u32,
    cause: Cause,
}

impl Held {
    /// Shows a key as held until the guard is dropped, however that comes about.
    pub(super) fn hold(&self, key: &Key, attempt: u32, cause: Cause) -> impl Drop + Send + use<> {
        let work = Work { key: key.clone(), since: Instant::now(), attempt, cause };
        let mut table = self.lock();
        let number = table.next;
        table.next += 1;
        table.works.insert(number, work);
        Hold { held: self.clone(), number }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing under the lock can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Hold {
    held: Held,
    number: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.lock().works.remove(&self.number);
    }
}

/// Looks at a controller, as often as somebody asks.
#[derive(Clone)]
pub struct Inspector {
    pub(super) controller: &'static str,
    pub(super) workers: usize,
    pub(super) deadline: Duration,
    pub(super) queue: Queue<Key>,
    pub(super) held: Held,
    pub(super) readiness: Readiness,
    pub(super) leadership: Leadership,
}

impl Inspector {
    /// What the controller does just now, as a JSON object for people: its fields are no interface, and may change with any
    /// version. Times are in seconds.
    ///
    /// It has the oldest of the keys that workers hold, with what woke them, and of the delayed ones those that are due first,
    /// with their failures; a hundred each. Nothing in it is secret but to whom names of objects are.
    pub fn inspect(&self) -> Value {
        let (depth, counts) = (self.queue.depth(), self.queue.counts());
        let in_flight: Vec<Value> = self.held.lock().works.values().take(KEYS).map(|work| self.work(work)).collect();
        let delayed = self.queue.delayed(KEYS);
        let ready: BTreeMap<String, usize> =
            Lane::ALL.iter().map(|lane| (format!("{lane:?}").to_lowercase(), depth.ready[lane.index()])).collect();
        json!({
            "controller": self.controller,
            "leading": self.leadership.is_leader(),
            "workers": self.workers,
            "deadline": self.deadline.as_secs_f64(),
            "sources": self.readiness.inspect().map(|seen| source(&seen)).collect::<Vec<_>>(),
            "queue": {
                "ready": ready,
                "oldestReady": depth.oldest_ready.as_secs_f64(),
                "delayed": depth.waiting,
                "inFlight": depth.in_flight,
                "adds": counts.adds,
                "retries": counts.retries,
            },
            "inFlight": in_flight,
            "delayed": delayed.iter().map(|delayed| self.delayed(delayed)).collect::<Vec<_>>(),
        })
    }

    fn work(&self, work: &Work) -> Value {
        json!({
            "namespace": work.key.namespace,
            "name": work.key.name,
            "age": work.since.elapsed().as_secs_f64(),
            "attempt": work.attempt,
            "cause": work.cause.to_string(),
            "sources": self.names(work.cause),
        })
    }

    fn delayed(&self, delayed: &Delayed<Key>) -> Value {
        json!({
            "namespace": delayed.key.namespace,
            "name": delayed.key.name,
            "dueIn": delayed.due_in.as_secs_f64(),
            "heldFor": delayed.held_for.as_secs_f64(),
            "failures": delayed.failures,
            "cause": delayed.cause.to_string(),
            "sources": self.names(delayed.cause),
        })
    }

    /// The kinds that gave a cause.
    fn names(&self, cause: Cause) -> Vec<&str> {
        cause.sources().filter_map(|number| self.readiness.name(number)).collect()
    }
}

/// One cache, or all parts of it where it is of several namespaces, added up.
fn source(Seen { name, synced, objects, stats: parts }: &Seen<'_>) -> Value {
    let sum = |of: fn(&Stats) -> u64| parts.iter().map(|part| of(part)).sum::<u64>();
    let lists = |reason| parts.iter().map(|part| part.lists(reason)).sum::<u64>();
    let lists: BTreeMap<&str, u64> =
        watch::Reason::all().map(|reason| (reason.as_str(), lists(reason))).filter(|(_, count)| *count > 0).collect();
    // Of whoever has been silent for longest.
    let silence = parts.iter().filter_map(|part| part.heard()).map(|heard| heard.elapsed().as_secs_f64());
    json!({
        "resource": name,
        "synced": synced,
        "objects": objects,
        "silence": silence.reduce(f64::max),
        "version": parts.iter().filter_map(|part| part.version()).max(),
        "lists": lists,
        "watches": sum(Stats::watches),
        "events": sum(Stats::events),
        "duplicates": sum(Stats::duplicates),
        "quarantined": sum(Stats::quarantined),
        "unconfirmedWrites": sum(Stats::unconfirmed),
        "confirmations": sum(Stats::confirmations),
        "audits": sum(Stats::audits),
        "repairs": sum(Stats::repairs),
    })
}
