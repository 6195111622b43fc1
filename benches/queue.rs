//! What the queue costs a key, and that it costs the same however many keys wait.
//!
//! Every time is that of all keys of a benchmark together; criterion says as well how many a second that makes. Keys are what a
//! controller queues, namespace and name, each counted by reference; `text` are keys that are copied for free, as Go's strings
//! are. The same work on client-go's and controller-runtime's queues is in `peers/queues`.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use engine::backoff::Schedule;
use engine::object::Key;
use engine::queue::{Bucket, Limits, Queue, Tenanted, Verdict};
use engine::trigger::{Reason, Trigger};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, yield_now};

/// As many as a cluster that is in use has of a kind.
const KEYS: u32 = 1_000;

/// From a cluster in use to one that is larger than Kubernetes supports.
const BACKLOGS: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Keys of each namespace.
const PER_TENANT: u32 = 10;

/// Workers that drain a backlog together.
const WORKERS: usize = 64;

/// A key that is copied for free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Text {
    namespace: &'static str,
    name: &'static str,
}

impl Tenanted for Text {
    type Tenant = str;

    fn tenant(&self) -> &str {
        self.namespace
    }
}

/// Namespaces and names.
fn names(count: u32) -> impl Iterator<Item = (String, String)> {
    (0..count).map(|number| (format!("namespace-{}", number / PER_TENANT), format!("application-{number}")))
}

/// Keys as they come from the decoder, each with its own copy of its namespace.
fn keys(count: u32) -> Vec<Key> {
    names(count).map(|(namespace, name)| Key::new(namespace, name)).collect()
}

fn texts(count: u32) -> Vec<Text> {
    names(count).map(|(namespace, name)| Text { namespace: namespace.leak(), name: name.leak() }).collect()
}

fn empty<K: Tenanted>() -> Queue<K> {
    let per_key = Schedule::new(Duration::from_millis(5), Duration::from_mins(1));
    Queue::new(Limits { per_key, overall: Bucket::new(10, 100) })
}

fn fill<K: Tenanted + Clone>(queue: Queue<K>, keys: &[K]) -> Queue<K> {
    add(&queue, keys);
    queue
}

fn add<K: Tenanted + Clone>(queue: &Queue<K>, keys: &[K]) {
    for key in keys {
        queue.add(key.clone(), Reason::Updated);
    }
}

fn drain<K: Tenanted>(queue: &Queue<K>) {
    while let Some(taken) = queue.try_take() {
        taken.done(Verdict::Done);
    }
}

/// As a worker does that has more to do.
fn drain_by_next<K: Tenanted>(queue: &Queue<K>) {
    let mut taken = queue.try_take();
    while let Some(key) = taken {
        taken = key.next(Verdict::Done);
    }
}

/// client-go's own `BenchmarkQueue`: one key at a time goes all the way.
fn cycle(criterion: &mut Criterion) {
    fn one_by_one<K: Tenanted + Clone>(queue: &Queue<K>, keys: &[K]) {
        for key in keys {
            queue.add(key.clone(), Reason::Updated);
            drain(queue);
        }
    }
    let (keys, texts) = (keys(100), texts(100));
    let mut group = criterion.benchmark_group("cycle");
    group.throughput(Throughput::Elements(100));
    let queue = empty();
    group.bench_function("key", |bencher| bencher.iter(|| one_by_one(&queue, &keys)));
    let queue = empty();
    group.bench_function("text", |bencher| bencher.iter(|| one_by_one(&queue, &texts)));
    group.finish();
}

/// controller-runtime's own `BenchmarkAddGetDone`, in a queue that has seen as many before, as one that has run for a while.
fn add_get_done(criterion: &mut Criterion) {
    let (keys, texts) = (keys(KEYS), texts(KEYS));
    let mut group = criterion.benchmark_group("add_get_done");
    group.throughput(Throughput::Elements(KEYS.into()));
    let queue = empty();
    group.bench_function("key", |bencher| {
        bencher.iter(|| {
            add(&queue, &keys);
            drain(&queue);
        });
    });
    let queue = empty();
    group.bench_function("text", |bencher| {
        bencher.iter(|| {
            add(&queue, &texts);
            drain(&queue);
        });
    });
    let trigger = Trigger::new(Reason::Updated);
    let queue = empty();
    group.bench_function("key/at once", |bencher| {
        bencher.iter(|| {
            queue.add_all(keys.iter().map(|key| (key.clone(), trigger)));
            drain_by_next(&queue);
        });
    });
    let queue = empty();
    group.bench_function("text/at once", |bencher| {
        bencher.iter(|| {
            queue.add_all(texts.iter().map(|key| (*key, trigger)));
            drain_by_next(&queue);
        });
    });
    group.finish();
}

/// The way in alone: into an empty queue, and of keys that wait there already, which is what a burst of changes is.
fn add_only(criterion: &mut Criterion) {
    let keys = keys(KEYS);
    let mut group = criterion.benchmark_group("add_only");
    group.throughput(Throughput::Elements(KEYS.into()));
    group.bench_function("new", |bencher| {
        bencher.iter_batched(empty, |queue| fill(queue, &keys), BatchSize::SmallInput);
    });
    let queue = fill(empty(), &keys);
    group.bench_function("again", |bencher| bencher.iter(|| add(&queue, &keys)));
    group.finish();
}

/// Each key goes to one of 1,000 takers that wait.
fn contended(criterion: &mut Criterion) {
    let keys = keys(KEYS);
    let runtime = runtime();
    let queue = empty();
    let left = Arc::new(AtomicUsize::new(0));
    for _ in 0..1_000 {
        let (queue, left): (Queue<Key>, _) = (queue.clone(), left.clone());
        runtime.spawn(async move {
            while let Some(taken) = queue.take().await {
                taken.done(Verdict::Done);
                left.fetch_sub(1, Ordering::Release);
            }
        });
    }
    let mut group = criterion.benchmark_group("contended");
    group.throughput(Throughput::Elements(KEYS.into()));
    group.bench_function("1,000 takers", |bencher| {
        bencher.iter(|| {
            left.store(keys.len(), Ordering::Release);
            add(&queue, &keys);
            while left.load(Ordering::Acquire) > 0 {
                std::thread::yield_now();
            }
        });
    });
    queue.close();
    group.finish();
}

/// Delays of up to ten minutes, in an order of no pattern, each asked for anew with the next round.
fn add_after(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("add_after");
    for count in [1_000, 100_000] {
        let keys = keys(count);
        group.throughput(Throughput::Elements(count.into()));
        group.bench_function(format!("{count}"), |bencher| {
            bencher.iter_batched(
                empty,
                |queue| {
                    for (key, number) in keys.iter().zip(0u64..) {
                        queue.add_after(key.clone(), Duration::from_millis(1 + number * 7_919 % 600_000));
                    }
                    queue
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// The way out alone, of a queue that was filled at once, as after a start or a long outage: by 64 workers on two threads.
fn backlog_drain(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("backlog_drain");
    // A million keys take a second to prepare: few samples, of as many rounds each.
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let runtime = runtime();
    for count in BACKLOGS {
        group.throughput(Throughput::Elements(count.into()));
        group.bench_function(format!("{count}"), |bencher| {
            let keys = keys(count);
            prove_order(&keys);
            bencher.iter_custom(|rounds| timed(rounds, || fill(empty(), &keys), drain_by_next));
        });
        group.bench_function(format!("{count}/64 workers"), |bencher| {
            let keys = keys(count);
            bencher.iter_custom(|rounds| {
                timed(rounds, || fill(empty(), &keys), |queue| drain_by_workers(&runtime, queue))
            });
        });
    }
    group.finish();
}

/// Two lanes, and a tenant that has as many keys as all others: what order costs.
fn lanes_and_tenants(criterion: &mut Criterion) {
    let keys = keys(KEYS);
    let noisy: Vec<Key> = (0..KEYS).map(|number| Key::new("noisy", format!("application-{number}"))).collect();
    let mut group = criterion.benchmark_group("lanes_and_tenants");
    group.throughput(Throughput::Elements(u64::from(KEYS) * 2));
    let queue = empty();
    group.bench_function("a noisy tenant", |bencher| {
        bencher.iter(|| {
            add(&queue, &noisy);
            add(&queue, &keys);
            drain(&queue);
        });
    });
    let queue = empty();
    group.bench_function("two lanes", |bencher| {
        bencher.iter(|| {
            for key in &noisy {
                queue.add(key.clone(), Reason::Resync);
            }
            add(&queue, &keys);
            drain(&queue);
        });
    });
    let queue = empty();
    group.bench_function("from lane to lane", |bencher| {
        bencher.iter(|| {
            for reason in [Reason::Resync, Reason::Updated] {
                for key in &keys {
                    queue.add(key.clone(), reason);
                }
            }
            drain(&queue);
        });
    });
    group.finish();
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).build().expect("threads")
}

fn drain_by_workers(runtime: &Runtime, queue: &Queue<Key>) {
    queue.drain();
    runtime.block_on(async {
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            let queue = queue.clone();
            workers.spawn(async move {
                while let Some(taken) = queue.take().await {
                    let mut taken = Some(taken);
                    while let Some(key) = taken {
                        taken = key.next(Verdict::Done);
                    }
                }
            });
        }
        workers.join_all().await;
    });
}

/// What is timed is worth nothing if it isn't right: 64 workers get each key once, and tenants take turns.
fn prove_order(keys: &[Key]) {
    let queue = fill(empty(), keys);
    queue.drain();
    let order = Builder::new_current_thread().build().expect("a thread").block_on(async {
        let order = Arc::new(std::sync::Mutex::new(Vec::with_capacity(keys.len())));
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            let (queue, order) = (queue.clone(), order.clone());
            workers.spawn(async move {
                while let Some(taken) = queue.take().await {
                    order.lock().expect("no panic").push(taken.key().clone());
                    yield_now().await;
                    taken.done(Verdict::Done);
                }
            });
        }
        workers.join_all().await;
        Arc::into_inner(order).expect("the workers have ended").into_inner().expect("no panic")
    });
    let turns = (0..PER_TENANT as usize).flat_map(|turn| keys.iter().skip(turn).step_by(PER_TENANT as usize));
    assert!(order.iter().eq(turns), "tenants take turns");
    assert_eq!(order.iter().collect::<HashSet<_>>().len(), keys.len(), "each key is handed out once");
}

/// How long `work` takes, without its preparation; only one prepared state exists at a time.
fn timed<S>(rounds: u64, prepare: impl Fn() -> S, work: impl Fn(&S)) -> Duration {
    (0..rounds)
        .map(|_| {
            let state = prepare();
            let started = Instant::now();
            work(&state);
            started.elapsed()
        })
        .sum()
}

criterion_group!(benches, cycle, add_get_done, add_only, contended, add_after, backlog_drain, lanes_and_tenants);
criterion_main!(benches);
