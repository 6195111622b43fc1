//! What each kind of object does of its own: what it fills in, what it keeps on an update, what it refuses.

mod budget;
mod custom;
mod definition;
mod deployment;
mod exclusive;
mod job;
mod names;
mod namespace;
mod pod;
mod replica_set;
mod resources;
mod secret;
mod service;

use serde_json::{Value, json};

pub use self::names::problem as name_problem;
pub use self::namespace::NAME_LABEL;

use crate::decode;
use crate::failure::{Cause, Failure};
use crate::fields::Fields;
use crate::identity::Identities;
use crate::object;
use crate::resource::{Nature, Resource};

/// Fills in what was left out, as soon as an object is read.
pub fn default(resource: &Resource, object: &mut Value) {
    match resource.nature {
        Nature::Deployment => deployment::default(object),
        Nature::ReplicaSet => replica_set::default(object),
        Nature::Pod => pod::default(object),
        Nature::Job => job::default(object),
        Nature::Service => service::default(object),
        Nature::Namespace => namespace::default(object),
        Nature::Plain if resource.kind == "Secret" => secret::default(object),
        Nature::ConfigMap | Nature::EndpointSlice | Nature::Plain | Nature::Custom | Nature::Definition => {}
    }
}

/// The fields that a write to the object (or to `subresource`) leaves as they were.
pub fn reset(resource: &Resource, subresource: &str) -> Fields {
    match (resource.nature, subresource) {
        (_, "") if resource.has_status => Fields::of(&["status"]),
        (Nature::Custom, "status") => Fields::of(&["spec"]).union(&Fields::of(&["metadata"])),
        (Nature::Deployment, "status") => Fields::of(&["spec"]).union(&Fields::of(&["metadata", "labels"])),
        (_, "status") => Fields::of(&["spec"]),
        _ => Fields::default(),
    }
}

/// Makes a new object fit to be stored. One that comes to be by a write to its status gets no address.
///
/// # Errors
///
/// If a node port is given out twice.
pub fn prepare(
    resource: &Resource,
    subresource: &str,
    object: &mut Value,
    identities: &mut Identities,
) -> Result<(), Failure> {
    if resource.has_status && resource.nature != Nature::Definition {
        object::map(object).remove("status");
    }
    match resource.nature {
        Nature::Pod => pod::prepare(object),
        Nature::Service if subresource.is_empty() => service::prepare(object, None, identities)?,
        Nature::Service => object::copy_field(object, &json!({"status": {"loadBalancer": {}}}), "status"),
        Nature::Namespace => namespace::prepare(object),
        Nature::Definition => definition::prepare(object),
        _ if resource.has_status && resource.is_builtin() => {
            object["status"] =
                resource.schema.field("status").map_or_else(|| json!({}), |status| decode::empty(status));
        }
        _ => {}
    }
    if resource.nature == Nature::Job {
        job::prepare(object);
    }
    object::set(object, "generation", resource.has_generation.then(|| 1.into()));
    Ok(())
}

/// Makes a changed object fit to be stored: what this write may not change is as it was, and its generation is right.
///
/// # Errors
///
/// If a node port is given out twice.
pub fn prepare_update(
    resource: &Resource,
    subresource: &str,
    object: &mut Value,
    old: &Value,
    identities: &mut Identities,
) -> Result<(), Failure> {
    if subresource == "status" {
        match resource.nature {
            Nature::Custom => {
                let managed = object::metadata(object).get("managedFields").cloned();
                object::copy_field(object, old, "metadata");
                object::set(object, "managedFields", managed);
                let status = object.get("status").cloned();
                let metadata = object["metadata"].clone();
                *object = old.clone();
                object["metadata"] = metadata;
                match status {
                    Some(status) => object["status"] = status,
                    None => drop(object::map(object).remove("status")),
                }
            }
            Nature::Deployment => {
                object::copy_field(object, old, "spec");
                let labels = object::metadata(old).get("labels").cloned();
                object::set(object, "labels", labels);
            }
            _ => object::copy_field(object, old, "spec"),
        }
    } else {
        if resource.has_status {
            object::copy_field(object, old, "status");
        }
        match resource.nature {
            Nature::Service => service::prepare(object, Some(old), identities)?,
            Nature::Namespace => object::copy_field(object, old, "spec"),
            _ => {}
        }
    }
    let generation = object::metadata(old).get("generation").and_then(Value::as_i64);
    let generation = generation
        .map(|generation| generation + i64::from(subresource != "status" && is_new_wish(resource, object, old)));
    object::set(object, "generation", generation.map(Value::from));
    Ok(())
}

/// Whether an update makes a new generation.
fn is_new_wish(resource: &Resource, object: &Value, old: &Value) -> bool {
    match resource.nature {
        Nature::Deployment => {
            let annotations = |object: &Value| object::metadata(object).get("annotations").cloned();
            object.get("spec") != old.get("spec") || annotations(object) != annotations(old)
        }
        Nature::Custom | Nature::Definition | Nature::EndpointSlice => {
            let wish = |object: &Value| {
                let mut wish = object.clone();
                for name in ["metadata", "status"].iter().take(1 + usize::from(resource.has_status)) {
                    object::map(&mut wish).remove(*name);
                }
                wish
            };
            wish(object) != wish(old)
        }
        _ => object.get("spec") != old.get("spec"),
    }
}

/// What is wrong with an object that was written, or of which `subresource` was.
pub fn validate(resource: &Resource, subresource: &str, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    match resource.nature {
        Nature::Deployment => deployment::validate(object, old),
        Nature::ReplicaSet => replica_set::validate(object),
        Nature::Pod => pod::validate(&object["spec"], "spec"),
        Nature::Job => job::validate(object, old),
        Nature::Service => service::validate(object, old),
        Nature::Custom => custom::validate(resource, subresource, object, old),
        Nature::Definition => definition::validate(object),
        Nature::Plain if resource.kind == "PodDisruptionBudget" => budget::validate(object),
        Nature::ConfigMap | Nature::Namespace | Nature::EndpointSlice | Nature::Plain => Vec::new(),
    }
}
