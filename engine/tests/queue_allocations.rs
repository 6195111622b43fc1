//! What the queue asks of the allocator: nothing, once it has seen as many keys as it holds.

use std::time::Duration;

use engine::backoff::Schedule;
use engine::object::Key;
use engine::queue::{Bucket, Limits, Queue, Verdict};
use engine::trigger::{Reason, Trigger, Urgency};

const KEYS: usize = 10_000;

/// How much memory a key takes, with the doubling ahead of need that vectors and hash tables do.
const BYTES: usize = 320;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Adds every key twice, fails a tenth of them, asks for a tenth while they are in flight, and ends with none.
fn round(queue: &Queue<Key>, keys: &[Key]) {
    let urgent = Trigger::new(Reason::Updated).with_urgency(Urgency::Urgent);
    for key in keys.iter().chain(keys) {
        queue.add(key.clone(), Reason::Updated);
    }
    for number in 0..keys.len() {
        let taken = queue.try_take().expect("each of them was added");
        match number % 10 {
            0 => taken.done(Verdict::Failed),
            1 => {
                queue.add(taken.key().clone(), Reason::Updated);
                taken.done(Verdict::Done);
            }
            _ => taken.done(Verdict::Done),
        }
    }
    for key in keys {
        queue.add(key.clone(), urgent);
    }
    while let Some(taken) = queue.try_take() {
        taken.done(Verdict::Done);
    }
}

#[test]
fn a_queue_that_has_run_for_a_while_allocates_nothing_and_keeps_a_key_in_little_room() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let keys: Vec<Key> =
        (0..KEYS).map(|number| Key::new(format!("n-{}", number % 100), format!("a-{number}"))).collect();
    let per_key = Schedule::new(Duration::from_mins(1), Duration::from_mins(1));
    let queue = Queue::new(Limits { per_key, overall: Bucket::new(50, 500) });

    let before = dhat::HeapStats::get();
    round(&queue, &keys);
    let warm = dhat::HeapStats::get();
    for _ in 0..3 {
        round(&queue, &keys);
    }
    assert_eq!(dhat::HeapStats::get().total_blocks, warm.total_blocks, "in three rounds of {KEYS} keys");
    let bytes = (warm.curr_bytes - before.curr_bytes) / KEYS;
    assert!(bytes <= BYTES, "{bytes} bytes a key");
}
