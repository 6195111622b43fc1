//! The queue without tasks or time: each rule, and random walks against a model that is too simple to be wrong.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::iter;

use proptest::prelude::*;

use super::*;

mod model;
mod suffered;

const SECOND: Duration = Duration::from_secs(1);

/// A key of one tenant.
type Name = &'static str;

fn limits(burst: u32) -> Limits {
    Limits { per_key: Schedule::new(SECOND, SECOND * 60), overall: Bucket::new(burst, burst) }
}

fn core() -> Core<Name> {
    Core::new(limits(1000))
}

fn at(seconds: u64) -> Now {
    Duration::from_secs(seconds)
}

fn urgent() -> Trigger {
    Trigger::new(Reason::Updated).with_urgency(Urgency::Urgent)
}

#[track_caller]
fn take(core: &mut Core<Name>, seconds: u64) -> Handout<Name> {
    core.take(at(seconds)).expect("a key is ready")
}

/// Adds a key, takes it, and gives it back so.
fn work(core: &mut Core<Name>, seconds: u64, key: Name, verdict: Verdict) {
    core.add(at(seconds), key, Reason::Updated);
    let handout = take(core, seconds);
    core.done(at(seconds), handout, verdict);
}

/// Hands out everything that is ready, in order.
fn take_all<K: Tenanted>(core: &mut Core<K>, seconds: u64) -> Vec<K> {
    iter::from_fn(|| core.take(at(seconds)).map(|handout| handout.key)).collect()
}

#[test]
fn a_key_added_many_times_is_handed_out_once_in_the_order_of_first_adds() {
    let mut core = core();
    for key in ["b", "a", "b", "c", "a"] {
        core.add(at(0), key, Reason::Updated);
    }
    assert_eq!(take_all(&mut core, 0), ["b", "a", "c"]);
}

#[test]
fn a_key_added_in_flight_is_handed_out_again_after_it_is_given_back() {
    let mut core = core();
    core.add(at(0), "a", Reason::Updated);
    let first = take(&mut core, 0);
    core.add(at(0), "a", Reason::Deleted);
    assert!(core.take(at(0)).is_none(), "one key, one worker");
    assert_eq!(core.done(at(1), first, Verdict::Done), None);
    let again = take(&mut core, 1);
    assert_eq!((again.key, again.cause), ("a", Cause::new(Reason::Deleted)));
    assert_eq!(core.done(at(2), again, Verdict::Done), Some("a"));
    assert!(core.take(at(2)).is_none());
    assert_eq!(core.items.len(), 0, "an idle key takes no memory");
}

#[test]
fn a_failed_key_waits_twice_as_long_each_time_and_success_forgets_it() {
    let mut core = core();
    let mut now = 0;
    core.add(at(now), "a", Reason::Updated);
    for (attempt, wait) in (1..).zip([1, 2, 4, 8]) {
        let handout = take(&mut core, now);
        assert_eq!(handout.attempt, attempt);
        core.done(at(now), handout, Verdict::Failed);
        now += wait;
        assert_eq!(core.wake_at(), Some(at(now)));
        assert!(core.release(at(now)));
    }
    let handout = take(&mut core, now);
    core.done(at(now), handout, Verdict::Done);
    work(&mut core, now, "a", Verdict::Failed);
    assert_eq!(core.wake_at(), Some(at(now + 1)));
}

#[test]
fn a_forgotten_failure_holds_no_trigger_and_counts_no_longer() {
    let mut core = core();
    for now in [0, 1, 3] {
        core.release(at(now));
        core.add(at(now), "a", Reason::Updated);
        let handout = take(&mut core, now);
        core.done(at(now), handout, Verdict::Failed);
    }
    core.forget(at(3), &"a");
    core.add(at(3), "a", Reason::Updated);
    let handout = take(&mut core, 3);
    assert_eq!(handout.attempt, 1);
    core.forget(at(3), &"a");
    core.done(at(3), handout, Verdict::Failed);
    assert_eq!(core.wake_at(), Some(at(4)), "the first failure");
}

#[test]
fn an_ordinary_trigger_does_not_shorten_a_backoff_and_an_urgent_one_does() {
    let mut core = core();
    core.add(at(0), "a", Reason::Updated);
    let handout = take(&mut core, 0);
    core.add(at(0), "a", Reason::Updated);
    core.done(at(0), handout, Verdict::Failed);
    assert!(core.take(at(0)).is_none(), "added in flight, but backed off");
    core.add(at(0), "a", Reason::Updated);
    assert!(core.take(at(0)).is_none());
    core.add(at(0), "a", urgent());
    let handout = take(&mut core, 0);
    assert_eq!((handout.attempt, core.depth(at(0)).waiting), (1, 0));
    assert_eq!(handout.cause.to_string(), "updated+retry");
}

#[test]
fn an_urgent_trigger_in_flight_outlives_the_failure() {
    let mut core = core();
    core.add(at(0), "a", Reason::Updated);
    let handout = take(&mut core, 0);
    core.add(at(0), "a", urgent());
    core.add(at(0), "a", Reason::Updated);
    core.done(at(0), handout, Verdict::Failed);
    assert_eq!(take_all(&mut core, 0), ["a"]);
}

#[test]
fn a_postponed_key_is_not_counted_as_failed_and_comes_no_sooner() {
    let mut core = core();
    work(&mut core, 0, "a", Verdict::Postponed(SECOND * 5));
    core.add(at(1), "a", Reason::Updated);
    assert_eq!((core.wake_at(), core.counts().retries), (Some(at(5)), 1), "put back for later");
    core.release(at(5));
    let handout = take(&mut core, 5);
    core.done(at(5), handout, Verdict::Failed);
    assert_eq!(core.wake_at(), Some(at(6)), "the first failure");
}

#[test]
fn a_key_that_awaits_a_version_comes_with_it_or_after_its_time_and_keeps_its_failures() {
    let mut core = core();
    work(&mut core, 0, "a", Verdict::Failed);
    core.release(at(1));
    let handout = take(&mut core, 1);
    core.done(at(1), handout, Verdict::Await(SECOND * 9));
    assert_eq!(core.wake_at(), Some(at(10)));
    core.add(at(2), "a", Reason::Updated);
    let handout = take(&mut core, 2);
    assert_eq!(handout.attempt, 2);
    core.add(at(3), "a", Reason::Updated);
    core.done(at(3), handout, Verdict::Await(SECOND * 9));
    assert_eq!(take_all(&mut core, 3), ["a"], "it came while the worker was at it");
}

#[test]
fn of_two_delays_the_earlier_holds() {
    let mut core = core();
    core.add_at(at(0), "a", at(9));
    core.add_at(at(0), "a", at(5));
    core.add_at(at(0), "a", at(7));
    assert_eq!((core.wake_at(), core.depth(at(0)).waiting), (Some(at(5)), 1));
    core.add(at(1), "a", Reason::Updated);
    assert_eq!((take_all(&mut core, 1), core.wake_at()), (vec!["a"], None));
}

#[test]
fn a_delay_asked_for_in_flight_is_kept_until_the_key_is_given_back() {
    let mut core = core();
    core.add(at(0), "a", Reason::Updated);
    let handout = take(&mut core, 0);
    core.add_at(at(0), "a", at(4));
    core.done(at(1), handout, Verdict::After(SECOND * 10));
    assert_eq!(core.wake_at(), Some(at(4)));
}

#[test]
fn retries_of_all_keys_together_keep_to_the_overall_limit() {
    let limits = Limits { per_key: Schedule::new(Duration::from_millis(1), SECOND), overall: Bucket::new(1, 2) };
    let mut core = Core::new(limits);
    for key in 0..5 {
        core.add(at(100), key, Reason::Updated);
    }
    while let Some(handout) = core.take(at(100)) {
        core.done(at(100), handout, Verdict::Failed);
    }
    let mut moments = Vec::new();
    while let Some(moment) = core.wake_at() {
        core.release(moment);
        moments.extend(iter::from_fn(|| core.take(moment)).map(|_| moment.as_secs()));
    }
    assert_eq!(moments, [100, 100, 101, 102, 103]);
}

#[test]
fn the_overall_limit_is_no_floor_for_triggers() {
    let mut core = Core::new(limits(1));
    for key in 0..100 {
        core.add(at(0), key, Reason::Updated);
    }
    while let Some(handout) = core.take(at(0)) {
        core.done(at(0), handout, Verdict::Failed);
    }
    core.add(at(0), 99, Reason::Updated);
    assert_eq!(core.wake_at(), Some(at(1)), "its own backoff holds");
    core.add(at(1), 98, Reason::Updated);
    assert_eq!(core.take(at(1)).map(|handout| handout.key), Some(98), "and no longer than that");
}

#[test]
fn a_lane_is_raised_by_a_live_change_and_not_lowered_by_a_resync() {
    let mut core = core();
    for key in ["a", "b", "c"] {
        core.add(at(0), key, Reason::Listed);
    }
    core.add(at(0), "c", Reason::Updated);
    core.add(at(0), "c", Reason::Resync);
    assert_eq!(core.depth(at(0)).ready, [1, 2]);
    let first = take(&mut core, 0);
    assert_eq!((first.key, first.cause.to_string()), ("c", "updated+listed+resync".to_owned()));
    assert_eq!(take_all(&mut core, 0), ["a", "b"]);
}

#[test]
fn metrics_tell_what_waits_and_runs_for_how_long() {
    let mut core = core();
    core.add(at(0), "a", Reason::Updated);
    core.add(at(2), "b", Reason::Updated);
    core.add(at(3), "c", Reason::Listed);
    assert_eq!(take(&mut core, 5).queued_for, SECOND * 5);
    let second = take(&mut core, 6);
    let depth = core.depth(at(10));
    assert_eq!((depth.ready, depth.in_flight), ([0, 1], 2));
    assert_eq!((depth.oldest_ready, depth.longest_running, depth.unfinished), (SECOND * 7, SECOND * 5, SECOND * 9));
    core.done(at(12), second, Verdict::Done);
    let counts = core.counts();
    assert_eq!((counts.adds, counts.taken, counts.queued.count(), counts.worked.count()), (3, 2, 2, 1));
    assert_eq!((counts.queued.sum(), counts.worked.sum()), (SECOND * 9, SECOND * 6));
}

#[test]
#[should_panic(expected = "given back to the queue that it is from")]
fn a_key_of_another_queue_cannot_be_given_back() {
    let (mut core, mut other) = (core(), core());
    for core in [&mut core, &mut other] {
        core.add(at(0), "a", Reason::Updated);
    }
    let handout = take(&mut core, 0);
    other.done(at(0), handout, Verdict::Done);
}

#[test]
fn cancelled_timers_do_not_pile_up() {
    let mut core = core();
    // Those behind one that is not cancelled are out of sight.
    core.add_at(at(0), "early", at(5));
    for round in 0..10_000 {
        core.add_at(at(0), "a", at(10));
        core.add(at(0), "a", Reason::Updated);
        let handout = core.take(at(0)).expect("it is ready");
        core.done(at(0), handout, Verdict::Done);
        assert!(core.waiting.entries() < 200, "round {round}");
    }
    assert_eq!(core.wake_at(), Some(at(5)));
}
