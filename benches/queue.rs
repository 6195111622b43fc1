//! What the queue costs a key, and that it costs the same however many keys wait.
//!
//! Every time is that of one key: a benchmark reports how long it took all of them, and how many a second that makes.
//! `core` is the state machine alone, `queue` the same behind its lock and its clock, as a controller uses it.

use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use engine::backoff::Schedule;
use engine::object::Key;
use engine::queue::{Bucket, Core, Limits, Now, Queue, Verdict};
use engine::trigger::Reason;

/// As many as a cluster that is in use has of a kind.
const KEYS: u32 = 1_000;

/// From a cluster in use to one that is larger than Kubernetes supports.
const BACKLOGS: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Keys as they come from the decoder, each with its own copy of its namespace; ten of them in a namespace.
fn keys(count: u32) -> Vec<Key> {
    (0..count).map(|number| Key::new(format!("namespace-{}", number / 10), format!("application-{number}"))).collect()
}

fn limits() -> Limits {
    let per_key = Schedule::new(Duration::from_millis(5), Duration::from_mins(1));
    Limits { per_key, overall: Bucket::new(10, 100) }
}

fn full_core(keys: &[Key]) -> Core<Key> {
    let mut core = Core::new(limits());
    for key in keys {
        core.add(Now::ZERO, key.clone(), Reason::Updated);
    }
    core
}

fn full_queue(keys: &[Key]) -> Queue<Key> {
    let queue = Queue::new(limits());
    for key in keys {
        queue.add(key.clone(), Reason::Updated);
    }
    queue
}

fn drain_core(core: &mut Core<Key>) {
    while let Some(taken) = core.take(Now::ZERO) {
        core.done(Now::ZERO, taken.key, Verdict::Done);
    }
}

fn drain_queue(queue: &Queue<Key>) {
    while let Some(taken) = queue.try_take() {
        taken.done(Verdict::Done);
    }
}

/// The whole way of a key, in a queue that has seen as many before, as one that has run for a while.
fn add_get_done(criterion: &mut Criterion) {
    let keys = keys(KEYS);
    let mut group = criterion.benchmark_group("add_get_done");
    group.throughput(Throughput::Elements(KEYS.into()));
    let mut core = full_core(&keys);
    drain_core(&mut core);
    group.bench_function("core", |bencher| {
        bencher.iter(|| {
            for key in &keys {
                core.add(Now::ZERO, key.clone(), Reason::Updated);
            }
            drain_core(&mut core);
        });
    });
    let queue = full_queue(&keys);
    drain_queue(&queue);
    group.bench_function("queue", |bencher| {
        bencher.iter(|| {
            for key in &keys {
                queue.add(key.clone(), Reason::Updated);
            }
            drain_queue(&queue);
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
        bencher.iter_batched(|| Queue::new(limits()), |queue| fill(queue, &keys), BatchSize::SmallInput);
    });
    let queue = full_queue(&keys);
    group.bench_function("again", |bencher| {
        bencher.iter(|| {
            for key in &keys {
                queue.add(key.clone(), Reason::Updated);
            }
        });
    });
    group.finish();
}

/// Returned, so that dropping it is not timed.
fn fill(queue: Queue<Key>, keys: &[Key]) -> Queue<Key> {
    for key in keys {
        queue.add(key.clone(), Reason::Updated);
    }
    queue
}

/// The way out alone, of a queue that was filled at once, as after a start or a long outage.
fn backlog_drain(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("backlog_drain");
    // A million keys take a second to prepare: few samples, of as many rounds each.
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for count in BACKLOGS {
        let keys = keys(count);
        group.throughput(Throughput::Elements(count.into()));
        group.bench_function(format!("core/{count}"), |bencher| {
            bencher.iter_custom(|rounds| timed(rounds, || full_core(&keys), drain_core));
        });
        group.bench_function(format!("queue/{count}"), |bencher| {
            bencher.iter_custom(|rounds| timed(rounds, || full_queue(&keys), |queue| drain_queue(queue)));
        });
    }
    group.finish();
}

/// How long `work` takes, without its preparation; only one prepared state exists at a time.
fn timed<S>(rounds: u64, prepare: impl Fn() -> S, work: impl Fn(&mut S)) -> Duration {
    (0..rounds)
        .map(|_| {
            let mut state = prepare();
            let started = Instant::now();
            work(&mut state);
            started.elapsed()
        })
        .sum()
}

criterion_group!(benches, add_get_done, add_only, backlog_drain);
criterion_main!(benches);
