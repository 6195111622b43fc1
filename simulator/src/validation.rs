//! What was sent → the fields in it that its type does not have (`fieldValidation`).

use serde_json::Value;

use crate::failure::{Cause, Failure};
use crate::resource::{Nature, Resource};
use crate::schema::{self, Schema, Shape};
use crate::state::{Call, State};

/// The warnings to go with the answer.
///
/// # Errors
///
/// 400 or 422 if there is such a field and the client wants to be strict.
pub fn check(state: &State, call: &Call<'_>) -> Result<Vec<String>, Failure> {
    let request = call.request;
    let wished = match request.parameter("fieldValidation") {
        "" => "Warn",
        wished => wished,
    };
    if !matches!(wished, "Ignore" | "Strict" | "Warn") {
        let kind = match request.method.as_str() {
            "POST" => "CreateOptions",
            "PUT" => "UpdateOptions",
            "PATCH" => "PatchOptions",
            _ => return Ok(Vec::new()),
        };
        let known = ["", "Ignore", "Strict", "Warn"];
        return Err(Failure::options(kind, &[Cause::unsupported("fieldValidation", &format!("{wished:?}"), &known)]));
    }
    // What an applied configuration holds is checked when it is merged, and a JSON patch names fields by paths.
    let is_patch = match (request.method.as_str(), request.content_type.as_str()) {
        ("POST" | "PUT", _) => false,
        ("PATCH", "application/merge-patch+json" | "application/strategic-merge-patch+json") => true,
        _ => return Ok(Vec::new()),
    };
    // The schema of schemas is not known here.
    let is_object =
        matches!(call.target.subresource.as_str(), "" | "status") && call.resource.nature != Nature::Definition;
    if wished == "Ignore" || !is_object || is_patch && state.object(call).is_err() {
        return Ok(Vec::new());
    }
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else { return Ok(Vec::new()) };
    let unknown: Vec<String> =
        unknown(&call.resource, &body).iter().map(|path| format!("unknown field {path:?}")).collect();
    if unknown.is_empty() || wished != "Strict" {
        return Ok(unknown);
    }
    let Resource { kind, version, .. } = &*call.resource;
    let problem = format!("strict decoding error: {}", unknown.join(", "));
    if is_patch {
        let cause = Cause::invalid("patch", &format!("{body:?}"), &problem);
        return Err(call.about(&call.target.name).invalid(kind, &[cause]));
    }
    Err(Failure::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {problem}")))
}

/// Paths of the fields that a resource's type does not have.
fn unknown(resource: &Resource, body: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let metadata = schema::builtin("ObjectMeta");
    for (name, value) in body.as_object().into_iter().flatten() {
        match name.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => walk(&metadata, value, "metadata", &mut found),
            name => match resource.schema.field(name) {
                Some(field) => walk(field, value, name, &mut found),
                None if name.starts_with('$') => {}
                None => found.push(name.to_owned()),
            },
        }
    }
    found
}

fn walk(schema: &Schema, value: &Value, path: &str, found: &mut Vec<String>) {
    match (&schema.shape, value) {
        (Shape::Map { fields, others, .. }, Value::Object(map)) if !fields.is_empty() || others.is_some() => {
            for (name, value) in map {
                match fields.get(name).or(others.as_ref()) {
                    Some(field) => walk(field, value, &format!("{path}.{name}"), found),
                    // A directive of a strategic merge patch.
                    None if name.starts_with('$') => {}
                    None => found.push(format!("{path}.{name}")),
                }
            }
        }
        (Shape::List { items, .. }, Value::Array(list)) => {
            for (index, item) in list.iter().enumerate() {
                walk(items, item, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}
