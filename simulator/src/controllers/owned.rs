//! Owners and what they own, as controllers look at them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::step::Write;
use crate::history::Place;
use crate::object;
use crate::selector;
use crate::state::State;

pub(super) const PODS: &str = "pods.";
pub(super) const SERVICES: &str = "services.";
pub(super) const SETS: &str = "replicasets.apps";
pub(super) const DEPLOYMENTS: &str = "deployments.apps";
pub(super) const JOBS: &str = "jobs.batch";
pub(super) const SLICES: &str = "endpointslices.discovery.k8s.io";
pub(super) const NAMESPACES: &str = "namespaces.";

/// The place of an object of a resource.
pub(super) fn place(resource: &str, object: &Value) -> Place {
    let text = |field| object::text(object, field).to_owned();
    Place { resource: resource.to_owned(), namespace: text("namespace"), name: text("name") }
}

/// What of a resource is controlled by `owner`, in the order of names.
pub(super) fn controlled(state: &State, resource: &str, owner: &Value) -> Vec<Arc<Value>> {
    let uid = object::text(owner, "uid");
    let is_controlled = |object: &Value| object::controller(object).is_some_and(|controller| controller["uid"] == uid);
    let all =
        state.history.dependents(uid).filter(|(place, object)| place.resource == resource && is_controlled(object));
    all.map(|(_, object)| object.clone()).collect()
}

/// Writes by which `owner` takes in what its selector finds and nobody owns, and lets go of what it no longer finds.
pub(super) fn claim(state: &State, resource: &str, owner: &Value) -> Vec<Write> {
    if object::is_terminating(owner) {
        return Vec::new();
    }
    let finds = |object: &Arc<Value>| selector::selects(&owner["spec"]["selector"], object);
    let orphans = state.history.unowned(resource, object::text(owner, "namespace")).filter(|one| is_active(one));
    let adopt = |object: &Arc<Value>| {
        let metadata = json!({"uid": object::text(object, "uid"), "ownerReferences": [reference(owner)]});
        Write::merge(&place(resource, object), json!({"metadata": metadata}))
    };
    let release = |object: &Arc<Value>| disown(&place(resource, object), object, object::text(owner, "uid"));
    let own = controlled(state, resource, owner);
    let lost = own.iter().filter(|one| is_active(one) && !finds(one));
    orphans.filter(|one| finds(one)).map(adopt).chain(lost.map(release)).collect()
}

/// The write by which an object is no longer owned by `owner`.
pub(super) fn disown(place: &Place, object: &Value, owner: &str) -> Write {
    let others: Vec<&Value> = object::owners(object).iter().filter(|one| one["uid"] != owner).collect();
    let others = if others.is_empty() { Value::Null } else { json!(others) };
    Write::merge(place, json!({"metadata": {"uid": object::text(object, "uid"), "ownerReferences": others}}))
}

/// The reference by which `owner` controls something.
pub(super) fn reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    })
}

/// A condition of an object's status.
pub(super) fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// A pod from a template, named after its owner.
pub(super) fn pod(owner: &Value) -> Value {
    let template = &owner["spec"]["template"];
    let mut metadata = json!({
        "generateName": format!("{}-", object::text(owner, "name")), "namespace": owner["metadata"]["namespace"],
        "ownerReferences": [reference(owner)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

/// Whether a pod counts: it has not ended, and is not on its way out.
pub(super) fn is_active(pod: &Value) -> bool {
    !object::is_terminating(pod) && !is_over(pod)
}

/// Whether its containers have ended for good.
pub(super) fn is_over(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Whether it serves.
pub(super) fn is_ready(pod: &Value) -> bool {
    condition(&pod["status"], "Ready").is_some_and(|ready| ready["status"] == "True")
}
