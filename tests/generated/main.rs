//! Specs that nobody wrote: each property of the definition's schema at its bounds, beyond them and absent, and changes from
//! each of a set of whole specs to each other. Each is refused by a message that names the field, or does what it says, or is
//! told why not; and the way back from it leaves nothing behind. Nor does what somebody makes of the children, which is undone.
//!
//! Beside the operator there are the API server and etcd alone; of pods that are ready, the test reports. What is tried:
//!
//! | variable | |
//! |---|---|
//! | `GENERATED` | how many of the mutations are tried; `all` for all |
//! | `GENERATED_SEED` | by which they, and the mixed specs, are drawn |
//! | `GENERATED_SPECS` | how many whole specs there are; of each ordered pair of them, one is applied over the other, and the children of one are written over those of the other |

#[path = "../support/mod.rs"]
mod support;

mod life;
mod mutation;
mod schema;
mod spec;
mod state;
mod told;
mod value;

use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use fastrand::Rng;
use serde_json::Value;
use testbed::Options;

use crate::life::{Answer, Life};
use crate::mutation::{Mutation, small};
use crate::state::{View, differences};
use crate::support::{Operator, World, record};

/// Applications that are worked on at the same time.
const CONCURRENCY: usize = 16;

/// Mutations that are tried where nothing is said: as many as are through in half a minute.
const MUTATIONS: usize = 300;

/// Whole specs where nothing is said: those that are written down.
const SPECS: usize = spec::KNOWN;

/// Fields that the API server drops without a word, as long as their feature gate is off (`ContainerStopSignals`, alpha): the
/// operator says that they are not as wished.
const GATED: [&str; 1] = ["stopSignal"];

/// Faults that are shown.
const SHOWN: usize = 40;

/// A namespace, and the operator that looks after it.
struct Space {
    namespace: String,
    view: View,
    _operator: Operator,
    /// Dropped after the operator, since its end asks what the operator was refused.
    _kept: support::Space<'static>,
}

impl Space {
    /// A namespace whose operator allows what the flags say.
    fn new(world: &'static World, namespace: &str, flags: &[&str]) -> Self {
        let space = world.space(namespace);
        let operator = world.operator(&[&["--namespace", namespace], flags].concat());
        Self { namespace: namespace.to_owned(), view: View::of(world, namespace), _operator: operator, _kept: space }
    }

    fn life(&self, world: &'static World, name: String) -> Life {
        Life::new(&world.api, self.namespace.clone(), self.view.clone(), name)
    }
}

fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    WORLD.get_or_init(|| World::start(Options::api_only())).as_ref()
}

const EVERYTHING: [&str; 3] = ["--allow-volumes=all", "--allow-service-accounts", "--allow-privileged"];

fn setting(name: &str, default: usize) -> usize {
    match env::var(name).as_deref() {
        Err(_) => default,
        Ok("all") => usize::MAX,
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")),
    }
}

fn rng() -> Rng {
    Rng::with_seed(setting("GENERATED_SEED", 1) as u64)
}

/// What came of all that was tried.
#[derive(Default)]
struct Outcome {
    faults: Vec<String>,
    /// Reasons of what was admitted, and what was refused, counted.
    counts: BTreeMap<String, usize>,
}

/// Tries each of `cases`, several at a time; `try_one` is given a worker's number.
fn try_all<T: Sync>(cases: &[T], try_one: impl Fn(usize, &T, &Mutex<Outcome>) + Sync) -> Outcome {
    let (next, outcome) = (AtomicUsize::new(0), Mutex::<Outcome>::default());
    thread::scope(|scope| {
        for worker in 0..CONCURRENCY {
            let (next, outcome, try_one) = (&next, &outcome, &try_one);
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    try_one(worker, case, outcome);
                }
            });
        }
    });
    outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn note(outcome: &Mutex<Outcome>, what: &str, faults: Vec<String>) {
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
    *outcome.counts.entry(what.to_owned()).or_default() += 1;
    outcome.faults.extend(faults);
}

#[track_caller]
fn assert_sound(what: &str, cases: usize, start: Instant, outcome: &Outcome) {
    record(what, (cases, &outcome.counts, start.elapsed()));
    let faults = &outcome.faults;
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults[..faults.len().min(SHOWN)].join("\n"));
}

#[test]
fn each_value_of_each_property_is_refused_by_name_or_done_or_told_and_leaves_nothing_behind() {
    let Some(world) = world() else { return };
    let open = Space::new(world, "generated", &EVERYTHING);
    let closed = Space::new(world, "generated-closed", &[]);
    let mut mutations = mutation::all(&schema::of_spec(), &spec::whole());
    let number = setting("GENERATED", MUTATIONS);
    if number < mutations.len() {
        mutations = mutation::some(mutations, number, &mut rng());
    }
    let start = Instant::now();
    let mut fresh = open.life(world, "g99-fresh".to_owned());
    let base = fresh.become_base().expect("the least that there can be");

    let lives: Vec<Mutex<[Life; 2]>> = (0..CONCURRENCY)
        .map(|worker| {
            let name = format!("g{worker:02}-1");
            Mutex::new([open.life(world, name.clone()), closed.life(world, name)])
        })
        .collect();
    let numbered: Vec<(usize, Mutation)> = mutations.into_iter().enumerate().collect();
    let outcome = try_all(&numbered, |worker, (index, mutation), outcome| {
        let mut lives = lives[worker].lock().unwrap_or_else(PoisonError::into_inner);
        // Most of what an operator that allows nothing refuses is the same.
        let life = &mut lives[usize::from(index % 8 == 7)];
        let (reason, faults) = try_mutation(life, mutation, &base);
        if !faults.is_empty() {
            life.begin_anew();
        }
        let faults = faults.into_iter().map(|fault| format!("{}: {fault}", mutation.what())).collect();
        note(outcome, &reason, faults);
    });
    assert_sound("mutations", numbered.len(), start, &outcome);
}

/// What is told of a mutation, and what is wrong with that.
fn try_mutation(life: &mut Life, mutation: &Mutation, base: &state::Children) -> (String, Vec<String>) {
    if !life.is_alive()
        && let Err(fault) = life.become_base()
    {
        return ("stuck".to_owned(), vec![fault]);
    }
    let fields: Vec<&str> = mutation.property.fields().collect();
    let (reason, mut faults) = match life.become_spec(&mutation.spec) {
        Answer::Refused(message) => {
            let names_it = message.contains(fields[0]);
            let faults = if names_it { vec![] } else { vec![format!("refused without a name: {message}")] };
            return ("refused".to_owned(), faults);
        }
        Answer::Failed(what) => ("failed".to_owned(), vec![what]),
        Answer::Told(told) => {
            let faults = match &*told.reason {
                "Available" | "ScaledToZero" => life.dropped(),
                "NotAllowed" => {
                    let now = life.children();
                    differences(&now, base).into_iter().map(|what| format!("not allowed, and {what}")).collect()
                }
                "ApplyRejected" | "ConfigMissing" | "RevisionNotFound" | "GatewayAPIAbsent" if told.names(&fields) => {
                    vec![]
                }
                "Contested" if told.names(&fields) && fields.iter().any(|field| GATED.contains(field)) => vec![],
                "Migrating" | "RevisionRequested" => vec![],
                _ => vec![format!("told {}: {}", told.reason, told.message)],
            };
            (told.reason, faults)
        }
    };
    if let Err(fault) = life.become_base() {
        faults.push(format!("on the way back: {fault}"));
    } else {
        let left = life.differences_to(base);
        faults.extend(left.into_iter().map(|what| format!("after the way back, {what}")));
    }
    (reason, faults)
}

#[test]
fn from_each_whole_spec_to_each_other_the_children_end_as_if_the_other_had_been_the_first() {
    try_pairs("pairs", |life, [from, to], fresh| {
        let (mut faults, mut reasons, mut is_done) = (Vec::new(), Vec::new(), true);
        for spec in [from, to] {
            match life.become_spec(spec) {
                Answer::Told(told) => {
                    is_done = told.ready || !is_for_good(&told.message);
                    reasons.push(told.reason);
                }
                Answer::Refused(said) | Answer::Failed(said) => faults.push(said),
            }
        }
        if is_done {
            faults.extend(life.differences_to(fresh));
        }
        (reasons.join(", then "), faults)
    });
}

#[test]
fn whatever_somebody_makes_of_the_children_is_undone() {
    try_pairs("edits", |life, [from, _], others| {
        let before = match life.become_spec(from) {
            Answer::Told(told) => told.reason,
            Answer::Refused(said) | Answer::Failed(said) => return ("failed".to_owned(), vec![said]),
        };
        if life.overwrite(others) == 0 {
            return (before, vec!["nothing could be overwritten".to_owned()]);
        }
        let fault = match life.recover() {
            Ok(after) if after == before => None,
            Ok(after) => Some(format!("told {after}, and {before} before")),
            Err(fault) => Some(fault),
        };
        (before, fault.into_iter().collect())
    });
}

/// Tries each ordered pair of whole specs with an Application of its own; `try_pair` is given the children of one that has never
/// been anything but the second, and says what was told, and what is wrong.
fn try_pairs(what: &str, try_pair: impl Fn(&mut Life, [&Value; 2], &state::Children) -> (String, Vec<String>) + Sync) {
    let Some(world) = world() else { return };
    let space = Space::new(world, &format!("generated-{what}"), &EVERYTHING);
    let specs = whole_specs(&space, world);
    let indexes = 0..specs.len();
    let pairs: Vec<_> = indexes.clone().flat_map(|from| indexes.clone().map(move |to| (from, to))).collect();
    let pairs: Vec<_> = pairs.into_iter().filter(|(from, to)| from != to).collect();
    let start = Instant::now();
    let outcome = try_all(&pairs, |_, (from, to), outcome| {
        let mut life = space.life(world, format!("{what}-{from:03}-{to:03}"));
        let ((first, _), (second, fresh)) = (&specs[*from], &specs[*to]);
        let (told, faults) = try_pair(&mut life, [first, second], fresh);
        let named = |fault: String| format!("{} and {}: {fault}", small_or(first), small_or(second));
        note(outcome, &told, faults.into_iter().map(named).collect());
        life.end();
    });
    assert_sound(what, pairs.len(), start, &outcome);
}

/// Whole specs, each with the children of an Application that has never been anything else.
fn whole_specs(space: &Space, world: &'static World) -> Vec<(Value, state::Children)> {
    let specs = spec::specs(setting("GENERATED_SPECS", SPECS), &mut rng());
    let start = Instant::now();
    let found = Mutex::new(BTreeMap::new());
    let numbered: Vec<(usize, &Value)> = specs.iter().enumerate().collect();
    let outcome = try_all(&numbered, |_, (index, spec), outcome| {
        let mut life = space.life(world, format!("fresh-{index:03}"));
        match life.become_spec(spec) {
            Answer::Told(told) if told.ready && !told.degraded => match life.settled_children() {
                Ok(children) => {
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.insert(*index, ((*spec).clone(), children));
                }
                Err(dropped) => note(outcome, "failed", vec![format!("{spec}: {dropped}")]),
            },
            // A mixture may break a rule.
            Answer::Refused(_) | Answer::Told(_) if *index >= spec::KNOWN => note(outcome, "no spec", vec![]),
            Answer::Refused(said) | Answer::Failed(said) => {
                note(outcome, "failed", vec![format!("{spec}: {said}")]);
            }
            Answer::Told(told) => note(outcome, "failed", vec![format!("{spec}: {told:?}")]),
        }
        life.end();
    });
    assert_sound("whole specs", specs.len(), start, &outcome);
    found.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// Whether a change is refused that Kubernetes lets nobody make: what is told says so.
fn is_for_good(message: &str) -> bool {
    message.contains("spec.loadBalancerClass: Invalid value") && message.contains("may not change once set")
}

/// What a spec has beside the least.
fn small_or(spec: &Value) -> Value {
    let small = small();
    let fields = spec.as_object().cloned().unwrap_or_default().into_iter();
    fields.filter(|(field, value)| small.get(field) != Some(value)).collect::<serde_json::Map<_, _>>().into()
}
