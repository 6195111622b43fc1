//! `batch/v1 Job`: defaults, the selector that it is given, rules.

use serde_json::{Value, json};

use super::pod::{self, fill};
use crate::failure::Cause;
use crate::object;

pub(super) fn default(object: &mut Value) {
    let spec = object::child(object, "spec");
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        fill(spec, "completions", || 1.into());
    }
    fill(spec, "parallelism", || 1.into());
    fill(spec, "backoffLimit", || 6.into());
    fill(spec, "completionMode", || "NonIndexed".into());
    fill(spec, "suspend", || false.into());
    fill(spec, "manualSelector", || false.into());
    if !spec.contains_key("podFailurePolicy") {
        fill(spec, "podReplacementPolicy", || "TerminatingOrFailed".into());
    }
    pod::template(spec);
    label(object);
}

/// A Job without labels has those of its pods.
fn label(object: &mut Value) {
    let labels = object.pointer("/spec/template/metadata/labels").cloned();
    let has_own = object::metadata(object).get("labels").and_then(Value::as_object).is_some_and(|own| !own.is_empty());
    if let (false, Some(labels)) = (has_own, labels) {
        object::set(object, "labels", Some(labels));
    }
}

/// Gives it the selector that only its own pods have.
pub(super) fn prepare(object: &mut Value) {
    let (name, uid) = (object::text(object, "name").to_owned(), object::text(object, "uid").to_owned());
    // Seen: labels that are its pods' go on being that, as both are one map in the real server's memory.
    let is_labelled_as_pods =
        object.pointer("/spec/template/metadata/labels") == object::metadata(object).get("labels");
    let spec = object::child(object, "spec");
    if spec.get("manualSelector") == Some(&true.into()) {
        return;
    }
    let template = object::map(spec.entry("template").or_insert(Value::Null));
    let metadata = object::map(template.entry("metadata").or_insert(Value::Null));
    let labels = object::map(metadata.entry("labels").or_insert(Value::Null));
    for (label, value) in [("controller-uid", &uid), ("job-name", &name)] {
        labels.insert(format!("batch.kubernetes.io/{label}"), value.as_str().into());
        // As it was named before.
        labels.insert(label.to_owned(), value.as_str().into());
    }
    spec.insert("selector".into(), json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}));
    if is_labelled_as_pods {
        object::set(object, "labels", None);
    }
    // Seen: what is stored is given its defaults again when it is read.
    label(object);
}

pub(super) fn validate(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let (mut causes, spec) = (Vec::new(), &object["spec"]);
    if old.is_some_and(|old| old["spec"].get("completions") != spec.get("completions")) {
        causes.push(Cause::invalid("spec.completions", &spec["completions"].to_string(), "field is immutable"));
    }
    for name in ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"] {
        if let Some(number) = spec[name].as_i64().filter(|number| *number < 0) {
            let why = "must be greater than or equal to 0";
            causes.push(Cause::invalid(format!("spec.{name}"), &number.to_string(), why));
        }
    }
    causes.extend(pod::validate(&spec["template"]["spec"], "spec.template.spec"));
    let policy = &spec["template"]["spec"]["restartPolicy"];
    if *policy == "Always" {
        let path = "spec.template.spec.restartPolicy";
        causes.push(Cause::unsupported(path, "\"Always\"", &["OnFailure", "Never"]));
    }
    causes
}
