//! `/binding`: a pod and the node that a scheduler has chosen for it → the pod there.

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::managed;
use crate::object;
use crate::state::{Call, State};
use crate::write::{self, Written};

/// Puts a pod on a node.
///
/// # Errors
///
/// If it isn't there, or is on one already.
pub fn bind(state: &mut State, call: &Call<'_>) -> Written {
    let name = &call.target.name;
    let binding: Value =
        serde_json::from_slice(&call.request.body).map_err(|error| Failure::bad_request(error.to_string()))?;
    let old = state.object(call)?;
    if let Some(node) = old["spec"]["nodeName"].as_str() {
        return Err(call.about(name).conflict(&format!("pod {name} is already assigned to node {node:?}")));
    }
    let mut new = Value::clone(&old);
    new["spec"]["nodeName"] = binding["target"]["name"].clone();
    let scheduled = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": managed::time(call.now),
    });
    let conditions = object::map(object::map(&mut new).entry("status").or_insert(Value::Null))
        .entry("conditions")
        .or_insert(Value::Null);
    let others = conditions.as_array().into_iter().flatten().filter(|one| one["type"] != "PodScheduled").cloned();
    *conditions = others.chain([scheduled]).collect();
    write::store(state, call, &old, new)?;
    Ok((201, json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})))
}
