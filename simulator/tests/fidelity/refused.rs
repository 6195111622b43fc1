//! Definitions with a rule that makes no sense.

use serde_json::{Value, json};

/// A definition each, with one fault.
pub(crate) fn definitions() -> Vec<Value> {
    let rules = [
        json!({"rule": "self.a >"}),
        json!({"rule": "other.a > 1"}),
        json!({"rule": "self.nothing(1)"}),
        json!({"rule": "self.b > 1"}),
        json!({"rule": "self.a + 1"}),
        json!({"rule": "self.a == 'a'"}),
        json!({"rule": ""}),
        json!({"rule": "true", "message": " "}),
        json!({"rule": "true", "message": "a\nb"}),
        json!({"rule": "true\n|| false"}),
        json!({"rule": "true", "messageExpression": "self."}),
        json!({"rule": "true", "messageExpression": "other"}),
        json!({"rule": "true", "messageExpression": "1"}),
        json!({"rule": "true", "messageExpression": " "}),
        json!({"rule": "true", "reason": "Whim"}),
        json!({"rule": "true", "fieldPath": ".b"}),
        json!({"rule": "true", "fieldPath": "a"}),
        json!({"rule": "true", "fieldPath": ".list[0]"}),
        json!({"rule": "true", "optionalOldSelf": true}),
        json!({"rule": "oldSelf.hasValue()"}),
    ];
    let mut definitions: Vec<Value> = rules.iter().map(|rule| definition(rule, &json!([]))).collect();
    definitions.extend([
        definition(&json!({"rule": "true"}), &json!([{"rule": "self == oldSelf"}])),
        definition(&json!({"rule": "other"}), &json!([{"rule": ""}])),
        definition(&json!({"rule": "other"}), &json!([{"rule": "self >"}])),
    ]);
    // A schema that versions don't share is told of in its own place.
    let mut versions = definition(&json!({"rule": "self.a >"}), &json!([]));
    let mut second = versions["spec"]["versions"][0].clone();
    second["name"] = "v2".into();
    second["storage"] = false.into();
    second["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"] = json!([]);
    versions["spec"]["versions"].as_array_mut().expect("versions").push(second);
    definitions.push(versions);
    definitions
}

/// With a rule for the spec, and rules for the items of a list in it.
fn definition(rule: &Value, of_items: &Value) -> Value {
    let spec = json!({"type": "object", "x-kubernetes-validations": [rule], "properties": {
        "a": {"type": "integer"},
        "list": {"type": "array", "maxItems": 5, "items": {"type": "integer", "x-kubernetes-validations": of_items}},
    }});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "faults.fidelity.test"},
        "spec": {
            "group": "fidelity.test", "scope": "Namespaced",
            "names": {"kind": "Fault", "listKind": "FaultList", "plural": "faults", "singular": "fault"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": spec},
            }}}],
        },
    })
}
