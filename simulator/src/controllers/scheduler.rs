//! A pod without a node → the node; or why there is none for it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::owned;
use super::step::{Step, Write};
use crate::history::Place;
use crate::managed;
use crate::object;

/// The one node that there is. It has room for any number of pods.
pub(super) const NODE: &str = "simulator";

/// Its labels: those that every kubelet gives its node.
const LABELS: [(&str, &str); 3] =
    [("kubernetes.io/arch", "amd64"), ("kubernetes.io/hostname", NODE), ("kubernetes.io/os", "linux")];

pub(super) fn look(place: &Place, pod: &Value, now: Timestamp) -> Step {
    let is_gated = pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty());
    if object::is_terminating(pod) || pod["spec"]["nodeName"].is_string() || is_gated {
        return Step::default();
    }
    let is_met = |(name, value): (&String, &Value)| LABELS.iter().any(|label| label.0 == name && value == label.1);
    if pod["spec"]["nodeSelector"].as_object().is_none_or(|selector| selector.iter().all(is_met)) {
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
