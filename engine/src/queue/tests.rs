//! The shell: wakeups, closing, giving back, under paused time.

use super::*;
use crate::backoff::Schedule;
use crate::trigger::{Reason, Urgency};

const MILLI: Duration = Duration::from_millis(1);

fn queue() -> Queue<&'static str> {
    Queue::new(Limits { per_key: Schedule::new(MILLI * 10, MILLI * 1000), overall: Bucket::new(1000, 1000) })
}

macro_rules! of_one_tenant {
    ($($key:ty),*) => {
        $(impl Tenanted for $key {
            type Tenant = ();

            fn tenant(&self) -> &() {
                &()
            }
        })*
    };
}

of_one_tenant!(&'static str, usize, i32);

async fn take<'q>(queue: &'q Queue<&'static str>) -> Taken<'q, &'static str> {
    queue.take().await.expect("the queue is open")
}

#[tokio::test]
async fn one_who_waits_is_woken_by_an_add() {
    let queue = queue();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { take(&queue).await.key().to_string() }
    });
    tokio::task::yield_now().await;
    queue.add("a", Reason::Updated);
    assert_eq!(waiting.await.expect("a key"), "a");
}

#[tokio::test]
async fn one_who_is_woken_and_gives_up_leaves_the_key_to_the_next() {
    let queue = queue();
    let mut first = Box::pin(queue.take());
    let second = tokio::spawn({
        let queue = queue.clone();
        async move { take(&queue).await.key().to_string() }
    });
    poll_fn(|context| {
        assert!(first.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    tokio::task::yield_now().await;
    queue.add("a", Reason::Updated);
    drop(first);
    assert_eq!(second.await.expect("the key"), "a");
}

#[tokio::test(start_paused = true)]
async fn a_delayed_key_comes_when_its_time_has_come_and_an_earlier_one_overtakes_it() {
    let queue = queue();
    let driver = tokio::spawn({
        let queue = queue.clone();
        async move { queue.drive().await }
    });
    let started = Instant::now();
    queue.add_after("late", MILLI * 500);
    tokio::task::yield_now().await;
    queue.add_after("early", MILLI * 100);
    take(&queue).await.done(Verdict::Done);
    assert_eq!(started.elapsed().as_millis(), 100);
    assert_eq!(take(&queue).await.key(), &"late");
    assert_eq!(started.elapsed().as_millis(), 500);
    driver.abort();
}

#[tokio::test(start_paused = true)]
async fn a_key_dropped_by_a_panicking_worker_is_tried_again_after_a_backoff() {
    let queue = queue();
    queue.add("a", Reason::Updated);
    let worker = tokio::spawn({
        let queue = queue.clone();
        async move {
            let _held = take(&queue).await;
            panic!("a bug in a reconciler");
        }
    });
    worker.await.expect_err("it panicked");
    assert_eq!((queue.depth().waiting, queue.counts().retries), (1, 1));
}

#[tokio::test]
async fn closing_ends_every_wait_and_hands_out_nothing_more() {
    let queue = queue();
    queue.add("in flight", Reason::Updated);
    let taken = take(&queue).await;
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.take().await.is_none() }
    });
    tokio::task::yield_now().await;
    queue.add("left over", Reason::Updated);
    queue.close();
    queue.add("too late", Reason::Updated);
    taken.done(Verdict::Failed);
    let _ = waiting.await.expect("no panic");
    assert!(queue.take().await.is_none());
    assert_eq!(queue.depth().in_flight, 0);
}

#[tokio::test]
async fn a_key_given_back_for_the_next_one_is_done() {
    let queue = queue();
    queue.add_all(["a", "b"].map(|key| (key, Trigger::new(Reason::Updated))));
    let second = take(&queue).await.next(Verdict::Done).expect("it is ready");
    assert_eq!((*second.key(), queue.depth().in_flight), ("b", 1));
    assert!(second.next(Verdict::Done).is_none());
    assert_eq!(queue.depth(), Depth::default());
}

#[tokio::test(start_paused = true)]
async fn draining_hands_out_what_is_ready_then_ends_every_wait_and_forgets_the_rest() {
    let queue = queue();
    for key in ["a", "b"] {
        queue.add(key, Reason::Updated);
    }
    queue.add_after("never", MILLI * 100);
    let first = take(&queue).await;
    queue.add("a", Reason::Updated);
    queue.drain();
    queue.add("too late", Reason::Updated);
    take(&queue).await.done(Verdict::Failed);
    let finished = tokio::spawn({
        let queue = queue.clone();
        async move { queue.finished().await }
    });
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.take().await.map(|taken| *taken.key()) }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished() && !finished.is_finished(), "the first key is still in flight");
    first.done(Verdict::Done);
    assert_eq!(waiting.await.expect("no panic"), Some("a"), "it was added before the end, while in flight");
    finished.await.expect("no panic");
    assert!(queue.take().await.is_none());
    assert_eq!(queue.depth(), Depth::default());
}

/// client-go's `ShutDownWithDrain` waits for ever for a worker that has not called `Done`.
#[tokio::test]
async fn a_drain_ends_though_a_worker_panics_or_is_cancelled() {
    let queue = queue();
    for key in ["panics", "is cancelled"] {
        queue.add(key, Reason::Updated);
    }
    let workers = [0, 1].map(|_| {
        let queue = queue.clone();
        tokio::spawn(async move {
            let taken = take(&queue).await;
            assert_ne!(taken.key(), &"panics");
            std::future::pending::<()>().await;
        })
    });
    tokio::task::yield_now().await;
    queue.drain();
    let [panicked, cancelled] = workers;
    panicked.await.expect_err("it panicked");
    cancelled.abort();
    queue.finished().await;
}

/// controller-runtime's queue ends at once where it was asked to drain; here one can do both.
#[tokio::test]
async fn closing_cuts_a_drain_short_and_is_not_undone_by_one() {
    let queue = queue();
    queue.add("held", Reason::Updated);
    let held = take(&queue).await;
    queue.add("left", Reason::Updated);
    queue.drain();
    queue.close();
    queue.drain();
    assert!(queue.take().await.is_none());
    // Whoever asks is told, however many ask.
    let mut finished = [0, 1].map(|_| Box::pin(queue.finished()));
    poll_fn(|context| {
        assert!(finished.iter_mut().all(|finished| finished.as_mut().poll(context).is_pending()));
        Poll::Ready(())
    })
    .await;
    held.done(Verdict::Done);
    for finished in finished {
        finished.await;
    }
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_driver_even_while_a_key_waits_for_its_time() {
    let queue = queue();
    queue.add_after("never", MILLI * 100);
    let driver = tokio::spawn({
        let queue = queue.clone();
        async move { queue.drive().await }
    });
    tokio::task::yield_now().await;
    queue.close();
    tokio::time::timeout(MILLI, driver).await.expect("it ends at once").expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_many_workers_every_key_is_handed_out_and_never_to_two_at_once() {
    use std::sync::atomic::{AtomicU32, Ordering};
    const KEYS: usize = 50;
    const ROUNDS: usize = 200;
    let queue: Queue<usize> =
        Queue::new(Limits { per_key: Schedule::new(MILLI, MILLI), overall: Bucket::new(1_000_000, 1_000_000) });
    let counters = || -> Arc<Vec<AtomicU32>> { Arc::new((0..KEYS).map(|_| AtomicU32::new(0)).collect()) };
    // Of each key: those who hold it, how often it was added, and which of these was the last when it was served.
    let (holders, added, served) = (counters(), counters(), counters());
    let driver = tokio::spawn({
        let queue = queue.clone();
        async move { queue.drive().await }
    });
    let workers: Vec<_> = (0..16)
        .map(|worker| {
            let (queue, holders, added, served) = (queue.clone(), holders.clone(), added.clone(), served.clone());
            tokio::spawn(async move {
                while let Some(taken) = queue.take().await {
                    let key = *taken.key();
                    assert_eq!(holders[key].fetch_add(1, Ordering::SeqCst), 0, "{key} is held twice");
                    let last = added[key].load(Ordering::SeqCst);
                    // So that it is added in flight.
                    for _ in 0..3 {
                        tokio::task::yield_now().await;
                    }
                    served[key].fetch_max(last, Ordering::SeqCst);
                    holders[key].fetch_sub(1, Ordering::SeqCst);
                    taken.done(if (key + worker) % 7 == 0 { Verdict::After(MILLI) } else { Verdict::Done });
                }
            })
        })
        .collect();
    for round in 0..ROUNDS {
        let urgency = if round % 3 == 0 { Urgency::Urgent } else { Urgency::Normal };
        for key in 0..KEYS {
            added[key].fetch_add(1, Ordering::SeqCst);
            queue.add(key, Trigger::new(Reason::Updated).with_urgency(urgency));
        }
        tokio::task::yield_now().await;
        let started = Instant::now();
        let is_behind = |key: usize| served[key].load(Ordering::SeqCst) < added[key].load(Ordering::SeqCst);
        while round % 10 == 9 && (0..KEYS).any(is_behind) {
            assert!(started.elapsed() < Duration::from_secs(30), "a key is not handed out again");
            tokio::time::sleep(MILLI).await;
        }
    }
    queue.close();
    for worker in workers {
        worker.await.expect("no key was held twice");
    }
    driver.abort();
}
