//! A value of an update and what it was → the same for what is inside of it, and whether it is unchanged.
//!
//! An unchanged value may go on breaking what it broke already ("ratcheting"). Which value was which before is known of
//! fields and of the items of a list with keys (`CorrelatedObject` of the real server).

use serde_json::Value;

/// The schema of a field; `None` if there can't be one, or it may be anything.
pub(super) fn field<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let others = || Some(&schema["additionalProperties"]).filter(|others| others.is_object());
    schema["properties"].get(name).or_else(others)
}

/// What a field was.
pub(super) fn old_field<'a>(schema: &Value, old: Option<&'a Value>, name: &str) -> Option<&'a Value> {
    field(schema, name)?;
    old?.as_object()?.get(name)
}

/// What an item was.
pub(super) fn old_item<'a>(schema: &Value, old: Option<&'a Value>, item: &Value) -> Option<&'a Value> {
    let keys = schema["x-kubernetes-list-map-keys"].as_array()?;
    if schema["x-kubernetes-list-type"] != "map" || keys.is_empty() {
        return None;
    }
    let key = |name: &str| item.get(name).filter(|key| !key.is_object() && !key.is_array() && !key.is_null());
    let has_keys = |other: &Value| {
        keys.iter().filter_map(Value::as_str).all(|name| key(name).is_some_and(|key| other.get(name) == Some(key)))
    };
    old?.as_array()?.iter().find(|other| has_keys(other))
}

/// Whether a value is as it was. The order of a list with keys does not count.
pub(super) fn is_same(schema: &Value, new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Array(list), Value::Array(before)) => {
            let is_keyed = schema["x-kubernetes-list-type"] == "map";
            let is_same_item =
                |item| old_item(schema, Some(old), item).is_some_and(|old| is_same(&schema["items"], item, old));
            list.len() == before.len() && if is_keyed { list.iter().all(is_same_item) } else { list == before }
        }
        (Value::Object(map), Value::Object(before)) => {
            let is_same_field = |(name, inner): (&String, &Value)| {
                let old = old_field(schema, Some(old), name);
                old.is_some_and(|old| field(schema, name).is_some_and(|schema| is_same(schema, inner, old)))
            };
            map.len() == before.len() && map.iter().all(is_same_field)
        }
        (new, old) => new == old,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_with_keys_is_the_same_in_any_order_and_another_one_is_not() {
        let mut schema = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"],
            "items": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}});
        let (new, old) = (json!([{"a": 1}, {"a": 2, "b": 3}]), json!([{"a": 2, "b": 3}, {"a": 1}]));
        assert!(is_same(&schema, &new, &old));
        assert!(!is_same(&schema, &new, &json!([{"a": 2, "b": 4}, {"a": 1}])));
        schema["x-kubernetes-list-type"] = "atomic".into();
        assert!(!is_same(&schema, &new, &old));
    }

    #[test]
    fn what_the_schema_does_not_describe_never_counts_as_the_same() {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"a": {}}});
        assert!(is_same(&schema, &json!({"a": 1}), &json!({"a": 1})));
        assert!(!is_same(&schema, &json!({"b": 1}), &json!({"b": 1})));
    }
}
