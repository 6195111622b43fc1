//! A `ReplicaSet` and its pods → pods made and deleted, and its status.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::owned::{self, PODS};
use super::step::{Step, Write, after, sooner};
use crate::history::Place;
use crate::object;
use crate::state::State;

pub(super) fn look(state: &State, place: &Place, set: &Value, now: Timestamp) -> Step {
    let mut writes = owned::claim(state, PODS, set);
    let all = owned::controlled(state, PODS, set);
    let active: Vec<&Arc<Value>> = all.iter().filter(|pod| owned::is_active(pod)).collect();
    let wished = usize::try_from(object::number(set, "/spec/replicas")).unwrap_or(0);
    if !object::is_terminating(set) && writes.is_empty() {
        writes.extend((active.len()..wished).map(|_| Write::create(PODS, owned::pod(set))));
        let superfluous = active.len().saturating_sub(wished);
        writes.extend(ranked(&active).into_iter().take(superfluous).map(|pod| {
            let place = owned::place(PODS, pod);
            Write::delete(&place, pod, "")
        }));
    }
    let (status, again) = status(set, &all, &active, now);
    if status != set["status"] {
        let mut told = set.clone();
        told["status"] = status;
        writes.push(Write::status(place, told));
    }
    Step { writes, again }
}

fn status(set: &Value, all: &[Arc<Value>], active: &[&Arc<Value>], now: Timestamp) -> (Value, Option<Timestamp>) {
    let seconds = object::number(set, "/spec/minReadySeconds");
    let labels = set["spec"]["template"]["metadata"]["labels"].as_object();
    let is_labelled =
        |pod: &Value| labels.into_iter().flatten().all(|(name, value)| pod["metadata"]["labels"][name] == *value);
    let is_going = |pod: &&Arc<Value>| object::is_terminating(pod) && !owned::is_over(pod);
    let ready: Vec<Timestamp> = active
        .iter()
        .filter(|pod| owned::is_ready(pod))
        .map(|pod| {
            let since = owned::condition(&pod["status"], "Ready");
            let since = since.and_then(|ready| object::time(ready, "/lastTransitionTime"));
            after(since.unwrap_or(now), seconds)
        })
        .collect();
    let available = ready.iter().filter(|since| **since <= now).count();
    let again = ready.iter().filter(|since| **since > now).fold(None, |next, since| sooner(next, Some(*since)));
    let mut status = json!({"replicas": active.len(), "observedGeneration": set["metadata"]["generation"]});
    for (name, count) in [
        ("fullyLabeledReplicas", active.iter().filter(|pod| is_labelled(pod)).count()),
        ("readyReplicas", ready.len()),
        ("availableReplicas", available),
    ] {
        if count > 0 {
            status[name] = count.into();
        }
    }
    status["terminatingReplicas"] = all.iter().filter(is_going).count().into();
    (status, again)
}

/// The pods in the order in which they are given up: those that serve least first.
fn ranked<'a>(active: &[&'a Arc<Value>]) -> Vec<&'a Arc<Value>> {
    let mut pods = active.to_vec();
    pods.sort_by_cached_key(|pod| {
        let is_assigned = pod["spec"]["nodeName"].is_string();
        let phase = match pod["status"]["phase"].as_str() {
            Some("Pending") => 0,
            Some("Running") => 2,
            _ => 1,
        };
        let cost = pod["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"].as_str();
        let cost: i64 = cost.and_then(|cost| cost.parse().ok()).unwrap_or(0);
        let since = owned::condition(&pod["status"], "Ready");
        let since = since.and_then(|ready| object::time(ready, "/lastTransitionTime")).map_or(0, Timestamp::as_second);
        let restarts: i64 = pod["status"]["containerStatuses"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|status| object::number(status, "/restartCount"))
            .sum();
        let born = object::time(pod, "/metadata/creationTimestamp").map_or(0, Timestamp::as_second);
        (is_assigned, phase, owned::is_ready(pod), cost, -since, -restarts, -born)
    });
    pods
}
