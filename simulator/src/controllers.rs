//! What acts behind the API: a change → who looks at what, and when; a look at the present state → what is written.
//!
//! Each controller is a function from the state, a place in it and the time to a `Step`: what it would write now, and
//! when it wants to look again. It keeps nothing in mind, so that whatever happens between two looks is met by the next.
//! What is written goes the way of any request.

mod deployment;
mod fate;
mod garbage;
mod job;
mod kubelet;
mod life;
mod namespace;
mod owned;
mod replica_set;
mod scheduler;
mod slice;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use self::owned::{DEPLOYMENTS, JOBS, NAMESPACES, PODS, SERVICES, SETS, SLICES};
use self::step::Step;
use crate::history::{Change, Place};
use crate::identity::Identities;
use crate::object;
use crate::selector;
use crate::server::{Answer, Server};
use crate::state::State;

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Deployment,
    ReplicaSet,
    Job,
    /// The same controller, where there is no Job (any more).
    OrphanPod,
    Slice,
    Garbage,
    Namespace,
    Scheduler,
    Kubelet,
}

/// Who looks at what.
type Task = (Role, Place);

/// The controllers, the scheduler and the kubelet of all nodes.
///
/// # Invariants
///
/// 1. `due` and `when` hold the same tasks under the same times.
/// 2. Whatever the state holds in version `seen` has been looked at since it last changed, or is due, by whomever the change
///    concerns.
#[derive(Debug, Clone)]
pub struct Controllers {
    seen: u64,
    due: BTreeSet<(Timestamp, Task)>,
    when: BTreeMap<Task, Timestamp>,
    /// How often in a row a task's writes were refused.
    refused: BTreeMap<Task, u32>,
    chance: Identities,
}

/// The longest that a change takes to be looked at, in microseconds. Each look draws its own, so that other seeds bring other
/// orders; on a real cluster it is the way through a watch and a queue.
const LATENCY: u64 = 5_000;

/// The first and the longest pause after a refused write, in seconds: those of client-go's queues are 5 ms and 1,000 s, but
/// nobody waits here for a quarter of an hour.
const REFUSED: (i64, i64) = (1, 64);

impl Controllers {
    /// Those of a seed. They take in what is there with the first step.
    pub fn new(seed: u64) -> Self {
        let (due, when, refused) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        Self { seen: 0, due, when, refused, chance: Identities::new(!seed) }
    }

    /// Lets the one whose turn it is look and write. Whether there was any at this time.
    pub fn step(&mut self, server: &mut Server, now: Timestamp) -> bool {
        self.hear(server.state(), now);
        let Some((_, task)) = self.due.first().filter(|(at, _)| *at <= now).cloned() else { return false };
        self.forget(&task);
        let Step { writes, again } = task.0.look(server.state(), &task.1, now);
        let mut is_refused = false;
        for write in writes {
            let Some(request) = write.request(&server.state().catalog, task.0.agent()) else { continue };
            let answer = server.handle(now, &request);
            // What has changed meanwhile wakes the task by itself.
            is_refused |= matches!(answer, Answer::Document { code, .. } if code >= 400 && code != 404 && code != 409);
        }
        if is_refused {
            let count = self.refused.entry(task.clone()).or_default();
            let pause = (REFUSED.0 << (*count).min(6)).min(REFUSED.1);
            *count += 1;
            self.plan(task.clone(), step::after(now, pause));
        } else {
            self.refused.remove(&task);
        }
        if let Some(again) = again {
            self.plan(task, again);
        }
        true
    }

    /// When somebody is due next although nothing changes; `None` if nobody is. Changes that were not heard of yet (by
    /// [`step`](Self::step)) don't count.
    pub fn due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes in what has changed.
    fn hear(&mut self, state: &State, now: Timestamp) {
        let mut tasks = BTreeSet::new();
        if self.seen < state.history.compacted() {
            for (place, object) in state.history.all() {
                let version = self.seen;
                let (place, new) = (place.clone(), object.clone());
                touch(state, &Change { version, place, old: None, new, is_deletion: false }, &mut tasks);
            }
        } else {
            state.history.since(self.seen).for_each(|change| touch(state, change, &mut tasks));
        }
        self.seen = state.history.version();
        for task in tasks {
            let micros = i64::try_from(self.chance.below(LATENCY)).unwrap_or(0);
            let at = now.saturating_add(SignedDuration::from_micros(micros)).unwrap_or(now);
            self.plan(task, at);
        }
    }

    /// The earlier of two times holds.
    fn plan(&mut self, task: Task, at: Timestamp) {
        if self.when.get(&task).is_some_and(|known| *known <= at) {
            return;
        }
        self.forget(&task);
        self.when.insert(task.clone(), at);
        self.due.insert((at, task));
    }

    fn forget(&mut self, task: &Task) {
        if let Some(at) = self.when.remove(task) {
            self.due.remove(&(at, task.clone()));
        }
    }
}

impl Role {
    fn look(self, state: &State, place: &Place, now: Timestamp) -> Step {
        let Some(object) = state.history.get(place) else { return Step::default() };
        match self {
            Self::Deployment => deployment::look(state, place, object, now),
            Self::ReplicaSet => replica_set::look(state, place, object, now),
            Self::Job => job::look(state, place, object, now),
            Self::OrphanPod => job::let_go(state, place, object),
            Self::Slice => slice::look(state, object, now),
            Self::Garbage => garbage::look(state, place, object),
            Self::Namespace => namespace::look(state, place, object, now),
            Self::Scheduler => scheduler::look(place, object, now),
            Self::Kubelet => kubelet::look(place, object, now),
        }
    }

    /// The name under which it writes.
    fn agent(self) -> &'static str {
        match self {
            Self::Scheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            _ => "kube-controller-manager",
        }
    }
}

/// Whom a change concerns.
fn touch(state: &State, change: &Change, tasks: &mut BTreeSet<Task>) {
    let (place, new) = (&change.place, &*change.new);
    let sibling = |resource: &str, name: &str| Place {
        resource: resource.to_owned(),
        namespace: place.namespace.clone(),
        name: name.to_owned(),
    };
    // The controller, before and after.
    let controllers = [change.old.as_deref(), Some(new)].into_iter().flatten().filter_map(object::controller);
    for controller in controllers {
        let name = controller["name"].as_str().unwrap_or_default();
        match controller["kind"].as_str().unwrap_or_default() {
            "Deployment" => drop(tasks.insert((Role::Deployment, sibling(DEPLOYMENTS, name)))),
            "Job" => drop(tasks.insert((Role::Job, sibling(JOBS, name)))),
            "ReplicaSet" => {
                let set = sibling(SETS, name);
                // A Deployment that replaces all of its pods at once waits until the last one is gone.
                if change.is_deletion {
                    let found = state.history.get(&set).and_then(|set| object::controller(set));
                    let name = found.and_then(|deployment| deployment["name"].as_str());
                    tasks.extend(name.map(|name| (Role::Deployment, sibling(DEPLOYMENTS, name))));
                }
                tasks.insert((Role::ReplicaSet, set));
            }
            _ => {}
        }
    }
    let own = match place.resource.as_str() {
        DEPLOYMENTS => Some(Role::Deployment),
        SETS => Some(Role::ReplicaSet),
        JOBS if change.is_deletion => {
            let pods = state.history.dependents(object::text(new, "uid")).filter(|(place, _)| place.resource == PODS);
            tasks.extend(pods.map(|(place, _)| (Role::OrphanPod, place.clone())));
            None
        }
        JOBS => Some(Role::Job),
        SERVICES => Some(Role::Slice),
        NAMESPACES => Some(Role::Namespace),
        PODS => {
            let services = state.history.present(SERVICES, &place.namespace);
            let concerned = services.iter().filter(|service| {
                slice::selects(service, new) || change.old.as_ref().is_some_and(|old| slice::selects(service, old))
            });
            tasks.extend(concerned.map(|service| (Role::Slice, owned::place(SERVICES, service))));
            if object::finalizers(new).contains(&job::TRACKING) {
                tasks.insert((Role::OrphanPod, place.clone()));
            }
            // One for which there was no node is tried again once it asks for another one, whatever is told of it meanwhile.
            let asks_anew = change.old.as_ref().is_none_or(|old| old["spec"] != new["spec"]);
            if new["spec"]["nodeName"].is_string() { Some(Role::Kubelet) } else { asks_anew.then_some(Role::Scheduler) }
        }
        SLICES => {
            let service = object::metadata(new).get("labels").and_then(|labels| labels[slice::SERVICE].as_str());
            tasks.extend(service.map(|service| (Role::Slice, sibling(SERVICES, service))));
            None
        }
        _ => None,
    };
    tasks.extend(own.map(|role| (role, place.clone())));
    // Who selects what nobody owns takes it in.
    let adopter = match place.resource.as_str() {
        PODS => Some((Role::ReplicaSet, SETS)),
        SETS => Some((Role::Deployment, DEPLOYMENTS)),
        _ => None,
    };
    if let Some((role, resource)) = adopter.filter(|_| !change.is_deletion && object::owners(new).is_empty()) {
        let all = state.history.present(resource, &place.namespace);
        let finds = |owner: &&std::sync::Arc<Value>| selector::selects(&owner["spec"]["selector"], new);
        tasks.extend(all.iter().filter(finds).map(|owner| (role, owned::place(resource, owner))));
    }
    garbage(state, change, tasks);
    if (change.is_deletion || object::is_terminating(new)) && !place.namespace.is_empty() {
        let namespace = Place { resource: NAMESPACES.into(), namespace: String::new(), name: place.namespace.clone() };
        if state.history.get(&namespace).is_some_and(|namespace| object::is_terminating(namespace)) {
            tasks.insert((Role::Namespace, namespace));
        }
    }
}

/// What a change has to do with owners and what they own.
fn garbage(state: &State, change: &Change, tasks: &mut BTreeSet<Task>) {
    let (place, new) = (&change.place, &*change.new);
    let mut owners: Vec<&Value> = object::owners(new).iter().collect();
    if change.is_deletion {
        let dependents = state.history.dependents(object::text(new, "uid"));
        tasks.extend(dependents.map(|(place, _)| (Role::Garbage, place.clone())));
    } else {
        let is_owned_anew = change.old.as_ref().is_none_or(|old| object::owners(old) != object::owners(new));
        if is_owned_anew && !owners.is_empty() || object::is_terminating(new) {
            tasks.insert((Role::Garbage, place.clone()));
        }
        owners.extend(change.old.iter().flat_map(|old| object::owners(old)).filter(|_| is_owned_anew));
    }
    // An owner may wait for this.
    for owner in owners {
        let found = garbage::owner(state, place, owner)
            .filter(|place| state.history.get(place).is_some_and(|owner| object::is_terminating(owner)));
        tasks.extend(found.map(|place| (Role::Garbage, place)));
    }
}
