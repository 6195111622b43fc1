//! What the schema says of a property in; values at its bounds and beyond them, and the plainest one that it has, out.

use serde_json::{Map, Value, json};

/// A text with what breaks what is careless: blanks, capitals, quotes, a slash, more bytes than characters.
const ODD: &str = "Odd \"text\"/ä☃ ";

/// The longest text that is worth its time where more are allowed; one that is longer by one is tried all the same.
const LONG: u64 = 4_096;

/// Texts that fit where a field of that name stands.
const TEXTS: [(&str, &str); 10] = [
    ("image", "nginx:1.29"),
    ("mountPath", "/generated"),
    ("path", "generated"),
    ("topologyKey", "kubernetes.io/hostname"),
    ("fieldPath", "metadata.name"),
    ("resource", "limits.cpu"),
    ("operator", "Exists"),
    ("whenUnsatisfiable", "ScheduleAnyway"),
    ("minInterval", "1m"),
    ("type", "Utilization"),
];

/// Values to be tried where the schema stands, for the field of that name: those within it, those at its bounds, and those
/// beyond.
pub(crate) fn values(schema: &Value, name: &str) -> Vec<Value> {
    if schema["x-kubernetes-int-or-string"] == true {
        let values =
            json!([0, 1, -1, 65_536, "0", "1", "-1", "500m", "1Gi", "50%", "101%", "http", "", "a b", "1e999", true]);
        return values.as_array().cloned().unwrap_or_default();
    }
    let values = match schema["type"].as_str().unwrap_or_default() {
        "string" => texts(schema, name),
        "integer" => numbers(schema),
        "boolean" => vec![json!(true), json!(false), json!("true")],
        "array" => lists(schema, name),
        "object" if schema["additionalProperties"].is_object() => maps(schema, name),
        "object" => vec![json!({}), minimal(schema, name), json!("text"), json!([])],
        _ => Vec::new(),
    };
    let mut once: Vec<Value> = Vec::new();
    for value in values {
        if !once.contains(&value) {
            once.push(value);
        }
    }
    once
}

fn texts(schema: &Value, name: &str) -> Vec<Value> {
    let mut values = schema["enum"].as_array().cloned().unwrap_or_default();
    values.extend([minimal(schema, name), json!("a"), json!(""), json!("NoSuch"), json!(ODD), json!(1)]);
    if let Some(most) = schema["maxLength"].as_u64() {
        let most = usize::try_from(most).unwrap_or_default();
        values.extend((most as u64 <= LONG).then(|| json!("a".repeat(most))));
        values.push(json!("a".repeat(most + 1)));
    }
    values
}

fn numbers(schema: &Value) -> Vec<Value> {
    let (least, most) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
    let largest = if schema["format"] == "int32" { i64::from(i32::MAX) } else { i64::MAX };
    let mut values = vec![json!(0), json!(1), json!(-1), json!(largest), json!("1"), json!(1.5)];
    for bound in [least, most].into_iter().flatten() {
        values.extend([json!(bound), json!(bound - 1), json!(bound + 1)]);
    }
    values
}

fn lists(schema: &Value, name: &str) -> Vec<Value> {
    let one = minimal(&schema["items"], name);
    let mut values = vec![json!([]), json!([one]), json!([one, one]), json!({}), json!([null]), json!("text")];
    if let Some(most) = schema["maxItems"].as_u64() {
        values.push(vec![one; usize::try_from(most).unwrap_or_default() + 1].into());
    }
    values
}

fn maps(schema: &Value, name: &str) -> Vec<Value> {
    let one = minimal(&schema["additionalProperties"], name);
    let with = |key: &str| json!({key: one});
    let mut values = vec![json!({}), with("generated"), with("example.com/generated"), with(""), with(ODD), json!([])];
    if let Some(most) = schema["maxProperties"].as_u64() {
        let keys = (0..=most).map(|index| (format!("key-{index}"), one.clone()));
        values.push(Value::Object(keys.collect::<Map<_, _>>()));
    }
    values
}

/// The plainest value that the schema has, for the field or the list of that name.
pub(crate) fn minimal(schema: &Value, name: &str) -> Value {
    if let Some(default) = schema.get("default") {
        return default.clone();
    }
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return json!(1);
    }
    match schema["type"].as_str().unwrap_or_default() {
        "string" => {
            let known = TEXTS.iter().find(|(field, _)| *field == name);
            json!(known.map_or("generated", |(_, text)| text))
        }
        "integer" => json!(schema["minimum"].as_i64().unwrap_or(1).max(1)),
        "boolean" => json!(true),
        "array" if schema["minItems"].as_u64() > Some(0) => json!([minimal(&schema["items"], name)]),
        "array" => json!([]),
        _ => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let mut object: Map<String, Value> =
                required.map(|field| (field.to_owned(), minimal(&schema["properties"][field], field))).collect();
            // The schema does without, and no pod does.
            if name == "initContainers" && schema["properties"]["image"].is_object() {
                object.insert("image".to_owned(), json!("nginx:1.29"));
            }
            Value::Object(object)
        }
    }
}
