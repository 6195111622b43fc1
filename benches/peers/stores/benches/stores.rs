//! kube-rs' store and scheduler and this project's store and queue, under the same work on the same data, in one run.
//!
//! Each keeps a Deployment in the type that its own documentation proposes: kube-rs in k8s-openapi's, whole; the engine in the
//! operator's projection. The scheduler is what kube-rs' `Controller` has in place of a queue; its runner, which holds keys
//! that are in flight, is not measured.

#[path = "../../../fleet/mod.rs"]
mod fleet;

use std::hint::black_box;
use std::time::{Duration, Instant};

use application_operator::observe::{Deployment, Kind};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::api::Entry;
use engine::backoff::Schedule;
use engine::object::Key;
use engine::queue::{Bucket, Limits, Queue, Verdict};
use engine::trigger::Reason as Why;
use engine::watch::{Reason, Transaction};
use futures::StreamExt as _;
use futures::channel::mpsc;
use k8s_openapi::api::apps::v1::Deployment as Whole;
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::scheduler::{ScheduleRequest, scheduler};
use kube::runtime::watcher::Event;
use serde_json::Value;

const OBJECTS: usize = 10_000;
const KEYS: usize = 1_000;

fn deployments(version: usize) -> Vec<Value> {
    (0..OBJECTS)
        .map(|number| {
            let mut child = fleet::child(number, Kind::Deployment).expect("each has one");
            child["metadata"]["resourceVersion"] = Value::from((version + number).to_string());
            child
        })
        .collect()
}

fn decode(criterion: &mut Criterion) {
    let documents: Vec<String> = deployments(1).iter().take(KEYS).map(ToString::to_string).collect();
    let mut group = criterion.benchmark_group("decode a deployment");
    group.throughput(Throughput::Bytes(documents.iter().map(|document| document.len() as u64).sum()));
    group.bench_function("engine", |bencher| {
        bencher.iter(|| documents.iter().map(|json| serde_json::from_str::<Deployment>(json).is_ok()).filter(|ok| *ok).count());
    });
    group.bench_function("kube", |bencher| {
        bencher.iter(|| documents.iter().map(|json| serde_json::from_str::<Whole>(json).is_ok()).filter(|ok| *ok).count());
    });
    group.finish();
}

fn store(criterion: &mut Criterion) {
    let (known, later) = (deployments(1_000_000), deployments(2_000_000));
    let ours = |values: &[Value]| -> Vec<Entry<Deployment>> {
        values.iter().map(|value| Entry::Valid(fleet::decoded::<Deployment>(value).into())).collect()
    };
    let theirs = |values: &[Value]| -> Vec<Whole> { values.iter().map(fleet::decoded).collect() };
    let replace = |entries| {
        let version = engine::object::ResourceVersion("1900000".into());
        Transaction::Replace { version, entries, reason: Reason::Initial, restored: false }
    };
    let filled = |entries: &[Entry<Deployment>]| {
        let (mut writers, reader) = engine::store::new::<Deployment>(&[]);
        drop(writers[0].commit(replace(entries.to_vec())));
        (writers.remove(0), reader)
    };
    let listed = |objects: Vec<Whole>, writer: &mut reflector::store::Writer<Whole>| {
        writer.apply_watcher_event(&Event::Init);
        for object in objects {
            writer.apply_watcher_event(&Event::InitApply(object));
        }
        writer.apply_watcher_event(&Event::InitDone);
    };
    let known_here = ours(&known);
    let (later_here, later_there) = (ours(&later), theirs(&later));
    let mut group = criterion.benchmark_group("store");
    group.throughput(Throughput::Elements(OBJECTS as u64)).sample_size(20);
    group.bench_function("upsert/engine", |bencher| {
        bencher.iter_batched(
            || (filled(&known_here), later_here.clone()),
            |((mut writer, reader), later)| {
                for entry in later {
                    black_box(writer.commit(Transaction::Upsert(entry)));
                }
                (writer, reader)
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("upsert/kube", |bencher| {
        bencher.iter_batched(
            || {
                let (reader, mut writer) = reflector::store::<Whole>();
                listed(theirs(&known), &mut writer);
                // The events as the watcher hands them on; the store makes its own copy of each.
                let events: Vec<_> = later_there.iter().cloned().map(Event::Apply).collect();
                (reader, writer, events)
            },
            |(reader, mut writer, events)| {
                for event in &events {
                    writer.apply_watcher_event(event);
                }
                (reader, writer, events)
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("relist/engine", |bencher| {
        bencher.iter_batched(
            || (filled(&known_here), later_here.clone()),
            |((mut writer, reader), later)| {
                drop(writer.commit(replace(later)));
                (writer, reader)
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("relist/kube", |bencher| {
        bencher.iter_batched(
            || {
                let (reader, mut writer) = reflector::store::<Whole>();
                listed(theirs(&known), &mut writer);
                (reader, writer, later_there.clone())
            },
            |(reader, mut writer, later)| {
                listed(later, &mut writer);
                (reader, writer)
            },
            BatchSize::PerIteration,
        );
    });
    let (_writer, reader) = filled(&known_here);
    let keys: Vec<Key> = known_here.iter().map(Entry::key).collect();
    group.bench_function("get/engine", |bencher| {
        bencher.iter(|| keys.iter().filter(|key| reader.get(black_box(key)).is_some()).count());
    });
    let (reader, mut writer) = reflector::store::<Whole>();
    listed(theirs(&known), &mut writer);
    let references: Vec<ObjectRef<Whole>> = theirs(&known).iter().map(ObjectRef::from_obj).collect();
    group.bench_function("get/kube", |bencher| {
        bencher.iter(|| references.iter().filter(|key| reader.get(black_box(key)).is_some()).count());
    });
    group.finish();
}

fn queue(criterion: &mut Criterion) {
    let keys: Vec<Key> =
        (0..KEYS).map(|number| Key::new(fleet::namespace(number), format!("application-{number}"))).collect();
    let mut group = criterion.benchmark_group("add, take, done");
    group.throughput(Throughput::Elements(KEYS as u64));
    let per_key = Schedule::new(Duration::from_millis(5), Duration::from_mins(1));
    let queue = Queue::new(Limits { per_key, overall: Bucket::new(10, 100) });
    group.bench_function("engine", |bencher| {
        bencher.iter(|| {
            for key in &keys {
                queue.add(key.clone(), Why::Updated);
            }
            let mut taken = queue.try_take();
            while let Some(key) = taken {
                taken = key.next(Verdict::Done);
            }
        });
    });
    let references: Vec<ObjectRef<Whole>> =
        keys.iter().map(|key| ObjectRef::new(&key.name).within(&key.namespace)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a thread");
    group.bench_function("kube", |bencher| {
        bencher.iter_custom(|rounds| {
            runtime.block_on(async {
                // In the past: what is asked for now waits for the next millisecond, and that is not to be measured.
                let run_at = tokio::time::Instant::now();
                tokio::time::sleep(Duration::from_millis(5)).await;
                let (sender, requests) = mpsc::unbounded();
                let mut scheduler = Box::pin(scheduler(requests));
                let started = Instant::now();
                for _ in 0..rounds {
                    for message in &references {
                        let request = ScheduleRequest { message: message.clone(), run_at };
                        sender.unbounded_send(request).expect("the scheduler is there");
                    }
                    for _ in &references {
                        black_box(scheduler.next().await);
                    }
                }
                started.elapsed()
            })
        });
    });
    group.finish();
}

criterion_group!(benches, decode, store, queue);
criterion_main!(benches);
