//! Writes before and after a definition has become stricter.

use serde_json::{Value, json};

use crate::operation::Operation;

/// What a schema must not say to be loose.
const CONSTRAINTS: [&str; 5] =
    ["maxLength", "maximum", "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"];

/// The definition as it was before.
pub(crate) fn loose(strict: &Value) -> Value {
    let mut loose = strict.clone();
    loosen(&mut loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
    loose
}

fn loosen(schema: &mut Value) {
    if let Value::Object(map) = schema {
        for constraint in CONSTRAINTS {
            map.remove(constraint);
        }
        map.values_mut().for_each(loosen);
    }
}

fn write(method: &str, name: &str, spec: &Value) -> Operation {
    let path = if method == "POST" { "ratchets".to_owned() } else { format!("ratchets/{name}") };
    Operation {
        method: method.into(),
        path,
        query: String::new(),
        content: if method == "PATCH" { "application/merge-patch+json".into() } else { String::new() },
        body: json!({"apiVersion": "fidelity.test/v1", "kind": "Ratchet", "metadata": {"name": name}, "spec": spec}),
    }
}

/// What only the strict definition refuses.
pub(crate) fn probe() -> Operation {
    Operation { query: "dryRun=All".into(), ..write("POST", "probe", &json!({"text": "long"})) }
}

/// Objects that the strict definition would refuse.
pub(crate) fn before() -> Vec<Operation> {
    let item = |name: &str| json!({"name": name, "size": 9, "word": "bad"});
    [
        ("text", json!({"text": "long", "rule": "b"})),
        ("keyed", json!({"keyed": [item("a"), item("b")]})),
        ("atomic", json!({"atomic": [item("a"), item("b")]})),
        ("twins", json!({"set": ["a", "a"], "keyed": [item("a"), item("a")]})),
        ("map", json!({"map": {"a": 9, "b": 9, "c": 9}})),
    ]
    .iter()
    .map(|(name, spec)| write("POST", name, spec))
    .collect()
}

/// Changes of them, of which some touch what is broken.
pub(crate) fn after() -> Vec<Operation> {
    let item = |name: &str, size: i32, word: &str| json!({"name": name, "size": size, "word": word});
    let old = |name: &str| item(name, 9, "bad");
    [
        ("text", json!({"map": {"a": 1}})),
        ("text", json!({"text": "longer"})),
        ("text", json!({"rule": "c"})),
        ("text", json!({"rule": "a"})),
        ("text", json!({"rule": "b"})),
        ("text", json!({"text": "abc"})),
        ("text", json!({"text": "long"})),
        ("keyed", json!({"text": "a"})),
        ("keyed", json!({"keyed": [old("b"), old("a")]})),
        ("keyed", json!({"keyed": [old("b"), old("a"), item("c", 1, "good")]})),
        ("keyed", json!({"keyed": [old("b"), item("a", 8, "bad")]})),
        ("keyed", json!({"keyed": [old("b"), item("a", 9, "worse")]})),
        ("keyed", json!({"keyed": [old("c")]})),
        ("keyed", json!({"keyed": [item("a", 9, "bad")]})),
        ("atomic", json!({"text": "a"})),
        ("atomic", json!({"atomic": [old("a"), old("b"), item("c", 1, "good")]})),
        ("atomic", json!({"atomic": [old("a"), old("b")]})),
        ("atomic", json!({"atomic": [old("b"), old("a")]})),
        ("twins", json!({"text": "a"})),
        ("twins", json!({"set": ["a", "a", "b", "b"]})),
        ("twins", json!({"set": ["a"]})),
        ("twins", json!({"keyed": [item("a", 1, "good")]})),
        ("twins", json!({"set": ["a", "a"]})),
        ("map", json!({"text": "a"})),
        ("map", json!({"map": {"b": 8}})),
        ("map", json!({"map": {"d": 1}})),
        ("map", json!({"map": {"a": null}})),
        ("map", json!({"map": {"c": null}})),
        ("map", json!({"map": {"c": 1}})),
    ]
    .iter()
    .map(|(name, spec)| write("PATCH", name, spec))
    .collect()
}
