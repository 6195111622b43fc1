//! What users of other runtimes have suffered from, each by name.

use std::cell::Cell;
use std::hash::{Hash, Hasher};

use super::*;

/// A key of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Owned {
    tenant: u32,
    number: u32,
}

impl Tenanted for Owned {
    type Tenant = u32;

    fn tenant(&self) -> &u32 {
        &self.tenant
    }
}

fn owned(tenant: u32, number: u32) -> Owned {
    Owned { tenant, number }
}

/// How many others are handed out before `key`, while `rival` comes back each time that it was handed out.
fn others_before(core: &mut Core<Owned>, key: Owned, mut rival: impl FnMut(u32) -> (Owned, Reason)) -> u32 {
    for others in 0..1_000_000 {
        let (other, reason) = rival(others);
        core.add(at(0), other, reason);
        let handout = core.take(at(0)).expect("the rival is ready");
        if handout.key == key {
            return others;
        }
        core.done(at(0), handout, Verdict::Done);
    }
    panic!("it starves");
}

/// kube-rs had one backoff for the whole controller.
#[test]
fn one_key_that_fails_does_not_slow_down_another() {
    let mut core = core();
    core.add(at(0), "broken", Reason::Updated);
    for now in [0, 1, 3, 7, 15, 31] {
        core.release(at(now));
        let handout = take(&mut core, now);
        core.done(at(now), handout, Verdict::Failed);
    }
    work(&mut core, 40, "sound", Verdict::Failed);
    assert_eq!(core.wake_at(), Some(at(41)), "a first failure costs what a first failure costs");
    core.release(at(41));
    assert_eq!(take_all(&mut core, 41), ["sound"]);
}

/// A controller's own status writes came back as events, and made each failure a hot loop.
#[test]
fn events_during_a_backoff_neither_retry_at_once_nor_lengthen_it() {
    let mut core = core();
    core.add(at(0), "a", Reason::Updated);
    let mut attempts = 0;
    for millis in 0..60_000 {
        let now = Duration::from_millis(millis);
        core.add(now, "a", Reason::Updated);
        core.release(now);
        if let Some(handout) = core.take(now) {
            attempts += 1;
            assert_eq!(handout.attempt, attempts);
            core.done(now, handout, Verdict::Failed);
        }
    }
    assert_eq!(attempts, 6, "at 0, 1, 3, 7, 15 and 31 seconds, whatever came in between");
}

/// A wish that was mended waited for minutes, for what had failed before.
#[test]
fn a_new_generation_does_not_wait_for_the_failures_of_the_old_one() {
    let mut core = core();
    let mut now = 0;
    core.add(at(now), "a", Reason::Updated);
    for _ in 0..8 {
        core.release(at(now));
        let handout = take(&mut core, now);
        core.done(at(now), handout, Verdict::Failed);
        now = core.wake_at().map_or(now, |at| at.as_secs());
    }
    core.add(at(now - 30), "a", urgent());
    let handout = take(&mut core, now - 30);
    core.done(at(now - 30), handout, Verdict::Failed);
    assert_eq!(core.wake_at(), Some(at(now - 29)), "and fails for the first time");
}

/// Live changes that never ended kept a resync waiting for more than half an hour.
#[test]
fn a_resync_ends_while_live_changes_never_do() {
    let mut core = Core::new(limits(1));
    let (resynced, live) = (owned(0, 0), |number| (owned(1, number), Reason::Updated));
    core.add(at(0), resynced, Reason::Resync);
    assert_eq!(others_before(&mut core, resynced, live), 7);
}

/// A change waited behind the first list of ten thousand objects.
#[test]
fn a_live_change_overtakes_a_first_list() {
    let mut core = Core::new(limits(1));
    for number in 0..10_000 {
        core.add(at(0), owned(number % 100, number), Reason::Listed);
    }
    core.take(at(0));
    core.add(at(0), owned(5, 20_000), Reason::Updated);
    let position = take_all(&mut core, 0).iter().position(|key| key.number == 20_000);
    assert_eq!(position, Some(0), "it is the next one");
}

/// An hour's backlog in one lane left the other with nothing, or with a share that never grew.
#[test]
fn a_lane_that_has_waited_for_long_gets_every_second_turn() {
    let mut core = Core::new(limits(1));
    for number in 0..100 {
        core.add(at(0), owned(0, number), Reason::Listed);
        core.add(at(0), owned(1, number), Reason::Updated);
    }
    let tenants: Vec<u32> = (0..20).filter_map(|_| core.take(at(11))).map(|handout| handout.key.tenant).collect();
    assert_eq!(tenants, [[1, 0]; 10].concat());
}

/// One namespace with a script in a loop held up everybody else.
#[test]
fn one_noisy_namespace_does_not_hold_up_a_hundred_quiet_ones() {
    let mut core = Core::new(limits(1));
    for number in 0..10_000 {
        core.add(at(0), owned(0, number), Reason::Updated);
    }
    for tenant in 1..=100 {
        core.add(at(0), owned(tenant, 0), Reason::Updated);
    }
    let first: Vec<Owned> = (0..101).filter_map(|_| core.take(at(0))).map(|handout| handout.key).collect();
    assert_eq!(first.iter().filter(|key| key.tenant == 0).count(), 1, "each has one of the first turns");
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), 101);
}

thread_local! {
    /// How often a key was compared with another.
    static COMPARED: Cell<u32> = const { Cell::new(0) };
}

/// A key that counts how often it is compared.
#[derive(Debug, Eq)]
struct Counted(Owned);

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        COMPARED.set(COMPARED.get() + 1);
        self.0 == other.0
    }
}

impl Tenanted for Counted {
    type Tenant = u32;

    fn tenant(&self) -> &u32 {
        &self.0.tenant
    }
}

/// A scan of the whole backlog for each key, or a copy of it, made a large one fatal.
#[test]
fn a_backlog_of_a_hundred_thousand_keys_is_stored_once_and_each_costs_the_same() {
    const KEYS: u32 = 100_000;
    let mut core = Core::new(limits(1));
    for round in 0..3 {
        COMPARED.set(0);
        for number in (0..KEYS).chain(0..KEYS) {
            core.add(at(round), Counted(owned(number / 10, number)), Reason::Listed);
        }
        assert_eq!(core.items.slots(), KEYS as usize, "in round {round}");
        while let Some(handout) = core.take(at(round)) {
            core.done(at(round), handout, Verdict::Done);
        }
        assert_eq!(core.items.len(), 0);
        assert_eq!(COMPARED.get(), KEYS, "each with itself, when it was added again");
    }
}

proptest! {
    /// Whatever is there already, and whatever comes later, a key waits for no more than the documented number of others.
    #[test]
    fn each_wait_is_bounded(
        queued in prop::collection::vec((0u32..6, 0u32..20, any::<bool>()), 0..60),
        resync in any::<bool>(),
        tenant in 0u32..6,
        rivals in prop::collection::vec((0u32..6, any::<bool>()), 1..10),
    ) {
        let reason = |resync: bool| if resync { Reason::Resync } else { Reason::Updated };
        let mut core = Core::new(limits(1));
        for &(tenant, number, resync) in &queued {
            core.add(at(0), owned(tenant, number), reason(resync));
        }
        let key = owned(tenant, 999);
        let before = core.items.iter().filter(|(_, item)| item.key.is_some_and(|other| other.tenant == tenant)).count();
        core.add(at(0), key, reason(resync));
        let others = others_before(&mut core, key, |round| {
            let (tenant, resync) = rivals[round as usize % rivals.len()];
            (owned(tenant, 1_000 + round), reason(resync))
        });
        prop_assert!(others as usize <= 8 * 6 * (before + 1), "{others} others, {before} of its tenant before it");
    }

    /// Tenants that have keys get as many as each other, however many each has.
    #[test]
    fn tenants_with_work_get_equal_shares(sizes in prop::collection::vec(20u32..200, 2..8)) {
        let mut core = Core::new(limits(1));
        for (tenant, size) in (0..).zip(&sizes) {
            for number in 0..*size {
                core.add(at(0), owned(tenant, number), Reason::Updated);
            }
        }
        let mut shares = vec![0; sizes.len()];
        for _ in 0..20 * sizes.len() {
            shares[core.take(at(0)).expect("there are as many").key.tenant as usize] += 1;
        }
        prop_assert!(shares.iter().all(|share| *share == 20), "{shares:?}");
    }
}
