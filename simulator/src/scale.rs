//! `/scale`: an object → its scale, and a changed scale → the object's wished replicas.

use serde_json::{Map, Value, json};

use crate::failure::{Cause, Failure};
use crate::kind;
use crate::managed::Managed;
use crate::object;
use crate::patch;
use crate::resource::Scale;
use crate::schema;
use crate::state::{Call, State};
use crate::write::{self, Written};

/// The scale of an object.
///
/// # Errors
///
/// If there is no such object.
pub fn get(state: &State, call: &Call<'_>) -> Result<Value, Failure> {
    let object = state.object(call)?;
    Ok(render(call, &object))
}

/// Replaces or patches the scale.
///
/// # Errors
///
/// If it is refused.
pub fn write(state: &mut State, call: &Call<'_>) -> Written {
    let old = state.object(call)?;
    let before = render(call, &old);
    let body =
        || serde_json::from_slice::<Value>(&call.request.body).map_err(|error| Failure::bad_request(error.to_string()));
    let new = match (call.request.method.as_str(), call.request.content_type.as_str()) {
        ("PUT", _) => body()?,
        (_, "application/json-patch+json") => patch::json(&before, &call.request.body)?,
        (_, "application/strategic-merge-patch+json") => patch::strategic(&schema::builtin("Scale"), &before, &body()?),
        _ => patch::merge(&before, &body()?),
    };
    let name = &call.target.name;
    let version = object::text(&new, "resourceVersion");
    if !matches!(version, "" | "0") && version != object::text(&old, "resourceVersion") {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(call.about(name).conflict(why));
    }
    let replicas = new["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let why = Cause::invalid("spec.replicas", &replicas.to_string(), "must be greater than or equal to 0");
        let about = crate::failure::About { group: "autoscaling", plural: "scales", name };
        return Err(about.invalid("Scale", &[why]));
    }
    let Some(scale) = scale(call) else { return Err(Failure::no_route()) };
    let mut changed = Value::clone(&old);
    set(&mut changed, &scale.spec, replicas.into());
    let path: Vec<&str> = scale.spec.iter().map(String::as_str).collect();
    let (managed, writer) = (Managed::of(&old), call.writer(false));
    let managed = match (changed == *old, replicas) {
        (true, _) => managed.hand_to(&path, None),
        // A scale of zero is written as an empty spec.
        (false, 0) => managed.hand_off(&path),
        (false, _) => managed.hand_to(&path, Some(&writer)),
    };
    object::set(&mut changed, "managedFields", managed.render());
    kind::prepare_update(&call.resource, "", &mut changed, &old, &mut state.identities)?;
    let causes = kind::validate(&call.resource, "", &changed, Some(&old));
    if !causes.is_empty() {
        return Err(call.about(name).invalid(&call.resource.kind, &causes));
    }
    let (code, stored) = write::store(state, call, &old, changed)?;
    Ok((code, render(call, &stored)))
}

fn scale<'a>(call: &'a Call<'_>) -> Option<&'a Scale> {
    call.resource.scale.as_ref()
}

fn render(call: &Call<'_>, object: &Value) -> Value {
    let mut metadata = Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object::metadata(object).get(field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let Some(scale) = scale(call) else { return Value::Null };
    let at = |path: &[String]| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        object::at(object, &path).cloned()
    };
    let count = |path| at(path).and_then(|value| value.as_i64()).unwrap_or(0);
    let mut spec = json!({"replicas": count(&scale.spec)});
    if spec["replicas"] == 0 {
        spec = json!({});
    }
    let mut status = json!({"replicas": count(&scale.status)});
    let selector = match &scale.selector {
        Some(path) => at(path).and_then(|selector| selector.as_str().map(str::to_owned)),
        None => object["spec"]["selector"]["matchLabels"].as_object().map(|labels| {
            let labels = labels.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
            labels.collect::<Vec<_>>().join(",")
        }),
    };
    if let Some(selector) = selector.filter(|selector| !selector.is_empty()) {
        status["selector"] = selector.into();
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

fn set(object: &mut Value, path: &[String], value: Value) {
    let Some((last, outer)) = path.split_last() else { return };
    let mut inner = object;
    for name in outer {
        inner = object::map(inner).entry(name.clone()).or_insert(Value::Null);
    }
    object::map(inner).insert(last.clone(), value);
}
