//! Delete: preconditions, finalizers and propagation → gone, or on its way out.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::history::Place;
use crate::managed;
use crate::object;
use crate::resource::Nature;
use crate::state::{Call, State};

/// Deletes an object, or asks for it.
///
/// # Errors
///
/// If it isn't there, or not the one that is meant.
pub fn delete(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let options: Value = if call.request.body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&call.request.body).map_err(|error| Failure::bad_request(error.to_string()))?
    };
    let old = state.object(call)?;
    precondition(call, &options, &old)?;
    let is_dry_run = call.is_dry_run() || options["dryRun"] == json!(["All"]);
    let place = call.place(&call.target.name);
    let mut new = Value::clone(&old);
    propagate(call, &options, &mut new);
    let is_namespace = call.resource.nature == Nature::Namespace;
    let grace = grace(call, &options, &old);
    if object::finalizers(&new).is_empty() && !is_namespace && grace == 0 {
        if call.resource.nature == Nature::Definition && !is_dry_run {
            empty(state, &old);
            state.catalog.forget(&old);
        }
        // What goes is told as it was.
        let last = Value::clone(&old);
        let gone = if is_dry_run { last } else { Value::clone(&state.history.remove(&place, last)) };
        return Ok(if matches!(call.resource.nature, Nature::Service | Nature::Pod) {
            gone
        } else {
            success(call, &gone)
        });
    }
    if !object::is_terminating(&old) {
        let end = call.now.saturating_add(SignedDuration::from_secs(grace)).unwrap_or(call.now);
        object::set(&mut new, "deletionTimestamp", Some(managed::time(end)));
        if is_namespace {
            object::child(&mut new, "status").insert("phase".into(), "Terminating".into());
        } else {
            object::set(&mut new, "deletionGracePeriodSeconds", Some(grace.into()));
        }
        let generation = object::metadata(&new).get("generation").and_then(Value::as_i64);
        object::set(&mut new, "generation", generation.map(|generation| (generation + 1).into()));
    }
    if new == *old || is_dry_run {
        return Ok(new);
    }
    Ok(Value::clone(&state.history.put(place, new)))
}

/// Takes away all objects of a definition that goes. The real server waits for those that are held by finalizers.
fn empty(state: &mut State, definition: &Value) {
    let spec = &definition["spec"];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let resource = format!("{}.{}", word(&spec["names"]["plural"]), word(&spec["group"]));
    for object in state.history.present(&resource, "") {
        let (namespace, name) =
            (object::text(&object, "namespace").to_owned(), object::text(&object, "name").to_owned());
        state.history.remove(&Place { resource: resource.clone(), namespace, name }, Value::clone(&object));
    }
}

/// Replaces what still has to be done before a namespace may go (`/finalize`). With the last of it, it goes.
///
/// # Errors
///
/// If it isn't there.
pub fn finalize(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let wished: Value =
        serde_json::from_slice(&call.request.body).map_err(|error| Failure::bad_request(error.to_string()))?;
    let old = state.object(call)?;
    let mut new = Value::clone(&old);
    let left = wished["spec"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    object::copy_field(object::map(&mut new).entry("spec").or_insert(Value::Null), &wished["spec"], "finalizers");
    if new["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
        object::child(&mut new, "spec").remove("finalizers");
    }
    let place = call.place(&call.target.name);
    if object::is_terminating(&old) && !left && object::finalizers(&old).is_empty() {
        state.history.remove(&place, Value::clone(&old));
        return Ok(new);
    }
    Ok(Value::clone(&state.history.put(place, new)))
}

/// How long its containers have to end, in seconds: only those of a pod that runs are given any time.
fn grace(call: &Call<'_>, options: &Value, old: &Value) -> i64 {
    let is_over = matches!(old["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if call.resource.nature != Nature::Pod || old["spec"]["nodeName"].is_null() || is_over {
        return 0;
    }
    let wished = call.request.parameter("gracePeriodSeconds").parse().ok();
    let wished = wished.or_else(|| options["gracePeriodSeconds"].as_i64());
    let own = || object::number(old, "/spec/terminationGracePeriodSeconds");
    // Less than none is as short as it can be without giving up on an orderly end.
    let grace = wished.unwrap_or_else(own);
    if grace < 0 { 1 } else { grace }
}

fn precondition(call: &Call<'_>, options: &Value, old: &Value) -> Result<(), Failure> {
    let name = &call.target.name;
    for (field, wished, what, why) in [
        ("uid", "uid", "UID", ". The object might have been deleted and then recreated"),
        ("resourceVersion", "resourceVersion", "ResourceVersion", ". The object might have been modified"),
    ] {
        let own = object::text(old, field);
        let wished = options["preconditions"][wished].as_str();
        if let Some(wished) = wished.filter(|wished| *wished != own) {
            return Err(call.about_kind(name).conflict(&format!(
                "the {what} in the precondition ({wished}) does not match the {what} in record ({own}){why}"
            )));
        }
    }
    Ok(())
}

/// Sets the finalizers by which the garbage collector knows what is to become of the dependents.
fn propagate(call: &Call<'_>, options: &Value, object: &mut Value) {
    let wished = match call.request.parameter("propagationPolicy") {
        "" => options["propagationPolicy"].as_str().unwrap_or_default(),
        policy => policy,
    };
    // As it was before there was a choice.
    let wished = if wished.is_empty() && call.resource.nature == Nature::Job { "Orphan" } else { wished };
    let marks = [("Orphan", "orphan"), ("Foreground", "foregroundDeletion")];
    if wished.is_empty() || call.resource.nature == Nature::Namespace {
        return;
    }
    let mut finalizers: Vec<String> = object::finalizers(object).into_iter().map(str::to_owned).collect();
    let before = finalizers.clone();
    finalizers.retain(|one| marks.iter().all(|(_, mark)| one != mark));
    finalizers.extend(marks.iter().filter(|(policy, _)| *policy == wished).map(|(_, mark)| (*mark).to_owned()));
    if finalizers != before {
        object::set(object, "finalizers", (!finalizers.is_empty()).then(|| finalizers.into()));
    }
}

fn success(call: &Call<'_>, gone: &Value) -> Value {
    let mut details = Map::new();
    let mut detail = |name: &str, value: &str| {
        if !value.is_empty() {
            details.insert(name.to_owned(), value.into());
        }
    };
    detail("name", &call.target.name);
    detail("group", &call.resource.group);
    detail("kind", &call.resource.plural);
    detail("uid", object::text(gone, "uid"));
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
