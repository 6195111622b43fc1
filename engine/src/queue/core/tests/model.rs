//! The same rules on plain collections that are searched from end to end, and random walks of both.

use std::collections::{BTreeMap, VecDeque};
use std::hash::Hasher;

use super::*;

/// A key, of the tenant that is its lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Number(u8, bool);

impl Number {
    fn new(number: u8) -> Self {
        Self(number, number % 2 == 1)
    }
}

impl Tenanted for Number {
    type Tenant = bool;

    fn tenant(&self) -> &bool {
        &self.1
    }
}

/// Hashes everything to one of two values, so that all keys are in each other's way.
#[derive(Debug, Default, Clone, Copy)]
struct Colliding(u64);

impl Hasher for Colliding {
    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= u64::from(bytes.iter().fold(0, |all, byte| all ^ byte) & 1);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Debug, Clone, Copy)]
struct State {
    place: Where,
    failures: u32,
    floor: Now,
    lane: Lane,
    cause: Cause,
    again: Option<(Now, bool, Lane, Cause)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Where {
    Ready,
    Waiting(Now, u32),
    Held,
}

#[derive(Debug, Default)]
struct Model {
    keys: BTreeMap<Number, State>,
    /// By lane: the tenants' turns, and all keys in the order in which they came.
    turns: [VecDeque<bool>; 2],
    ready: [Vec<Number>; 2],
    passed_over: u32,
    issued: u32,
}

impl Model {
    fn ask(&mut self, now: Now, key: Number, due: Now, trigger: Trigger) {
        let Trigger { cause, lane, urgency } = trigger;
        let urgent = urgency == Urgency::Urgent;
        let Some(state) = self.keys.get_mut(&key) else {
            let place = Where::Held;
            self.keys.insert(key, State { place, failures: 0, floor: Now::ZERO, lane, cause, again: None });
            return self.put(now, key, due);
        };
        if state.place == Where::Held {
            let again = state.again.unwrap_or((due, urgent, lane, cause));
            state.again = Some((again.0.min(due), again.1 | urgent, again.2.max(lane), again.3.union(cause)));
            return;
        }
        state.cause = state.cause.union(cause);
        if urgent {
            (state.failures, state.floor) = (0, Now::ZERO);
        }
        match state.place {
            Where::Ready if due <= now && lane > state.lane => {
                let former = mem::replace(&mut state.lane, lane);
                self.ready[former.index()].retain(|other| *other != key);
                self.forget_turns(former.index());
                self.make_ready(key);
            }
            Where::Waiting(former, _) => {
                state.lane = state.lane.max(lane);
                let due = due.max(state.floor);
                if due < former {
                    self.put(now, key, due);
                }
            }
            _ => {}
        }
    }

    fn put(&mut self, now: Now, key: Number, due: Now) {
        if due <= now {
            return self.make_ready(key);
        }
        self.issued += 1;
        self.keys.get_mut(&key).expect("known").place = Where::Waiting(due, self.issued);
    }

    fn make_ready(&mut self, key: Number) {
        let state = self.keys.get_mut(&key).expect("known");
        state.place = Where::Ready;
        let lane = state.lane.index();
        self.ready[lane].push(key);
        if !self.turns[lane].contains(&key.1) {
            self.turns[lane].push_back(key.1);
        }
    }

    fn forget_turns(&mut self, lane: usize) {
        if self.ready[lane].is_empty() {
            self.turns[lane].clear();
        }
    }

    /// Whoever is first in a lane that is looked at, and has no key there any more, loses his turn.
    fn skip_turns(&mut self, lane: usize) {
        while let Some(&tenant) = self.turns[lane].front()
            && self.ready[lane].iter().all(|key| key.1 != tenant)
        {
            self.turns[lane].pop_front();
        }
    }

    fn take(&mut self) -> Option<(Number, u32, Cause)> {
        if self.ready.iter().all(|keys| !keys.is_empty()) {
            self.skip_turns(1);
        }
        let lane = match (self.ready[0].is_empty(), self.ready[1].is_empty()) {
            (true, true) => {
                self.passed_over = 0;
                return None;
            }
            (false, false) if self.passed_over < 7 => {
                self.passed_over += 1;
                0
            }
            (empty, _) => {
                self.passed_over = 0;
                usize::from(empty || !self.ready[1].is_empty())
            }
        };
        loop {
            let tenant = self.turns[lane].pop_front()?;
            let Some(place) = self.ready[lane].iter().position(|key| key.1 == tenant) else { continue };
            let key = self.ready[lane].remove(place);
            if self.ready[lane].iter().any(|key| key.1 == tenant) {
                self.turns[lane].push_back(tenant);
            }
            self.forget_turns(lane);
            let state = self.keys.get_mut(&key)?;
            state.place = Where::Held;
            return Some((key, state.failures + 1, mem::take(&mut state.cause)));
        }
    }

    fn done(&mut self, now: Now, key: Number, verdict: Verdict, schedule: &Schedule) {
        let state = self.keys.get_mut(&key).expect("held");
        let again = state.again.take();
        let asked = again.map(|again| again.0);
        let urgent = again.is_some_and(|again| again.1);
        if let Some((_, _, lane, cause)) = again {
            (state.lane, state.cause) = (state.lane.max(lane), cause);
        }
        let add = |state: &mut State, reason| state.cause = state.cause.union(Cause::new(reason));
        let due = match verdict {
            Verdict::Done => asked,
            Verdict::After(delay) | Verdict::Await(delay) => {
                if asked.is_none_or(|asked| now + delay < asked) {
                    add(state, Reason::Timer);
                }
                Some(asked.unwrap_or(now + delay).min(now + delay))
            }
            Verdict::Failed if urgent => {
                (state.failures, state.floor) = (0, Now::ZERO);
                asked
            }
            Verdict::Failed => {
                state.failures += 1;
                state.floor = now + schedule.delay(state.failures);
                Some(state.floor)
            }
            Verdict::Postponed(_) if urgent => asked,
            Verdict::Postponed(delay) => {
                state.floor = now + delay;
                Some(state.floor)
            }
        };
        match verdict {
            Verdict::Done | Verdict::After(_) => (state.failures, state.floor) = (0, Now::ZERO),
            Verdict::Failed | Verdict::Postponed(_) => add(state, Reason::Retry),
            Verdict::Await(_) => {}
        }
        match due {
            Some(due) => self.put(now, key, due),
            None => drop(self.keys.remove(&key)),
        }
    }

    fn release(&mut self, now: Now) {
        let mut due: Vec<_> = self
            .keys
            .iter()
            .filter_map(|(key, state)| match state.place {
                Where::Waiting(at, ticket) if at <= now => Some((at, ticket, *key)),
                _ => None,
            })
            .collect();
        due.sort_unstable();
        for (.., key) in due {
            self.make_ready(key);
        }
    }

    fn wake_at(&self) -> Option<Now> {
        self.keys
            .values()
            .filter_map(|state| match state.place {
                Where::Waiting(at, _) => Some(at),
                _ => None,
            })
            .min()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add(u8, Reason, bool),
    AddAfter(u8, Duration),
    Take,
    Done(usize, Verdict),
    Forget(u8),
    Sleep(Duration),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0u8..8;
    let verdict = prop_oneof![
        3 => Just(Verdict::Done),
        2 => Just(Verdict::Failed),
        1 => (0u64..5).prop_map(|millis| Verdict::After(milli(millis))),
        1 => (0u64..5).prop_map(|millis| Verdict::Await(milli(millis))),
        1 => (0u64..5).prop_map(|millis| Verdict::Postponed(milli(millis))),
    ];
    let reason = prop::sample::select(&[Reason::Updated, Reason::Listed, Reason::Deleted, Reason::Resync][..]);
    let step = prop_oneof![
        4 => (key.clone(), reason, prop::bool::weighted(0.2)).prop_map(|(key, reason, urgent)| Step::Add(key, reason, urgent)),
        1 => (key.clone(), 0u64..9).prop_map(|(key, millis)| Step::AddAfter(key, milli(millis))),
        3 => Just(Step::Take),
        3 => (0usize..4, verdict).prop_map(|(which, verdict)| Step::Done(which, verdict)),
        1 => key.prop_map(Step::Forget),
        1 => (0u64..3).prop_map(|millis| Step::Sleep(milli(millis))),
    ];
    prop::collection::vec(step, 0..150)
}

/// Does the same to both, and compares all that can be seen from without. Time passes in such steps that no lane ages.
fn walk<S: BuildHasher>(mut core: Core<Number, S>, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let schedule = core.limits.per_key.clone();
    let mut model = Model::default();
    let mut now = Duration::ZERO;
    let mut held = Vec::new();
    for step in steps {
        match step {
            Step::Add(key, reason, urgent) => {
                let urgency = if urgent { Urgency::Urgent } else { Urgency::Normal };
                let trigger = Trigger::new(reason).with_urgency(urgency).from_source(key.into());
                core.add(now, Number::new(key), trigger);
                model.ask(now, Number::new(key), Now::ZERO, trigger);
            }
            Step::AddAfter(key, delay) => {
                core.add_at(now, Number::new(key), now + delay);
                model.ask(now, Number::new(key), now + delay, Reason::Timer.into());
            }
            Step::Take => {
                let taken = core.take(now);
                prop_assert_eq!(taken.as_ref().map(|taken| (taken.key, taken.attempt, taken.cause)), model.take());
                held.extend(taken);
            }
            Step::Done(which, verdict) => {
                if !held.is_empty() {
                    let handout = held.remove(which % held.len());
                    model.done(now, handout.key, verdict, &schedule);
                    core.done(now, handout, verdict);
                }
            }
            Step::Forget(key) => {
                core.forget(now, &Number::new(key));
                if let Some(state) = model.keys.get_mut(&Number::new(key)) {
                    (state.failures, state.floor) = (0, state.floor.min(now));
                }
            }
            Step::Sleep(time) => {
                now += time;
                core.release(now);
                model.release(now);
            }
        }
        let depth = core.depth(now);
        prop_assert_eq!(depth.in_flight, held.len());
        prop_assert_eq!(depth.ready, [model.ready[0].len(), model.ready[1].len()]);
        let total = depth.ready.iter().sum::<usize>() + depth.waiting + depth.in_flight;
        prop_assert_eq!(total, model.keys.len());
        prop_assert_eq!(core.wake_at(), model.wake_at());
    }
    while !model.keys.is_empty() {
        for handout in held.drain(..) {
            model.done(now, handout.key, Verdict::Done, &schedule);
            core.done(now, handout, Verdict::Done);
        }
        now += SECOND;
        core.release(now);
        model.release(now);
        while let Some(handout) = core.take(now) {
            prop_assert_eq!(Some((handout.key, handout.attempt, handout.cause)), model.take());
            held.push(handout);
        }
    }
    prop_assert_eq!((core.items.len(), core.ready.len(), core.depth(now).waiting, core.ready.tenants()), (0, 0, 0, 0));
    Ok(())
}

/// No lane ages within a walk, and the limit of all keys together never holds.
fn walked() -> Limits {
    Limits { per_key: Schedule::new(milli(1), milli(4)), overall: Bucket::new(1_000_000, 1_000_000) }
}

fn milli(count: u64) -> Duration {
    Duration::from_millis(count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_queue_does_what_a_simple_model_does(steps in steps()) {
        walk(Core::new(walked()), steps)?;
    }

    /// Every key that was added is handed out after its last add, and never to two at once, though no hash tells them apart.
    #[test]
    fn keys_whose_hashes_collide_are_neither_lost_nor_in_flight_twice(steps in steps()) {
        let mut core = Core::with_hasher(walked(), BuildHasherDefault::<Colliding>::default());
        let mut now = Duration::ZERO;
        let mut owed = HashSet::new();
        let mut held: Vec<Handout<Number>> = Vec::new();
        for step in steps {
            match step {
                Step::Add(key, reason, _) => {
                    core.add(now, Number::new(key), reason);
                    owed.insert(Number::new(key));
                }
                Step::AddAfter(key, delay) => {
                    core.add_at(now, Number::new(key), now + delay);
                    owed.insert(Number::new(key));
                }
                Step::Take => if let Some(handout) = core.take(now) {
                    prop_assert!(held.iter().all(|other| other.key != handout.key), "{:?} is in flight twice", handout.key);
                    owed.remove(&handout.key);
                    held.push(handout);
                },
                Step::Done(which, verdict) => if !held.is_empty() {
                    core.done(now, held.remove(which % held.len()), verdict);
                },
                Step::Forget(key) => core.forget(now, &Number::new(key)),
                Step::Sleep(time) => {
                    now += time;
                    core.release(now);
                }
            }
        }
        while core.items.len() > 0 {
            for handout in held.drain(..) {
                core.done(now, handout, Verdict::Done);
            }
            now += SECOND;
            core.release(now);
            while let Some(handout) = core.take(now) {
                owed.remove(&handout.key);
                held.push(handout);
            }
        }
        prop_assert!(owed.is_empty(), "never handed out: {owed:?}");
    }
}
