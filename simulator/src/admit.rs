//! A body → an object of the resource: decoded, pruned, defaulted; and whether it may be there.

use serde_json::Value;

use crate::decode;
use crate::failure::{Cause, Failure};
use crate::kind;
use crate::mistype;
use crate::object;
use crate::schema;
use crate::state::{Call, State};

/// An object from JSON.
///
/// # Errors
///
/// If it is none, or of another kind than its resource's.
pub fn object(call: &Call<'_>, body: &[u8]) -> Result<Value, Failure> {
    let value: Value = serde_json::from_slice(body).map_err(|error| Failure::bad_request(error.to_string()))?;
    fits(call, &value)?;
    complete(call, value)
}

/// Whether a built-in's type can take a value in.
///
/// # Errors
///
/// If one of its fields is of another type.
pub fn fits(call: &Call<'_>, value: &Value) -> Result<(), Failure> {
    let (kind, version) = (&call.resource.kind, &call.resource.version);
    match mistype::find(&call.resource, value).filter(|_| call.resource.is_builtin()) {
        Some(problem) => {
            Err(Failure::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {problem}")))
        }
        None => Ok(()),
    }
}

/// What the type makes of a value.
///
/// # Errors
///
/// If it is of another kind than its resource's.
pub fn complete(call: &Call<'_>, mut value: Value) -> Result<Value, Failure> {
    let resource = &call.resource;
    if !value.is_object() {
        return Err(Failure::bad_request("the object is no JSON object"));
    }
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, version) = (text(&value, "kind"), text(&value, "apiVersion"));
    if !kind.is_empty() && kind != resource.kind || !version.is_empty() && version != resource.api_version() {
        return Err(Failure::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}: converting ({}) to ({}): unknown conversion",
            resource.kind,
            version.replace('/', ".") + "." + &kind,
            if resource.group.is_empty() { "core".to_owned() } else { resource.group.clone() } + "." + &resource.kind,
        )));
    }
    value["kind"] = resource.kind.as_str().into();
    value["apiVersion"] = resource.api_version().into();
    let mut unknown = Vec::new();
    if resource.is_builtin() {
        value = decode::builtin(&resource.schema, &value, &mut unknown);
    } else {
        let metadata = object::metadata_mut(&mut value).clone();
        value["metadata"] = decode::builtin(&schema::builtin("ObjectMeta"), &metadata.into(), &mut unknown);
        if resource.nature == crate::resource::Nature::Custom {
            decode::prune(&resource.schema, &mut value);
            // What is applied is not decoded as what is sent is.
            if call.request.content_type != "application/apply-patch+yaml" {
                decode::drop_nulls(&resource.schema, &mut value);
            }
            decode::default(&resource.schema, &mut value);
        }
    }
    kind::default(resource, &mut value);
    Ok(value)
}

/// Whether a new object may come into its namespace.
///
/// # Errors
///
/// If the namespace isn't there, or is on its way out.
pub fn namespace(state: &State, call: &Call<'_>, name: &str) -> Result<(), Failure> {
    if !call.resource.is_namespaced {
        return Ok(());
    }
    let namespace = &call.target.namespace;
    let place =
        crate::history::Place { resource: "namespaces.".into(), namespace: String::new(), name: namespace.clone() };
    let Some(found) = state.history.get(&place) else {
        let about = crate::failure::About { group: "", plural: "namespaces", name: namespace };
        return Err(about.not_found());
    };
    if object::is_terminating(found) {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut failure = call.about(name).forbidden(&why);
        if let Some(details) = &mut failure.details {
            details["causes"] = serde_json::json!([{
                "reason": "NamespaceTerminating", "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
        }
        return Err(failure);
    }
    Ok(())
}

/// What an update may not change in an object's metadata.
pub fn metadata(object: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if object::is_terminating(old) {
        let before = object::finalizers(old);
        let new: Vec<_> = object::finalizers(object).into_iter().filter(|one| !before.contains(one)).collect();
        if !new.is_empty() {
            let new: Vec<String> = new.into_iter().map(|one| format!("{one:?}")).collect();
            let why = "no new finalizers can be added if the object is being deleted, found new finalizers";
            causes.push(Cause {
                reason: "FieldValueForbidden",
                field: "metadata.finalizers".into(),
                message: format!("Forbidden: {why} []string{{{}}}", new.join(", ")),
            });
        }
    }
    let uid = object::text(object, "uid");
    if uid != object::text(old, "uid") {
        causes.push(Cause::invalid("metadata.uid", &format!("{uid:?}"), "field is immutable"));
    }
    causes
}
