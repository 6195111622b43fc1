//! The revision of a pod template, as a `ControllerRevision` or on another object. Pure.

use std::fmt;

use serde_json::{Map, Value, json};

use super::{hash, own};
use crate::application::Application;
use crate::observe::Revision;
use crate::observe::revision::APPLICATION_LABEL;
use engine::object::{Metadata, Object};

/// The name of the revision of `template`: the same template is the same revision, in one life of the Application.
pub(super) fn name(application: &Application, template: &impl fmt::Display) -> String {
    let metadata = &application.metadata;
    // Revisions that an earlier life has left, on purpose or until they are collected, are in nobody's way.
    format!("{}-{}", metadata.name, hash(&format_args!("{} {template}", metadata.uid)))
}

/// The longest text of a revision that a Deployment keeps: a sixteenth of what the annotations of an object may take, which
/// the Deployment's controller copies to each `ReplicaSet`.
pub(super) const LONGEST: usize = 16 << 10;

/// The text of the revision called `name`, to be kept on another object.
pub(super) fn text(name: &str, template: &Value, number: i64) -> String {
    json!({"metadata": {"name": name}, "revision": number, "data": {"spec": {"template": template}}}).to_string()
}

/// The revision that is kept on the Application's Deployment, or on another revision, of which this is the metadata. What is not
/// the template that was once rendered, as the hash in the name tells, was written by somebody else, and is none.
pub fn kept(application: &Application, keeper: &Metadata) -> Option<Revision> {
    let kept = Revision::kept_on(keeper)?;
    let is_true = name(application, &kept.template_text()?) == *kept.metadata.name;
    is_true.then_some(kept)
}

/// The revision called `name` to be created for `template`, with `notes` as annotations.
pub(super) fn render(
    application: &Application,
    name: &str,
    template: &Value,
    number: i64,
    notes: &Map<String, Value>,
) -> Value {
    let mut revision = json!({
        "apiVersion": Revision::RESOURCE.api_version(),
        "kind": Revision::RESOURCE.kind,
        "metadata": {
            "name": name,
            "labels": {(APPLICATION_LABEL): application.metadata.name},
            "annotations": notes,
        },
        "revision": number,
        "data": {"spec": {"template": template}},
    });
    own(application, &mut revision);
    revision
}
