//! A pod without a node → the node; or why there is none for it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::owned;
use super::step::{Step, Write};
use crate::history::Place;
use crate::managed;
use crate::object;

/// The one node that there is. It has room for any number of pods, and no labels.
pub(super) const NODE: &str = "simulator";

pub(super) fn look(place: &Place, pod: &Value, now: Timestamp) -> Step {
    let is_gated = pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty());
    if object::is_terminating(pod) || pod["spec"]["nodeName"].is_string() || is_gated {
        return Step::default();
    }
    if pod["spec"]["nodeSelector"].as_object().is_none_or(serde_json::Map::is_empty) {
        return Step::of(vec![Write::bind(place, NODE)]);
    }
    let why = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/1 nodes are \
               available: 1 Preemption is not helpful for scheduling.";
    if owned::condition(&pod["status"], "PodScheduled").is_some_and(|scheduled| scheduled["message"] == why) {
        return Step::default();
    }
    let condition = json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why,
        "lastProbeTime": null, "lastTransitionTime": managed::time(now),
    });
    Step::of(vec![Write::merge_status(place, &json!({"conditions": [condition]}))])
}
