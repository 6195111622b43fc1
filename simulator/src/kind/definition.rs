//! `apiextensions.k8s.io/v1 CustomResourceDefinition`: accepted and established as soon as it is there.

use serde_json::{Value, json};

use crate::object;

/// What the real server's controllers write a moment later.
pub(super) fn prepare(object: &mut Value) {
    let time = object::metadata(object).get("creationTimestamp").cloned().unwrap_or_default();
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": time,
        })
    };
    let mut names = object["spec"]["names"].clone();
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    for (field, value) in [("listKind", format!("{kind}List")), ("singular", kind.to_lowercase())] {
        if names[field].as_str().is_none_or(str::is_empty) {
            names[field] = value.into();
        }
    }
    let versions = object["spec"]["versions"].as_array().into_iter().flatten();
    let stored: Vec<Value> =
        versions.filter(|version| version["storage"] == true).map(|version| version["name"].clone()).collect();
    object["spec"]["names"] = names.clone();
    object["status"] = json!({
        "acceptedNames": names,
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "storedVersions": stored,
    });
}
