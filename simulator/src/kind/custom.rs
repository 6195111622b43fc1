//! A custom resource, what it was and its definition → what is wrong with it.

mod check;
mod correlation;
mod keys;
mod rules;

use serde_json::Value;

pub(super) use self::rules::place;

use crate::failure::Cause;
use crate::object;
use crate::resource::Resource;

/// That of a value of another type.
const TYPE: &str = "FieldValueTypeInvalid";

/// What keeps rules from being asked (`hasBlockingErr`).
const BLOCKING: [&str; 5] =
    ["FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", TYPE];

pub(super) fn validate(resource: &Resource, subresource: &str, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let schema = &resource.schema.text;
    let mut causes = if subresource == "status" {
        let status = object.get("status").filter(|_| schema["properties"]["status"].is_object());
        let old = correlation::old_field(schema, old, "status");
        status.map(|status| check::causes(&schema["properties"]["status"], status, old, "status")).unwrap_or_default()
    } else {
        check::causes(schema, object, old, "")
    };
    causes.extend(scale(resource, subresource, object));
    if old.is_none_or(|old| keys::duplicates(schema, old).is_empty()) {
        causes.extend(keys::duplicates(schema, object));
    }
    if !rules::exist(&resource.schema) {
        return causes;
    }
    if causes.iter().any(|cause| BLOCKING.contains(&cause.reason)) {
        let why = "some validation rules were not checked because the object was invalid; correct the existing errors to \
            complete validation";
        causes.push(Cause::invalid("<nil>", "null", why));
    } else {
        causes.extend(rules::broken(&resource.schema, object, old));
    }
    causes
}

/// What `/scale` could not show.
fn scale(resource: &Resource, subresource: &str, object: &Value) -> Vec<Cause> {
    let Some(scale) = &resource.scale else { return Vec::new() };
    let mut causes = Vec::new();
    let counts = if subresource == "status" { vec![&scale.status] } else { vec![&scale.spec, &scale.status] };
    for path in counts {
        let (names, field) = (path.iter().map(String::as_str).collect::<Vec<_>>(), format!(".{}", path.join(".")));
        let why = match object::at(object, &names) {
            None => continue,
            Some(count) => match count.as_i64() {
                None => Some((0, not_of(&field, count, "int64"))),
                Some(count) if count < 0 => Some((count, "should be a non-negative integer".to_owned())),
                Some(count) if count > i64::from(i32::MAX) => {
                    Some((count, format!("should be less than or equal to {}", i32::MAX)))
                }
                Some(_) => None,
            },
        };
        causes.extend(why.map(|(count, why)| Cause::invalid(field, &count.to_string(), &why)));
    }
    if let Some(path) = &scale.selector {
        let (names, field) = (path.iter().map(String::as_str).collect::<Vec<_>>(), format!(".{}", path.join(".")));
        if let Some(selector) = object::at(object, &names).filter(|selector| !selector.is_string()) {
            causes.push(Cause::invalid(field.as_str(), "\"\"", &not_of(&field, selector, "string")));
        }
    }
    causes
}

fn not_of(field: &str, value: &Value, wished: &str) -> String {
    let (shown, kind) = match value {
        Value::Null => ("<nil>".to_owned(), "<nil>"),
        Value::Bool(truth) => (truth.to_string(), "bool"),
        Value::Number(number) if number.is_f64() => (number.as_f64().unwrap_or_default().to_string(), "float64"),
        Value::Number(number) => (number.to_string(), "int64"),
        Value::String(text) => (text.clone(), "string"),
        Value::Array(_) => (value.to_string(), "[]interface {}"),
        Value::Object(_) => (value.to_string(), "map[string]interface {}"),
    };
    format!("{field} accessor error: {shown} is of the type {kind}, expected {wished}")
}
