//! The revision of a pod template, as a `ControllerRevision`. Pure.

use serde_json::{Map, Value, json};

use super::{hash, own};
use crate::application::Application;
use crate::observe::Revision;
use crate::observe::revision::APPLICATION_LABEL;
use engine::object::Object;

/// The name of the revision of `template`: the same template is the same revision, in one life of the Application.
pub(super) fn name(application: &Application, template: &Value) -> String {
    let metadata = &application.metadata;
    // Revisions that an earlier life has left, on purpose or until they are collected, are in nobody's way.
    format!("{}-{}", metadata.name, hash(&format_args!("{} {template}", metadata.uid)))
}

/// The revision to be created for `template`, with `notes` as annotations.
pub(super) fn render(application: &Application, template: &Value, number: i64, notes: &Map<String, Value>) -> Value {
    let mut revision = json!({
        "apiVersion": Revision::RESOURCE.api_version(),
        "kind": Revision::RESOURCE.kind,
        "metadata": {
            "name": name(application, template),
            "labels": {(APPLICATION_LABEL): application.metadata.name},
            "annotations": notes,
        },
        "revision": number,
        "data": {"spec": {"template": template}},
    });
    own(application, &mut revision);
    revision
}
