//! A value and its schema → what is there twice in lists of the types `set` and `map`.

use serde_json::{Map, Value};

use super::correlation::field;
use crate::failure::Cause;

/// What is there twice in a whole object.
pub(super) fn duplicates(schema: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    look(schema, object, "", &mut causes);
    causes
}

fn look(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                if let Some(field) = field(schema, name) {
                    look(field, inner, &below(schema, path, name), causes);
                }
            }
        }
        Value::Array(list) => {
            match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => told(list, path, causes),
                Some("map") => keyed(schema, list, path, causes),
                _ => {}
            }
            for (index, item) in list.iter().enumerate() {
                look(&schema["items"], item, &format!("{path}[{index}]"), causes);
            }
        }
        _ => {}
    }
}

/// The path of a field, or of what stands under a key.
pub(super) fn below(schema: &Value, path: &str, name: &str) -> String {
    match schema["properties"].get(name) {
        Some(_) if path.is_empty() => name.to_owned(),
        Some(_) => format!("{path}.{name}"),
        None => format!("{path}[{name}]"),
    }
}

fn keyed(schema: &Value, list: &[Value], path: &str, causes: &mut Vec<Cause>) {
    if let Some((index, item)) = list.iter().enumerate().find(|(_, item)| !item.is_object() && !item.is_null()) {
        let why = "must be an object for an array of list-type map";
        causes.push(Cause::invalid(format!("{path}[{index}]"), &item.to_string(), why));
        return;
    }
    let names = schema["x-kubernetes-list-map-keys"].as_array();
    let names: Vec<&str> = names.into_iter().flatten().filter_map(Value::as_str).collect();
    let key = |item: &Value| {
        let parts = names.iter().filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone())));
        Value::Object(parts.collect::<Map<_, _>>())
    };
    told(&list.iter().map(key).collect::<Vec<_>>(), path, causes);
}

/// Tells of each value that is there more than once where it is for the second time.
fn told(list: &[Value], path: &str, causes: &mut Vec<Cause>) {
    for (index, value) in list.iter().enumerate() {
        if list[..index].iter().filter(|other| *other == value).count() == 1 {
            causes.push(Cause::duplicate(format!("{path}[{index}]"), &value.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_value_is_told_once_where_it_comes_again() {
        let schema = json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}});
        let causes = duplicates(&json!({"properties": {"a": schema}}), &json!({"a": ["b", "b", "c", "b"]}));
        assert_eq!(causes, [Cause::duplicate("a[1]", "\"b\"")]);
    }

    #[test]
    fn items_with_the_same_keys_are_duplicates_and_those_without_any_as_well() {
        let schema = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "properties": {"k": {"type": "integer"}}}});
        let list = json!({"x/y": [{"k": 1}, {}, {"k": 1, "v": 2}, {"v": 3}]});
        let causes = duplicates(&json!({"properties": {"m": {"additionalProperties": schema}}}), &json!({"m": list}));
        assert_eq!(causes, [Cause::duplicate("m[x/y][2]", "{\"k\":1}"), Cause::duplicate("m[x/y][3]", "{}")]);
    }
}
