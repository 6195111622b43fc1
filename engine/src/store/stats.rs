//! What a part of a cache has lived through, in counters that anybody may read at any time at the price of a few loads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::object::{Resource, ResourceVersion};
use crate::watch::{End, Reason};

/// Counters of one part of a cache. They only ever grow, but for the gauges, which say so.
///
/// Each is exact; two that are read one after the other may be from before and after a change.
#[derive(Debug)]
pub struct Stats {
    resource: Resource,
    namespace: Option<std::sync::Arc<str>>,
    lists: [AtomicU64; REASONS],
    ends: [AtomicU64; End::ALL.len()],
    watches: AtomicU64,
    events: AtomicU64,
    duplicates: AtomicU64,
    quarantined: AtomicU64,
    unconfirmed: AtomicU64,
    confirmations: AtomicU64,
    audits: AtomicU64,
    repairs: AtomicU64,
    version: AtomicU64,
    /// What `heard` counts from.
    epoch: OnceLock<Instant>,
    /// Milliseconds after `epoch`.
    heard: AtomicU64,
}

const REASONS: usize = End::ALL.len() + 2;

impl Stats {
    pub(super) fn new(resource: Resource, namespace: Option<std::sync::Arc<str>>) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            resource,
            namespace,
            lists: std::array::from_fn(|_| zero()),
            ends: std::array::from_fn(|_| zero()),
            watches: zero(),
            events: zero(),
            duplicates: zero(),
            quarantined: zero(),
            unconfirmed: zero(),
            confirmations: zero(),
            audits: zero(),
            repairs: zero(),
            version: zero(),
            epoch: OnceLock::new(),
            heard: zero(),
        }
    }

    /// The kind.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// The namespace; `None` if it is a cache of all.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Lists that reached the cache, by why they were made.
    pub fn lists(&self, reason: Reason) -> u64 {
        load(&self.lists[index(reason)])
    }

    /// Lists that reached the cache after the first one.
    pub fn relists(&self) -> u64 {
        Reason::all().filter(|reason| *reason != Reason::Initial).map(|reason| self.lists(reason)).sum()
    }

    /// Lists and watches that ended otherwise than with a whole list, by how.
    pub fn ends(&self, end: End) -> u64 {
        load(&self.ends[end as usize])
    }

    /// Watches that were opened, streamed lists among them.
    pub fn watches(&self) -> u64 {
        load(&self.watches)
    }

    /// Objects that a watch has brought, the initial ones of streamed lists not counted.
    pub fn events(&self) -> u64 {
        load(&self.events)
    }

    /// Events that told nothing new: repeated, or older than what was known.
    pub fn duplicates(&self) -> u64 {
        load(&self.duplicates)
    }

    /// Gauge: objects in the cache that can't be decoded.
    pub fn quarantined(&self) -> u64 {
        load(&self.quarantined)
    }

    /// Gauge: own writes and deletes that the stream has not yet brought back.
    pub fn unconfirmed(&self) -> u64 {
        load(&self.unconfirmed)
    }

    /// Objects that were read one by one, since the stream did not bring an own write of them in time.
    pub fn confirmations(&self) -> u64 {
        load(&self.confirmations)
    }

    /// Audits that were completed.
    pub fn audits(&self) -> u64 {
        load(&self.audits)
    }

    /// Objects in which an audit found the cache to be wrong.
    pub fn repairs(&self) -> u64 {
        load(&self.repairs)
    }

    /// Gauge: the version up to which the cache is known to be right; `None` before the first list, and where versions have
    /// no order.
    pub fn version(&self) -> Option<u64> {
        Some(load(&self.version)).filter(|version| *version > 0)
    }

    /// When the server last said anything: an object, a bookmark, a list.
    pub fn heard(&self) -> Option<Instant> {
        self.epoch.get().map(|epoch| *epoch + Duration::from_millis(load(&self.heard)))
    }

    pub(crate) fn count_list(&self, reason: Reason) {
        add(&self.lists[index(reason)], 1);
    }

    pub(crate) fn count_end(&self, end: End) {
        add(&self.ends[end as usize], 1);
    }

    pub(crate) fn count_watch(&self) {
        add(&self.watches, 1);
    }

    pub(crate) fn count_confirmation(&self) {
        add(&self.confirmations, 1);
    }

    pub(super) fn count_audit(&self, repairs: usize) {
        add(&self.audits, 1);
        add(&self.repairs, repairs as u64);
    }

    pub(crate) fn hear(&self, now: Instant) {
        let since = now.saturating_duration_since(*self.epoch.get_or_init(|| now));
        self.heard.store(since.as_millis().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn count_event(&self, is_news: bool) {
        add(&self.events, 1);
        add(&self.duplicates, u64::from(!is_news));
    }

    pub(super) fn reach(&self, version: &ResourceVersion) {
        self.version.store(version.0.parse().unwrap_or(0), Ordering::Relaxed);
    }

    pub(super) fn set_quarantined(&self, objects: usize) {
        self.quarantined.store(objects as u64, Ordering::Relaxed);
    }

    pub(super) fn set_unconfirmed(&self, writes: usize) {
        self.unconfirmed.store(writes as u64, Ordering::Relaxed);
    }
}

fn index(reason: Reason) -> usize {
    match reason {
        Reason::Initial => 0,
        Reason::Audit => 1,
        Reason::Ended(end) => 2 + end as usize,
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn add(counter: &AtomicU64, much: u64) {
    counter.fetch_add(much, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_of_its_own() {
        let resource = Resource { group: "", version: "v1", kind: "Thing", plural: "things" };
        for reason in Reason::all() {
            let stats = Stats::new(resource, None);
            stats.count_list(reason);
            let counts: Vec<u64> = Reason::all().map(|other| stats.lists(other)).collect();
            assert_eq!((counts.iter().sum::<u64>(), stats.lists(reason)), (1, 1));
        }
    }

    #[test]
    fn when_something_was_heard_is_kept_to_the_millisecond() {
        let stats = Stats::new(Resource { group: "", version: "v1", kind: "Thing", plural: "things" }, None);
        assert_eq!(stats.heard(), None);
        let start = Instant::now();
        stats.hear(start);
        stats.hear(start + Duration::from_millis(1_500));
        assert_eq!(stats.heard(), Some(start + Duration::from_millis(1_500)));
    }
}
