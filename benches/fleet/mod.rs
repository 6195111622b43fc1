//! A fleet of Applications as the API server sends it, converged: what is measured and counted on. Pure.
//!
//! Each object is as large as one that has lived for a while: with the server's defaults, and with the managed fields of
//! whoever writes it, which make up a third to a half of what an API server sends.

#![allow(dead_code, reason = "each program that includes this uses a part of it")]

use application_operator::application::Allowed;
use application_operator::observe::{Found, Kind, Observed};
use application_operator::plan::render;
use application_operator::status::{Attempt, status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};

/// Applications of each namespace.
pub(crate) const PER_NAMESPACE: usize = 10;

/// When everything was written.
pub(crate) const WRITTEN: &str = "2026-01-01T00:00:00Z";

/// Whatever a converged fleet is allowed: nothing special.
pub(crate) fn allowed() -> Allowed {
    Allowed::default()
}

/// The Application with this number, its status as the operator would write it.
pub(crate) fn application(number: usize) -> Value {
    let mut application = wish(number);
    let decoded = decoded(&application);
    let observed = observed(number);
    let now: Time = serde_json::from_value(json!(WRITTEN)).expect("a time");
    let status = status(&decoded, &observed, &allowed(), &Attempt::Made, &now);
    application["status"] = serde_json::to_value(status).expect("a status");
    managed(&mut application, &[("kubectl", "spec"), ("application-operator", "status")]);
    application
}

/// The child of that Application.
pub(crate) fn child(number: usize, kind: Kind) -> Option<Value> {
    let mut child = render(&decoded(&wish(number)), &Observed::default(), kind)?;
    identify(&mut child, kind.resource().plural, number);
    if kind == Kind::Deployment {
        defaults(&mut child["spec"]);
        child["status"] = json!({
            "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
            "conditions": [
                condition("Available", "MinimumReplicasAvailable", "Deployment has minimum availability."),
                condition("Progressing", "NewReplicaSetAvailable", "ReplicaSet has successfully progressed."),
            ],
        });
    }
    managed(&mut child, &[("application-operator", "spec"), ("kube-controller-manager", "status")]);
    Some(child)
}

/// A pod of that Application that runs.
pub(crate) fn pod(number: usize) -> Value {
    let deployment = child(number, Kind::Deployment).expect("each has one");
    let mut pod =
        json!({"metadata": deployment["spec"]["template"]["metadata"], "spec": deployment["spec"]["template"]["spec"]});
    pod["metadata"]["name"] = json!(format!("application-{number}-deployment-6d4cf56db6-x2x5p"));
    pod["metadata"]["namespace"] = json!(namespace(number));
    pod["metadata"]["labels"]["pod-template-hash"] = json!("6d4cf56db6");
    pod["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("application-{number}-deployment-6d4cf56db6"),
        "uid": format!("5f0c9f6e-2f5c-4c1b-8a4e-{number:012}"), "controller": true, "blockOwnerDeletion": true,
    }]);
    identify(&mut pod, "pods", number);
    pod["spec"]["nodeName"] = json!("node-7");
    pod["spec"]["tolerations"] = json!([
        {"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300},
        {"effect": "NoExecute", "key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 300},
    ]);
    let conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    pod["status"] = json!({
        "phase": "Running", "hostIP": "10.0.0.7", "podIP": "10.1.7.23", "podIPs": [{"ip": "10.1.7.23"}], "qosClass": "BestEffort",
        "startTime": WRITTEN,
        "conditions": conditions.map(|kind| condition(kind, "", "")),
        "containerStatuses": [{
            "name": "application", "ready": true, "started": true, "restartCount": 0, "image": "docker.io/library/nginx:latest",
            "imageID": "docker.io/library/nginx@sha256:0d17b565c37bcbd895e9d92315a05c1c3c9a29f762b011a10c54a66cd53c9b31",
            "containerID": format!("containerd://{number:064x}"), "state": {"running": {"startedAt": WRITTEN}}, "lastState": {},
        }],
    });
    managed(&mut pod, &[("kube-controller-manager", "spec"), ("kubelet", "status")]);
    pod
}

/// The object as it is kept.
pub(crate) fn decoded<T: serde::de::DeserializeOwned>(object: &Value) -> T {
    serde_json::from_str(&object.to_string()).expect("an object that fits its type")
}

/// What there is of that Application.
pub(crate) fn observed(number: usize) -> Observed {
    let found = |kind| {
        let child = child(number, kind)?;
        Some((kind, Found::Own(decoded::<application_operator::observe::Live>(&child).into())))
    };
    let children = Kind::ALL.into_iter().filter_map(found).collect();
    Observed { children, ..Observed::default() }
}

/// A watch's document.
pub(crate) fn event(kind: &str, object: &Value) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

pub(crate) fn namespace(number: usize) -> String {
    format!("namespace-{}", number / PER_NAMESPACE)
}

fn wish(number: usize) -> Value {
    let mut application = json!({
        "apiVersion": "minetto.dev/v1alpha1", "kind": "Application",
        "metadata": {"name": format!("application-{number}"), "namespace": namespace(number)},
        "spec": {"image": "nginx:latest", "replicas": 2, "port": 80},
    });
    identify(&mut application, "applications", number);
    application
}

fn identify(object: &mut Value, plural: &str, number: usize) {
    let kind = plural.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    object["metadata"]["uid"] = json!(format!("{kind:08x}-2f5c-4c1b-8a4e-{number:012}"));
    object["metadata"]["resourceVersion"] = json!((1_000 + number).to_string());
    object["metadata"]["generation"] = json!(1);
    object["metadata"]["creationTimestamp"] = json!(WRITTEN);
}

fn condition(kind: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": kind, "status": "True", "reason": reason, "message": message, "lastUpdateTime": WRITTEN,
        "lastTransitionTime": WRITTEN,
    })
}

/// What the server fills into a Deployment.
fn defaults(spec: &mut Value) {
    spec["revisionHistoryLimit"] = json!(10);
    spec["progressDeadlineSeconds"] = json!(600);
    let pod = &mut spec["template"]["spec"];
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
    ] {
        pod[field] = value;
    }
    for container in pod["containers"].as_array_mut().into_iter().flatten() {
        container["terminationMessagePath"] = json!("/dev/termination-log");
        container["terminationMessagePolicy"] = json!("File");
        container["imagePullPolicy"] = json!("Always");
    }
}

/// Files each part under its manager, as the server does.
fn managed(object: &mut Value, parts: &[(&str, &str)]) {
    let entries: Vec<Value> = parts
        .iter()
        .filter(|(_, part)| !object[part].is_null())
        .map(|(manager, part)| {
            json!({
                "manager": manager, "operation": "Apply", "apiVersion": object["apiVersion"], "time": WRITTEN,
                "fieldsType": "FieldsV1", "fieldsV1": {format!("f:{part}"): fields(&object[part])},
            })
        })
        .collect();
    object["metadata"]["managedFields"] = Value::Array(entries);
}

fn fields(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            Value::Object(object.iter().map(|(field, value)| (format!("f:{field}"), fields(value))).collect())
        }
        Value::Array(entries) => {
            let entry = |entry: &Value| {
                let name = entry.get("name").or_else(|| entry.get("type")).cloned().unwrap_or_default();
                (format!("k:{}", json!({"name": name})), fields(entry))
            };
            Value::Object(entries.iter().map(entry).collect())
        }
        _ => Value::Object(Map::new()),
    }
}
