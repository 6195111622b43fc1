//! An Application as a file has it in; with the schema's defaults, and what the schema forbids, out. Pure.
//!
//! For use without a cluster. What the API server checks by the definition's keywords is checked here by the same ones, with
//! two exceptions, which only a cluster can tell: the rules in CEL (`x-kubernetes-validations`), but for those about the
//! name, and what Kubernetes itself demands of `metadata`.

use serde_json::{Value, json};

use crate::application::NAME_MAX;
use crate::manifests::crd;
use crate::plan::quantity;

/// Fields of a whole object that the definition's schema leaves to the API server.
const WHOLE: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Fills in the defaults of `object`, and says what is wrong with it, field by field.
pub fn admit(object: &mut Value) -> Vec<String> {
    let definition = crd::application();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut faults = Vec::new();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if name.len() > NAME_MAX {
        faults.push(format!("metadata.name: must have at most {NAME_MAX} characters"));
    }
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) || !name.bytes().all(is_plain) || name.ends_with('-')
    {
        let rule = "must start with a letter and consist of lower-case letters, digits and '-', such as shop-2";
        faults.push(format!("metadata.name: {rule}"));
    }
    for (field, value) in object.as_object_mut().into_iter().flatten() {
        match &schema["properties"][field] {
            Value::Null => faults.push(format!("{field}: unknown field")),
            // A status in a file is dropped by the API server.
            _ if WHOLE.contains(&field.as_str()) || field == "status" => {}
            schema => walk(value, schema, field, &mut faults),
        }
    }
    if object.get("spec").is_none() {
        faults.push("spec: is required, with an image".to_owned());
    }
    faults
}

/// Fills in and checks a value and all below it.
fn walk(value: &mut Value, schema: &Value, path: &str, faults: &mut Vec<String>) {
    let mut fault = |what: String| faults.push(format!("{path}: {what}"));
    if !is_of_type(value, schema) {
        let wanted = schema["type"].as_str().unwrap_or("an integer or a string");
        return fault(format!("must be {wanted}, not {}", type_of(value)));
    }
    if let Some(choices) = schema["enum"].as_array().filter(|choices| !choices.contains(value)) {
        let choices: Vec<_> = choices.iter().map(shown).collect();
        fault(format!("{} is none of {}", shown(value), choices.join(", ")));
    }
    // There is one pattern, as a test holds.
    let pattern = schema["pattern"].as_str().and(value.as_str());
    if let Some(text) = pattern.filter(|text| !quantity::is_one(text)) {
        fault(format!("{text} is no quantity, such as 500m or 1Gi"));
    }
    let size = match value {
        Value::String(text) => Some(("Length", text.chars().count(), "characters")),
        Value::Array(entries) => Some(("Items", entries.len(), "entries")),
        Value::Object(fields) => Some(("Properties", fields.len(), "fields")),
        _ => None,
    };
    if let Some((keyword, size, unit)) = size {
        let limit = |bound: &str| schema[format!("{bound}{keyword}")].as_u64();
        let size = size as u64;
        if let Some(most) = limit("max").filter(|most| size > *most) {
            fault(format!("has {size} {unit}, and {most} are the most"));
        }
        if let Some(least) = limit("min").filter(|least| size < *least) {
            fault(format!("has {size} {unit}, and {least} are the least"));
        }
    }
    if let Some(number) = value.as_f64() {
        if let Some(most) = schema["maximum"].as_f64().filter(|most| number > *most) {
            fault(format!("must be {most} or less, not {number}"));
        }
        if let Some(least) = schema["minimum"].as_f64().filter(|least| number < *least) {
            fault(format!("must be {least} or more, not {number}"));
        }
    }
    match value {
        Value::Object(fields) => walk_fields(fields, schema, path, faults),
        Value::Array(entries) => walk_entries(entries, schema, path, faults),
        _ => {}
    }
}

fn walk_fields(fields: &mut serde_json::Map<String, Value>, schema: &Value, path: &str, faults: &mut Vec<String>) {
    let known = schema["properties"].as_object();
    // Absent and null are the same to everybody who reads the object.
    fields.retain(|_, value| !value.is_null());
    for (field, schema) in known.into_iter().flatten() {
        if let Some(default) = schema.get("default").filter(|_| !fields.contains_key(field)) {
            fields.insert(field.clone(), default.clone());
        }
    }
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            faults.push(format!("{path}.{required}: is required"));
        }
    }
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
    for (field, value) in fields {
        let path = format!("{path}.{field}");
        match (known.and_then(|known| known.get(field)), &schema["additionalProperties"]) {
            (Some(schema), _) | (None, schema @ Value::Object(_)) => walk(value, schema, &path, faults),
            (None, Value::Bool(true)) => {}
            _ if open => {}
            _ => faults.push(format!("{path}: unknown field")),
        }
    }
}

fn walk_entries(entries: &mut [Value], schema: &Value, path: &str, faults: &mut Vec<String>) {
    for (index, entry) in entries.iter_mut().enumerate() {
        walk(entry, &schema["items"], &format!("{path}[{index}]"), faults);
    }
    let keys = schema["x-kubernetes-list-map-keys"].as_array();
    let named = |entry: &Value| -> Value {
        match keys {
            Some(keys) => keys.iter().filter_map(Value::as_str).map(|key| entry[key].clone()).collect(),
            None => entry.clone(),
        }
    };
    if matches!(schema["x-kubernetes-list-type"].as_str(), Some("map" | "set")) {
        for (index, entry) in entries.iter().enumerate() {
            if entries[..index].iter().any(|former| named(former) == named(entry)) {
                faults.push(format!("{path}[{index}]: {} stands there twice", named(entry)));
            }
        }
    }
}

fn is_of_type(value: &Value, schema: &Value) -> bool {
    if schema["x-kubernetes-int-or-string"] == true {
        return value.is_string() || value.is_i64();
    }
    match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        // The API server takes 2.0 for a whole number.
        Some("integer") => value.is_i64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        Some("number") => value.is_number(),
        _ => true,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A value as one would write it.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| json!(value).to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::verbatim::QUANTITY;

    fn admitted(spec: &Value) -> (Value, Vec<String>) {
        let mut object = json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application",
            "metadata": {"name": "web"}, "spec": spec});
        let faults = admit(&mut object);
        (object["spec"].clone(), faults)
    }

    #[test]
    fn defaults_are_filled_in() {
        let (spec, faults) = admitted(&json!({"image": "nginx", "port": null}));
        assert_eq!((spec["replicas"].clone(), faults), (json!(1), vec![]));
        assert_eq!(spec.get("port"), None);
    }

    #[test]
    fn what_the_definition_forbids_is_told_by_its_path() {
        for (spec, expected) in [
            (json!({}), "spec.image: is required"),
            (json!({"image": ""}), "spec.image: has 0 characters, and 1 are the least"),
            (json!({"image": "i", "prot": 80}), "spec.prot: unknown field"),
            (json!({"image": "i", "port": "80"}), "spec.port: must be integer, not string"),
            (json!({"image": "i", "port": 0}), "spec.port: must be 1 or more, not 0"),
            (json!({"image": "i", "replicas": 10_001}), "spec.replicas: must be 10000 or less, not 10001"),
            (
                json!({"image": "i", "securityProfile": "Loose"}),
                "spec.securityProfile: Loose is none of Auto, Restricted, Baseline, None",
            ),
            (json!({"image": "i", "env": [{"name": "A"}, {"nam": "B"}]}), "spec.env[1].name: is required"),
            (json!({"image": "i", "env": [{"name": "A"}, {"name": "A"}]}), r#"spec.env[1]: ["A"] stands there twice"#),
            (
                json!({"image": "i", "readinessProbe": {"httpGet": {"path": "/"}}}),
                "spec.readinessProbe.httpGet.port: is required",
            ),
            (json!({"image": "i", "nodeSelector": {"a": 1}}), "spec.nodeSelector.a: must be string, not integer"),
            (
                json!({"image": "i", "resources": {"limits": {"memory": "512MB"}}}),
                "spec.resources.limits.memory: 512MB is no quantity, such as 500m or 1Gi",
            ),
            (
                json!({"image": "i", "resources": {"limits": {"cpu": -1}}}),
                "spec.resources.limits.cpu: must be 0 or more, not -1",
            ),
        ] {
            let faults = admitted(&spec).1;
            assert!(faults.iter().any(|fault| fault == expected), "{spec}: {faults:?}");
        }
    }

    #[test]
    fn the_one_pattern_is_that_of_a_quantity() {
        fn patterns(schema: &Value) -> Vec<String> {
            let own = schema["pattern"].as_str().map(str::to_owned);
            let below = schema.as_object().into_iter().flat_map(|fields| fields.values()).flat_map(patterns);
            own.into_iter().chain(below).collect()
        }
        let found = patterns(&crd::application()["spec"]["versions"][0]["schema"]);
        assert!(!found.is_empty() && found.iter().all(|pattern| pattern == QUANTITY), "{found:?}");
    }

    #[test]
    fn a_name_is_held_to_the_rules_of_the_definition() {
        for name in ["Web", "2web", "web.shop", "web-", &"w".repeat(NAME_MAX + 1)] {
            let mut object = json!({"metadata": {"name": name}, "spec": {"image": "i"}});
            assert_eq!(admit(&mut object).len(), 1, "{name}");
        }
        let mut object = json!({"metadata": {"name": "w-2"}, "spec": {"image": "i"}, "sepc": {}});
        assert_eq!(admit(&mut object), ["sepc: unknown field"]);
        assert_eq!(admit(&mut json!({"metadata": {"name": "w"}})), ["spec: is required, with an image"]);
    }
}
