//! What the keys of a `fieldsV1` name. Pure.

use serde_json::{Map, Value};

use super::compare::named;

/// The part of `value` that a key of `fieldsV1` names.
pub(super) fn at<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match key.strip_prefix("f:") {
        Some(field) => value.get(field),
        None => value.get(index_of(value, key)?),
    }
}

/// Where the entry of a list is that a key `k:{"name":"a"}` or `v:"a"` names.
pub(super) fn index_of(list: &Value, key: &str) -> Option<usize> {
    let entries = list.as_array()?;
    if let Some(value) = key.strip_prefix("v:") {
        let value: Value = serde_json::from_str(value).ok()?;
        return entries.iter().position(|entry| *entry == value);
    }
    let keys: Map<String, Value> = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
    entries.iter().position(|entry| keys.iter().all(|(field, value)| *named(entry, field) == *value))
}
