//! Every order in which two or three threads can use a queue.

mod explored;

use std::future::poll_fn;
use std::sync::LazyLock;
use std::task::Poll;
use std::time::Duration;

use engine_loom::backoff::Schedule;
use engine_loom::object::Key;
use engine_loom::trigger::Reason;
use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

/// Made before anything is explored: the dice of the crate `backoff` overflow the small stacks of loom's threads.
static SCHEDULE: LazyLock<Schedule> = LazyLock::new(|| Schedule::new(Duration::from_mins(1), Duration::from_mins(1)));

fn explore(run: impl Fn() + Send + Sync + 'static) {
    LazyLock::force(&SCHEDULE);
    explored::explore(run);
}

fn key(name: &str) -> Key {
    Key::new("n", name)
}

/// What is tried on the queue that is used is tried on broken ones as well, so each test is written for any.
macro_rules! tests_of {
    ($queue:path) => {
        use $queue::{Bucket, Limits, Queue, Verdict};

        use crate::*;

        fn queue() -> Queue<Key> {
            Queue::new(Limits { per_key: SCHEDULE.clone(), overall: Bucket::new(1, 1) })
        }

        #[allow(dead_code, reason = "not each is tried on each queue")]
        /// Two wait for two keys that come meanwhile.
        pub(super) fn takers_and_adds() {
            let queue = queue();
            let takers = [0, 1].map(|_| {
                let queue = queue.clone();
                thread::spawn(move || {
                    let taken = block_on(queue.take()).expect("it is open");
                    taken.done(Verdict::Done);
                })
            });
            queue.add(key("a"), Reason::Updated);
            queue.add(key("b"), Reason::Updated);
            for taker in takers {
                taker.join().expect("no panic");
            }
        }

        #[allow(dead_code, reason = "as above")]
        /// One who waits gives up, just when a key comes; another one waits for it as well.
        pub(super) fn giving_up() {
            let queue = queue();
            let fickle = {
                let queue = queue.clone();
                thread::spawn(move || {
                    let mut take = Box::pin(queue.take());
                    let taken = block_on(poll_fn(|context| Poll::Ready(take.as_mut().poll(context))));
                    if let Poll::Ready(taken) = taken {
                        taken.expect("it is open").done(Verdict::Done);
                        queue.add(key("another"), Reason::Updated);
                    }
                })
            };
            let other = {
                let queue = queue.clone();
                thread::spawn(move || block_on(queue.take()).expect("it is open").done(Verdict::Done))
            };
            queue.add(key("a"), Reason::Updated);
            fickle.join().expect("no panic");
            other.join().expect("no panic");
        }
    };
}

mod sound {
    tests_of!(engine_loom::queue);

    #[test]
    fn no_wakeup_is_lost() {
        explore(takers_and_adds);
    }

    #[test]
    fn who_gives_up_leaves_his_key_to_the_next() {
        explore(giving_up);
    }

    #[test]
    fn a_key_is_never_in_flight_twice_and_what_is_added_meanwhile_is_not_lost() {
        explore(|| {
            let queue = queue();
            let (held, seen) = (loom::sync::Arc::new(AtomicUsize::new(0)), loom::sync::Arc::new(AtomicUsize::new(0)));
            let workers = [0, 1].map(|_| {
                let (queue, held, seen) = (queue.clone(), held.clone(), seen.clone());
                thread::spawn(move || {
                    while let Some(taken) = block_on(queue.take()) {
                        assert_eq!(held.fetch_add(1, Ordering::SeqCst), 0, "one key, one worker");
                        seen.fetch_add(1, Ordering::SeqCst);
                        held.fetch_sub(1, Ordering::SeqCst);
                        taken.done(Verdict::Done);
                    }
                })
            });
            queue.add(key("a"), Reason::Updated);
            let before = seen.load(Ordering::SeqCst);
            queue.add(key("a"), Reason::Updated);
            queue.drain();
            for worker in workers {
                worker.join().expect("no panic");
            }
            assert!(seen.load(Ordering::SeqCst) > before, "it is handed out after the last time that it was added");
        });
    }

    #[test]
    fn closing_ends_every_wait() {
        explore(|| {
            let queue = queue();
            let taker = {
                let queue = queue.clone();
                thread::spawn(move || {
                    while let Some(taken) = block_on(queue.take()) {
                        taken.done(Verdict::Done);
                    }
                })
            };
            let driver = {
                let queue = queue.clone();
                thread::spawn(move || block_on(queue.drive()))
            };
            queue.add(key("a"), Reason::Updated);
            queue.close();
            block_on(queue.finished());
            taker.join().expect("no panic");
            driver.join().expect("no panic");
        });
    }

    #[test]
    fn a_drain_ends_once_the_last_key_is_given_back() {
        explore(|| {
            let queue = queue();
            queue.add(key("a"), Reason::Updated);
            let worker = {
                let queue = queue.clone();
                thread::spawn(move || {
                    while let Some(taken) = block_on(queue.take()) {
                        taken.next(Verdict::Failed);
                    }
                })
            };
            queue.drain();
            block_on(queue.finished());
            assert_eq!(queue.depth().in_flight + queue.depth().ready.iter().sum::<usize>(), 0);
            worker.join().expect("no panic");
        });
    }
}

/// A test that can't fail proves nothing: loom has to find what is wrong with these.
mod broken {
    use crate::explored::finds;

    #[test]
    fn loom_finds_a_wakeup_that_is_lost_between_look_and_wait() {
        finds("deadlock; threads =", "broken::looks_then_waits::is_explored");
    }

    #[test]
    fn loom_finds_a_wakeup_that_is_lost_with_one_who_gives_up() {
        finds("deadlock; threads =", "broken::gives_up_silently::is_explored");
    }

    mod looks_then_waits {
        tests_of!(engine_loom::looks_then_waits::queue);

        #[test]
        #[ignore = "it ends the process; run by loom_finds_a_wakeup_that_is_lost_between_look_and_wait"]
        fn is_explored() {
            explore(takers_and_adds);
        }
    }

    mod gives_up_silently {
        tests_of!(engine_loom::gives_up_silently::queue);

        #[test]
        #[ignore = "it ends the process; run by loom_finds_a_wakeup_that_is_lost_with_one_who_gives_up"]
        fn is_explored() {
            explore(giving_up);
        }
    }
}
