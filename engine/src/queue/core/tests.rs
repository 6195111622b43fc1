//! The queue without tasks or time: each rule, and a random walk against all of them.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn core() -> Core<&'static str> {
    let per_key = Schedule::new(SECOND, SECOND * 60);
    Core::new(Limits { per_key, overall: Bucket::new(1000, 1000) })
}

fn at(seconds: u64) -> Now {
    Duration::from_secs(seconds)
}

fn urgent() -> Trigger {
    Trigger::new(Reason::Updated).with_urgency(Urgency::Urgent)
}

/// Hands out everything that is ready, in order.
fn take_all(core: &mut Core<&'static str>) -> Vec<&'static str> {
    std::iter::from_fn(|| core.take(at(0)).map(|taken| taken.key)).collect()
}

#[test]
fn a_key_added_many_times_is_handed_out_once_in_the_order_of_first_adds() {
    let mut core = core();
    for key in ["b", "a", "b", "c", "a"] {
        core.add(at(0), key, Reason::Updated);
    }
    assert_eq!(take_all(&mut core), ["b", "a", "c"]);
}

#[test]
fn a_key_added_in_flight_is_handed_out_again_after_it_is_given_back() {
    let mut core = core();
    core.add(at(0), "a", Reason::Updated);
    core.take(at(0));
    core.add(at(0), "a", Reason::Updated);
    assert_eq!(core.take(at(0)).map(|taken| taken.key), None, "one key, one worker");
    core.done(at(1), "a", Verdict::Done);
    assert_eq!(core.take(at(0)).map(|taken| taken.key), Some("a"));
    core.done(at(2), "a", Verdict::Done);
    assert_eq!(core.take(at(0)).map(|taken| taken.key), None);
    assert!(core.items.is_empty(), "an idle key takes no memory");
}

#[test]
fn a_failed_key_waits_twice_as_long_each_time_and_success_forgets_it() {
    let mut core = core();
    let mut now = at(0);
    core.add(now, "a", Reason::Updated);
    for wait in [1, 2, 4, 8] {
        core.take(at(0)).expect("ready");
        core.done(now, "a", Verdict::Failed);
        assert_eq!(core.wake_at(), Some(now + SECOND * wait));
        now += SECOND * wait;
        assert!(core.release(now));
    }
    core.take(at(0)).expect("ready");
    core.done(now, "a", Verdict::Done);
    core.add(now, "a", Reason::Updated);
    core.take(at(0)).expect("ready");
    core.done(now, "a", Verdict::Failed);
    assert_eq!(core.wake_at(), Some(now + SECOND));
}

#[test]
fn an_ordinary_trigger_does_not_shorten_a_backoff_and_an_urgent_one_does() {
    let mut core = core();
    core.add(at(0), "a", Reason::Updated);
    core.take(at(0));
    core.add(at(0), "a", Reason::Updated);
    core.done(at(0), "a", Verdict::Failed);
    assert_eq!(core.take(at(0)).map(|taken| taken.key), None, "added in flight, but backed off");
    core.add(at(0), "a", Reason::Updated);
    assert_eq!(core.take(at(0)).map(|taken| taken.key), None);
    core.add(at(0), "a", urgent());
    assert_eq!(core.take(at(0)).map(|taken| taken.key), Some("a"));
    assert_eq!(core.waiting(), 0);
}

#[test]
fn an_urgent_trigger_in_flight_outlives_the_failure() {
    let mut core = core();
    core.add(at(0), "a", Reason::Updated);
    core.take(at(0));
    core.add(at(0), "a", urgent());
    core.add(at(0), "a", Reason::Updated);
    core.done(at(0), "a", Verdict::Failed);
    assert_eq!(core.take(at(0)).map(|taken| taken.key), Some("a"));
}

#[test]
fn a_postponed_key_is_not_counted_as_failed() {
    let mut core = core();
    core.add(at(0), "a", Reason::Updated);
    core.take(at(0));
    core.done(at(0), "a", Verdict::Postponed(SECOND * 5));
    assert_eq!((core.wake_at(), core.counts().retries), (Some(at(5)), 0));
    core.release(at(5));
    core.take(at(0));
    core.done(at(5), "a", Verdict::Failed);
    assert_eq!(core.wake_at(), Some(at(6)), "the first failure");
}

#[test]
fn of_two_delays_the_earlier_holds() {
    let mut core = core();
    core.add_at(at(0), "a", at(9));
    core.add_at(at(0), "a", at(5));
    core.add_at(at(0), "a", at(7));
    assert_eq!((core.wake_at(), core.waiting()), (Some(at(5)), 1));
    core.add(at(1), "a", Reason::Updated);
    assert_eq!((take_all(&mut core), core.wake_at()), (vec!["a"], None));
}

#[test]
fn a_delay_asked_for_in_flight_is_kept_until_the_key_is_given_back() {
    let mut core = core();
    core.add(at(0), "a", Reason::Updated);
    core.take(at(0));
    core.add_at(at(0), "a", at(4));
    core.done(at(1), "a", Verdict::After(SECOND * 10));
    assert_eq!(core.wake_at(), Some(at(4)));
}

#[test]
fn retries_of_all_keys_together_keep_to_the_overall_limit() {
    let limits = Limits { per_key: Schedule::new(Duration::from_millis(1), SECOND), overall: Bucket::new(1, 2) };
    let mut core = Core::new(limits);
    for key in 0..5 {
        core.add(at(100), key, Reason::Updated);
    }
    while let Some(key) = core.take(at(0)).map(|taken| taken.key) {
        core.done(at(100), key, Verdict::Failed);
    }
    let moments: Vec<u64> = core.waiting.keys().map(|ticket| ticket.0.as_secs()).collect();
    assert_eq!(moments, [100, 100, 101, 102, 103]);
}

#[test]
fn the_overall_limit_is_no_floor_for_triggers() {
    let limits = Limits { per_key: Schedule::new(SECOND, SECOND * 60), overall: Bucket::new(1, 1) };
    let mut core = Core::new(limits);
    for key in 0..100 {
        core.add(at(0), key, Reason::Updated);
    }
    while let Some(key) = core.take(at(0)).map(|taken| taken.key) {
        core.done(at(0), key, Verdict::Failed);
    }
    core.add(at(0), 99, Reason::Updated);
    assert_eq!(core.wake_at(), Some(at(1)), "its own backoff holds");
    core.add(at(1), 98, Reason::Updated);
    assert_eq!(core.take(at(0)).map(|taken| taken.key), Some(98), "and no longer than that");
}

#[test]
#[should_panic(expected = "given back by the one who holds it")]
fn a_key_that_is_not_in_flight_cannot_be_given_back() {
    let mut core = core();
    core.add(at(0), "a", Reason::Updated);
    core.done(at(0), "a", Verdict::Done);
}

#[derive(Debug, Clone)]
enum Step {
    Add(u8, bool),
    AddAfter(u8, u64),
    Take,
    Done(Verdict),
    Sleep(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0u8..4;
    let verdict = prop_oneof![
        Just(Verdict::Done),
        Just(Verdict::Failed),
        (0u64..5).prop_map(|seconds| Verdict::After(at(seconds))),
        (0u64..5).prop_map(|seconds| Verdict::Postponed(at(seconds))),
    ];
    let step = prop_oneof![
        (key.clone(), any::<bool>()).prop_map(|(key, urgent)| Step::Add(key, urgent)),
        (key, 0u64..9).prop_map(|(key, seconds)| Step::AddAfter(key, seconds)),
        Just(Step::Take),
        verdict.prop_map(Step::Done),
        (0u64..4).prop_map(Step::Sleep),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    /// Every key that was added is handed out after its last add, never to two at once, and the books stay in order.
    #[test]
    fn no_key_is_lost_and_none_is_in_flight_twice(steps in steps()) {
        let mut core: Core<u8> =
            Core::new(Limits { per_key: Schedule::new(SECOND, SECOND * 4), overall: Bucket::new(1000, 1000) });
        let mut now = Duration::ZERO;
        let mut owed = HashSet::new();
        let mut held = Vec::new();
        for step in steps {
            match step {
                Step::Add(key, urgent) => {
                    core.add(now, key, if urgent { self::urgent() } else { Reason::Updated.into() });
                    owed.insert(key);
                }
                Step::AddAfter(key, seconds) => {
                    core.add_at(now, key, now + at(seconds));
                    owed.insert(key);
                }
                Step::Take => if let Some(key) = core.take(at(0)).map(|taken| taken.key) {
                    prop_assert!(!held.contains(&key), "{key} is in flight twice");
                    owed.remove(&key);
                    held.push(key);
                },
                Step::Done(verdict) => if !held.is_empty() {
                    core.done(now, held.remove(0), verdict);
                },
                Step::Sleep(seconds) => {
                    now += at(seconds);
                    core.release(now);
                }
            }
            prop_assert_eq!(core.in_flight(), held.len());
            prop_assert_eq!(core.items.len(), core.ready() + core.waiting() + core.in_flight());
            let waiting = core.items.values().filter(|item| matches!(item.place, Place::Waiting(_))).count();
            prop_assert_eq!(core.waiting(), waiting);
        }
        while !core.items.is_empty() {
            while let Some(key) = held.pop() {
                core.done(now, key, Verdict::Done);
            }
            now += SECOND * 10;
            core.release(now);
            while let Some(key) = core.take(at(0)).map(|taken| taken.key) {
                owed.remove(&key);
                held.push(key);
            }
        }
        prop_assert!(owed.is_empty(), "never handed out: {owed:?}");
    }
}
