//! Create, update and patch: a body and what is there → what is there then.

use serde_json::{Value, json};

use crate::admit;
use crate::failure::{Cause, Failure};
use crate::kind;
use crate::managed::{self, Conflict, Kind, Managed};
use crate::object;
use crate::patch;
use crate::resource::Nature;
use crate::state::{Call, State};
use crate::typed;

/// What a write answers: the code, and the object.
pub type Written = Result<(u16, Value), Failure>;

/// The object was modified since the version that a write insists on.
const MODIFIED: &str = "the object has been modified; please apply your changes to the latest version and try again";

/// Creates an object.
///
/// # Errors
///
/// If it is refused.
pub fn create(state: &mut State, call: &Call<'_>) -> Written {
    let object = admit::object(call, &call.request.body)?;
    let kind = kind_of(call);
    let managed = requested(&object, None).update(&kind, &kind.zero, &object, &call.writer(false), call.now);
    insert(state, call, object, &managed)
}

/// Replaces an object, or its status.
///
/// # Errors
///
/// If it is refused.
pub fn update(state: &mut State, call: &Call<'_>) -> Written {
    let mut new = admit::object(call, &call.request.body)?;
    agree(call, &mut new)?;
    let old = state.object(call).ok();
    let (uid, own) = (object::text(&new, "uid"), old.as_ref().map_or("", |old| object::text(old, "uid")));
    // A Service alone may come to be by an update.
    let may_create = call.resource.nature == Nature::Service;
    if (old.is_some() || may_create) && !uid.is_empty() && uid != own {
        return Err(call.about(&call.target.name).conflict(&format!(
            "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
             failed: UID in precondition: {uid}, UID in object meta: {own}",
            key(call)
        )));
    }
    let Some(old) = old else {
        if !may_create {
            return Err(call.about(&call.target.name).not_found());
        }
        let kind = kind_of(call);
        let managed = requested(&new, None).update(&kind, &kind.zero, &new, &call.writer(false), call.now);
        return insert(state, call, new, &managed);
    };
    let managed = updated(call, &old, &new);
    replace(state, call, &old, new, &managed)
}

/// Under which key the real server keeps the object in etcd; some of its messages say.
fn key(call: &Call<'_>) -> String {
    let folder = match call.resource.nature {
        Nature::Custom => format!("{}/{}", call.resource.group, call.resource.plural),
        Nature::Service => "services/specs".to_owned(),
        _ => call.resource.plural.clone(),
    };
    let space = if call.resource.is_namespaced { format!("{}/", call.target.namespace) } else { String::new() };
    format!("/registry/{folder}/{space}{}", call.target.name)
}

/// Patches an object or its status, or applies a configuration to it.
///
/// # Errors
///
/// If it is refused.
pub fn patch(state: &mut State, call: &Call<'_>) -> Written {
    let body = &call.request.body;
    if call.request.content_type == "application/apply-patch+yaml" {
        return apply(state, call);
    }
    if call.request.query.contains_key("force") {
        return Err(options("force", "FieldValueForbidden", "Forbidden: may not be specified for non-apply patch"));
    }
    let is_strategic = call.request.content_type == "application/strategic-merge-patch+json";
    if is_strategic && !call.resource.is_builtin() {
        return Err(unsupported(call));
    }
    let old = state.object(call)?;
    let document =
        || serde_json::from_slice(body).map_err(|error: serde_json::Error| Failure::bad_request(error.to_string()));
    let patched = match call.request.content_type.as_str() {
        "application/json-patch+json" => patch::json(&old, body)?,
        "application/merge-patch+json" => patch::merge(&old, &document()?),
        _ if is_strategic => patch::strategic(&call.resource.schema, &old, &document()?),
        _ => return Err(unsupported(call)),
    };
    admit::fits(call, &patched)?;
    let mut new = admit::complete(call, patched)?;
    agree(call, &mut new)?;
    let managed = updated(call, &old, &new);
    replace(state, call, &old, new, &managed)
}

/// The kinds of patch, as the real server names them where it takes none of them.
fn unsupported(call: &Call<'_>) -> Failure {
    let strategic = if call.resource.is_builtin() { "application/strategic-merge-patch+json, " } else { "" };
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, \
         application/merge-patch+json, {strategic}application/apply-patch+yaml"
    );
    Failure { code: 415, reason: "UnsupportedMediaType", message, details: None }
}

/// An option of a patch that makes no sense.
fn options(field: &str, reason: &'static str, message: &str) -> Failure {
    Failure::options("PatchOptions", &[Cause { reason, field: field.into(), message: message.into() }])
}

/// Applies a configuration (server-side apply).
fn apply(state: &mut State, call: &Call<'_>) -> Written {
    if call.request.parameter("fieldManager").is_empty() {
        let why = "Required value: is required for apply patch";
        return Err(options("fieldManager", "FieldValueRequired", why));
    }
    let applied: Value = serde_json::from_slice(&call.request.body)
        .or_else(|_| serde_saphyr::from_slice(&call.request.body))
        .map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")))?;
    let old = state.object(call).ok();
    // Whatever may be created by an update may be by an apply to its status.
    let may_create = call.target.subresource.is_empty() || call.resource.nature == Nature::Service;
    if old.is_none() && !may_create {
        return Err(call.about(&call.target.name).not_found());
    }
    if !object::metadata(&applied).get("managedFields").is_none_or(Value::is_null) {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let problems = typed::problems(&call.resource.schema, &applied);
    if !problems.is_empty() {
        let told =
            if let [only] = &problems[..] { only.clone() } else { format!("errors:\n  {}", problems.join("\n  ")) };
        let name = object::text(&applied, "name");
        let (group, version) = (&call.resource.group, &call.resource.version);
        let space = object::text(&applied, "namespace");
        let message = format!(
            "failed to create typed patch object ({space}/{name}; {group}/{version}, Kind={}): {told}",
            call.resource.kind
        );
        return Err(Failure { code: 500, reason: "", message, details: None });
    }
    let kind = kind_of(call);
    let live = old.as_deref().unwrap_or(&kind.zero);
    let managed = Managed::of(live);
    let mut bare = live.clone();
    object::set(&mut bare, "managedFields", None);
    let force = call.request.is_set("force");
    let applied = managed.apply(&kind, &bare, &applied, &call.writer(true), force, call.now);
    let (merged, managed) = applied.map_err(|them| refused(&them))?;
    let mut new = admit::complete(call, merged)?;
    agree(call, &mut new)?;
    let Some(old) = old else {
        let uid = object::text(&new, "uid");
        if !uid.is_empty() {
            let why =
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
            return Err(call.about(&call.target.name).conflict(&why));
        }
        return insert(state, call, new, &managed);
    };
    replace(state, call, &old, new, &managed)
}

/// The answer to an apply that would take fields from their owners.
fn refused(conflicts: &[Conflict]) -> Failure {
    let count: usize = conflicts.iter().map(|conflict| conflict.fields.len()).sum();
    let told = conflicts.iter().map(|Conflict { owner, fields }| match fields.as_slice() {
        [field] if count == 1 => format!("conflict with {owner}: {field}"),
        fields => format!("conflicts with {owner}:\n- {}", fields.join("\n- ")),
    });
    let told: Vec<String> = told.collect();
    let causes = conflicts.iter().flat_map(|Conflict { owner, fields }| {
        let message = format!("conflict with {owner}");
        fields.iter().map(move |field| json!({"reason": "FieldManagerConflict", "message": message, "field": field}))
    });
    let causes: Vec<Value> = causes.collect();
    Failure {
        code: 409,
        reason: "Conflict",
        message: format!(
            "Apply failed with {count} conflict{}: {}",
            if count == 1 { "" } else { "s" },
            told.join("\n")
        ),
        details: Some(json!({"causes": causes})),
    }
}

/// What is known of the kind when its fields are shared out.
fn kind_of(call: &Call<'_>) -> Kind {
    let reset = kind::reset(&call.resource, &call.target.subresource);
    Kind { schema: call.resource.schema.clone(), reset, zero: call.resource.zero() }
}

/// The owners that a request says, or those of what is there.
fn requested(new: &Value, old: Option<&Value>) -> Managed {
    let list = object::metadata(new).get("managedFields").and_then(Value::as_array);
    let is_reset = list.is_some_and(|list| matches!(list.as_slice(), [one] if *one == json!({})));
    if is_reset {
        return Managed::default();
    }
    let wished = Managed::of(new);
    if wished.is_empty() { old.map(Managed::of).unwrap_or_default() } else { wished }
}

fn updated(call: &Call<'_>, old: &Value, new: &Value) -> Managed {
    let kind = kind_of(call);
    if call.target.subresource.is_empty() {
        return requested(new, Some(old)).update(&kind, old, new, &call.writer(false), call.now);
    }
    let managed = Managed::of(old);
    // With a status comes whatever else was sent, which is not looked at but for this: where it can't be taken apart into fields,
    // the owners stay as they were.
    if !typed::is_separable(&call.resource.schema, new) {
        return managed;
    }
    managed.update(&kind, old, new, &call.writer(false), call.now)
}

/// Name and namespace of an object have to be those of the path.
fn agree(call: &Call<'_>, object: &mut Value) -> Result<(), Failure> {
    let (name, wished) = (object::text(object, "name").to_owned(), &call.target.name);
    if name.is_empty() {
        object::set(object, "name", Some(wished.as_str().into()));
        kind::default(&call.resource, object);
    } else if name != *wished {
        let why = format!("the name of the object ({name}) does not match the name on the URL ({wished})");
        return Err(Failure::bad_request(why));
    }
    space(call, object)
}

fn space(call: &Call<'_>, object: &mut Value) -> Result<(), Failure> {
    let (found, wished) = (object::text(object, "namespace").to_owned(), &call.target.namespace);
    if found.is_empty() {
        object::set(object, "namespace", call.resource.is_namespaced.then(|| wished.as_str().into()));
    } else if found != *wished {
        let why = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Failure::bad_request(why));
    }
    Ok(())
}

/// Stores a new object.
fn insert(state: &mut State, call: &Call<'_>, mut object: Value, managed: &Managed) -> Written {
    space(call, &mut object)?;
    let mut name = object::text(&object, "name").to_owned();
    let shown = if name.is_empty() { object::text(&object, "generateName") } else { &name };
    admit::namespace(state, call, shown)?;
    if name.is_empty() {
        let prefix = object::text(&object, "generateName").to_owned();
        if !prefix.is_empty() {
            name = prefix + &state.identities.suffix();
            object::set(&mut object, "name", Some(name.as_str().into()));
            kind::default(&call.resource, &mut object);
        }
    }
    let metadata = object::metadata_mut(&mut object);
    for field in ["selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        metadata.remove(field);
    }
    metadata.insert("uid".into(), state.identities.uid().into());
    metadata.insert("creationTimestamp".into(), managed::time(call.now));
    object::set(&mut object, "managedFields", managed.render());
    let mut dry = call.is_dry_run().then(|| state.identities.dry());
    let identities = dry.as_mut().unwrap_or(&mut state.identities);
    kind::prepare(&call.resource, &call.target.subresource, &mut object, identities)?;
    let mut causes = Vec::new();
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else {
        let prefix = object::text(&object, "generateName");
        let stem = prefix.strip_suffix('-').unwrap_or(prefix);
        for (field, name, shown) in [("metadata.generateName", stem, prefix), ("metadata.name", &*name, &*name)] {
            if let Some(problem) = kind::name_problem(call.resource.nature, name).filter(|_| !name.is_empty()) {
                causes.push(Cause::invalid(field, &format!("{shown:?}"), problem));
            }
        }
    }
    causes.extend(kind::validate(&call.resource, &call.target.subresource, &object, None));
    if !causes.is_empty() {
        return Err(call.about(&name).invalid(&call.resource.kind, &causes));
    }
    // What creates although it was no create forgives it, and the version is overwritten.
    if call.request.method == "POST" && !object::text(&object, "resourceVersion").is_empty() {
        let message = "resourceVersion should not be set on objects to be created".into();
        return Err(Failure { code: 500, reason: "", message, details: None });
    }
    let place = call.place(&name);
    if let Some(present) = state.history.get(&place) {
        let mut failure = call.about(&name).already_exists();
        if object::is_terminating(present) {
            failure.message = format!("object is being deleted: {}", failure.message);
        }
        return Err(failure);
    }
    if call.is_dry_run() {
        return Ok((201, object));
    }
    if call.resource.nature == Nature::Definition {
        state.catalog.define(&object);
    }
    Ok((201, Value::clone(&state.history.put(place, object))))
}

/// Stores a changed object. One whose deletion is asked for goes with its last finalizer.
fn replace(state: &mut State, call: &Call<'_>, old: &Value, mut new: Value, managed: &Managed) -> Written {
    let name = &call.target.name;
    let (version, own) = (object::text(&new, "resourceVersion"), object::text(old, "resourceVersion"));
    match version {
        "" | "0" if !call.resource.is_builtin() => {
            let why = Cause::invalid("metadata.resourceVersion", "0", "must be specified for an update");
            return Err(call.about(name).invalid(&call.resource.plural, &[why]));
        }
        "" | "0" => {}
        version if version != own => return Err(call.about(name).conflict(MODIFIED)),
        _ => {}
    }
    let before = object::metadata(old);
    for field in ["resourceVersion", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        object::set(&mut new, field, before.get(field).cloned());
    }
    if object::text(&new, "uid").is_empty() {
        object::set(&mut new, "uid", before.get("uid").cloned());
    }
    object::metadata_mut(&mut new).remove("selfLink");
    object::set(&mut new, "managedFields", managed.render());
    let mut dry = call.is_dry_run().then(|| state.identities.dry());
    let identities = dry.as_mut().unwrap_or(&mut state.identities);
    kind::prepare_update(&call.resource, &call.target.subresource, &mut new, old, identities)?;
    let mut causes = admit::metadata(&new, old);
    if call.resource.nature == Nature::Custom {
        // Seen: they are told twice, though only once in the message.
        causes.extend(causes.clone());
    }
    causes.extend(kind::validate(&call.resource, &call.target.subresource, &new, Some(old)));
    if !causes.is_empty() {
        return Err(call.about(name).invalid(&call.resource.kind, &causes));
    }
    store(state, call, old, new)
}

/// Keeps a changed object, if anything has changed.
///
/// # Errors
///
/// None so far; it is a write's last step.
pub fn store(state: &mut State, call: &Call<'_>, old: &Value, new: Value) -> Written {
    if timeless(&new) == timeless(old) {
        return Ok((200, old.clone()));
    }
    if call.is_dry_run() {
        return Ok((200, new));
    }
    let place = call.place(&call.target.name);
    let is_held = !object::finalizers(&new).is_empty() || call.resource.nature == Nature::Namespace;
    if object::is_terminating(&new) && !is_held {
        // The answer is the object as it would have been; what is gone is told as it was.
        state.history.remove(&place, old.clone());
        return Ok((200, new));
    }
    if call.resource.nature == Nature::Definition {
        state.catalog.define(&new);
    }
    Ok((200, Value::clone(&state.history.put(place, new))))
}

/// An object without the times of its owners, whose change alone is none.
fn timeless(object: &Value) -> Value {
    let mut object = object.clone();
    let list = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
    for entry in list.into_iter().flatten() {
        object::map(entry).remove("time");
    }
    if let Some(list) = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) {
        list.sort_by_key(ToString::to_string);
    }
    object
}
