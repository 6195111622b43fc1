//! The conditions of a Deployment's status.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::owned;
use crate::managed;
use crate::object;

/// Sets a condition. One with the same status and reason stays as it is; one with the same status keeps its time.
pub(super) fn set(deployment: &mut Value, kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) {
    let present = owned::condition(&deployment["status"], kind);
    if present.is_some_and(|present| present["status"] == status && present["reason"] == reason) {
        return;
    }
    renew(deployment, kind, status, reason, message, now);
}

/// Sets a condition, also if it says no more than the time.
pub(super) fn renew(deployment: &mut Value, kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) {
    let present = owned::condition(&deployment["status"], kind).filter(|present| present["status"] == status);
    let time = managed::time(now);
    let since = present.map_or_else(|| time.clone(), |present| present["lastTransitionTime"].clone());
    let condition = json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastUpdateTime": time, "lastTransitionTime": since,
    });
    remove(deployment, kind);
    let conditions = object::child(deployment, "status").entry("conditions").or_insert(Value::Null);
    match conditions.as_array_mut() {
        Some(list) => list.push(condition),
        None => *conditions = json!([condition]),
    }
}

/// Removes a condition.
pub(super) fn remove(deployment: &mut Value, kind: &str) {
    if let Some(list) = deployment.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        list.retain(|condition| condition["type"] != kind);
    }
}
