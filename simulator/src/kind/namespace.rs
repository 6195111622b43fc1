//! `v1 Namespace`: the label with its name, the finalizer that empties it, its phase.

use serde_json::{Value, json};

use crate::object;

/// The label that every namespace has.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) fn default(object: &mut Value) {
    let name = object::text(object, "name").to_owned();
    if !name.is_empty() {
        let labels = object::map(object::metadata_mut(object).entry("labels").or_insert(Value::Null));
        labels.insert(NAME_LABEL.to_owned(), name.into());
    }
}

pub(super) fn prepare(object: &mut Value) {
    object::child(object, "status").insert("phase".to_owned(), "Active".into());
    let finalizers = object::child(object, "spec").entry("finalizers").or_insert_with(|| json!([]));
    if let Some(finalizers) = finalizers.as_array_mut().filter(|list| !list.iter().any(|one| one == "kubernetes")) {
        finalizers.push("kubernetes".into());
    }
}
