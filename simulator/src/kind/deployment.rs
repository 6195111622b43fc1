//! `apps/v1 Deployment`: defaults and rules.

use serde_json::Value;

use super::pod::{self, fill};
use crate::failure::Cause;
use crate::object;

pub(super) fn default(object: &mut Value) {
    let spec = object::child(object, "spec");
    fill(spec, "replicas", || 1.into());
    fill(spec, "revisionHistoryLimit", || 10.into());
    fill(spec, "progressDeadlineSeconds", || 600.into());
    let strategy = object::map(spec.entry("strategy").or_insert(Value::Null));
    fill(strategy, "type", || "RollingUpdate".into());
    if strategy["type"] == "RollingUpdate" {
        let rolling = object::map(strategy.entry("rollingUpdate").or_insert(Value::Null));
        fill(rolling, "maxUnavailable", || "25%".into());
        fill(rolling, "maxSurge", || "25%".into());
    }
    pod::template(spec);
}

pub(super) fn validate(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    for name in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        if let Some(number) = spec[name].as_i64().filter(|number| *number < 0) {
            let why = "must be greater than or equal to 0";
            causes.push(Cause::invalid(format!("spec.{name}"), &number.to_string(), why));
        }
    }
    let (deadline, ready) = (&spec["progressDeadlineSeconds"], spec["minReadySeconds"].as_i64().unwrap_or_default());
    if deadline.as_i64().is_some_and(|deadline| deadline <= ready) {
        let why = "must be greater than minReadySeconds";
        causes.push(Cause::invalid("spec.progressDeadlineSeconds", &deadline.to_string(), why));
    }
    let (selector, labels) = (&spec["selector"], &spec["template"]["metadata"]["labels"]);
    let wished = selector["matchLabels"].as_object();
    if selector.is_null() {
        causes.push(Cause::required("spec.selector", ""));
    } else if wished.is_none() && selector["matchExpressions"].is_null() {
        let why = "empty selector is invalid for deployment";
        causes.push(Cause::invalid("spec.selector", "{}", why));
    }
    if wished.is_some_and(|wished| wished.iter().any(|(name, value)| labels.get(name) != Some(value))) {
        let shown = if labels.is_null() { "null".to_owned() } else { labels.to_string() };
        let why = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", &shown, why));
    }
    if spec["strategy"]["type"] == "Recreate" && !spec["strategy"]["rollingUpdate"].is_null() {
        let why = "may not be specified when strategy `type` is 'Recreate'";
        causes.push(Cause::forbidden("spec.strategy.rollingUpdate", why));
    }
    causes.extend(pod::validate(&spec["template"]["spec"], "spec.template.spec"));
    if old.is_some_and(|old| old["spec"]["selector"] != *selector) {
        causes.push(Cause::invalid("spec.selector", &selector.to_string(), "field is immutable"));
    }
    causes
}
