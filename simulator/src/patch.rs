//! An object and a patch → the patched object: JSON, merge and strategic merge patches.

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::schema::{Schema, Shape};

/// The object with a JSON patch (RFC 6902) carried out.
///
/// # Errors
///
/// If the patch is none (400), or can't be carried out (422).
pub fn json(object: &Value, patch: &[u8]) -> Result<Value, Failure> {
    let patch: json_patch::Patch =
        serde_json::from_slice(patch).map_err(|error| Failure::bad_request(error.to_string()))?;
    let mut patched = object.clone();
    json_patch::patch(&mut patched, &patch).map_err(|_| Failure {
        code: 422,
        reason: "Invalid",
        message: "the server rejected our request due to an error in our request".into(),
        details: Some(serde_json::json!({})),
    })?;
    Ok(patched)
}

/// The object with a merge patch (RFC 7396) carried out.
pub fn merge(object: &Value, patch: &Value) -> Value {
    let mut patched = object.clone();
    json_patch::merge(&mut patched, patch);
    patched
}

/// The object with a strategic merge patch carried out: lists are merged by the keys of their schema.
pub fn strategic(schema: &Schema, object: &Value, patch: &Value) -> Value {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => Value::Object(map(schema, object, patch)),
        _ => patch.clone(),
    }
}

fn map(schema: &Schema, object: &Map<String, Value>, patch: &Map<String, Value>) -> Map<String, Value> {
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => return patch.iter().filter(|(name, _)| *name != "$patch").map(own).collect(),
        Some("delete") => return Map::new(),
        _ => {}
    }
    let mut result = object.clone();
    if let Some(Value::Array(kept)) = patch.get("$retainKeys") {
        result.retain(|name, _| kept.iter().any(|one| one == name));
    }
    for (name, change) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(present)), Value::Array(gone)) = (result.get_mut(list), change) {
                present.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if name.starts_with('$') {
            continue;
        }
        if change.is_null() {
            result.remove(name);
            continue;
        }
        let order = patch.get(&format!("$setElementOrder/{name}"));
        let field = schema.field(name).map(AsRef::as_ref);
        let patched = match (field, result.get(name), change) {
            (Some(field), Some(Value::Object(old)), Value::Object(new)) if !field.strategy.replaces => {
                Value::Object(map(field, old, new))
            }
            (Some(field), old, Value::Array(new)) if field.strategy.merges => {
                let old = old.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                Value::Array(list(field, old, new, order))
            }
            (Some(field), None, Value::Object(new)) => Value::Object(map(field, &Map::new(), new)),
            _ => change.clone(),
        };
        result.insert(name.clone(), patched);
    }
    result
}

fn own((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

fn list(schema: &Schema, old: &[Value], patch: &[Value], order: Option<&Value>) -> Vec<Value> {
    let Some(key) = &schema.strategy.key else {
        let mut result = old.to_vec();
        result.extend(patch.iter().filter(|item| !old.contains(item)).cloned());
        return result;
    };
    let directive = |item: &Value| item.get("$patch").and_then(Value::as_str).map(str::to_owned);
    if patch.iter().any(|item| directive(item).as_deref() == Some("replace")) {
        return patch.iter().filter(|item| directive(item).is_none()).cloned().collect();
    }
    let items = match &schema.shape {
        Shape::List { items, .. } => items.as_ref(),
        _ => schema,
    };
    let mut result = old.to_vec();
    for item in patch {
        let place = result.iter().position(|old| old.get(key) == item.get(key));
        match (place, directive(item).as_deref()) {
            (Some(_), Some("delete")) => result.retain(|old| old.get(key) != item.get(key)),
            (None, Some("delete")) => {}
            (Some(place), _) => result[place] = strategic(items, &result[place], item),
            (None, _) => result.push(strategic(items, &Value::Object(Map::new()), item)),
        }
    }
    sort(&mut result, old, patch, order, key);
    result
}

/// Items of the patch in the order of the patch, or in the one that it says; the others where they stood.
fn sort(result: &mut Vec<Value>, old: &[Value], patch: &[Value], order: Option<&Value>, key: &str) {
    let order = order.and_then(Value::as_array).map_or(patch, Vec::as_slice);
    let place = |list: &[Value], item: &Value| list.iter().position(|one| one.get(key) == item.get(key));
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        std::mem::take(result).into_iter().partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(a), Some(b)) = (named.peek(), others.peek()) {
        // An item that was not there before goes first.
        let is_first = match (place(old, a), place(old, b)) {
            (Some(a), Some(b)) => a < b,
            _ => true,
        };
        result.extend(if is_first { named.next() } else { others.next() });
    }
    result.extend(named);
    result.extend(others);
}
