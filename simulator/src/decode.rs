//! The value that a client sent → the value that is kept: what the type does not have is dropped, what it always has is
//! there.
//!
//! For a built-in this is what a Go struct makes of JSON on its way in and out (`omitempty`); for a custom resource it is
//! pruning and defaulting by the definition's schema.

use serde_json::{Map, Value};

use crate::schema::{Schema, Shape};

/// Scalars that are pointers in Go, so that their zero value is not the same as their absence. The API's `OpenAPI` does not
/// tell.
const POINTERS: [&str; 51] = [
    "activeDeadlineSeconds",
    "allocateLoadBalancerNodePorts",
    "allowPrivilegeEscalation",
    "appProtocol",
    "automountServiceAccountToken",
    "averageUtilization",
    "backoffLimit",
    "backoffLimitPerIndex",
    "blockOwnerDeletion",
    "collisionCount",
    "completions",
    "controller",
    "deletionGracePeriodSeconds",
    "enableServiceLinks",
    "externalTrafficPolicy",
    "fsGroup",
    "immutable",
    "ingressClassName",
    "internalTrafficPolicy",
    "ipFamilyPolicy",
    "leaseDurationSeconds",
    "leaseTransitions",
    "loadBalancerClass",
    "manualSelector",
    "maxFailedIndexes",
    "maxSurge",
    "maxUnavailable",
    "minAvailable",
    "minReplicas",
    "optional",
    "parallelism",
    "podReplacementPolicy",
    "priority",
    "privileged",
    "progressDeadlineSeconds",
    "readOnlyRootFilesystem",
    "ready",
    "replicas",
    "revisionHistoryLimit",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "serving",
    "stabilizationWindowSeconds",
    "started",
    "suspend",
    "terminating",
    "terminatingReplicas",
    "terminationGracePeriodSeconds",
    "ttlSecondsAfterFinished",
    "unhealthyPodEvictionPolicy",
];

/// A built-in as its type keeps it. Names of fields that the type does not have are added to `unknown`.
pub fn builtin(schema: &Schema, value: &Value, unknown: &mut Vec<String>) -> Value {
    typed(schema, value, "", unknown)
}

/// A built-in, or a part of one, of which nothing is said, as Go writes it.
pub fn empty(schema: &Schema) -> Value {
    builtin(schema, &Value::Object(Map::new()), &mut Vec::new())
}

fn typed(schema: &Schema, value: &Value, path: &str, unknown: &mut Vec<String>) -> Value {
    match (&schema.shape, value) {
        (Shape::Map { fields, others, .. }, Value::Object(map)) => {
            let mut kept = Map::new();
            for (name, inner) in map {
                let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match (fields.get(name), others) {
                    (Some(field), _) => {
                        let inner = typed(field, inner, &at, unknown);
                        let is_status = path == "status";
                        if field.default.is_some() || !is_empty(field, name, is_status, &inner) {
                            kept.insert(name.clone(), inner);
                        }
                    }
                    (None, Some(other)) if !inner.is_null() || matches!(other.shape, Shape::Scalar) => {
                        let inner = typed(other, inner, &at, unknown);
                        kept.insert(name.clone(), if inner.is_null() { "".into() } else { inner });
                    }
                    (None, Some(_)) => {}
                    // The type of managed fields is a text to Go.
                    (None, None) if fields.is_empty() => drop(kept.insert(name.clone(), inner.clone())),
                    (None, None) => unknown.push(at),
                }
            }
            for (name, field) in fields {
                let is_absent = kept.get(name).is_none_or(Value::is_null);
                if let Some(default) = field.default.as_ref().filter(|_| is_absent) {
                    let zero = if default.is_object() { field.zero() } else { default.clone() };
                    kept.insert(name.clone(), zero);
                }
            }
            Value::Object(kept)
        }
        (Shape::List { items, .. }, Value::Array(list)) => {
            let item = |(index, item)| typed(items, item, &format!("{path}[{index}]"), unknown);
            Value::Array(list.iter().enumerate().map(item).collect())
        }
        _ => value.clone(),
    }
}

/// Whether Go leaves the field out.
fn is_empty(field: &Schema, name: &str, is_status: bool, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty() && matches!(&field.shape, Shape::Map { fields, .. } if fields.is_empty()),
        Value::String(text) => text.is_empty() && !POINTERS.contains(&name),
        Value::Number(number) => {
            number.as_i64() == Some(0) && (is_status && name == "replicas" || !POINTERS.contains(&name))
        }
        Value::Bool(truth) => !truth && !POINTERS.contains(&name),
    }
}

/// A custom resource without what its definition does not know.
pub fn prune(schema: &Schema, value: &mut Value) {
    match (&schema.shape, value) {
        (Shape::Map { fields, others, .. }, Value::Object(map)) => {
            map.retain(|name, _| fields.contains_key(name) || others.is_some());
            for (name, inner) in map.iter_mut().filter(|(name, _)| *name != "metadata") {
                if let Some(field) = fields.get(name).or(others.as_ref()) {
                    prune(field, inner);
                }
            }
        }
        (Shape::List { items, .. }, Value::Array(list)) => list.iter_mut().for_each(|item| prune(items, item)),
        _ => {}
    }
}

/// A custom resource without nulls that are not allowed, and for which its definition has nothing to fill in.
pub fn drop_nulls(schema: &Schema, value: &mut Value) {
    match (&schema.shape, value) {
        (Shape::Map { fields, others, .. }, Value::Object(map)) => {
            let is_wanted = |field: &Schema| is_nullable(field) || field.default.is_some() || !field.text.is_object();
            let field = |name: &String| fields.get(name).or(others.as_ref());
            map.retain(|name, inner| !inner.is_null() || field(name).is_none_or(|field| is_wanted(field)));
            for (name, inner) in map.iter_mut().filter(|(name, _)| *name != "metadata") {
                if let Some(field) = field(name) {
                    drop_nulls(field, inner);
                }
            }
        }
        (Shape::List { items, .. }, Value::Array(list)) => list.iter_mut().for_each(|item| drop_nulls(items, item)),
        _ => {}
    }
}

/// A custom resource with what its definition fills in.
pub fn default(schema: &Schema, value: &mut Value) {
    match (&schema.shape, value) {
        (Shape::Map { fields, others, .. }, Value::Object(map)) => {
            for (name, field) in fields.iter().filter(|(name, _)| *name != "metadata") {
                if let Some(default) = &field.default {
                    map.entry(name.clone()).or_insert_with(|| default.clone());
                }
            }
            for (name, inner) in map.iter_mut().filter(|(name, _)| *name != "metadata") {
                if let Some(field) = fields.get(name).or(others.as_ref()) {
                    fill(field, inner);
                }
            }
        }
        (Shape::List { items, .. }, Value::Array(list)) => list.iter_mut().for_each(|item| fill(items, item)),
        _ => {}
    }
}

/// Fills in what is inside of a value, and the value itself if it is a null that is not allowed.
fn fill(schema: &Schema, value: &mut Value) {
    if let Some(default) = schema.default.as_ref().filter(|_| value.is_null() && !is_nullable(schema)) {
        *value = default.clone();
    }
    default(schema, value);
}

fn is_nullable(schema: &Schema) -> bool {
    schema.text["nullable"] == true
}
