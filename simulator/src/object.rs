//! What is asked of any object, whatever its kind: name, uid, version, labels, owners, deletion.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// An empty map, for what is absent.
static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

/// The object's metadata; empty if it has none.
pub fn metadata(object: &Value) -> &Map<String, Value> {
    object.get("metadata").and_then(Value::as_object).unwrap_or(&NONE)
}

/// A text of the metadata; empty if it is absent.
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    metadata(object).get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The metadata, to be written to; made if it is absent.
pub fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    child(object, "metadata")
}

/// The map under `field`; made if there is none.
pub fn child<'a>(object: &'a mut Value, field: &str) -> &'a mut Map<String, Value> {
    map(map(object).entry(field).or_insert(Value::Null))
}

/// The map that a value is; made if it is none.
pub fn map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made one"),
    }
}

/// Sets a field of the metadata, or removes it.
pub fn set(object: &mut Value, field: &str, value: Option<Value>) {
    let metadata = metadata_mut(object);
    match value {
        Some(value) => drop(metadata.insert(field.to_owned(), value)),
        None => drop(metadata.remove(field)),
    }
}

/// The finalizers.
pub fn finalizers(object: &Value) -> Vec<&str> {
    let list = metadata(object).get("finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The references to its owners.
pub fn owners(object: &Value) -> &[Value] {
    metadata(object).get("ownerReferences").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The reference to the owner that controls it.
pub fn controller(object: &Value) -> Option<&Value> {
    owners(object).iter().find(|owner| owner["controller"] == true)
}

/// A whole number somewhere in it (RFC 6901); zero if it is absent.
pub fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// A time somewhere in it (RFC 6901).
pub fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    object.pointer(pointer)?.as_str()?.parse().ok()
}

/// Whether its deletion has been asked for.
pub fn is_terminating(object: &Value) -> bool {
    metadata(object).contains_key("deletionTimestamp")
}

/// The value at a path of field names.
pub fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, field| value.get(field))
}

/// Copies the field `name` from `from`, also if it is absent there.
pub fn copy_field(to: &mut Value, from: &Value, name: &str) {
    match from.get(name) {
        Some(value) => drop(map(to).insert(name.to_owned(), value.clone())),
        None => drop(map(to).remove(name)),
    }
}
