//! `apps/v1 ReplicaSet`: defaults and rules.

use serde_json::Value;

use super::pod::{self, fill};
use crate::failure::Cause;
use crate::object;

pub(super) fn default(object: &mut Value) {
    let spec = object::child(object, "spec");
    fill(spec, "replicas", || 1.into());
    pod::template(spec);
}

pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let (mut causes, spec) = (Vec::new(), &object["spec"]);
    if let Some(number) = spec["replicas"].as_i64().filter(|number| *number < 0) {
        causes.push(Cause::invalid("spec.replicas", &number.to_string(), "must be greater than or equal to 0"));
    }
    if spec["selector"].is_null() {
        causes.push(Cause::required("spec.selector", ""));
    }
    causes.extend(pod::validate(&spec["template"]["spec"], "spec.template.spec"));
    causes
}
