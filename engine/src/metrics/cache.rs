//! Caches as metrics, read when somebody asks. One series a kind, whatever the number of namespaces.

use std::time::Instant;

use crate::metrics::Samples;
use crate::object::Object;
use crate::store::Reader;
use crate::watch::Reason;

/// Tells of the cache that `reader` reads.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count beyond 2^53 is out of reach; of versions client-go keeps 15 digits"
)]
pub(super) fn tell<T: Object>(reader: &Reader<T>, samples: &mut Samples) {
    let name = T::RESOURCE.to_string();
    let labels = [("resource", name.as_str())];
    samples.gauge("engine_cache_objects", "Objects in the cache", &labels, reader.len() as f64);
    let synced = f64::from(u8::from(reader.is_synced()));
    samples.gauge("engine_cache_synced", "1 once the first list has arrived", &labels, synced);
    for stats in reader.stats() {
        if let Some(heard) = stats.heard() {
            let silence = Instant::now().saturating_duration_since(heard).as_secs_f64();
            let help = "Time since the server last said anything; bookmarks come about once a minute";
            samples.highest("engine_cache_silence_seconds", help, &labels, silence);
        }
        if let Some(version) = stats.version() {
            let labels = [("name", name.as_str()), ("group", T::RESOURCE.group), ("version", T::RESOURCE.version)];
            let labels = [labels[0], labels[1], labels[2], ("resource", T::RESOURCE.plural)];
            // A float holds 15 digits for certain.
            let version = (version % 1_000_000_000_000_000) as f64;
            samples.highest(
                "informer_store_resource_version",
                "15 last digits of the cache's version",
                &labels,
                version,
            );
        }
        let quarantined = stats.quarantined() as f64;
        samples.gauge("engine_cache_quarantined_objects", "Objects that can't be decoded", &labels, quarantined);
        let unconfirmed = stats.unconfirmed() as f64;
        let help = "Own writes that no watch has brought back yet";
        samples.gauge("engine_cache_unconfirmed_writes", help, &labels, unconfirmed);
        samples.counter("engine_watch_events", "Objects that watches brought", &labels, stats.events() as f64);
        let duplicates = stats.duplicates() as f64;
        samples.counter("engine_watch_duplicates", "Of these, those that told nothing new", &labels, duplicates);
        let repairs = stats.repairs() as f64;
        samples.counter("engine_cache_repairs", "Objects in which an audit found the cache wrong", &labels, repairs);
        for reason in Reason::all() {
            let labels = [("resource", name.as_str()), ("reason", reason.as_str())];
            let count = stats.lists(reason) as f64;
            samples.counter("engine_lists", "Lists that reached the cache, by why they were made", &labels, count);
        }
    }
}
