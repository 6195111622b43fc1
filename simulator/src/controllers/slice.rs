//! A Service and the pods that it selects → its `EndpointSlice`s.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::owned::{self, PODS, SLICES};
use super::step::{Step, Write};
use crate::managed;
use crate::object;
use crate::state::State;

/// The label of a slice with the name of its Service.
pub(super) const SERVICE: &str = "kubernetes.io/service-name";

/// The label of a slice with the name of who writes it.
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";

/// The label of slices whose Service has no address of its own.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// How many endpoints a slice has at most: the real controller's default.
const MOST: usize = 100;

/// Whether a Service selects a pod. One without a selector selects none.
pub(super) fn selects(service: &Value, pod: &Value) -> bool {
    let wished = service["spec"]["selector"].as_object().filter(|wished| !wished.is_empty());
    wished.is_some_and(|wished| wished.iter().all(|(name, value)| pod["metadata"]["labels"].get(name) == Some(value)))
}

pub(super) fn look(state: &State, service: &Value, now: Timestamp) -> Step {
    let name = object::text(service, "name");
    let namespace = object::text(service, "namespace");
    let has_selector = service["spec"]["selector"].as_object().is_some_and(|selector| !selector.is_empty());
    if !has_selector || service["spec"]["type"] == "ExternalName" || object::is_terminating(service) {
        return Step::default();
    }
    let pods = state.history.present(PODS, namespace);
    let pods = pods.iter().filter(|pod| selects(service, pod) && !owned::is_over(pod) && has_address(pod));
    // Pods whose ports bear other numbers go into other slices.
    let mut groups: BTreeMap<String, (Value, Vec<&Arc<Value>>)> = BTreeMap::new();
    for pod in pods {
        let ports = ports(service, pod);
        groups.entry(ports.to_string()).or_insert((ports, Vec::new())).1.push(pod);
    }
    // One without anything stands for none.
    if groups.is_empty() {
        groups.insert(String::new(), (json!([]), Vec::new()));
    }
    let mut wished = groups.into_values().flat_map(|(ports, pods)| {
        let chunks: Vec<&[&Arc<Value>]> = if pods.is_empty() { vec![&[]] } else { pods.chunks(MOST).collect() };
        let slice = |chunk: &&[&Arc<Value>]| content(service, &ports, chunk);
        chunks.iter().map(slice).collect::<Vec<_>>()
    });
    let own = |slice: &&Arc<Value>| {
        slice["metadata"]["labels"][SERVICE] == name
            && slice["metadata"]["labels"][MANAGED_BY] == MANAGER
            && !object::is_terminating(slice)
    };
    let slices = state.history.present(SLICES, namespace);
    let mut writes = Vec::new();
    for slice in slices.iter().filter(own) {
        let place = owned::place(SLICES, slice);
        match wished.next() {
            None => writes.push(Write::delete(&place, slice, "")),
            Some(content) if differs(slice, &content) => {
                writes.push(Write::update(&place, filled(Value::clone(slice), &content, now)));
            }
            Some(_) => {}
        }
    }
    for content in wished {
        writes.push(Write::create(SLICES, filled(shell(service), &content, now)));
    }
    Step::of(writes)
}

fn has_address(pod: &Value) -> bool {
    pod["status"]["podIP"].is_string()
}

/// A slice with nothing in it.
fn shell(service: &Value) -> Value {
    let name = object::text(service, "name");
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "generateName": format!("{name}-"), "namespace": service["metadata"]["namespace"],
            "ownerReferences": [owned::reference(service)],
        },
    })
}

fn filled(mut slice: Value, content: &Value, now: Timestamp) -> Value {
    for name in ["endpoints", "ports"] {
        slice[name] = content[name].clone();
    }
    object::set(&mut slice, "labels", Some(content["labels"].clone()));
    let annotations = object::map(object::metadata_mut(&mut slice).entry("annotations").or_insert(Value::Null));
    annotations.insert("endpoints.kubernetes.io/last-change-trigger-time".into(), managed::time(now));
    slice
}

fn differs(slice: &Value, content: &Value) -> bool {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    ["endpoints", "ports"].iter().any(|name| list(slice, name) != list(content, name))
        || slice["metadata"]["labels"] != content["labels"]
}

fn content(service: &Value, ports: &Value, pods: &[&Arc<Value>]) -> Value {
    let is_told_anyway = service["spec"]["publishNotReadyAddresses"] == true;
    let endpoint = |pod: &&Arc<Value>| {
        let (is_ready, is_going) = (owned::is_ready(pod), object::is_terminating(pod));
        json!({
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": is_told_anyway || is_ready && !is_going, "serving": is_ready, "terminating": is_going},
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": {
                "kind": "Pod", "name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"],
                "uid": pod["metadata"]["uid"],
            },
        })
    };
    let endpoints: Vec<Value> = pods.iter().map(endpoint).collect();
    json!({"ports": ports, "endpoints": endpoints, "labels": labels(service)})
}

/// The Service's labels, and those of every slice.
fn labels(service: &Value) -> Value {
    let mut labels = object::metadata(service).get("labels").and_then(Value::as_object).cloned().unwrap_or_default();
    labels.remove(HEADLESS);
    if matches!(service["spec"]["clusterIP"].as_str(), None | Some("" | "None")) {
        labels.insert(HEADLESS.into(), "".into());
    }
    labels.insert(SERVICE.into(), object::text(service, "name").into());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    labels.into()
}

/// The Service's ports as a pod has them.
fn ports(service: &Value, pod: &Value) -> Value {
    let port = |port: &Value| {
        let target = &port["targetPort"];
        let number = target.as_i64().or_else(|| named(pod, target.as_str()?, &port["protocol"]))?;
        let name = port["name"].as_str().unwrap_or_default();
        let mut slice = json!({"name": name, "protocol": port["protocol"], "port": number});
        if let Some(protocol) = port.get("appProtocol") {
            slice["appProtocol"] = protocol.clone();
        }
        Some(slice)
    };
    service["spec"]["ports"].as_array().into_iter().flatten().filter_map(port).collect()
}

/// The number of a container's port of that name.
fn named(pod: &Value, name: &str, protocol: &Value) -> Option<i64> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let found = ports.find(|port| port["name"] == name && port["protocol"] == *protocol)?;
    found["containerPort"].as_i64()
}
