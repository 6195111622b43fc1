//! What the real server publishes about the built-in types (`/openapi/v3`) → `schemas/builtin.json`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Map, Value};

/// The kinds that the simulator has, and what hangs on them.
const ROOTS: [&str; 18] = [
    "io.k8s.api.apps.v1.ControllerRevision",
    "io.k8s.api.apps.v1.Deployment",
    "io.k8s.api.apps.v1.ReplicaSet",
    "io.k8s.api.autoscaling.v1.Scale",
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    "io.k8s.api.batch.v1.Job",
    "io.k8s.api.coordination.v1.Lease",
    "io.k8s.api.core.v1.ConfigMap",
    "io.k8s.api.core.v1.Event",
    "io.k8s.api.core.v1.Namespace",
    "io.k8s.api.core.v1.Pod",
    "io.k8s.api.core.v1.Secret",
    "io.k8s.api.core.v1.Service",
    "io.k8s.api.core.v1.ServiceAccount",
    "io.k8s.api.discovery.v1.EndpointSlice",
    "io.k8s.api.events.v1.Event",
    "io.k8s.api.networking.v1.Ingress",
    "io.k8s.api.policy.v1.PodDisruptionBudget",
];

/// The documents in which they are.
pub(crate) const DOCUMENTS: [&str; 9] = [
    "/openapi/v3/api/v1",
    "/openapi/v3/apis/apps/v1",
    "/openapi/v3/apis/autoscaling/v2",
    "/openapi/v3/apis/batch/v1",
    "/openapi/v3/apis/coordination.k8s.io/v1",
    "/openapi/v3/apis/discovery.k8s.io/v1",
    "/openapi/v3/apis/events.k8s.io/v1",
    "/openapi/v3/apis/networking.k8s.io/v1",
    "/openapi/v3/apis/policy/v1",
];

/// What for people or for other tools only.
const LEFT_OUT: [&str; 3] = ["description", "format", "x-kubernetes-group-version-kind"];

/// The file, a type a line.
pub(crate) fn render(documents: &[Value]) -> String {
    let all: BTreeMap<&String, &Value> =
        documents.iter().flat_map(|one| one["components"]["schemas"].as_object().into_iter().flatten()).collect();
    let (mut types, mut wanted) = (BTreeMap::new(), ROOTS.map(str::to_owned).to_vec());
    while let Some(name) = wanted.pop() {
        if let Entry::Vacant(entry) = types.entry(short(&name)) {
            let text = all.get(&name).unwrap_or_else(|| panic!("the server publishes no {name}"));
            entry.insert(pare(text, &mut wanted));
        }
    }
    let lines: Vec<String> = types.iter().map(|(name, text)| format!("{name:?}:{text}")).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// A type's name without its package, but for those that would be two of the same name.
fn short(name: &str) -> String {
    let last = name.rsplit(['.', '/']).next().unwrap_or(name);
    if name.contains("io.k8s.api.events.") { format!("events.{last}") } else { last.to_owned() }
}

fn pare(text: &Value, wanted: &mut Vec<String>) -> Value {
    let mut pared = Map::new();
    for (name, value) in text.as_object().into_iter().flatten().filter(|(name, _)| !LEFT_OUT.contains(&name.as_str())) {
        let (name, value) = match (name.as_str(), value) {
            ("allOf", value) => ("$ref", reference(&value[0]["$ref"], wanted)),
            ("$ref", value) => ("$ref", reference(value, wanted)),
            ("oneOf", _) => ("x-kubernetes-int-or-string", true.into()),
            ("properties", value) => {
                let properties = value.as_object().into_iter().flatten();
                let pared = properties.map(|(name, inner)| (name.clone(), pare(inner, wanted)));
                ("properties", Value::Object(pared.collect()))
            }
            ("items" | "additionalProperties", value) if value.is_object() => (name.as_str(), pare(value, wanted)),
            (name, value) => (name, value.clone()),
        };
        pared.insert(name.to_owned(), value);
    }
    Value::Object(pared)
}

fn reference(value: &Value, wanted: &mut Vec<String>) -> Value {
    let name = value.as_str().and_then(|path| path.rsplit('/').next()).expect("a reference").to_owned();
    let reference = short(&name).into();
    wanted.push(name);
    reference
}
