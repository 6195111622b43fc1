//! A custom resource and its definition's schema → what is wrong with it.

use serde_json::Value;

use crate::failure::Cause;
use crate::schema::{Schema, Shape};

pub(super) fn validate(schema: &Schema, object: &Value, _old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Shape::Map { fields, .. } = &schema.shape {
        for (name, field) in fields.iter().filter(|(name, _)| *name != "metadata") {
            if let Some(value) = object.get(name) {
                check(field, value, name, &mut causes);
            }
        }
    }
    causes
}

fn check(schema: &Schema, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let text = &schema.text;
    let wished = text["type"].as_str().unwrap_or_default();
    if value.is_null() && text["nullable"] == true {
        return;
    }
    if !wished.is_empty() && !is_type(wished, value) {
        let found = type_of(value);
        let why = format!("{path} in body must be of type {wished}: \"{found}\"");
        let cause = Cause::invalid(path, &format!("\"{found}\""), &why);
        causes.push(Cause { reason: "FieldValueTypeInvalid", ..cause });
        return;
    }
    match (&schema.shape, value) {
        (Shape::Map { fields, others, required, .. }, Value::Object(map)) => {
            for name in required.iter().filter(|name| !map.contains_key(*name)) {
                causes.push(Cause::required(format!("{path}.{name}"), ""));
            }
            for (name, inner) in map {
                if let Some(field) = fields.get(name).or(others.as_ref()) {
                    check(field, inner, &format!("{path}.{name}"), causes);
                }
            }
        }
        (Shape::List { items, .. }, Value::Array(list)) => {
            for (index, item) in list.iter().enumerate() {
                check(items, item, &format!("{path}[{index}]"), causes);
            }
        }
        _ => scalar(text, value, path, causes),
    }
}

fn scalar(text: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut refuse = |why: String| causes.push(Cause::invalid(path, &value.to_string(), &why));
    if let Some(number) = value.as_f64() {
        let bound = |name: &str| text[name].as_f64().map(|bound| (bound, text[name].to_string()));
        if let Some((_, shown)) = bound("minimum").filter(|(bound, _)| number < *bound) {
            refuse(format!("{path} in body should be greater than or equal to {shown}"));
        }
        if let Some((_, shown)) = bound("maximum").filter(|(bound, _)| number > *bound) {
            refuse(format!("{path} in body should be less than or equal to {shown}"));
        }
    }
    if let Some(string) = value.as_str() {
        let length = string.chars().count() as u64;
        if let Some(bound) = text["minLength"].as_u64().filter(|bound| length < *bound) {
            refuse(format!("{path} in body should be at least {bound} chars long"));
        }
        if let Some(bound) = text["maxLength"].as_u64().filter(|bound| length > *bound) {
            refuse(format!("{path} in body should be at most {bound} chars long"));
        }
        let pattern = text["pattern"].as_str();
        if let Some(pattern) = pattern.filter(|pattern| regex::Regex::new(pattern).is_ok_and(|it| !it.is_match(string)))
        {
            refuse(format!("{path} in body should match '{pattern}'"));
        }
    }
    if let Some(allowed) = text["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        causes.push(Cause::unsupported(path, &value.to_string(), &allowed));
    }
}

fn is_type(wished: &str, value: &Value) -> bool {
    match wished {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
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
