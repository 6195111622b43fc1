//! What the real server publishes about the built-in types (`/openapi/v3`) → `schemas/builtin.json`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The kinds that the simulator has, and what hangs on them.
const ROOTS: [&str; 5] = [
    "io.k8s.api.apps.v1.Deployment",
    "io.k8s.api.autoscaling.v1.Scale",
    "io.k8s.api.core.v1.ConfigMap",
    "io.k8s.api.core.v1.Namespace",
    "io.k8s.api.core.v1.Service",
];

/// The documents in which they are.
pub(crate) const DOCUMENTS: [&str; 2] = ["/openapi/v3/api/v1", "/openapi/v3/apis/apps/v1"];

/// What for people or for other tools only.
const LEFT_OUT: [&str; 3] = ["description", "format", "x-kubernetes-group-version-kind"];

/// The file, a type a line.
pub(crate) fn render(documents: &[Value]) -> String {
    let all: BTreeMap<&String, &Value> =
        documents.iter().flat_map(|one| one["components"]["schemas"].as_object().into_iter().flatten()).collect();
    let (mut types, mut wanted) = (BTreeMap::new(), ROOTS.map(str::to_owned).to_vec());
    while let Some(name) = wanted.pop() {
        if !types.contains_key(short(&name)) {
            let text = all.get(&name).unwrap_or_else(|| panic!("the server publishes no {name}"));
            types.insert(short(&name).to_owned(), pare(text, &mut wanted));
        }
    }
    let lines: Vec<String> = types.iter().map(|(name, text)| format!("{name:?}:{text}")).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn short(name: &str) -> &str {
    name.rsplit(['.', '/']).next().unwrap_or(name)
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
