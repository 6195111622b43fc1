//! Transactions into the cache, and look-ups out of it, at the size of a large cluster.

use std::hint::black_box;

use application_operator::application::Application;
use criterion::{BatchSize, Criterion, Throughput};
use engine::api::Entry;
use engine::object::{Key, Object as _, ResourceVersion};
use engine::store::{self, ByNamespace, Reader, Writer};
use engine::watch::{Reason, Transaction};

use super::fleet;

const OBJECTS: usize = 10_000;

fn entries(count: usize, version: usize) -> Vec<Entry<Application>> {
    let entry = |number| {
        let mut application: Application = fleet::decoded(&fleet::application(number));
        application.metadata.resource_version = ResourceVersion((version + number).to_string().into());
        Entry::Valid(application.into())
    };
    (0..count).map(entry).collect()
}

fn replacement(entries: Vec<Entry<Application>>) -> Transaction<Application> {
    let version = ResourceVersion("900000000".into());
    Transaction::Replace { version, entries, reason: Reason::Initial, restored: false }
}

fn filled(entries: &[Entry<Application>]) -> (Writer<Application>, Reader<Application>) {
    let (mut writers, reader) = store::new(&[]);
    reader.index::<ByNamespace>();
    let mut writer = writers.remove(0);
    drop(writer.commit(replacement(entries.to_vec())));
    (writer, reader)
}

/// An event of an object that is known, in a later version each time.
pub(crate) fn write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store");
    group.throughput(Throughput::Elements(OBJECTS as u64));
    let known = entries(OBJECTS, 1_000_000);
    let later = entries(OBJECTS, 910_000_000);
    group.bench_function("upsert", |bencher| {
        bencher.iter_batched(
            || (filled(&known), later.clone()),
            |((mut writer, reader), later)| {
                for entry in later {
                    black_box(writer.commit(Transaction::Upsert(entry)));
                }
                (writer, reader)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// A list of what is there already, and one in which everything has changed.
pub(crate) fn relist(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store");
    group.throughput(Throughput::Elements(OBJECTS as u64)).sample_size(20);
    let known = entries(OBJECTS, 1_000_000);
    for (name, listed) in [("relist/unchanged", known.clone()), ("relist/changed", entries(OBJECTS, 2_000_000))] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || (filled(&known), listed.clone()),
                |((mut writer, reader), listed)| {
                    black_box(writer.commit(replacement(listed)));
                    (writer, reader)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

pub(crate) fn read(criterion: &mut Criterion) {
    let known = entries(OBJECTS, 1_000_000);
    let (_writer, reader) = filled(&known);
    let keys: Vec<Key> = known.iter().map(Entry::key).collect();
    let mut group = criterion.benchmark_group("store");
    group.throughput(Throughput::Elements(OBJECTS as u64));
    group.bench_function("get", |bencher| {
        bencher.iter(|| keys.iter().filter(|key| reader.get(black_box(key)).is_some()).count());
    });
    let namespaces: Vec<_> = keys.iter().step_by(fleet::PER_NAMESPACE).map(|key| key.namespace.clone()).collect();
    group.bench_function("by index", |bencher| {
        bencher
            .iter(|| namespaces.iter().map(|namespace| reader.by_index::<ByNamespace>(namespace).len()).sum::<usize>());
    });
    group.bench_function("list", |bencher| bencher.iter(|| reader.list().len()));
    group.finish();
    assert_eq!(known[0].metadata().key(), known[0].valid().expect("it fits").metadata().key());
}
